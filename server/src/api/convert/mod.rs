//! Between the messages of the contract and the types of the domain.
//!
//! Parsing happens here, once: what comes out is valid by its type.

pub(super) mod account;
pub(super) mod event;
pub(super) mod file;
pub(super) mod signing;
pub(super) mod upload;

use std::time::Duration;

use bytes::Bytes;
use sluice_domain::{Checksums, Crc32c, Error, Failure, OnConflict, Result, Timestamp};
use sluice_proto::v1;

/// A size or offset that the caller sent.
pub(super) fn size(value: i64, field: &str) -> Result<u64> {
    u64::try_from(value)
        .map_err(|_| Error::invalid_field(field, format!("must not be negative, is {value}")))
}

/// An optional size.
pub(super) fn optional_size(value: Option<i64>, field: &str) -> Result<Option<u64>> {
    value.map(|value| size(value, field)).transpose()
}

/// A size or offset for the caller.
pub(super) fn int64(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A small number for the caller.
pub(super) fn count(value: usize) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// A point in time for the caller.
pub(super) fn timestamp(time: Timestamp) -> prost_types::Timestamp {
    let micros = time.as_micros();
    prost_types::Timestamp {
        seconds: micros.div_euclid(1_000_000),
        // Less than a billion.
        nanos: i32::try_from(micros.rem_euclid(1_000_000) * 1000).unwrap_or(0),
    }
}

/// A point in time that the caller sent.
pub(super) fn time(
    value: Option<prost_types::Timestamp>,
    field: &str,
) -> Result<Option<Timestamp>> {
    let Some(value) = value else { return Ok(None) };
    let micros = (0..1_000_000_000)
        .contains(&value.nanos)
        .then(|| value.seconds.checked_mul(1_000_000))
        .flatten()
        .and_then(|micros| micros.checked_add(i64::from(value.nanos) / 1000))
        .ok_or_else(|| Error::invalid_field(field, "is not a valid time"))?;
    Ok(Some(Timestamp::from_micros(micros)))
}

/// A span of time that the caller sent, if it is one. The library's own
/// conversion adds the fields up before it looks at them, which may overflow.
pub(super) fn time_span(value: prost_types::Duration) -> Option<Duration> {
    let seconds = u64::try_from(value.seconds).ok()?;
    let nanos = u32::try_from(value.nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    Some(Duration::new(seconds, nanos))
}

/// A span of time for the caller.
pub(super) fn duration(value: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: int64(value.as_secs()),
        nanos: i32::try_from(value.subsec_nanos()).unwrap_or(0),
    }
}

/// Checksums that the caller sent; an absent message declares none.
pub(super) fn checksums(value: Option<v1::ObjectChecksums>, field: &str) -> Result<Checksums> {
    let Some(value) = value else { return Ok(Checksums::default()) };
    Ok(Checksums {
        crc32c: value.crc32c.map(Crc32c),
        sha256: hash(&value.sha256, &format!("{field}.sha256"))?,
        blake3: hash(&value.blake3, &format!("{field}.blake3"))?,
    })
}

fn hash(bytes: &Bytes, field: &str) -> Result<Option<[u8; 32]>> {
    if bytes.is_empty() {
        return Ok(None);
    }
    match <[u8; 32]>::try_from(bytes.as_ref()) {
        Ok(hash) => Ok(Some(hash)),
        Err(_) => {
            Err(Error::invalid_field(field, format!("must have 32 bytes, has {}", bytes.len())))
        }
    }
}

/// Checksums for the caller; none at all is an absent message.
pub(super) fn object_checksums(value: Checksums) -> Option<v1::ObjectChecksums> {
    let bytes =
        |hash: Option<[u8; 32]>| hash.map_or(Bytes::new(), |hash| Bytes::copy_from_slice(&hash));
    (value != Checksums::default()).then(|| v1::ObjectChecksums {
        crc32c: value.crc32c.map(|crc| crc.0),
        sha256: bytes(value.sha256),
        blake3: bytes(value.blake3),
    })
}

/// A rule for taken names; unspecified means FAIL.
pub(super) fn on_conflict(value: i32, field: &str) -> Result<OnConflict> {
    match v1::OnConflict::try_from(value) {
        Ok(v1::OnConflict::Unspecified | v1::OnConflict::Fail) => Ok(OnConflict::Fail),
        Ok(v1::OnConflict::Replace) => Ok(OnConflict::Replace),
        Err(_) => Err(Error::invalid_field(field, format!("{value} is not a value of OnConflict"))),
    }
}

/// Why something failed, for the caller.
pub(super) fn failure(failure: &Failure) -> v1::Failure {
    let name = format!("ERROR_REASON_{}", failure.reason.as_str());
    let reason = v1::ErrorReason::from_str_name(&name).unwrap_or_default();
    v1::Failure {
        reason: reason.into(),
        message: failure.message.clone(),
        metadata: failure.metadata.clone(),
    }
}

/// Enum values in a filter; unspecified is not a state.
pub(super) fn states<T>(
    values: &[i32],
    field: &str,
    parse: impl Fn(i32) -> Option<T>,
) -> Result<Vec<T>> {
    values
        .iter()
        .map(|value| {
            parse(*value).ok_or_else(|| {
                Error::invalid_field(field, format!("{value} is not a state to filter by"))
            })
        })
        .collect()
}
