//! How a file is divided into parts.

use std::{fmt, num::NonZeroU32};

use crate::{ByteRange, Error, Reason, Result};

/// Most parts of an upload (the limit of S3 multipart uploads).
pub const MAX_PARTS: u32 = 10_000;

/// Smallest part size that the server chooses by itself: 8 MiB, the size that
/// the AWS transfer manager uses when it knows nothing of the throughput.
pub const DEFAULT_PART_SIZE: u64 = 8 * 1024 * 1024;

/// Part size for files whose size nobody knows yet: 16 MiB, which lets 10,000
/// parts hold about 156 GiB.
pub const UNKNOWN_SIZE_PART_SIZE: u64 = 16 * 1024 * 1024;

/// Number of a part within its upload: 1 to [`MAX_PARTS`], as in S3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartNumber(NonZeroU32);

impl PartNumber {
    /// The first part.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// The part with this number, if there can be one.
    pub fn new(number: u32) -> Option<Self> {
        NonZeroU32::new(number).filter(|n| n.get() <= MAX_PARTS).map(Self)
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0.get()
    }

    /// How many parts come before this one.
    fn index(self) -> u64 {
        u64::from(self.get()) - 1
    }
}

impl fmt::Display for PartNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Which part sizes a server offers, in bytes; both are powers of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartSizeLimits {
    /// Smallest part size.
    pub min: u64,
    /// Largest part size.
    pub max: u64,
}

impl PartSizeLimits {
    /// The largest file that these limits can hold.
    pub fn max_file_size(&self) -> u64 {
        self.max * u64::from(MAX_PARTS)
    }

    /// The size that a new upload's parts have: the caller's preference if it
    /// can hold the file, else the smallest power of two that can.
    ///
    /// A part size is a power of two so that every part is a whole BLAKE3
    /// subtree.
    pub fn choose(
        &self,
        size: Option<u64>,
        max_size: Option<u64>,
        preferred: Option<u64>,
    ) -> Result<u64> {
        let floor = match (preferred, size) {
            (Some(preferred), _) => {
                if !preferred.is_power_of_two() || !(self.min..=self.max).contains(&preferred) {
                    return Err(Error::invalid_field(
                        "preferred_part_size",
                        format!(
                            "must be a power of two from {} to {} bytes, is {preferred}",
                            self.min, self.max
                        ),
                    ));
                }
                preferred
            }
            (None, Some(_)) => DEFAULT_PART_SIZE.clamp(self.min, self.max),
            (None, None) => UNKNOWN_SIZE_PART_SIZE.clamp(self.min, self.max),
        };
        let size = size.or(max_size).unwrap_or(0);
        let needed = size.div_ceil(u64::from(MAX_PARTS)).max(floor);
        match needed.checked_next_power_of_two() {
            Some(part_size) if part_size <= self.max => Ok(part_size),
            _ => Err(Error::new(
                Reason::FileTooLarge,
                format!("a file can have at most {} bytes here, not {size}", self.max_file_size()),
            )
            .with("max_bytes", self.max_file_size())),
        }
    }
}

/// The division of one file into parts of equal size, the last one shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartPlan {
    /// Size of every part but the last, in bytes; a power of two.
    pub part_size: u64,
    /// Size of the file, once it is known.
    pub size: Option<u64>,
}

impl PartPlan {
    /// The part that holds the byte at `offset`, if parts can reach that far.
    pub fn part_at(&self, offset: u64) -> Option<PartNumber> {
        let index = u32::try_from(offset / self.part_size).ok()?;
        PartNumber::new(index.checked_add(1)?)
    }

    /// Offset of a part's first byte.
    pub fn start(&self, part: PartNumber) -> u64 {
        part.index() * self.part_size
    }

    /// The bytes of a part; for an unknown size, as if it were a full one.
    pub fn range(&self, part: PartNumber) -> ByteRange {
        let start = self.start(part);
        let end = start + self.part_size;
        match self.size {
            Some(size) => ByteRange { start: start.min(size), end: end.min(size) },
            None => ByteRange { start, end },
        }
    }

    /// How many parts a file of `size` bytes has; an empty file has none.
    pub fn count(&self, size: u64) -> u64 {
        size.div_ceil(self.part_size)
    }

    /// Offset after the last byte that parts can hold.
    pub fn capacity(&self) -> u64 {
        self.part_size * u64::from(MAX_PARTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;
    const LIMITS: PartSizeLimits = PartSizeLimits { min: MIB, max: 4096 * MIB };

    #[test]
    fn the_server_chooses_the_smallest_size_that_holds_the_file() {
        let choose = |size, max_size, preferred| LIMITS.choose(size, max_size, preferred);
        assert_eq!(choose(Some(0), None, None), Ok(8 * MIB));
        assert_eq!(choose(Some(80_000 * MIB), None, None), Ok(8 * MIB));
        assert_eq!(choose(Some(80_000 * MIB + 1), None, None), Ok(16 * MIB));
        assert_eq!(choose(None, None, None), Ok(16 * MIB));
        assert_eq!(choose(None, Some(200_000 * MIB), None), Ok(32 * MIB));
        assert_eq!(choose(Some(5), None, Some(MIB)), Ok(MIB));
        assert_eq!(choose(Some(20_000 * MIB), None, Some(MIB)), Ok(2 * MIB));
    }

    #[test]
    fn impossible_sizes_are_refused_with_the_limit() {
        let too_large = LIMITS.choose(Some(LIMITS.max_file_size() + 1), None, None).unwrap_err();
        assert_eq!(too_large.reason, Reason::FileTooLarge);
        assert_eq!(too_large.metadata["max_bytes"], LIMITS.max_file_size().to_string());
        assert!(LIMITS.choose(Some(LIMITS.max_file_size()), None, None).is_ok());
        assert!(LIMITS.choose(Some(u64::MAX), None, None).is_err());
        for preferred in [0, 1, MIB - 1, 3 * MIB, 8192 * MIB] {
            let error = LIMITS.choose(None, None, Some(preferred)).unwrap_err();
            assert_eq!(error.reason, Reason::InvalidField, "{preferred} was accepted");
        }
    }

    #[test]
    fn parts_tile_the_file() {
        let plan = PartPlan { part_size: MIB, size: Some(3 * MIB + 1) };
        assert_eq!(plan.count(3 * MIB + 1), 4);
        let mut end = 0;
        for number in 1..=4 {
            let range = plan.range(PartNumber::new(number).unwrap());
            assert_eq!(range.start, end);
            end = range.end;
        }
        assert_eq!(end, 3 * MIB + 1);
        assert_eq!(plan.part_at(MIB).unwrap().get(), 2);
        assert_eq!(plan.part_at(plan.capacity() - 1).unwrap().get(), MAX_PARTS);
        assert_eq!(plan.part_at(plan.capacity()), None);
        assert_eq!(plan.part_at(u64::MAX), None);
    }
}
