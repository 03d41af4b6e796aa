//! A shard of an account: a part of what it holds, and the order of the newest
//! changes there.
//!
//! Every change of an upload or a file is also a change of the one shard it
//! counts in, so the item is small and most of it is the list of the records
//! that changed last: while a record is in there, another change of it costs no
//! further item.

use sluice_domain::{AccountId, FileId, Quota, Result, Timestamp, UploadId, Usage};
use uuid::Uuid;

use super::{
    item::{Item, unreadable},
    key,
    transaction::{Before, Tag, Transaction},
};
use crate::ports::Changed;

/// Records that a shard's own item lists; it must stay below 1 KB, because that
/// is what a write unit pays for.
const RECENT: usize = 16;

/// The newest change of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// Where it is in the order of the shard: microseconds, or one more than
    /// the one before.
    pub(super) at: u64,
    pub(super) what: Changed,
}

/// Limits that are counted over all shards.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) bytes: Option<u64>,
    pub(super) uploads: Option<u64>,
}

impl From<Quota> for Limits {
    fn from(quota: Quota) -> Self {
        Self { bytes: quota.max_bytes, uploads: quota.max_active_uploads }
    }
}

/// One shard, as it is being changed.
#[derive(Debug, Clone)]
pub(super) struct Shard {
    owner: AccountId,
    number: u8,
    /// What the stored item was; nothing where there is none yet.
    pub(super) tag: Option<Tag>,
    /// What its uploads and files hold.
    pub(super) usage: Usage,
    /// The limits under which `room` was given to it.
    limits: Limits,
    /// How much it may take without asking the others: what all shards hold and
    /// may take is never more than the limits.
    room: (u64, u64),
    /// The newest change.
    pub(super) newest: u64,
    /// The newest change that has an item of its own; later ones are in
    /// `recent`.
    pub(super) floor: u64,
    /// The newest change that is forgotten.
    pub(super) forgotten: u64,
    /// The records that changed last, by their newest change.
    pub(super) recent: Vec<Entry>,
    /// Entries that get an item of their own, and those that lose theirs.
    moved_out: Vec<Entry>,
    dropped: Vec<u64>,
    /// Its account is deleted: nothing is added any more.
    closed: bool,
    dirty: bool,
}

impl Shard {
    /// A shard in which nothing has happened yet.
    fn new(owner: AccountId, number: u8) -> Self {
        Self {
            owner,
            number,
            tag: None,
            usage: Usage::default(),
            limits: Limits::default(),
            room: (0, 0),
            newest: 0,
            floor: 0,
            forgotten: 0,
            recent: Vec::new(),
            moved_out: Vec::new(),
            dropped: Vec::new(),
            closed: false,
            dirty: false,
        }
    }

    /// Reads a shard.
    pub(super) fn read(owner: AccountId, number: u8, item: Option<&Item>) -> Result<Self> {
        let Some(item) = item else { return Ok(Self::new(owner, number)) };
        Ok(Self {
            tag: Some(Tag::of(item)?),
            usage: Usage {
                stored_bytes: item.get("stored")?,
                reserved_bytes: item.get("reserved")?,
                active_uploads: item.get("uploads")?,
            },
            limits: Limits { bytes: item.get("max_bytes")?, uploads: item.get("max_uploads")? },
            room: (
                item.get::<Option<_>>("room_bytes")?.unwrap_or(0),
                item.get::<Option<_>>("room_uploads")?.unwrap_or(0),
            ),
            newest: item.get("newest")?,
            floor: item.get("floor")?,
            forgotten: item.get("forgotten")?,
            recent: decode(&item.get::<Vec<u8>>("recent")?).ok_or_else(|| unreadable("recent"))?,
            closed: item.get("closed")?,
            ..Self::new(owner, number)
        })
    }

    pub(super) fn number(&self) -> u8 {
        self.number
    }

    fn item(&self) -> Item {
        self.item_with(Item::default())
    }

    fn item_with(&self, item: Item) -> Item {
        item.with("stored", self.usage.stored_bytes)
            .with("reserved", self.usage.reserved_bytes)
            .with("uploads", self.usage.active_uploads)
            .with("max_bytes", self.limits.bytes)
            .with("max_uploads", self.limits.uploads)
            .with("room_bytes", self.limits.bytes.map(|_| self.room.0))
            .with("room_uploads", self.limits.uploads.map(|_| self.room.1))
            .with("newest", self.newest)
            .with("floor", self.floor)
            .with("forgotten", self.forgotten)
            .with("recent", encode(&self.recent))
            .with("closed", self.closed)
    }

    /// Adds what has changed to a transaction.
    pub(super) fn write(&self, transaction: &mut Transaction) {
        if !self.dirty {
            return;
        }
        transaction.put(key::shard(self.owner, self.number), self.tag, self.item());
        for entry in &self.moved_out {
            let key = key::feed_entry(self.owner, self.number, entry.at);
            transaction.put(key, Before::Any, entry_item(entry.what));
        }
        for at in &self.dropped {
            let key = key::feed_entry(self.owner, self.number, *at);
            transaction.delete(key, Before::Any);
        }
    }

