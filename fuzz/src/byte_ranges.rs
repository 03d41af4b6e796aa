//! The header `Range`: what of a file a download asks for.

use sluice_domain::ByteRange;
use sluice_server::http::byte_range::{Requested, requested};

use crate::input::take;

/// Takes any header for a file of any size.
pub fn check(mut input: &[u8]) {
    let size = u64::from_le_bytes(take(&mut input));
    let Ok(header) = std::str::from_utf8(input) else { return };
    for size in [size, size % 4096, 0] {
        let answer = requested(header, size);
        if let Requested::Part(ByteRange { start, end }) = answer {
            assert!(start < end && end <= size, "{header:?} of {size}: {start}..{end}");
        }
        if let Some(expect) = plain(header, size) {
            assert_eq!(answer, expect, "{header:?} of {size}");
        }
    }
}

/// The same for the plainest spellings, read another way.
fn plain(header: &str, size: u64) -> Option<Requested> {
    let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
    // Leading zeros need not be read: a server may ignore any range.
    let number = |text: &str| text.parse::<u64>().ok().filter(|it| it.to_string() == text);
    let wanted: Vec<u64> = match (first, last) {
        ("", last) => {
            let count = number(last)?.min(size);
            vec![size - count, size]
        }
        (first, "") => vec![number(first)?, size],
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return Some(Requested::Whole);
            }
            vec![first, last.checked_add(1)?.min(size)]
        }
    };
    match wanted[..] {
        [start, end] if start < end => Some(Requested::Part(ByteRange { start, end })),
        _ => Some(Requested::Unsatisfiable),
    }
}
