//! Sizes, rates and times as people read them.

use std::{fmt, time::Duration};

use indicatif::BinaryBytes;

/// A number of bytes: `645.21 MiB`.
pub(crate) fn bytes(count: u64) -> impl fmt::Display {
    BinaryBytes(count)
}

/// A part of a whole in percent, rounded down so that 100 means all.
pub(crate) fn percent(part: u64, whole: u64) -> u64 {
    match whole {
        0 => 100,
        _ => u64::try_from(u128::from(part.min(whole)) * 100 / u128::from(whole)).unwrap_or(100),
    }
}

/// Bytes a second: `120.50 MiB/s`.
pub(crate) fn rate(count: u64, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64().max(0.001);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "shown with three digits"
    )]
    let per_second = (count as f64 / seconds) as u64;
    format!("{}/s", BinaryBytes(per_second))
}

/// A time span: `0.83 s`, `12.4 s`, `3 min 20 s`.
pub(crate) fn seconds(elapsed: Duration) -> String {
    match elapsed.as_secs() {
        0..=9 => format!("{:.2} s", elapsed.as_secs_f64()),
        10..=119 => format!("{:.1} s", elapsed.as_secs_f64()),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

/// A short span: `0.12 ms`, `34.5 ms`, `1.20 s`.
pub(crate) fn milliseconds(elapsed: Duration) -> String {
    let milliseconds = elapsed.as_secs_f64() * 1000.0;
    match milliseconds {
        ..10.0 => format!("{milliseconds:.2} ms"),
        ..1000.0 => format!("{milliseconds:.0} ms"),
        _ => seconds(elapsed),
    }
}

/// `1 file`, `2 files`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}

/// Parses a size such as `8MiB` for the command line.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, String> {
    let size = text.parse::<bytesize::ByteSize>();
    size.map(|size| size.as_u64()).map_err(|_| "a size looks like 8MiB or 1048576".to_owned())
}

/// Parses a span of time such as `12h` for the command line.
pub(crate) fn parse_span(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| "a span of time looks like 30s, 12h or 7d".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(bytes(645 * 1024 * 1024).to_string(), "645.00 MiB");
        assert_eq!(rate(1024 * 1024, Duration::from_secs(2)), "512.00 KiB/s");
        assert_eq!(seconds(Duration::from_millis(830)), "0.83 s");
        assert_eq!(milliseconds(Duration::from_micros(120)), "0.12 ms");
        assert_eq!(milliseconds(Duration::from_millis(345)), "345 ms");
        assert_eq!(milliseconds(Duration::from_millis(1200)), "1.20 s");
        assert_eq!(seconds(Duration::from_secs(200)), "3 min 20 s");
        assert_eq!((count(1, "file"), count(0, "file")), ("1 file".into(), "0 files".into()));
    }

    #[test]
    fn all_is_100_percent_and_nothing_less() {
        assert_eq!(percent(0, 0), 100);
        assert_eq!(percent(999_999, 1_000_000), 99);
        assert_eq!(percent(u64::MAX, u64::MAX), 100);
    }

    #[test]
    fn sizes_are_parsed_with_units() {
        assert_eq!(parse_bytes("8MiB"), Ok(8 * 1024 * 1024));
        assert_eq!(parse_bytes("1048576"), Ok(1024 * 1024));
        assert!(parse_bytes("large").is_err());
    }

    #[test]
    fn spans_are_parsed_with_units() {
        assert_eq!(parse_span("90m"), Ok(Duration::from_secs(5400)));
        assert!(parse_span("10").is_err());
    }
}
