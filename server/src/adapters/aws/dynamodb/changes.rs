//! The change feed. Each shard of an account keeps the order of the newest
//! changes of its records; a place in the feed is a place in every shard.

use std::time::Duration;

use async_trait::async_trait;
use futures::future::try_join_all;
use sha2::{Digest, Sha256};
use sluice_domain::{AccountId, Error, Reason, Result, Timestamp};
use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};

use super::{
    Records,
    call::Range,
    key::{self, SHARDS},
    shard::{Entry, Shard, read_entry},
};
use crate::ports::{Change, ChangeFeed, ChangePage, FeedPosition};

/// Bells are shared by accounts; more of them wake fewer for nothing.
const BELLS: usize = 64;

/// Changes that another process makes are seen within this time.
const LOOK: Duration = Duration::from_secs(1);

/// Bytes of a place in one shard: microseconds for the next 2,000 years.
const PLACE_BYTES: usize = 7;

/// Rings for those who wait for changes of an account.
pub(super) struct Bells([Notify; BELLS]);

impl Bells {
    pub(super) fn new() -> Self {
        Self(std::array::from_fn(|_| Notify::new()))
    }

    /// The bell of this account, and of some others.
    pub(super) fn of(&self, owner: AccountId) -> &Notify {
        let random = owner.as_uuid().as_bytes()[15];
        &self.0[usize::from(random) % BELLS]
    }
}

/// A place in every shard. Along one reader's way none of them goes back, so that
/// places sort as their bytes do.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Places([u64; SHARDS as usize]);

impl Places {
    /// Tells the feed of this account from every other.
    fn feed(owner: AccountId) -> [u8; 8] {
        let digest = Sha256::digest(owner.as_uuid().as_bytes());
        std::array::from_fn(|index| digest[index])
    }

    fn position(&self, owner: AccountId) -> FeedPosition {
        let mut bytes = Self::feed(owner).to_vec();
        bytes.extend(self.0.iter().flat_map(|place| place.to_be_bytes()[1..].to_vec()));
        FeedPosition::from_bytes(bytes)
    }

    fn parse(owner: AccountId, position: &FeedPosition) -> Result<Self> {
        let wrong = || invalid("this is not a resume token");
        let (feed, places) = position.as_bytes().split_first_chunk::<8>().ok_or_else(wrong)?;
        let (places, []) = places.as_chunks::<PLACE_BYTES>() else { return Err(wrong()) };
        if places.len() != usize::from(SHARDS) {
            return Err(wrong());
        }
        if *feed != Self::feed(owner) {
            return Err(invalid("this resume token is not from here"));
        }
        Ok(Self(std::array::from_fn(|shard| {
            let mut bytes = [0; 8];
            bytes[1..].copy_from_slice(&places[shard]);
            u64::from_be_bytes(bytes)
        })))
    }
}

fn invalid(message: &str) -> Error {
    Error::new(Reason::ResumeTokenInvalid, format!("{message}; watch anew"))
}

#[async_trait]
impl ChangeFeed for Records {
    async fn end(&self, owner: AccountId) -> Result<FeedPosition> {
        let shards = self.read_shards(owner).await?;
        let mut end = Places([0; SHARDS as usize]);
        for (number, shard) in shards {
            end.0[usize::from(number)] = shard.newest;
        }
        Ok(end.position(owner))
    }

    async fn changes(
        &self,
        owner: AccountId,
        after: FeedPosition,
        limit: u32,
        at_most: Duration,
    ) -> Result<ChangePage> {
        let end = Instant::now() + at_most;
        loop {
            // From here on a ring is heard, so none is missed while looking.
            let rung = self.bells.of(owner).notified();
            tokio::pin!(rung);
            rung.as_mut().enable();
            let page = self.changes_after(owner, &after, limit as usize).await?;
            let left = end.saturating_duration_since(Instant::now());
            if !page.changes.is_empty() || left.is_zero() {
                return Ok(page);
            }
            let _ = timeout(left.min(LOOK), rung).await;
        }
    }

    async fn forget_gone(&self, before: Timestamp, limit: u32) -> Result<u32> {
        self.sweep_gone(before, limit).await
    }
}

impl Records {
    async fn changes_after(
        &self,
        owner: AccountId,
        after: &FeedPosition,
        limit: usize,
    ) -> Result<ChangePage> {
        let places = Places::parse(owner, after)?;
        let shards = self.read_shards(owner).await?;
        for (number, shard) in &shards {
            let place = places.0[usize::from(*number)];
            if place > shard.newest {
                return Err(invalid("this resume token is not from here"));
            }
            if place < shard.forgotten {
                return Err(invalid("this resume token is too old"));
            }
        }
        let entries = shards
            .values()
            .map(|shard| self.entries(owner, shard, places.0[usize::from(shard.number())], limit));
        let entries = try_join_all(entries).await?;
        Ok(merged(owner, places, shards.values(), entries, limit))
    }

    /// The first entries of a shard after a place. Those that have items of
    /// their own were committed before the shard's item was read, and a read
    /// sees what is committed; what moves meanwhile moves behind the page.
    async fn entries(
        &self,
        owner: AccountId,
        shard: &Shard,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        if after < shard.floor {
            let range = Range::all(key::feed(owner, shard.number()))
                .from(format!("{:016x}", after + 1))
                .to(format!("{:016x}", shard.floor));
            let items = self.query(&range, limit).await?;
            entries = items.iter().map(read_entry).collect::<Result<_>>()?;
            if entries.len() == limit {
                return Ok(entries);
            }
        }
        entries.extend(shard.recent.iter().filter(|entry| entry.at > after));
        Ok(entries)
    }
}

/// The first of all entries, in the order of their time.
fn merged<'a>(
    owner: AccountId,
    mut places: Places,
    shards: impl Iterator<Item = &'a Shard>,
    entries: Vec<Vec<Entry>>,
    limit: usize,
) -> ChangePage {
    let numbered = entries.into_iter().enumerate();
    let mut all: Vec<_> = numbered
        .flat_map(|(shard, entries)| entries.into_iter().map(move |entry| (entry.at, shard, entry)))
        .collect();
    all.sort_by_key(|(at, shard, _)| (*at, *shard));
    let is_whole = all.len() < limit;
    let changes: Vec<_> = all
        .into_iter()
        .take(limit)
        .map(|(at, shard, entry)| {
            places.0[shard] = at;
            Change { what: entry.what, position: places.position(owner) }
        })
        .collect();
    if is_whole {
        for (place, shard) in places.0.iter_mut().zip(shards) {
            *place = shard.newest;
        }
    }
    ChangePage { changes, end: places.position(owner) }
}
