//! The promises of the ports, as functions that check them on any adapter: one
//! per promise, named for it. They panic where a promise is broken.
//!
//! Each makes accounts and uploads of its own, so one store can serve them one
//! after the other. Those of the queue need it for themselves, because they
//! take whatever comes.
//!
//! The macro `promises!` makes tests of them, from a list that has to have them all.

pub mod account_store;
pub mod blob_records;
pub mod blob_store;
pub mod change_feed;
pub mod credential_store;
pub mod event_queue;
pub mod file_store;
pub mod quotas;
pub mod signing_key_store;
pub mod small_files;
pub mod upload_store;

mod fixtures;
mod promises;
