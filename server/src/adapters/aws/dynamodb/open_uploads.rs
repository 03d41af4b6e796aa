//! Uploads as this process has written or read them last: a part is recorded without
//! reading its upload, and who asks for the ranges of a large upload that has gaps, as
//! clients do all the time, does not read the records of all its parts.

use std::time::Duration;

use moka::sync::Cache;
use sluice_domain::{AccountId, ByteRange, RangeSet, UploadId, UploadState};

use super::{transaction::Tag, upload_records::StoredUpload};

/// Most uploads that are remembered: with the longest names and metadata they take
/// some 10 MB.
const MOST: u64 = 1024;

/// How long one is remembered to which nothing happens.
const IDLE: Duration = Duration::from_secs(60);

/// Most ranges of one: parallel streams leave a few gaps.
const MOST_RANGES: usize = 32;

/// What this process knows of uploads that are being written. It is a hint: every
/// change is under the condition that the items are so, and ranges are told only to
/// who has read the upload by now and found it so.
#[derive(Debug, Clone)]
pub(super) struct OpenUploads(Cache<(AccountId, UploadId), Known>);

#[derive(Debug, Clone)]
struct Known {
    stored: StoredUpload,
    /// Which bytes have parts. Whatever adds or removes a part changes the
    /// upload's tag in the same transaction.
    persisted: Option<RangeSet>,
}

/// An upload that is about to be changed.
#[derive(Debug)]
pub(super) struct Saved {
    /// What it was like.
    pub(super) before: Option<Tag>,
    /// As it is then.
    pub(super) after: StoredUpload,
    /// What is persisted then that was not before.
    pub(super) added: Vec<ByteRange>,
}

/// What is to be remembered of a change, if it is made.
#[derive(Debug)]
pub(super) struct Prepared(Known);

impl OpenUploads {
    pub(super) fn new() -> Self {
        Self(Cache::builder().max_capacity(MOST).time_to_idle(IDLE).build())
    }

    /// An upload as it was.
    pub(super) fn get(&self, owner: AccountId, id: UploadId) -> Option<StoredUpload> {
        self.0.get(&(owner, id)).map(|known| known.stored)
    }

    /// What is persisted of an upload that was read just now.
    pub(super) fn persisted(&self, read: &StoredUpload) -> Option<RangeSet> {
        let known = self.0.get(&(read.upload.owner, read.upload.id))?;
        known.persisted.filter(|_| known.stored.tag == read.tag)
    }

    /// This is persisted of an upload that was read before.
    pub(super) fn learn(&self, read: &StoredUpload, persisted: &RangeSet) {
        let other = self.get(read.upload.owner, read.upload.id);
        // What was written meanwhile is newer.
        if other.is_none_or(|other| other.tag == read.tag) {
            self.remember(Known { stored: read.clone(), persisted: Some(persisted.clone()) });
        }
    }

    /// A change is about to be made, and nobody knows yet whether it will be.
    pub(super) fn prepare(&self, saved: Saved) -> Prepared {
        let Saved { before, after, added } = saved;
        let key = (after.upload.owner, after.upload.id);
        let known = self.0.get(&key).filter(|known| Some(known.stored.tag) == before);
        self.0.invalidate(&key);
        let persisted = match before {
            None => Some(RangeSet::default()),
            Some(_) => known.and_then(|known| known.persisted),
        };
        let persisted = persisted.map(|persisted| with(&persisted, added));
        // Where parts were lost this is not all that has happened to them.
        let persisted = persisted.filter(|it| it.total() == after.upload.persisted_bytes);
        Prepared(Known { stored: after, persisted })
    }

    /// The change was made.
    pub(super) fn made(&self, Prepared(known): Prepared) {
        self.remember(known);
    }

    /// Nobody writes an upload that is not active.
    fn remember(&self, known: Known) {
        let Known { stored, persisted } = known;
        if stored.upload.state == UploadState::Active {
            let persisted = persisted.filter(|ranges| ranges.ranges().len() <= MOST_RANGES);
            let key = (stored.upload.owner, stored.upload.id);
            self.0.insert(key, Known { stored, persisted });
        }
    }
}

fn with(persisted: &RangeSet, added: Vec<ByteRange>) -> RangeSet {
    let mut ranges = [persisted.ranges(), &added].concat();
    ranges.sort_by_key(|range| range.start);
    RangeSet::from_sorted(ranges)
}
