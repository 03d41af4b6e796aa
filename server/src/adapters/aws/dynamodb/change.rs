//! A change of what an account has: one transaction, and the shards in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use moka::sync::Cache;
use sluice_domain::{AccountId, ByteRange, Quota, Result, Timestamp, UploadId, Usage};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{
    Records,
    call::Range,
    events,
    key::{self, SHARDS},
    open_uploads::Saved,
    shard::{Limits, Shard, feed_time, total},
    transaction::{Before, Outcome, Tag, Transaction},
    upload_records::StoredUpload,
};
use crate::ports::{Changed, Event};

/// Locks are shared by shards; more of them make fewer wait for nothing.
const LOCKS: usize = 1024;

/// Shards whose items are remembered, so that a change need not read them.
const REMEMBERED: u64 = 4096;

/// What this process knows of shards. It is a hint: every change is under the
/// condition that the items are so.
#[derive(Debug, Clone)]
pub(super) struct Shards {
    /// Changes of one shard come one after the other, so that those of one
    /// process do not get in each other's way.
    locks: Arc<Vec<Arc<Mutex<()>>>>,
    known: Cache<(AccountId, u8), Shard>,
}

impl Shards {
    pub(super) fn new() -> Self {
        let locks = (0..LOCKS).map(|_| Arc::new(Mutex::new(()))).collect();
        Self { locks: Arc::new(locks), known: Cache::new(REMEMBERED) }
    }

    /// Always in the same order, so that nobody waits for somebody who waits.
    async fn lock(&self, owner: AccountId, shards: &BTreeSet<u8>) -> Vec<OwnedMutexGuard<()>> {
        let bytes = owner.as_uuid().as_bytes();
        let random = usize::from(u16::from_be_bytes([bytes[14], bytes[15]]));
        let of = |shard: &u8| (random * usize::from(SHARDS) + usize::from(*shard)) % LOCKS;
        let mut locked = Vec::new();
        for lock in shards.iter().map(of).collect::<BTreeSet<_>>() {
            locked.push(Arc::clone(&self.locks[lock]).lock_owned().await);
        }
        locked
    }
}

/// A change while it is being decided.
pub(super) struct Change {
    pub(super) owner: AccountId,
    pub(super) transaction: Transaction,
    shards: BTreeMap<u8, Shard>,
    /// Places in the feed are greater than this.
    feed_time: u64,
    has_events: bool,
    /// Uploads as they are once this is made.
    saved: Vec<Saved>,
    /// Uploads whose bytes nobody needs any more.
    let_go: Vec<UploadId>,
    locked: Vec<OwnedMutexGuard<()>>,
}

/// Every shard of an account.
pub(super) fn every_shard() -> BTreeSet<u8> {
    (0..SHARDS).collect()
}

impl Change {
    /// A shard that the change began with.
    pub(super) fn shard(&mut self, number: u8) -> &mut Shard {
        self.shards.get_mut(&number).expect("a change begins with all its shards")
    }

    pub(super) fn has_shard(&self, number: u8) -> bool {
        self.shards.contains_key(&number)
    }

    /// A record changes; answers its place in the feed. Those of one change are
    /// in the order in which they are told.
    pub(super) fn tell(&mut self, shard: u8, what: Changed, before: u64) -> u64 {
        let after = self.feed_time;
        let at = self.shard(shard).touch(what, before, after);
        self.feed_time = at + 1;
        at
    }

    /// Adds an event that can be received from `at` on.
    pub(super) fn enqueue(&mut self, event: &Event, at: Timestamp) {
        let (key, item) = events::item(event, at);
        self.transaction.put(key, Before::Any, item);
        self.has_events = true;
    }

    /// An upload is like this once this is made, and was like that.
    pub(super) fn saves(&mut self, before: Option<Tag>, after: StoredUpload) {
        self.saved.push(Saved { before, after, added: Vec::new() });
    }

    /// These bytes of the upload that it saves are persisted once this is made.
    pub(super) fn persists(&mut self, added: Vec<ByteRange>) {
        if let [saved] = &mut self.saved[..] {
            saved.added = added;
        }
    }

    /// Nobody needs the bytes of an upload any more once this is made.
    pub(super) fn let_go(&mut self, upload: UploadId) {
        self.let_go.push(upload);
    }

    /// Takes bytes and places of the account's quota, for a record of this
    /// shard. Answers whether that could be decided; if not, it needs all
    /// shards.
    pub(super) fn take(
        &mut self,
        shard: u8,
        quota: Quota,
        bytes: u64,
        uploads: u64,
    ) -> Result<bool> {
        if self.shard(shard).take(quota.into(), bytes, uploads) {
            return Ok(true);
        }
        if self.shards.len() < usize::from(SHARDS) {
            return Ok(false);
        }
        let usage = self.usage();
        if uploads > 0 {
            usage.check_uploads(quota)?;
        }
        usage.check_bytes(bytes, quota)?;
        self.divide(shard, quota, bytes, uploads);
        Ok(true)
    }

