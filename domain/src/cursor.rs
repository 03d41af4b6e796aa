//! Where a write stream is, and whether its next frame may come there.

use crate::{Error, MAX_FRAME_SIZE, PartNumber, PartPlan, Reason, Result};

/// Where a frame belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// The part that the frame lies in.
    pub part: PartNumber,
    /// Offset of the frame's first byte in the file.
    pub offset: u64,
    /// Bytes in the frame.
    pub length: u64,
    /// Whether the frame is the first one of its part.
    pub starts_part: bool,
    /// Whether the part is whole with this frame.
    pub ends_part: bool,
}

/// The position of one stream. A stream starts at a part boundary, runs on
/// without gaps, and at a part boundary may jump to any other.
///
/// [`WriteCursor::place`] only judges; [`WriteCursor::advance`] moves. So a
/// frame can be refused for a later reason and leave the stream where it was.
#[derive(Debug, Clone)]
pub struct WriteCursor {
    plan: PartPlan,
    /// Offset after the last byte allowed while the size is unknown.
    limit: u64,
    /// The part being sent and the offset that its next frame must have.
    in_part: Option<(PartNumber, u64)>,
    /// Offset after the last byte that the stream has sent.
    end: u64,
    /// Offset after the highest byte that the stream has sent.
    highest: u64,
}

impl WriteCursor {
    /// A new stream into an upload. `max_size` bounds a file of unknown size.
    pub fn new(plan: PartPlan, max_size: Option<u64>) -> Self {
        let limit = plan.capacity().min(max_size.unwrap_or(u64::MAX));
        Self { plan, limit, in_part: None, end: 0, highest: 0 }
    }

    /// Judges a frame of `length` bytes at `offset`, in the contract's order:
    /// frame size, `SIZE_EXCEEDED`, offset, crossing.
    pub fn place(&self, offset: u64, length: u64) -> Result<Placement> {
        if length > MAX_FRAME_SIZE {
            return Err(Error::new(
                Reason::FrameTooLarge,
                format!("a frame holds at most {MAX_FRAME_SIZE} bytes, this one {length}"),
            )
            .with("max_bytes", MAX_FRAME_SIZE));
        }
        let size = self.plan.size.unwrap_or(self.limit);
        let end = offset.checked_add(length).filter(|end| *end <= size).ok_or_else(|| {
            Error::new(
                Reason::SizeExceeded,
                format!(
                    "{length} bytes at offset {offset} reach beyond the {size} bytes of the file"
                ),
            )
            .with("size", size)
        })?;
        let starts_part = match self.in_part {
            Some((_, next)) if offset != next => return Err(self.offset_mismatch(offset, next)),
            Some(_) => false,
            None if !offset.is_multiple_of(self.plan.part_size) => {
                return Err(self.offset_mismatch(offset, self.end));
            }
            None => true,
        };
        let part = match self.in_part {
            Some((part, _)) => part,
            // Only an empty frame at the very end of the last possible part
            // lies in no part; it is harmless wherever it is counted.
            None => self.plan.part_at(offset).unwrap_or(PartNumber::FIRST),
        };
        let part_end = self.plan.start(part) + self.plan.part_size;
        if length > 0 && end > part_end {
            return Err(Error::new(
                Reason::FrameCrossesPart,
                format!(
                    "{length} bytes at offset {offset} reach over the end of part {part} at \
                     {part_end}; end the frame there and start another"
                ),
            )
            .with("part_size", self.plan.part_size));
        }
        let ends_part = length > 0 && (end == part_end || Some(end) == self.plan.size);
        Ok(Placement { part, offset, length, starts_part, ends_part })
    }

    /// Moves on behind a frame that was placed.
    pub fn advance(&mut self, placement: Placement) {
        if placement.length == 0 {
            return;
        }
        let end = placement.offset + placement.length;
        self.in_part = (!placement.ends_part).then_some((placement.part, end));
        self.end = end;
        self.highest = self.highest.max(end);
    }

    /// The file's size is known now. Answers whether that makes the part being
    /// sent whole; the stream is then at a boundary. The part being sent must
    /// not reach beyond the size.
    pub fn fix_size(&mut self, size: u64) -> Result<bool> {
        if let Some((_, next)) = self.in_part
            && next > size
        {
            return Err(Error::new(
                Reason::SizeMismatch,
                format!("this stream has sent bytes up to {next}, beyond a size of {size}"),
            )
            .with("expected", size)
            .with("actual", next));
        }
        self.plan.size = Some(size);
        let whole = self.in_part.is_some_and(|(_, next)| next == size);
        if whole {
            self.in_part = None;
        }
        Ok(whole)
    }

    /// Forgets the part being sent: its bytes are not kept.
    pub fn abandon_part(&mut self) {
        if let Some((part, _)) = self.in_part.take() {
            self.end = self.plan.start(part);
        }
    }

