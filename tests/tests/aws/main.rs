//! The engine on S3 and DynamoDB, against a local AWS.

mod account;
mod buckets;
mod conformance;
mod engine;
mod faults;
mod lost_replies;
mod record_load;
mod records;
mod sealing;