    /// Leaves nothing of it but that it is closed.
    pub(super) fn bury(&self, transaction: &mut Transaction, tomb: Item) {
        let buried = Self { closed: true, ..Self::new(self.owner, self.number) };
        let item = Self { newest: self.newest, ..buried }.item_with(tomb);
        transaction.put(key::shard(self.owner, self.number), self.tag, item);
    }

    /// The shard as it is once the transaction is made.
    pub(super) fn written(mut self, tag: Tag) -> Self {
        if self.dirty {
            self.tag = Some(tag);
        }
        self.moved_out.clear();
        self.dropped.clear();
        self.dirty = false;
        self
    }

    /// A record changes: it moves to the end. `before` is the place of its last
    /// change, 0 if there was none. Answers its new place.
    pub(super) fn touch(&mut self, what: Changed, before: u64, after: u64) -> u64 {
        let at = after.max(self.newest + 1);
        self.leave(what, before);
        self.recent.push(Entry { at, what });
        if self.recent.len() > RECENT {
            let oldest = self.recent.remove(0);
            self.floor = oldest.at;
            self.moved_out.push(oldest);
        }
        self.newest = at;
        self.dirty = true;
        at
    }

    /// A change cannot be read any more.
    pub(super) fn forget(&mut self, what: Changed, at: u64) {
        self.leave(what, at);
        self.forgotten = self.forgotten.max(at);
        self.dirty = true;
    }

    fn leave(&mut self, what: Changed, at: u64) {
        let listed = self.recent.len();
        self.recent.retain(|entry| record(entry.what) != record(what));
        let was_listed = self.recent.len() < listed;
        let moves_out = self.moved_out.len();
        self.moved_out.retain(|entry| record(entry.what) != record(what));
        if at > 0 && !was_listed && self.moved_out.len() == moves_out {
            self.dropped.push(at);
        }
    }

    /// Whether its account is deleted.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Its account is deleted.
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.dirty = true;
    }

    /// Takes so much of the room that this shard has. Answers whether it could;
    /// if not, the others must be asked.
    pub(super) fn take(&mut self, limits: Limits, bytes: u64, uploads: u64) -> bool {
        if self.limits != limits
            || limits.bytes.is_some() && self.room.0 < bytes
            || limits.uploads.is_some() && self.room.1 < uploads
        {
            return false;
        }
        self.room = (self.room.0.saturating_sub(bytes), self.room.1.saturating_sub(uploads));
        self.dirty = true;
        true
    }

    /// Gives the shard this much room.
    pub(super) fn give(&mut self, limits: Limits, bytes: u64, uploads: u64) {
        (self.limits, self.room) = (limits, (bytes, uploads));
        self.dirty = true;
    }

    /// Changes what is held by these differences. What is given back can be
    /// taken again.
    pub(super) fn add(&mut self, stored: i64, reserved: i64, uploads: i64) {
        let usage = &mut self.usage;
        usage.stored_bytes = usage.stored_bytes.saturating_add_signed(stored);
        usage.reserved_bytes = usage.reserved_bytes.saturating_add_signed(reserved);
        usage.active_uploads = usage.active_uploads.saturating_add_signed(uploads);
        let back = |change: i64| if change < 0 { change.unsigned_abs() } else { 0 };
        self.room.0 = self.room.0.saturating_add(back(stored.saturating_add(reserved)));
        self.room.1 = self.room.1.saturating_add(back(uploads));
        self.dirty = true;
    }
}

/// Sums up what shards hold.
pub(super) fn total<'a>(shards: impl IntoIterator<Item = &'a Shard>) -> Usage {
    shards.into_iter().fold(Usage::default(), |sum, shard| Usage {
        stored_bytes: sum.stored_bytes.saturating_add(shard.usage.stored_bytes),
        reserved_bytes: sum.reserved_bytes.saturating_add(shard.usage.reserved_bytes),
        active_uploads: sum.active_uploads.saturating_add(shard.usage.active_uploads),
    })
}

/// Which record a change is of. A file that is gone is still the same record.
fn record(what: Changed) -> (bool, Uuid) {
    match what {
        Changed::Upload(id) => (false, *id.as_uuid()),
        Changed::File { id, .. } | Changed::FileGone { id, .. } => (true, *id.as_uuid()),
    }
}

/// The time as the feed counts it.
pub(super) fn feed_time(now: Timestamp) -> u64 {
    u64::try_from(now.as_micros()).unwrap_or(0)
}

const UPLOAD: u8 = 0;
const FILE: u8 = 1;
const GONE: u8 = 2;

fn parts_of(what: Changed) -> (u8, UploadId, Option<FileId>) {
    match what {
        Changed::Upload(upload) => (UPLOAD, upload, None),
        Changed::File { id, upload } => (FILE, upload, Some(id)),
        Changed::FileGone { id, upload } => (GONE, upload, Some(id)),
    }
}

