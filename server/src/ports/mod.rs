//! What the services need from the outside, as traits that state guarantees.
//!
//! Every trait speaks domain types only. An adapter keeps each promise written
//! here; the functions in `conformance` check them on any adapter.

pub mod account_store;
pub mod blob_records;
pub mod blob_store;
pub mod change_feed;
pub mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod credential_store;
pub mod event_queue;
pub mod file_store;
pub mod signing_key_store;
pub mod upload_store;

pub use account_store::{AccountPage, AccountStore, InvitationHash, NewAccount, PasswordHash};
pub use blob_records::{BlobRecords, StoredPart};
pub use blob_store::{
    AnswerHeaders, BlobReader, BlobStore, ForeignPart, PartWriter, Persisted, Sealed,
    SignedRequest, StorageTag,
};
pub use change_feed::{Change, ChangeFeed, ChangePage, Changed, FeedPosition};
pub use clock::Clock;
pub use credential_store::{
    Actor, ApiKey, ApiKeyHash, CredentialStore, Refreshed, Session, Standing,
};
pub use event_queue::{Backlog, Delivery, Event, EventQueue, Receipt};
pub use file_store::{FileChange, FileOrder, FilePage, FilePosition, FileQuery, FileStore};
pub use signing_key_store::{KeyPurpose, SigningKey, SigningKeyId, SigningKeyStore};
pub use upload_store::{
    Created, Freeze, NewUpload, PersistedPart, Recorded, RequestKey, UploadPage, UploadQuery,
    UploadStore, Written,
};
