//! Progress of an upload at most once a second; everything else at once.

use std::{collections::HashMap, time::Duration};

use sluice_domain::{Epoch, Timestamp, Upload, UploadId, UploadState};
use tokio::time::Instant;

use crate::ports::FeedPosition;

/// Shortest time between two messages that differ in progress only.
const INTERVAL: Duration = Duration::from_secs(1);

/// Uploads that are remembered for that time. If more of them change, others
/// wait, and their changes become one.
const MOST: usize = 10_000;

/// What to do with a change.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Say,
    Wait,
}

/// What was said of which upload in the last second.
#[derive(Debug, Default)]
pub(super) struct Pace {
    recent: HashMap<UploadId, Recent>,
}

#[derive(Debug)]
struct Recent {
    said: Said,
    /// When there may be news of its progress.
    until: Instant,
    /// Set if there is news already: a place in the feed before it.
    held: Option<FeedPosition>,
}

/// What a message has told.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    state: UploadState,
    size: Option<u64>,
    epoch: Epoch,
    /// Only this is progress.
    progress: (u64, Timestamp),
}

impl Said {
    fn of(upload: &Upload) -> Self {
        Self {
            state: upload.state,
            size: upload.plan.size,
            epoch: upload.epoch,
            progress: (upload.persisted_bytes, upload.update_time),
        }
    }

    fn differs_in_progress_only(&self, other: &Self) -> bool {
        (self.state, self.size, self.epoch) == (other.state, other.size, other.epoch)
    }
}

impl Pace {
    /// Whether a change may be told now; if so, it counts as told. `before` is
    /// a place in the feed before it.
    pub(super) fn judge(
        &mut self,
        upload: &Upload,
        before: &FeedPosition,
        now: Instant,
    ) -> Verdict {
        let news = Said::of(upload);
        match self.recent.get_mut(&upload.id) {
            Some(recent) if now < recent.until && recent.said.differs_in_progress_only(&news) => {
                if recent.said != news {
                    recent.held = Some(before.clone());
                }
                Verdict::Wait
            }
            _ => {
                self.said(upload, now);
                Verdict::Say
            }
        }
    }

    /// This was told now.
    pub(super) fn said(&mut self, upload: &Upload, now: Instant) {
        let recent = Recent { said: Said::of(upload), until: now + INTERVAL, held: None };
        self.recent.insert(upload.id, recent);
    }

    /// Takes uploads whose news has waited long enough.
    pub(super) fn take_due(&mut self, now: Instant, limit: usize) -> Vec<UploadId> {
        let due = |recent: &Recent| recent.held.is_some() && recent.until <= now;
        let due = self.recent.iter().filter(|(_, recent)| due(recent)).map(|(id, _)| *id);
        let due: Vec<_> = due.take(limit).collect();
        for id in &due {
            self.recent.remove(id);
        }
        due
    }

    /// When the next news may be told.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let held = self.recent.values().filter(|recent| recent.held.is_some());
        held.map(|recent| recent.until).min()
    }

    /// The first place in the feed after which there is something untold.
    pub(super) fn first_held(&self) -> Option<&FeedPosition> {
        self.recent.values().filter_map(|recent| recent.held.as_ref()).min()
    }

    /// When more uploads can be remembered, if that is not now.
    pub(super) fn room_at(&self) -> Option<Instant> {
        let full = self.recent.len() >= MOST;
        full.then(|| self.recent.values().map(|recent| recent.until).min()).flatten()
    }

    /// Forgets what was told long enough ago.
    pub(super) fn forget(&mut self, now: Instant) {
        self.recent.retain(|_, recent| now < recent.until || recent.held.is_some());
    }
}

#[cfg(test)]
mod tests {
    use sluice_domain::{
        AccountId, Checksums, ContentType, FileId, FileName, Metadata, OnConflict, PartPlan,
    };
    use uuid::Uuid;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const LITTLE: Duration = Duration::from_millis(10);

