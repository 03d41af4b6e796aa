//! What one lane has read and the server is not known to have: the only copy of
//! those bytes, kept until they are persisted.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use sluice_domain::{ByteRange, RangeSet, Reason};
use tokio::sync::OwnedSemaphorePermit;

use super::tally::Tally;
use crate::{Result, write_stream::FileFrame};

/// A part that arrives damaged so often is not damaged by chance: then the
/// stream is given up, and the next one tries its luck.
const MOST_DAMAGES: u32 = 5;

/// A part, as it was read.
pub(super) struct ReadPart {
    /// At least one.
    pub(super) frames: Vec<FileFrame>,
    /// The size of everything, with the last part.
    pub(super) final_size: Option<u64>,
    /// The part's share of the memory; given back when the part is dropped.
    pub(super) room: OwnedSemaphorePermit,
}

/// Parts that are to be sent, or were sent and not acknowledged.
pub(super) struct HeldParts {
    /// By their offset.
    parts: BTreeMap<u64, HeldPart>,
    /// Offsets of the parts that have frames to send. Only the first may have
    /// been begun: a stream changes parts at their boundaries.
    unsent: VecDeque<u64>,
    tally: Arc<Tally>,
}

struct HeldPart {
    frames: Vec<FileFrame>,
    range: ByteRange,
    final_size: Option<u64>,
    /// Index of the frame to send next.
    next: usize,
    /// Bytes sent since the part was begun last.
    sent: u64,
    /// Most bytes that were sent of it before that.
    furthest: u64,
    damages: u32,
    _room: OwnedSemaphorePermit,
}

impl HeldParts {
    pub(super) fn new(tally: Arc<Tally>) -> Self {
        Self { parts: BTreeMap::new(), unsent: VecDeque::new(), tally }
    }

    pub(super) fn add(&mut self, part: ReadPart) {
        let ReadPart { frames, final_size, room } = part;
        let range = ByteRange {
            start: frames.first().map_or(0, |frame| frame.offset),
            end: frames.last().map_or(0, |frame| frame.offset + frame.len()),
        };
        let held = HeldPart {
            frames,
            range,
            final_size,
            next: 0,
            sent: 0,
            furthest: 0,
            damages: 0,
            _room: room,
        };
        self.parts.insert(range.start, held);
        self.unsent.push_back(range.start);
    }

    /// Whether everything is persisted.
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Whether there is a frame to send.
    pub(super) fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// The next frame to send, and the final size if it has to be told with it.
    pub(super) fn next_frame(&mut self) -> Option<(FileFrame, Option<u64>)> {
        let offset = *self.unsent.front()?;
        let part = self.parts.get_mut(&offset)?;
        let frame = part.frames.get(part.next)?.clone();
        let again = part.furthest.saturating_sub(part.sent).min(frame.len());
        self.tally.sent(frame.len(), again);
        part.sent += frame.len();
        part.next += 1;
        let final_size = part.final_size.filter(|_| part.next == 1);
        if part.next == part.frames.len() {
            self.unsent.pop_front();
        }
        Some((frame, final_size))
    }

    /// Frees what is persisted; answers whether there was any.
    pub(super) fn persisted(&mut self, persisted: &RangeSet) -> bool {
        let before = self.parts.len();
        let Self { parts, unsent, tally } = self;
        parts.retain(|offset, part| {
            // A part that was begun is ended: the server expects its rest, and
            // acknowledges it again.
            let begun = unsent.contains(offset) && part.next > 0;
            let free = persisted.contains(part.range) && !begun;
            if free {
                tally.persisted(part.range.len(), part.sent);
            }
            !free
        });
        unsent.retain(|offset| parts.contains_key(offset));
        parts.len() < before
    }

    /// A frame of the part at this offset arrived damaged, and the server has
    /// dropped the part: it is sent again on the same stream.
    pub(super) fn damaged(&mut self, offset: u64) -> Result<()> {
        let Some(part) = self.parts.get_mut(&offset) else {
            let message = "the server found damage in a part that is not under way";
            return Err(sluice_domain::Error::new(Reason::ChecksumMismatch, message).into());
        };
        part.damages += 1;
        if part.damages >= MOST_DAMAGES {
            let message = format!("the part at {offset} arrives damaged again and again");
            return Err(sluice_domain::Error::new(Reason::ChecksumMismatch, message).into());
        }
        part.begin_again(&self.tally);
        if !self.unsent.contains(&offset) {
            // After the part that was begun, before all others.
            let first = self.unsent.front().and_then(|offset| self.parts.get(offset));
            let begun = first.is_some_and(|part| part.next > 0);
            self.unsent.insert(usize::from(begun), offset);
        }
        Ok(())
    }

    /// The stream has ended: whatever is not persisted is sent again on another
    /// one. Answers whether any part had come further than before.
    pub(super) fn interrupted(&mut self) -> bool {
        let mut further = false;
        for part in self.parts.values_mut() {
            further |= part.sent > part.furthest;
            part.damages = 0;
            part.begin_again(&self.tally);
        }
        self.unsent = self.parts.keys().copied().collect();
        further
    }
}

