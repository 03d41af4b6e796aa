//! What the header `Range` asks for (RFC 9110, section 14).

use http_range_header::{EndPosition, RangeUnsatisfiableError, StartPosition, parse_range_header};
use sluice_domain::ByteRange;

/// What of a file is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requested {
    /// All of it.
    Whole,
    /// One range, which is not empty.
    Part(ByteRange),
    /// Nothing that the file has.
    Unsatisfiable,
}

/// Reads the value of the header `Range` for a file of `size` bytes. What cannot
/// be read, and units other than bytes, are ignored as the RFC says. So are
/// several ranges at once, which it allows: who wants them can ask one by one.
pub fn requested(header: &str, size: u64) -> Requested {
    let parsed = match parse_range_header(header) {
        Ok(parsed) => parsed,
        Err(RangeUnsatisfiableError::ZeroSuffix) => return Requested::Unsatisfiable,
        Err(_) => return Requested::Whole,
    };
    let [only] = parsed.ranges[..] else { return Requested::Whole };
    let range = match (only.start, only.end) {
        (StartPosition::Index(first), EndPosition::Index(last)) if last < first => {
            return Requested::Whole;
        }
        (StartPosition::Index(first), EndPosition::Index(last)) => {
            ByteRange { start: first, end: last.saturating_add(1).min(size) }
        }
        (StartPosition::Index(first), EndPosition::LastByte) => {
            ByteRange { start: first, end: size }
        }
        (StartPosition::FromLast(count), _) => {
            ByteRange { start: size.saturating_sub(count), end: size }
        }
    };
    if range.start < range.end { Requested::Part(range) } else { Requested::Unsatisfiable }
}

#[cfg(test)]
mod tests {
    use super::{Requested::*, *};

    fn part(start: u64, end: u64) -> Requested {
        Part(ByteRange { start, end })
    }

    #[test]
    fn ranges_are_read_as_the_rfc_says() {
        for (header, expect) in [
            ("bytes=0-0", part(0, 1)),
            ("bytes=0-499", part(0, 500)),
            ("bytes=500-", part(500, 1000)),
            ("bytes=999-", part(999, 1000)),
            ("bytes=-1", part(999, 1000)),
            ("bytes=-1000", part(0, 1000)),
            ("bytes=-2000", part(0, 1000)),
            ("bytes=900-5000", part(900, 1000)),
            ("bytes=0-18446744073709551615", part(0, 1000)),
            ("bytes=1000-", Unsatisfiable),
            ("bytes=1000-1000", Unsatisfiable),
            ("bytes=18446744073709551615-", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=0-1,5-6", Whole),
            ("bytes=5-4", Whole),
            ("bytes=", Whole),
            ("bytes=-", Whole),
            ("bytes=a-b", Whole),
            ("bytes=0-1x", Whole),
            ("bytes=--1", Whole),
            ("bytes=+1-2", Whole),
            ("items=0-1", Whole),
            ("0-1", Whole),
            ("", Whole),
        ] {
            assert_eq!(requested(header, 1000), expect, "{header:?}");
        }
    }

    #[test]
    fn an_empty_file_has_no_range() {
        for header in ["bytes=0-", "bytes=0-0", "bytes=-1"] {
            assert_eq!(requested(header, 0), Unsatisfiable, "{header:?}");
        }
    }
}
