//! The engine on S3 and DynamoDB, against a local AWS.

mod account;
mod bad_days;
mod bootstrap;
mod buckets;
mod conformance;
mod direct;
mod engine;
mod faults;
mod late_signing;
mod lost_replies;
mod many_parts;
mod processes;
mod record_load;
mod records;
mod remembered;
mod sealing;
mod service;
