//! Checksums that callers declare and that Sluice computes.

use std::fmt;

use crc_fast::{CrcAlgorithm, Digest, checksum};

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
        Self(product(zeros(length), self.0) ^ next.0)
    }
}

/// CRC-32C's polynomial, the lowest power in the highest bit.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// `x` to the power of `2^n`, modulo the polynomial. Frames have lengths that are
/// powers of two, or nearly, so that this makes combining a matter of some 100
/// steps. The method is that of zlib's `crc32_combine_op`
/// (<https://github.com/madler/zlib/blob/v1.3.1/crc32.c>).
const POWERS: [u32; 67] = {
    let mut powers = [1 << 30; 67];
    let mut n = 1;
    while n < powers.len() {
        powers[n] = product(powers[n - 1], powers[n - 1]);
        n += 1;
    }
    powers
};

/// What the checksum of some bytes is multiplied by when so many zero bytes
/// follow: `x` to the power of 8 for each.
const fn zeros(length: u64) -> u32 {
    let mut result = 1 << 31;
    let mut n = 0;
    while n < 64 {
        if length >> n & 1 == 1 {
            result = product(POWERS[n + 3], result);
        }
        n += 1;
    }
    result
}

/// The product of two polynomials, modulo the polynomial.
const fn product(a: u32, mut b: u32) -> u32 {
    let mut result = 0;
    let mut bit = 1 << 31;
    while bit > 0 {
        if a & bit != 0 {
            result ^= b;
        }
        b = if b & 1 == 1 { (b >> 1) ^ POLYNOMIAL } else { b >> 1 };
        bit >>= 1;
    }
    result
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

    #[test]
    fn combining_equals_the_library_for_any_length() {
        let mut state = 1_u64;
        let mut random = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            state >> 32
        };
        for bits in 0..63 {
            for length in [1 << bits, (1 << bits) - 1, random() << bits >> 16] {
                let (left, right) = (random(), random());
                let expected = match length {
                    0 => left ^ right,
                    _ => crc_fast::checksum_combine(ALGORITHM, left, right, length),
                };
                let combined = Crc32c(narrow(left)).combine(Crc32c(narrow(right)), length);
                assert_eq!(u64::from(combined.0), expected, "{length} bytes");
            }
        }
    }
}