fn from_parts(kind: u8, upload: UploadId, file: Option<FileId>) -> Option<Changed> {
    match (kind, file) {
        (UPLOAD, None) => Some(Changed::Upload(upload)),
        (FILE, Some(id)) => Some(Changed::File { id, upload }),
        (GONE, Some(id)) => Some(Changed::FileGone { id, upload }),
        _ => None,
    }
}

fn entry_item(what: Changed) -> Item {
    let (kind, upload, file) = parts_of(what);
    Item::default().with("kind", kind).with("upload", upload).with("file", file)
}

/// Reads an entry that has an item of its own.
pub(super) fn read_entry(item: &Item) -> Result<Entry> {
    let wrong = || unreadable("kind");
    let at = u64::from_str_radix(&item.key()?.sk, 16).map_err(|_| wrong())?;
    let what = from_parts(item.get("kind")?, item.get("upload")?, item.get("file")?);
    Ok(Entry { at, what: what.ok_or_else(wrong)? })
}

fn encode(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in entries {
        let (kind, upload, file) = parts_of(entry.what);
        bytes.push(kind);
        bytes.extend(entry.at.to_be_bytes());
        bytes.extend(upload.as_uuid().as_bytes());
        bytes.extend(file.iter().flat_map(|file| *file.as_uuid().as_bytes()));
    }
    bytes
}

fn decode(mut bytes: &[u8]) -> Option<Vec<Entry>> {
    fn uuid(bytes: &mut &[u8]) -> Option<Uuid> {
        let (id, rest) = bytes.split_first_chunk()?;
        *bytes = rest;
        Some(Uuid::from_bytes(*id))
    }
    let mut entries = Vec::new();
    while let Some((kind, rest)) = bytes.split_first() {
        let (at, rest) = rest.split_first_chunk()?;
        bytes = rest;
        let upload = UploadId::from_uuid(uuid(&mut bytes)?);
        let file = if *kind == UPLOAD { None } else { Some(uuid(&mut bytes)?) };
        let what = from_parts(*kind, upload, file.map(FileId::from_uuid))?;
        entries.push(Entry { at: u64::from_be_bytes(*at), what });
    }
    Some(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upload(number: u128) -> Changed {
        Changed::Upload(UploadId::from_uuid(Uuid::from_u128(number)))
    }

    fn file(number: u128) -> Changed {
        let id = FileId::from_uuid(Uuid::from_u128(number));
        Changed::File { id, upload: UploadId::from_uuid(Uuid::from_u128(number)) }
    }

    fn shard() -> Shard {
        Shard::new(AccountId::from_uuid(Uuid::nil()), 3)
    }

    #[test]
    fn a_shard_reads_back() {
        let mut shard = shard();
        shard.add(5, 7, 1);
        shard.give(Limits { bytes: Some(9), uploads: None }, 4, 0);
        for number in 0..20 {
            shard.touch(if number % 2 == 0 { upload(number) } else { file(number) }, 0, 100);
        }
        shard.forget(upload(99), 50);
        let tag = Transaction::new().tag();
        let shard = shard.written(tag);
        let item = shard.item().with("tag", [7; 16]);
        let read = Shard::read(shard.owner, 3, Some(&item)).unwrap();
        assert_eq!((read.usage, read.limits, read.room), (shard.usage, shard.limits, shard.room));
        assert_eq!((read.newest, read.floor, read.forgotten), (119, 103, 50));
        assert_eq!(read.recent, shard.recent);
        let size: usize = 20 * 20 + encode(&read.recent).len();
        assert!(size < 1024, "{size} bytes are more than a write unit");
    }

    #[test]
    fn a_record_is_listed_once_at_its_newest_change() {
        let mut shard = shard();
        let places: Vec<_> = (0..16).map(|number| shard.touch(upload(number), 0, 0)).collect();
        assert!(shard.moved_out.is_empty());
        shard.touch(upload(0), places[0], 0);
        assert_eq!((shard.recent.len(), shard.dropped.len()), (16, 0));
        shard.touch(upload(16), 0, 0);
        let out: Vec<_> = shard.moved_out.iter().map(|entry| entry.what).collect();
        assert_eq!((out, shard.floor), (vec![upload(1)], places[1]));
        let mut shard = shard.written(Transaction::new().tag());
        // It has an item of its own by now.
        shard.touch(upload(1), places[1], 0);
        assert_eq!(shard.dropped, [places[1]]);
        assert_eq!(shard.recent.last().map(|entry| entry.what), Some(upload(1)));
    }

    #[test]
    fn no_shard_takes_more_than_it_was_given() {
        let limits = Limits { bytes: Some(100), uploads: Some(2) };
        let mut shard = shard();
        assert!(!shard.take(limits, 0, 0), "the limits are new to it");
        shard.give(limits, 10, 1);
        assert!(!shard.take(limits, 11, 1));
        assert!(shard.take(limits, 10, 1));
        shard.add(0, 10, 1);
        assert!(!shard.take(limits, 0, 1));
        shard.add(10, -10, -1);
        assert!(!shard.take(limits, 1, 1), "only the place is free again");
        assert!(shard.take(limits, 0, 1));
        let mut free = Shard::new(shard.owner, 1);
        assert!(free.take(Limits::default(), u64::MAX, 1));
    }
}
