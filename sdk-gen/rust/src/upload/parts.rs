//! The ledger of one upload: which parts are missing, under way or persisted,
//! what their checksums are and how much was sent.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use sluice_domain::{ByteRange, Crc32c, PartNumber, PartPlan, RangeSet};

use crate::Progress;

/// One stream of the upload. A new one is opened after each break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StreamId(u64);

/// Shared by the streams of one upload, which take missing parts from it.
#[derive(Debug)]
pub(super) struct Parts {
    plan: PartPlan,
    size: u64,
    ledger: Mutex<Ledger>,
}

#[derive(Debug, Default)]
struct Ledger {
    missing: BTreeSet<PartNumber>,
    /// Parts that a stream has taken and that are not known to be persisted.
    taken: BTreeMap<PartNumber, Taken>,
    /// How much of a part was sent by streams that are gone.
    sent_before: BTreeMap<PartNumber, u64>,
    checksums: BTreeMap<PartNumber, Crc32c>,
    /// Streams that may take parts.
    open: BTreeSet<StreamId>,
    /// The number of them beyond which streams take no further part.
    allowed: usize,
    last_stream: u64,
    persisted: u64,
    sent: u64,
    resent: u64,
    resumed: u64,
    trouble: Option<String>,
}

#[derive(Debug)]
struct Taken {
    by: StreamId,
    sent: u64,
}

impl Parts {
    /// The parts of a file of `size` bytes, of which some are persisted.
    pub(super) fn new(part_size: u64, size: u64, persisted: &RangeSet) -> Self {
        let parts =
            Self { plan: PartPlan { part_size, size: Some(size) }, size, ledger: Mutex::default() };
        parts.start_over(persisted);
        parts.lock().resumed = persisted.total();
        parts.allow(usize::MAX);
        parts
    }

    /// The size of all parts but the last.
    pub(super) fn part_size(&self) -> u64 {
        self.plan.part_size
    }

    /// The bytes of a part.
    pub(super) fn range(&self, part: PartNumber) -> ByteRange {
        self.plan.range(part)
    }

    /// Every part of the file, in order.
    pub(super) fn all(&self) -> impl Iterator<Item = PartNumber> + use<> {
        let count = u32::try_from(self.plan.count(self.size)).unwrap_or(u32::MAX);
        (1..=count).map_while(PartNumber::new)
    }

    /// A new stream, which has taken nothing; none if there are enough.
    pub(super) fn open_stream(&self) -> Option<StreamId> {
        let mut ledger = self.lock();
        if ledger.open.len() >= ledger.allowed {
            return None;
        }
        ledger.last_stream += 1;
        let stream = StreamId(ledger.last_stream);
        ledger.open.insert(stream);
        Some(stream)
    }

    /// From now on so many streams may take parts.
    pub(super) fn allow(&self, streams: usize) {
        self.lock().allowed = streams;
    }

    /// The next part that this stream shall send; none once it was settled, or if
    /// there are more streams than are allowed.
    pub(super) fn take(&self, stream: StreamId) -> Option<PartNumber> {
        let mut ledger = self.lock();
        if !ledger.open.contains(&stream) {
            return None;
        }
        if ledger.open.len() > ledger.allowed {
            ledger.open.remove(&stream);
            return None;
        }
        let part = ledger.missing.pop_first()?;
        ledger.taken.insert(part, Taken { by: stream, sent: 0 });
        Some(part)
    }

    /// The stream has handed over this many more bytes of a part.
    pub(super) fn sent(&self, stream: StreamId, part: PartNumber, bytes: u64) {
        let mut ledger = self.lock();
        let ledger = &mut *ledger;
        let before = ledger.sent_before.get(&part).copied().unwrap_or(0);
        ledger.sent += bytes;
        ledger.trouble = None;
        // Unless the part was found persisted or given back in the meantime.
        let Some(taken) = ledger.taken.get_mut(&part).filter(|taken| taken.by == stream) else {
            return;
        };
        ledger.resent += before.saturating_sub(taken.sent).min(bytes);
        taken.sent += bytes;
    }

    /// The checksum of a part, as it was read from the source.
    pub(super) fn checksum(&self, part: PartNumber, crc32c: Crc32c) {
        self.lock().checksums.insert(part, crc32c);
    }

    /// The server says what is persisted.
    pub(super) fn persisted(&self, persisted: &RangeSet) {
        let mut ledger = self.lock();
        let there = |part: PartNumber| persisted.contains(self.range(part));
        ledger.taken.retain(|part, _| !there(*part));
        ledger.missing.retain(|part| !there(*part));
        ledger.persisted = ledger.persisted.max(persisted.total());
    }

    /// A stream has ended: what it took and the server does not have is missing
    /// again. Answers how many bytes were sent in vain.
    pub(super) fn settle(&self, stream: StreamId, persisted: &RangeSet) -> u64 {
        self.persisted(persisted);
        let mut in_vain = 0;
        let mut ledger = self.lock();
        let Ledger { open, taken, sent_before, missing, .. } = &mut *ledger;
        open.remove(&stream);
        taken.retain(|part, taken| {
            if taken.by == stream {
                let before = sent_before.entry(*part).or_default();
                *before = taken.sent.max(*before);
                in_vain += taken.sent;
                missing.insert(*part);
            }
            taken.by != stream
        });
        in_vain
    }

    /// Everything that is not persisted is missing, whatever was known.
    pub(super) fn start_over(&self, persisted: &RangeSet) {
        let missing = self.all().filter(|part| !persisted.contains(self.range(*part)));
        let missing = missing.collect();
        let mut ledger = self.lock();
        ledger.missing = missing;
        ledger.taken.clear();
        ledger.persisted = persisted.total();
    }

