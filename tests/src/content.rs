//! Content of any size that nobody has to hold.

use std::{
    fs::File,
    io::{Read, Write},
    ops::Range,
    path::Path,
};

use bytes::Bytes;
use sluice_domain::Crc32c;

/// Bytes per step when the whole content is run through.
const STEP: u64 = 1024 * 1024;

/// Pseudo-random bytes of which any range can be produced on its own: each
/// word is a function of the seed and of its offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    seed: u64,
    size: u64,
    mask: u8,
}

impl Content {
    /// Content of this size; equal seeds give equal bytes.
    pub fn new(seed: u64, size: u64) -> Self {
        Self { seed, size, mask: 0 }
    }

    /// A variant of the content: two variants differ in every single byte, so
    /// that not even one byte can be equal by chance.
    #[must_use]
    pub fn variant(self, variant: u8) -> Self {
        Self { mask: variant, ..self }
    }

    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The bytes of a range, which must lie within the content.
    pub fn bytes(&self, range: Range<u64>) -> Bytes {
        assert!(
            range.start <= range.end && range.end <= self.size,
            "{range:?} is not within {} bytes",
            self.size
        );
        let first_word = range.start / 8;
        let words = range.end.div_ceil(8).saturating_sub(first_word);
        let mut bytes = Vec::with_capacity(usize::try_from(words * 8).expect("fits in memory"));
        let mask = u64::from_le_bytes([self.mask; 8]);
        for word in first_word..first_word + words {
            bytes.extend_from_slice(&(mix(self.seed, word) ^ mask).to_le_bytes());
        }
        let skip = usize::try_from(range.start % 8).expect("below 8");
        let length = usize::try_from(range.end - range.start).expect("fits in memory");
        Bytes::from(bytes).slice(skip..skip + length)
    }

    /// All bytes; for small contents.
    pub fn all(&self) -> Bytes {
        self.bytes(0..self.size)
    }

    /// Whether `bytes` are what the content has at `offset`.
    pub fn matches(&self, offset: u64, bytes: &[u8]) -> bool {
        let end = offset + bytes.len() as u64;
        end <= self.size && self.bytes(offset..end) == bytes
    }

    /// Writes the content to a file.
    pub fn write_to(&self, path: &Path) {
        let mut file = File::create(path).expect("the file can be made");
        for bytes in self.steps() {
            file.write_all(&bytes).expect("the file can be written");
        }
    }

    /// Whether a file holds exactly this content.
    pub fn is_in(&self, path: &Path) -> bool {
        let Ok(mut file) = File::open(path) else { return false };
        let mut read = vec![0; STEP as usize];
        let same = self.steps().all(|bytes| {
            let read = &mut read[..bytes.len()];
            file.read_exact(read).is_ok() && *read == *bytes
        });
        same && file.read(&mut read).is_ok_and(|length| length == 0)
    }

    /// BLAKE3 of the whole content, computed independently of the server.
    pub fn blake3(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        for bytes in self.steps() {
            hasher.update(&bytes);
        }
        *hasher.finalize().as_bytes()
    }

    /// CRC32C of the whole content.
    pub fn crc32c(&self) -> u32 {
        let combine =
            |crc: Crc32c, bytes: Bytes| crc.combine(Crc32c::of(&bytes), bytes.len() as u64);
        self.steps().fold(Crc32c::EMPTY, combine).0
    }

    fn steps(&self) -> impl Iterator<Item = Bytes> + '_ {
        (0..self.size.div_ceil(STEP))
            .map(|step| self.bytes(step * STEP..((step + 1) * STEP).min(self.size)))
    }
}

/// The output function of SplitMix64.
fn mix(seed: u64, word: u64) -> u64 {
    let mut z = seed.wrapping_add(word.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