    /// The account is deleted; needs all shards.
    pub(super) fn close(&mut self) {
        self.shards.values_mut().for_each(Shard::close);
    }

    /// What the account holds; needs all shards.
    pub(super) fn usage(&self) -> Usage {
        total(self.shards.values())
    }

    /// Divides what is left of the quota once `bytes` and `uploads` are taken.
    fn divide(&mut self, own: u8, quota: Quota, bytes: u64, uploads: u64) {
        let (usage, limits) = (self.usage(), Limits::from(quota));
        let used = usage.stored_bytes.saturating_add(usage.reserved_bytes);
        let left = |limit: Option<u64>, used: u64, taken: u64| {
            limit.map_or(0, |limit| limit.saturating_sub(used).saturating_sub(taken))
        };
        let bytes = left(limits.bytes, used, bytes);
        let uploads = left(limits.uploads, usage.active_uploads, uploads);
        let shards = u64::from(SHARDS);
        for (number, shard) in &mut self.shards {
            let rest = |all: u64| if *number == own { all % shards } else { 0 };
            shard.give(limits, bytes / shards + rest(bytes), uploads / shards + rest(uploads));
        }
    }
}

impl Records {
    /// Begins a change of what is in these shards. Until it is made or dropped,
    /// others of this process wait; so nothing else is begun meanwhile.
    pub(super) async fn begin(&self, owner: AccountId, numbers: &BTreeSet<u8>) -> Result<Change> {
        let locked = self.shards.lock(owner, numbers).await;
        let known = |number: &u8| self.shards.known.get(&(owner, *number));
        let known: Option<Vec<_>> = numbers.iter().map(known).collect();
        let shards = match known {
            // Whoever asks for all decides by them, perhaps to refuse: then what
            // is remembered is not good enough.
            Some(known) if numbers.len() < usize::from(SHARDS) => {
                numbers.iter().copied().zip(known).collect()
            }
            _ => {
                let mut shards = self.read_shards(owner).await?;
                shards.retain(|number, _| numbers.contains(number));
                shards
            }
        };
        Ok(Change {
            owner,
            transaction: Transaction::new(),
            shards,
            feed_time: feed_time(self.clock.now()),
            has_events: false,
            saved: Vec::new(),
            let_go: Vec::new(),
            locked,
        })
    }

    /// Makes a change, or finds that it must be decided anew.
    pub(super) async fn make(&self, mut change: Change) -> Result<Outcome> {
        for shard in change.shards.values() {
            shard.write(&mut change.transaction);
        }
        // Whatever becomes of it, nothing is known until it is answered.
        for number in change.shards.keys() {
            self.shards.known.invalidate(&(change.owner, *number));
        }
        let saved = change.saved.into_iter().map(|saved| self.open_uploads.prepare(saved));
        let saved: Vec<_> = saved.collect();
        let outcome = self.commit(&change.transaction).await?;
        if let Outcome::Committed = outcome {
            let tag = change.transaction.tag();
            for (number, shard) in change.shards {
                self.shards.known.insert((change.owner, number), shard.written(tag));
            }
            saved.into_iter().for_each(|saved| self.open_uploads.made(saved));
            self.bells.of(change.owner).notify_waiters();
            if change.has_events {
                self.events.notify_one();
            }
            drop(change.locked);
            for upload in change.let_go {
                // What is left goes with the bytes.
                if let Err(error) = self.remove_parts(upload).await {
                    tracing::warn!(%upload, %error, "records of parts are left for later");
                }
            }
        }
        Ok(outcome)
    }

    /// The same where it does not matter what was stale.
    pub(super) async fn made(&self, change: Change) -> Result<bool> {
        Ok(matches!(self.make(change).await?, Outcome::Committed))
    }

    /// All shards of an account.
    pub(super) async fn read_shards(&self, owner: AccountId) -> Result<BTreeMap<u8, Shard>> {
        let range = Range::all(key::shards(owner));
        let items = self.query(&range, usize::from(SHARDS)).await?;
        let mut shards = BTreeMap::new();
        for number in 0..SHARDS {
            let key = key::shard(owner, number);
            let item = items.iter().find(|item| item.key().as_ref() == Ok(&key));
            shards.insert(number, Shard::read(owner, number, item)?);
        }
        Ok(shards)
    }
}