    /// Something failed and will be tried again.
    pub(super) fn trouble(&self, message: &str) {
        self.lock().trouble = Some(message.to_owned());
    }

    /// Whether there is a part to take.
    pub(super) fn has_missing(&self) -> bool {
        !self.lock().missing.is_empty()
    }

    /// The checksum of the whole file, once every part's is known.
    pub(super) fn file_checksum(&self) -> Option<Crc32c> {
        let ledger = self.lock();
        self.all().try_fold(Crc32c::EMPTY, |crc, part| {
            let next = ledger.checksums.get(&part)?;
            Some(crc.combine(*next, self.range(part).len()))
        })
    }

    pub(super) fn progress(&self) -> Progress {
        let ledger = self.lock();
        Progress {
            upload_id: None,
            total: Some(self.size),
            persisted: ledger.persisted,
            in_flight: ledger.taken.values().map(|taken| taken.sent).sum(),
            sent: ledger.sent,
            resent: ledger.resent,
            resumed: ledger.resumed,
            trouble: ledger.trouble.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn set(ranges: &[(u64, u64)]) -> RangeSet {
        RangeSet::from_sorted(ranges.iter().map(|&(start, end)| ByteRange { start, end }))
    }

    fn number(number: u32) -> PartNumber {
        PartNumber::new(number).unwrap()
    }

    fn open(parts: &Parts) -> StreamId {
        parts.open_stream().expect("it is allowed")
    }

    #[test]
    fn streams_share_the_missing_parts() {
        let parts = Parts::new(MIB, 4 * MIB + 1, &set(&[(MIB, 2 * MIB)]));
        let (a, b) = (open(&parts), open(&parts));
        assert_eq!(parts.take(a), Some(number(1)));
        assert_eq!(parts.take(b), Some(number(3)));
        assert_eq!(parts.take(a), Some(number(4)));
        assert_eq!(parts.take(b), Some(number(5)));
        assert_eq!(parts.take(b), None);
        assert_eq!(parts.progress().resumed, MIB);
    }

    #[test]
    fn streams_beyond_those_that_are_allowed_end() {
        let parts = Parts::new(MIB, 4 * MIB, &set(&[]));
        let (a, b) = (open(&parts), open(&parts));
        assert_eq!(parts.take(a), Some(number(1)));
        assert_eq!(parts.take(b), Some(number(2)));
        parts.allow(1);
        assert_eq!(parts.take(b), None);
        assert_eq!(parts.take(a), Some(number(3)));
        // For good, and what it has taken is its own until it is settled.
        parts.allow(2);
        assert_eq!(parts.take(b), None);
        assert_eq!(parts.settle(b, &set(&[(MIB, 2 * MIB)])), 0);
        assert_eq!(parts.take(a), Some(number(4)));
    }

    #[test]
    fn a_cut_stream_gives_back_only_what_is_its_own_and_not_persisted() {
        let parts = Parts::new(MIB, 4 * MIB, &set(&[]));
        let (a, b) = (open(&parts), open(&parts));
        for stream in [a, b, a, b] {
            parts.take(stream);
        }
        assert_eq!(parts.settle(a, &set(&[(0, MIB)])), 0);
        let c = open(&parts);
        assert_eq!(parts.take(c), Some(number(3)));
        assert_eq!(parts.take(c), None);
        parts.settle(c, &set(&[(0, MIB)]));
        assert!(parts.has_missing());
        // Its reader may not have noticed yet.
        assert_eq!(parts.take(c), None);
    }

    #[test]
    fn bytes_count_as_sent_again_up_to_where_they_were_sent_before() {
        let parts = Parts::new(4 * MIB, 4 * MIB, &set(&[]));
        let a = open(&parts);
        let part = parts.take(a).unwrap();
        parts.sent(a, part, MIB);
        parts.sent(a, part, MIB / 2);
        assert_eq!(parts.progress().in_flight, MIB + MIB / 2);
        assert_eq!(parts.settle(a, &set(&[])), MIB + MIB / 2);
        assert_eq!(parts.progress().in_flight, 0);

        let b = open(&parts);
        assert_eq!(parts.take(b), Some(part));
        for _ in 0..4 {
            parts.sent(b, part, MIB);
        }
        let progress = parts.progress();
        assert_eq!(progress.sent, 5 * MIB + MIB / 2);
        assert_eq!(progress.resent, MIB + MIB / 2);
        assert_eq!(progress.position(), 4 * MIB);

        parts.settle(b, &set(&[(0, 4 * MIB)]));
        let progress = parts.progress();
        assert_eq!((progress.persisted, progress.in_flight), (4 * MIB, 0));
        assert!(!parts.has_missing());
    }

    #[test]
    fn part_checksums_combine_to_the_file() {
        let bytes: Vec<u8> = (0..3 * MIB + 5).map(|i| (i % 251) as u8).collect();
        let parts = Parts::new(MIB, bytes.len() as u64, &set(&[]));
        assert_eq!(parts.file_checksum(), None);
        for part in parts.all() {
            let range = parts.range(part);
            let content = &bytes[range.start as usize..range.end as usize];
            parts.checksum(part, Crc32c::of(content));
        }
        assert_eq!(parts.file_checksum(), Some(Crc32c::of(&bytes)));
    }

    #[test]
    fn an_empty_file_has_nothing_to_send() {
        let parts = Parts::new(MIB, 0, &set(&[]));
        assert!(!parts.has_missing());
        assert_eq!(parts.file_checksum(), Some(Crc32c::EMPTY));
    }
}
