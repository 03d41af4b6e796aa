//! The rules of uploading, without I/O, without a clock and without async.
//!
//! Everything here is a value or a pure function: ids and names that are valid
//! once they exist, the plan that divides a file into parts, checksums that
//! combine, the state machines of an upload and of a write stream, and the
//! closed set of reasons with which a request can be refused. The server and
//! the Rust SDK share this crate, so both sides agree on every boundary.

mod error;
mod reason;

mod content_type;
mod id;
mod metadata;
mod name;
mod time;

mod checksum;
mod part_digest;
mod part_plan;
mod range;

mod account;
mod scope;

mod cursor;
mod file;
mod upload;

mod tempo;

pub use account::{
    Account, AccountStatus, DisplayName, EmailAddress, LEASE, MAX_DISPLAY_NAME_CHARS,
    MAX_EMAIL_BYTES, Quota, Usage,
};
pub use checksum::{Checksums, Crc32c, Sha256};
pub use content_type::ContentType;
pub use cursor::{Placement, WriteCursor};
pub use error::{Error, FieldViolation, Result};
pub use file::{File, FileState};
pub use id::{AccountId, ApiKeyId, FileId, RequestId, SessionId, UploadId};
pub use metadata::{
    MAX_METADATA_BYTES, MAX_METADATA_ENTRIES, MAX_METADATA_KEY_BYTES, MAX_METADATA_VALUE_BYTES,
    Metadata,
};
pub use name::{FileName, MAX_NAME_BYTES};
pub use part_digest::{BLOCK_SIZE, FileDigest, Part, PartDetail, PartHasher};
pub use part_plan::{
    DEFAULT_PART_SIZE, MAX_PARTS, PartNumber, PartPlan, PartSizeLimits, UNKNOWN_SIZE_PART_SIZE,
};
pub use range::{ByteRange, RangeSet};
pub use reason::Reason;
pub use scope::{Scope, Scopes};
pub use tempo::{Sample, Tempo};
pub use time::Timestamp;
pub use upload::{Completion, Epoch, Failure, OnConflict, Transition, Upload, UploadState};

/// Largest frame a stream accepts, in bytes of content (2 MiB, as in Google
/// Cloud Storage's gRPC API).
pub const MAX_FRAME_SIZE: u64 = 2 * 1024 * 1024;

/// Frame size that clients should use unless they know better: 1 MiB.
pub const DEFAULT_FRAME_SIZE: u64 = 1024 * 1024;
