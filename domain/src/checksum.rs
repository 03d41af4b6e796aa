//! Checksums that callers declare and that Sluice computes.

use std::fmt;

use crc_fast::{CrcAlgorithm, Digest, checksum, checksum_combine};

const ALGORITHM: CrcAlgorithm = CrcAlgorithm::Crc32Iscsi;

/// SHA-256 of a whole file.
pub type Sha256 = [u8; 32];

/// CRC-32C (Castagnoli), the checksum of frames, blocks, parts and files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Crc32c(pub u32);

impl Crc32c {
    /// The checksum of no bytes.
    pub const EMPTY: Self = Self(0);

    /// The checksum of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(narrow(checksum(ALGORITHM, bytes)))
    }

    /// The checksum of these bytes one after the other.
    pub fn of_all<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut digest = Digest::new(ALGORITHM);
        for piece in pieces {
            digest.update(piece);
        }
        Self(narrow(digest.finalize()))
    }

    /// The checksum of the bytes of `self` followed by `length` bytes whose
    /// checksum is `next`: how a part's or a file's checksum is had without
    /// reading a byte again.
    #[must_use]
    pub fn combine(self, next: Self, length: u64) -> Self {
        if length == 0 {
            return self;
        }
        Self(narrow(checksum_combine(ALGORITHM, self.0.into(), next.0.into(), length)))
    }
}

impl fmt::Display for Crc32c {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a 32-bit CRC in the library's common u64")]
fn narrow(crc: u64) -> u32 {
    crc as u32
}

/// Checksums of a whole file; each may be absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checksums {
    /// CRC-32C.
    pub crc32c: Option<Crc32c>,
    /// SHA-256.
    pub sha256: Option<Sha256>,
    /// BLAKE3 with 32 bytes of output, as `b3sum` prints.
    pub blake3: Option<[u8; 32]>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_the_catalogue() {
        // https://reveng.sourceforge.io/crc-catalogue/all.htm#crc.cat.crc-32-iscsi
        assert_eq!(Crc32c::of(b"123456789"), Crc32c(0xe306_9283));
        assert_eq!(Crc32c::of(b""), Crc32c::EMPTY);
    }

    #[test]
    fn combining_equals_reading_on() {
        let bytes: Vec<u8> = (0..5000_u32).map(|i| (i * 31) as u8).collect();
        for split in [0, 1, 7, 4096, 4999, 5000] {
            let (left, right) = bytes.split_at(split);
            let combined = Crc32c::of(left).combine(Crc32c::of(right), right.len() as u64);
            assert_eq!(combined, Crc32c::of(&bytes), "split at {split}");
            assert_eq!(Crc32c::of_all([left, right]), combined);
        }
    }
}
