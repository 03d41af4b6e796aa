//! Storage on S3 for bytes and DynamoDB for records, or others with their APIs.

mod client;

pub use client::Clients;
