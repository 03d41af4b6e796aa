//! Half-open ranges of bytes and sorted sets of them.

use std::fmt;

/// Bytes `start..end` of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    /// Offset of the first byte.
    pub start: u64,
    /// Offset after the last byte.
    pub end: u64,
}

impl ByteRange {
    /// Number of bytes.
    pub fn len(&self) -> u64 {
        self.end - self.start
    }

    /// Whether there is no byte in it.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }
}

impl fmt::Display for ByteRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.start, self.end)
    }
}

/// Ranges that are sorted, disjoint, not empty and merged where they touch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RangeSet(Vec<ByteRange>);

impl RangeSet {
    /// Collects ranges that come in the order of their start and do not
    /// overlap, as parts do.
    pub fn from_sorted(ranges: impl IntoIterator<Item = ByteRange>) -> Self {
        let mut merged: Vec<ByteRange> = Vec::new();
        for range in ranges {
            debug_assert!(range.start <= range.end);
            match merged.last_mut() {
                _ if range.is_empty() => {}
                Some(last) if last.end == range.start => last.end = range.end,
                last => {
                    debug_assert!(last.is_none_or(|last| last.end < range.start));
                    merged.push(range);
                }
            }
        }
        Self(merged)
    }

    /// The ranges.
    pub fn ranges(&self) -> &[ByteRange] {
        &self.0
    }

    /// How many bytes are in the set.
    pub fn total(&self) -> u64 {
        self.0.iter().map(ByteRange::len).sum()
    }

    /// Offset after the last byte of the set; 0 if it is empty.
    pub fn end(&self) -> u64 {
        self.0.last().map_or(0, |range| range.end)
    }

    /// Whether every byte of `range` is in the set.
    pub fn contains(&self, range: ByteRange) -> bool {
        range.is_empty() || self.0.iter().any(|r| r.start <= range.start && range.end <= r.end)
    }

    /// What a file of `size` bytes lacks.
    pub fn missing(&self, size: u64) -> Self {
        let mut missing = Vec::new();
        let mut start = 0;
        for range in self.0.iter().filter(|range| range.start < size) {
            if start < range.start {
                missing.push(ByteRange { start, end: range.start });
            }
            start = range.end;
        }
        if start < size {
            missing.push(ByteRange { start, end: size });
        }
        Self(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ranges: &[(u64, u64)]) -> RangeSet {
        RangeSet::from_sorted(ranges.iter().map(|&(start, end)| ByteRange { start, end }))
    }

    #[test]
    fn touching_ranges_merge() {
        assert_eq!(set(&[(0, 4), (4, 8), (12, 16)]), set(&[(0, 8), (12, 16)]));
        assert_eq!(set(&[(0, 0), (4, 4)]), RangeSet::default());
    }

    #[test]
    fn missing_is_the_complement() {
        let some = set(&[(0, 4), (8, 12)]);
        assert_eq!(some.missing(16), set(&[(4, 8), (12, 16)]));
        assert_eq!(some.missing(12), set(&[(4, 8)]));
        assert_eq!(some.missing(0), RangeSet::default());
        assert_eq!(RangeSet::default().missing(3), set(&[(0, 3)]));
        assert_eq!((some.total(), some.end()), (8, 12));
        assert!(some.contains(ByteRange { start: 9, end: 12 }));
        assert!(!some.contains(ByteRange { start: 3, end: 9 }));
    }
}
