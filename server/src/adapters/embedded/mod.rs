//! Storage on one machine: files for bytes, SQLite for records, events and small
//! files.
//! Nothing has to be installed.

mod accounts;
mod aligned;
mod api_keys;
mod blob_store;
mod changes;
mod credentials;
mod data_folder;
mod database;
pub mod disk;
mod events;
mod files;
mod part_writer;
mod parts;
mod purge;
mod rows;
mod schema;
mod sessions;
mod signing_keys;
mod small_contents;
mod space;
mod upload_records;
mod uploads;
mod usage;
mod writer;

use std::io;

use sluice_domain::{Error, Reason};

pub use blob_store::DiskBlobStore;
pub use data_folder::{DataFolder, DataFolderError};
pub use database::{Database, DatabaseOptions, OpenError};

/// Turns a failed file operation into what the caller may know, and logs the
/// rest.
fn io_error(error: &io::Error, operation: &'static str) -> Error {
    tracing::error!(%error, operation, "a file operation has failed");
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            storage_full()
        }
        _ => Error::storage_io("the server's disk reported an error; try again"),
    }
}

fn storage_full() -> Error {
    Error::new(
        Reason::StorageFull,
        "the server's disk is full; delete files or ask its operator for more room",
    )
}