    fn upload(number: u128) -> Upload {
        Upload {
            id: UploadId::from_uuid(Uuid::from_u128(number)),
            file_id: FileId::from_uuid(Uuid::from_u128(number)),
            owner: AccountId::from_uuid(Uuid::nil()),
            state: UploadState::Active,
            name: FileName::parse("file", "name").unwrap(),
            content_type: ContentType::parse("", "content_type").unwrap(),
            plan: PartPlan { part_size: 1 << 20, size: None },
            max_size: None,
            persisted_bytes: 0,
            epoch: Epoch::FIRST,
            declared: Checksums::default(),
            metadata: Metadata::default(),
            on_conflict: OnConflict::Fail,
            create_time: Timestamp::from_micros(0),
            update_time: Timestamp::from_micros(0),
            expire_time: Timestamp::from_micros(0),
            reserved: 0,
            completion: None,
            error: None,
        }
    }

    fn place(number: u8) -> FeedPosition {
        FeedPosition::from_bytes([number])
    }

    #[test]
    fn progress_waits_for_its_second_and_the_newest_is_told() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let mut upload = upload(1);
        assert_eq!(pace.judge(&upload, &place(0), start), Verdict::Say);
        for step in 1..5 {
            upload.persisted_bytes += 1;
            let now = start + LITTLE * step;
            assert_eq!(pace.judge(&upload, &place(step as u8), now), Verdict::Wait);
            assert_eq!(pace.first_held(), Some(&place(step as u8)));
        }
        assert_eq!(pace.next_due(), Some(start + SECOND));
        assert!(pace.take_due(start + SECOND - LITTLE, 10).is_empty());
        assert_eq!(pace.take_due(start + SECOND, 10), [upload.id]);
        assert_eq!((pace.next_due(), pace.first_held()), (None, None));
        pace.said(&upload, start + SECOND);
        upload.persisted_bytes += 1;
        assert_eq!(pace.judge(&upload, &place(9), start + SECOND + LITTLE), Verdict::Wait);
    }

    #[test]
    fn everything_but_progress_is_told_at_once() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let mut upload = upload(1);
        pace.said(&upload, start);
        upload.persisted_bytes += 1;
        assert_eq!(pace.judge(&upload, &place(1), start + LITTLE), Verdict::Wait);
        upload.epoch = Epoch(2);
        assert_eq!(pace.judge(&upload, &place(2), start + LITTLE), Verdict::Say);
        upload.plan.size = Some(1);
        assert_eq!(pace.judge(&upload, &place(3), start + LITTLE), Verdict::Say);
        upload.state = UploadState::Completed;
        assert_eq!(pace.judge(&upload, &place(4), start + LITTLE), Verdict::Say);
        assert_eq!(pace.first_held(), None, "what is told now includes what waited");
    }

    #[test]
    fn what_was_told_already_is_not_told_again() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let upload = upload(1);
        pace.said(&upload, start);
        assert_eq!(pace.judge(&upload, &place(1), start + LITTLE), Verdict::Wait);
        assert_eq!(pace.next_due(), None);
    }

    #[test]
    fn a_stream_goes_on_before_the_first_that_waits() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        for number in [3, 1, 2] {
            let mut upload = upload(number);
            pace.said(&upload, start);
            upload.persisted_bytes += 1;
            pace.judge(&upload, &place(number as u8), start + LITTLE);
        }
        assert_eq!(pace.first_held(), Some(&place(1)));
    }

    #[test]
    fn only_so_many_are_remembered_and_only_for_a_second() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        for number in 0..MOST as u128 {
            assert_eq!(pace.room_at(), None);
            pace.said(&upload(number), start);
        }
        assert_eq!(pace.room_at(), Some(start + SECOND));
        pace.forget(start + SECOND);
        assert_eq!((pace.room_at(), pace.recent.len()), (None, 0));
    }
}
