//! The Rust SDK of Sluice: upload, resume, find, download, watch and delete files.
//!
//! ```no_run
//! use sluice_sdk::{Client, DownloadOptions, Source, UploadOptions};
//!
//! # async fn example() -> sluice_sdk::Result<()> {
//! let client = Client::builder("http://127.0.0.1:7070").api_key("…").build()?;
//! let uploaded = client.upload(Source::path("holiday.mp4"), UploadOptions::new()).await?;
//! client.download(&uploaded.file.id, "copy.mp4", DownloadOptions::new()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! A [`SessionStore`] signs calls in as a person; an API key is for programs.
//!
//! Uploads ride out broken connections, restarts and refusals for the time
//! being, and never send a part again that is persisted. Every frame, part and file is checked
//! by CRC-32C on both sides, downloads by BLAKE3 too. [`Client::raw_uploads`]
//! and its siblings give the generated stubs for everything else.

mod client;
mod upload;

mod download;
mod read;

mod files;
mod signing;
mod uploads;

mod watch;

mod account;
mod administration;
mod session;

mod error;
mod progress;
mod source;

mod blocking;
mod buffer_pool;
mod connection;
mod pages;
mod rate_limit;
mod retry;
mod tls;
mod write_stream;

pub use account::{NewApiKey, SignedIn};
pub use administration::Invitation;
pub use client::{Client, ClientBuilder};
pub use connection::Connection;
pub use download::{DownloadOptions, Downloaded};
pub use error::{Error, FieldViolation, Kind, Result};
pub use files::{Entry, FileChange, ListQuery};
pub use progress::{Progress, Statistics};
pub use rate_limit::RateLimit;
pub use read::FileReader;
pub use session::{MemoryStore, SessionStore, SessionTokens};
pub use signing::{Confirmed, Link, LinkOptions};
pub use source::Source;
pub use upload::{UploadOptions, Uploaded};
pub use watch::{Event, WatchQuery, Watcher};

pub use sluice_domain::{Checksums, Crc32c, Reason};
pub use sluice_proto::v1::{
    self, Account, ApiKey, Capabilities, File, OnConflict, Quota, Scope, Session, Upload, Usage,
};
pub use tokio_util::sync::CancellationToken;
pub use tonic::Code;