    /// The part that is being sent.
    pub fn part(&self) -> Option<PartNumber> {
        self.in_part.map(|(part, _)| part)
    }

    /// Offset after the highest byte that the stream has sent; 0 if it sent
    /// none.
    pub fn highest(&self) -> u64 {
        self.highest
    }

    /// The plan, with the size as far as it is known.
    pub fn plan(&self) -> PartPlan {
        self.plan
    }

    fn offset_mismatch(&self, offset: u64, expected: u64) -> Error {
        let part_size = self.plan.part_size;
        let message = match self.in_part {
            Some((part, _)) => format!(
                "part {part} goes on at offset {expected}, not at {offset}; a stream may jump only \
                 between parts"
            ),
            None => format!(
                "a part starts at a multiple of {part_size}, offset {offset} is none; expected {expected}"
            ),
        };
        Error::new(Reason::OffsetMismatch, message)
            .with("expected_offset", expected)
            .with("part_size", part_size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PART: u64 = 1024 * 1024;

    fn cursor(size: Option<u64>) -> WriteCursor {
        WriteCursor::new(PartPlan { part_size: PART, size }, None)
    }

    /// Sends frames `(offset, length)` and answers the reason that stops them.
    fn send(cursor: &mut WriteCursor, frames: &[(u64, u64)]) -> Option<Reason> {
        for &(offset, length) in frames {
            match cursor.place(offset, length) {
                Ok(placement) => cursor.advance(placement),
                Err(error) => return Some(error.reason),
            }
        }
        None
    }

    #[test]
    fn streams_run_on_and_jump_between_parts() {
        let check = |frames: &[(u64, u64)], expect: Option<Reason>| {
            assert_eq!(send(&mut cursor(Some(3 * PART + 10)), frames), expect, "{frames:?}");
        };
        check(&[(0, 100), (100, PART - 100), (PART, PART)], None);
        check(&[(2 * PART, PART), (0, PART), (3 * PART, 10)], None);
        check(&[(0, 100), (PART, 1)], Some(Reason::OffsetMismatch));
        check(&[(0, 100), (99, 1)], Some(Reason::OffsetMismatch));
        check(&[(1, 1)], Some(Reason::OffsetMismatch));
        check(&[(0, 10), (10, PART)], Some(Reason::FrameCrossesPart));
        check(&[(3 * PART, 11)], Some(Reason::SizeExceeded));
        check(&[(u64::MAX, 1)], Some(Reason::SizeExceeded));
        check(&[(4 * PART, 0)], Some(Reason::SizeExceeded));
        check(&[(0, MAX_FRAME_SIZE + 1)], Some(Reason::FrameTooLarge));
        check(&[(3 * PART, 10), (3 * PART + 10, 0)], Some(Reason::OffsetMismatch));
    }

    #[test]
    fn the_order_of_checks_is_size_then_offset_then_crossing() {
        let whole = cursor(Some(PART + 5));
        assert_eq!(whole.place(7, MAX_FRAME_SIZE + 1).unwrap_err().reason, Reason::FrameTooLarge);
        assert_eq!(whole.place(7, 2 * PART).unwrap_err().reason, Reason::SizeExceeded);
        assert_eq!(whole.place(7, PART - 5).unwrap_err().reason, Reason::OffsetMismatch);
        assert_eq!(whole.place(0, PART + 5).unwrap_err().reason, Reason::FrameCrossesPart);
    }

    #[test]
    fn a_late_size_makes_the_short_part_whole() {
        let mut unknown = cursor(None);
        assert_eq!(send(&mut unknown, &[(0, PART), (PART, 5)]), None);
        assert!(unknown.clone().fix_size(PART + 4).is_err());
        assert!(!unknown.clone().fix_size(PART + 6).unwrap());
        assert!(unknown.fix_size(PART + 5).unwrap());
        assert_eq!((unknown.part(), unknown.highest()), (None, PART + 5));
    }

    #[test]
    fn an_unknown_size_is_bounded_by_parts_and_by_the_callers_limit() {
        let plan = PartPlan { part_size: PART, size: None };
        assert!(WriteCursor::new(plan, None).place(plan.capacity(), 1).is_err());
        assert!(WriteCursor::new(plan, None).place(plan.capacity(), 0).is_ok());
        let mut bounded = WriteCursor::new(plan, Some(10));
        assert_eq!(send(&mut bounded, &[(0, 10), (10, 1)]), Some(Reason::SizeExceeded));
    }

    #[test]
    fn an_abandoned_part_starts_again() {
        let mut cursor = cursor(None);
        assert_eq!(send(&mut cursor, &[(PART, 5)]), None);
        cursor.abandon_part();
        assert_eq!(
            cursor.place(PART + 5, 5).unwrap_err().metadata["expected_offset"],
            PART.to_string()
        );
        assert!(cursor.place(PART, 5).is_ok());
    }
}
