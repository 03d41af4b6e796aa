//! Records in one DynamoDB table ([its design](../../../../../docs/dynamodb.md)).
//!
//! A change reads the items that it depends on, decides by the rules of the
//! domain, and writes what follows in one transaction, under the condition that
//! each of those items is still what was read. Where it is not, the change is
//! decided anew.

mod account_records;
mod accounts;
mod api_keys;
mod call;
mod change;
mod changes;
mod commits;
mod completion;
mod credentials;
mod events;
mod file_records;
mod files;
mod guard;
mod item;
mod key;
mod lists;
mod named_files;
mod names;
mod open_uploads;
mod parts;
mod pause;
mod purge;
mod sessions;
mod shard;
mod signing_keys;
mod sweeps;
pub mod table;
mod transaction;
mod upload_records;
mod uploads;

use std::sync::{Arc, atomic::Ordering};

use tokio::sync::Notify;

use self::{
    call::Consumed, change::Shards, changes::Bells, commits::Commits, guard::Guard,
    open_uploads::OpenUploads,
};
use super::breaker::Breaker;
use crate::{ports::Clock, tasks::Tasks};

/// Records and events in a DynamoDB table.
#[derive(Clone)]
pub struct Records {
    client: aws_sdk_dynamodb::Client,
    breaker: Arc<Breaker>,
    table: Arc<str>,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
    shards: Shards,
    open_uploads: OpenUploads,
    commits: Commits,
    consumed: Arc<Consumed>,
    /// Rings when this process has added events.
    events: Arc<Notify>,
    /// Ring when this process has changed what an account has.
    bells: Arc<Bells>,
}

impl Records {
    /// Records in a table that [`table::create`] has made.
    pub fn new(
        client: aws_sdk_dynamodb::Client,
        table: impl Into<Arc<str>>,
        clock: Arc<dyn Clock>,
        tasks: Tasks,
    ) -> Self {
        let breaker = Arc::new(Breaker::new("database"));
        let config = client.config().to_builder().interceptor(Guard(Arc::clone(&breaker)));
        Self {
            client: aws_sdk_dynamodb::Client::from_conf(config.build()),
            breaker,
            table: table.into(),
            clock,
            tasks,
            shards: Shards::new(),
            open_uploads: OpenUploads::new(),
            commits: Commits::default(),
            consumed: Arc::default(),
            events: Arc::default(),
            bells: Arc::new(Bells::new()),
        }
    }

    /// Read units and write units that were paid for so far, as DynamoDB has
    /// told.
    pub fn consumed(&self) -> (f64, f64) {
        let units = |tenths: u64| {
            #[expect(clippy::cast_precision_loss, reason = "it is for people")]
            let units = tenths as f64 / 10.0;
            units
        };
        let Consumed { read, write } = &*self.consumed;
        (units(read.load(Ordering::Relaxed)), units(write.load(Ordering::Relaxed)))
    }
}
