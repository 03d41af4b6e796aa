//! Storage on S3 for bytes and DynamoDB for records, or others with their APIs.

mod blob_store;
mod breaker;
mod bucket;
mod calls;
mod client;
pub mod dynamodb;
mod layout;
mod part_content;
mod part_writer;
mod payload;
mod presigned;
mod room;
mod sealing;
pub mod setup;
mod storage_tag;

pub use blob_store::S3BlobStore;
pub use client::Clients;
