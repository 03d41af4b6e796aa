//! The use cases. Every rule of who may do what lives here or in the domain;
//! transports only translate.

pub mod caller;
pub mod completion;
pub mod direct_uploads;
pub mod files;
pub mod identity;
pub mod ingest;
pub mod limits;
pub mod rates;
pub mod reading;
pub mod signing;
pub mod uploads;
pub mod watch;

use std::{sync::Arc, time::Duration};

use sluice_domain::{Error, Reason, Timestamp};
use tokio_util::sync::CancellationToken;
use uuid::{NoContext, Uuid};

use crate::{
    ports::{BlobStore, ChangeFeed, Clock, EventQueue, FileStore, UploadStore},
    tasks::Tasks,
};
pub use caller::{Caller, Credential};
use identity::Identity;
pub use limits::Limits;
use rates::Rates;
use signing::Signing;

/// Everything the services work with.
#[derive(Clone)]
pub struct Context {
    /// Records of uploads and parts.
    pub uploads: Arc<dyn UploadStore>,
    /// Records of files.
    pub files: Arc<dyn FileStore>,
    /// Bytes.
    pub blobs: Arc<dyn BlobStore>,
    /// Events.
    pub events: Arc<dyn EventQueue>,
    /// Changes, for those who watch.
    pub changes: Arc<dyn ChangeFeed>,
    /// Who somebody is.
    pub identity: Arc<Identity>,
    /// How much somebody may ask for in a second.
    pub rates: Arc<Rates>,
    /// Signed URLs.
    pub signing: Arc<Signing>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What this server accepts.
    pub limits: Arc<Limits>,
    /// Where work is spawned.
    pub tasks: Tasks,
    /// Cancelled when the server begins to stop: streams end as soon as they
    /// can without losing anything.
    pub stopping: CancellationToken,
}

impl Context {
    /// A new UUIDv7: sorted by time, the rest random.
    fn new_uuid(&self, now: Timestamp) -> Uuid {
        let micros = u64::try_from(now.as_micros()).unwrap_or(0);
        #[expect(clippy::cast_possible_truncation, reason = "less than a billion")]
        let nanos = (micros % 1_000_000 * 1000) as u32;
        Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, micros / 1_000_000, nanos))
    }
}

/// When to try again after a refusal by a server that stops.
const RETRY_ELSEWHERE: Duration = Duration::from_secs(1);

/// The refusal of a server that stops.
pub fn shutting_down() -> Error {
    Error::new(Reason::ShuttingDown, "this server is stopping; go on with another one or later")
        .retry_after(RETRY_ELSEWHERE)
}
