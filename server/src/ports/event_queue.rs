//! Work that must happen after a change was committed.

use std::time::Duration;

use async_trait::async_trait;
use sluice_domain::{AccountId, FileId, Result, Timestamp, UploadId};

/// Something to do. Events come at least once, in no particular order, and
/// every handler is idempotent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Remove what a deleted account owned.
    DeleteAccount {
        /// The account.
        account: AccountId,
    },
    /// A file is complete and its declared SHA-256 must be verified.
    VerifyFile {
        /// Its owner.
        owner: AccountId,
        /// The file.
        file_id: FileId,
    },
    /// No record refers to these bytes any more.
    DeleteBlob {
        /// Their owner.
        owner: AccountId,
        /// The upload whose bytes they are.
        upload_id: UploadId,
    },
}

/// Names one delivery of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Receipt {
    /// The event, as its queue names it.
    pub event: u128,
    /// Which delivery of it: a later one makes this receipt worthless.
    pub attempt: u32,
}

/// An event that this process holds for a while.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// What to do.
    pub event: Event,
    /// For answering.
    pub receipt: Receipt,
}

/// How much there is to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Events that are not done, those that somebody holds included.
    pub waiting: u64,
    /// For how long the first of them could have been received by now.
    pub overdue: Duration,
    /// Events that were put aside as dead.
    pub dead: u64,
}

/// A durable queue with leases. Events enter it in the same transaction as the
/// change that causes them, through the stores.
#[async_trait]
pub trait EventQueue: Send + Sync + 'static {
    /// Takes up to `limit` events whose time has come, and hides them from
    /// everybody until `now + lease`. An event that was taken `max_attempts`
    /// times without success is put aside as dead and not delivered again.
    async fn receive(
        &self,
        limit: u32,
        now: Timestamp,
        lease: Duration,
        max_attempts: u32,
    ) -> Result<Vec<Delivery>>;

    /// Keeps an event hidden until `until`. Answers whether the receipt was
    /// still good; if not, somebody else has the event.
    async fn extend(&self, receipt: Receipt, until: Timestamp) -> Result<bool>;

    /// Removes an event for good. A worthless receipt changes nothing.
    async fn acknowledge(&self, receipt: Receipt) -> Result<()>;

    /// Offers an event again at `at`.
    async fn retry(&self, receipt: Receipt, at: Timestamp) -> Result<()>;

    /// Returns when there may be something to receive, at the latest after
    /// `at_most`.
    async fn wait(&self, at_most: Duration);

    /// What is in the queue at `now`. Numbers beyond 10,000 need not be exact.
    async fn backlog(&self, now: Timestamp) -> Result<Backlog>;

    /// How many events were put aside as dead.
    async fn dead_count(&self) -> Result<u64>;
}
