//! A write stream in plain arithmetic, beside the domain's own.

use std::collections::BTreeMap;

use sluice_domain::{
    Crc32c, Error, FileDigest, MAX_FRAME_SIZE, Part, PartHasher, PartNumber, PartPlan, Placement,
    Reason, WriteCursor,
};
use sluice_server::service::ingest::WriteMessage;

use crate::refusal::check_error;

/// A checksum that the fuzzer cannot guess: it says 0 for the right one.
const RIGHT: Crc32c = Crc32c(0);

pub(super) struct Model {
    plan: PartPlan,
    cursor: WriteCursor,
    /// The part being sent: its number, its bytes, and their hasher.
    current: Option<(u64, Vec<u8>, PartHasher)>,
    /// Whole parts, by their place in the file.
    parts: BTreeMap<u64, (Vec<u8>, Part)>,
}

impl Model {
    pub(super) fn new(plan: PartPlan) -> Self {
        let cursor = WriteCursor::new(plan, None);
        Self { plan, cursor, current: None, parts: BTreeMap::new() }
    }

    /// Takes a message as a stream does; an error ends the stream.
    pub(super) fn take(&mut self, message: WriteMessage) -> Result<(), Reason> {
        let length = message.data.len() as u64;
        if length > 0 {
            let expect = self.judge(message.offset, length);
            let placed = self.cursor.place(message.offset, length);
            let reason = placed.as_ref().err().map(|error: &Error| error.reason);
            assert_eq!(reason, expect.err(), "{length} bytes at {} in {self}", message.offset);
            match placed {
                Ok(placement) => self.write(placement, &message)?,
                Err(error) => return Err(check_error(error)),
            }
        }
        match message.final_size {
            Some(size) if self.plan.size.is_none() => self.fix_size(size),
            _ => Ok(()),
        }
    }

    /// The contract's rules for a frame, in its order.
    fn judge(&self, offset: u64, length: u64) -> Result<(), Reason> {
        let PartPlan { part_size, size } = self.plan;
        let (start, end) = (u128::from(offset), u128::from(offset) + u128::from(length));
        let limit = size.unwrap_or(part_size * 10_000);
        let next =
            self.current.as_ref().map(|(part, bytes, _)| part * part_size + bytes.len() as u64);
        let part_end = (start / u128::from(part_size) + 1) * u128::from(part_size);
        if length > MAX_FRAME_SIZE {
            Err(Reason::FrameTooLarge)
        } else if end > u128::from(limit) {
            Err(Reason::SizeExceeded)
        } else if next.map_or(!offset.is_multiple_of(part_size), |next| offset != next) {
            Err(Reason::OffsetMismatch)
        } else if end > part_end {
            Err(Reason::FrameCrossesPart)
        } else {
            Ok(())
        }
    }

    fn write(&mut self, placement: Placement, message: &WriteMessage) -> Result<(), Reason> {
        let index = message.offset / self.plan.part_size;
        assert_eq!(u64::from(placement.part.get()) - 1, index);
        assert_eq!(placement.starts_part, self.current.is_none());
        let hasher = || PartHasher::new(placement.part, self.plan.start(placement.part));
        let (_, bytes, hasher) = self.current.get_or_insert_with(|| (index, Vec::new(), hasher()));
        let right = Crc32c(crc32c(&message.data));
        let declared = match message.crc32c {
            None => return Err(Reason::ChecksumMissing),
            Some(RIGHT) => right,
            Some(other) => other,
        };
        let accepted = hasher.fold(&message.data, declared);
        assert_eq!(accepted, declared == right, "{declared:?} instead of {right:?}");
        if !accepted {
            self.current = None;
            self.cursor.abandon_part();
            return Ok(());
        }
        bytes.extend_from_slice(&message.data);
        self.cursor.advance(placement);
        let whole = bytes.len() as u64 == self.plan.range(placement.part).len();
        assert_eq!(placement.ends_part, whole, "in {self}");
        if whole {
            self.finish_part();
        }
        Ok(())
    }

    fn fix_size(&mut self, size: u64) -> Result<(), Reason> {
        let sent = |(part, bytes, _): &(u64, Vec<u8>, PartHasher)| {
            part * self.plan.part_size + bytes.len() as u64
        };
        let end = self.current.as_ref().map(sent);
        // Parts that are whole are the record's to judge.
        let kept = self
            .parts
            .iter()
            .map(|(part, (bytes, _))| part * self.plan.part_size + bytes.len() as u64);
        if kept.max().is_some_and(|kept| kept > size) || size > self.plan.capacity() {
            return Err(Reason::SizeMismatch);
        }
        match self.cursor.fix_size(size) {
            Ok(whole) => {
                assert!(end.is_none_or(|end| end <= size));
                assert_eq!(whole, end == Some(size));
                self.plan.size = Some(size);
                if whole {
                    self.finish_part();
                }
                Ok(())
            }
            Err(error) => {
                assert!(end.is_some_and(|end| end > size));
                Err(check_error(error))
            }
        }
    }

    fn finish_part(&mut self) {
        let (index, bytes, hasher) = self.current.take().expect("a part was being sent");
        assert_eq!(self.cursor.part(), None, "the cursor is still in a part that is whole");
        let part = hasher.finish();
        assert_eq!(part.number, PartNumber::new(index as u32 + 1).unwrap());
        assert_eq!(part.size, bytes.len() as u64);
        assert_eq!(part.crc32c.0, crc32c(&bytes));
        self.parts.insert(index, (bytes, part));
    }

    /// Adds the parts up, as far as they make a file.
    pub(super) fn finish(self) {
        let together = self.parts.into_iter().enumerate();
        let whole = together.take_while(|(place, (index, _))| *place as u64 == *index);
        let (bytes, parts): (Vec<_>, Vec<_>) = whole.map(|(_, (_, part))| part).unzip();
        let bytes = bytes.concat();
        let digest = FileDigest::of(&parts);
        assert_eq!(digest.size, bytes.len() as u64);
        assert_eq!(digest.crc32c.0, crc32c(&bytes));
        assert_eq!(digest.blake3, Some(*blake3::hash(&bytes).as_bytes()));
    }
}

impl std::fmt::Display for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sent = self.current.as_ref().map(|(part, bytes, _)| (part, bytes.len()));
        write!(f, "{:?} with part {sent:?} and {} whole ones", self.plan, self.parts.len())
    }
}

/// CRC-32C by its definition (RFC 3720, appendix B.4), bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}