impl HeldPart {
    fn begin_again(&mut self, tally: &Tally) {
        tally.lost(self.sent);
        self.furthest = self.furthest.max(self.sent);
        self.sent = 0;
        self.next = 0;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::sync::Semaphore;

    use super::*;

    const PART: u64 = 30;

    /// Parts of three frames of ten bytes, in a memory of so many parts.
    struct Scene {
        held: HeldParts,
        tally: Arc<Tally>,
        room: Arc<Semaphore>,
    }

    fn scene(parts: u64) -> Scene {
        let tally = Arc::<Tally>::default();
        let room = Arc::new(Semaphore::new(parts as usize));
        let mut held = HeldParts::new(tally.clone());
        for part in 0..parts {
            let frame = |index: u64| {
                FileFrame::new(part * PART + index * 10, Bytes::from_static(b"0123456789"))
            };
            held.add(ReadPart {
                frames: (0..3).map(frame).collect(),
                final_size: (part + 1 == parts).then_some(parts * PART),
                room: room.clone().try_acquire_owned().unwrap(),
            });
        }
        Scene { held, tally, room }
    }

    impl Scene {
        /// Offsets of the next frames.
        fn send(&mut self, count: usize) -> Vec<u64> {
            let frames = (0..count).map_while(|_| self.held.next_frame());
            frames.map(|(frame, _)| frame.offset).collect()
        }

        fn acknowledge(&mut self, start: u64, end: u64) -> bool {
            self.held.persisted(&RangeSet::from_sorted([ByteRange { start, end }]))
        }
    }

    #[test]
    fn memory_is_free_once_a_part_is_acknowledged_and_not_before() {
        let mut scene = scene(2);
        assert_eq!(scene.send(9), [0, 10, 20, 30, 40, 50]);
        assert!(!scene.held.has_unsent());
        assert_eq!((scene.room.available_permits(), scene.tally.progress().in_flight), (0, 60));
        assert!(!scene.acknowledge(0, 29), "not the whole part");
        assert!(scene.acknowledge(0, 30));
        assert_eq!(scene.room.available_permits(), 1);
        let progress = scene.tally.progress();
        assert_eq!((progress.persisted, progress.in_flight), (30, 30));
        assert!(scene.acknowledge(0, 60));
        assert!(scene.held.is_empty());
        assert_eq!(scene.room.available_permits(), 2);
    }

    #[test]
    fn a_damaged_part_is_sent_again_from_its_beginning() {
        let mut scene = scene(3);
        assert_eq!(scene.send(2), [0, 10]);
        scene.held.damaged(0).unwrap();
        assert_eq!(scene.send(4), [0, 10, 20, 30]);
        // The next part was begun; a stream does not leave it in the middle.
        scene.held.damaged(0).unwrap();
        assert_eq!(scene.send(9), [40, 50, 0, 10, 20, 60, 70, 80]);
        let progress = scene.tally.progress();
        assert_eq!((progress.sent, progress.resent, progress.in_flight), (140, 50, 90));
        assert!(scene.held.damaged(7).is_err(), "no such part");
    }

    #[test]
    fn a_part_that_is_always_damaged_ends_its_stream() {
        let mut scene = scene(1);
        for _ in 1..MOST_DAMAGES {
            scene.send(3);
            scene.held.damaged(0).unwrap();
        }
        let error = scene.held.damaged(0).unwrap_err();
        assert_eq!(error.reason(), Some(Reason::ChecksumMismatch));
        assert!(error.is_transient());
    }

    #[test]
    fn after_a_cut_only_what_is_not_persisted_is_sent_again() {
        let mut scene = scene(3);
        assert_eq!(scene.send(7), [0, 10, 20, 30, 40, 50, 60]);
        assert!(scene.held.interrupted());
        assert!(scene.acknowledge(30, 60));
        assert_eq!(scene.tally.progress().in_flight, 0);
        assert_eq!(scene.send(9), [0, 10, 20, 60, 70, 80]);
        assert_eq!(scene.tally.progress().resent, 40);
        assert!(scene.held.interrupted(), "the last part came further");
        scene.send(4);
        assert!(!scene.held.interrupted());
    }

    #[test]
    fn a_part_that_was_begun_is_ended_even_if_it_is_there() {
        let mut scene = scene(2);
        assert_eq!(scene.send(1), [0]);
        assert!(scene.acknowledge(30, 60), "was not begun");
        assert!(!scene.acknowledge(0, 30));
        assert_eq!(scene.send(9), [10, 20]);
        assert!(scene.acknowledge(0, 30));
        assert!(scene.held.is_empty());
    }

    #[test]
    fn the_final_size_goes_with_the_first_frame_of_the_last_part() {
        let mut scene = scene(2);
        let told = |scene: &mut Scene| -> Vec<_> {
            std::iter::from_fn(|| scene.held.next_frame())
                .map(|(frame, size)| (frame.offset, size))
                .filter(|(_, size)| size.is_some())
                .collect()
        };
        assert_eq!(told(&mut scene), [(30, Some(60))]);
        scene.held.interrupted();
        assert_eq!(told(&mut scene), [(30, Some(60))]);
    }
}
