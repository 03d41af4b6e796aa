//! Integrity in one pass: what is computed while a part's bytes go by, and how
//! parts add up to a file.

use blake3::{
    Hasher,
    hazmat::{ChainingValue, HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root},
};

use crate::{Crc32c, PartNumber};

/// Bytes per block with a CRC32C of its own (1 MiB): the unit in which stored
/// bytes are verified when they are read.
pub const BLOCK_SIZE: u64 = 1024 * 1024;

/// A persisted part: what its record keeps of its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its place in the file.
    pub number: PartNumber,
    /// Bytes in it: the upload's part size, less in the last part.
    pub size: u64,
    /// Checksum of all its bytes.
    pub crc32c: Crc32c,
    /// What only somebody knows who has read its bytes. A part that was sent past
    /// the server, straight to storage, has none until it is read.
    pub detail: Option<PartDetail>,
}

impl Part {
    /// The part without the checksums of its blocks, for whoever adds up many.
    pub fn without_blocks(self) -> Self {
        let detail = self.detail.map(|detail| PartDetail { blocks: Vec::new(), ..detail });
        Self { detail, ..self }
    }
}

/// What is known of a part once its bytes were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartDetail {
    /// Checksums of its blocks of [`BLOCK_SIZE`], the last one shorter.
    pub blocks: Vec<Crc32c>,
    /// BLAKE3 chaining value of the part as a subtree of the file.
    pub chaining_value: [u8; 32],
    /// BLAKE3 hash of the part as a whole file. Only the first part has it,
    /// because it may turn out to be the only one.
    pub root: Option<[u8; 32]>,
}

/// Folds the frames of one part, in order, into the part's checksums.
#[derive(Debug, Clone)]
pub struct PartHasher {
    number: PartNumber,
    size: u64,
    crc32c: Crc32c,
    blocks: Vec<Crc32c>,
    tree: Box<Hasher>,
}

impl PartHasher {
    /// Starts the part that begins at `start` bytes into the file.
    pub fn new(number: PartNumber, start: u64) -> Self {
        let mut tree = Box::new(Hasher::new());
        tree.set_input_offset(start);
        Self { number, size: 0, crc32c: Crc32c::EMPTY, blocks: Vec::new(), tree }
    }

    /// Bytes folded in so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Checks a frame against the checksum that came with it and folds it in.
    /// Answers whether the checksum was right; if not, nothing has changed.
    ///
    /// The frame is read once for both CRCs: it is cut at block boundaries, and
    /// the checksums of the pieces combine to the frame's.
    pub fn fold(&mut self, frame: &[u8], declared: Crc32c) -> bool {
        let pieces = self.pieces(frame);
        let actual =
            pieces.iter().fold(Crc32c::EMPTY, |crc, piece| crc.combine(piece.crc, piece.len));
        if actual != declared {
            return false;
        }
        self.take(frame, pieces);
        true
    }

    /// Folds in bytes that came without a checksum: the whole part has one.
    pub fn absorb(&mut self, bytes: &[u8]) {
        let pieces = self.pieces(bytes);
        self.take(bytes, pieces);
    }

    /// Checksum of the bytes folded in so far.
    pub fn crc32c(&self) -> Crc32c {
        self.crc32c
    }

    fn take(&mut self, bytes: &[u8], pieces: Vec<Piece>) {
        for piece in pieces {
            self.crc32c = self.crc32c.combine(piece.crc, piece.len);
            match self.blocks.last_mut() {
                Some(block) if !self.size.is_multiple_of(BLOCK_SIZE) => {
                    *block = block.combine(piece.crc, piece.len);
                }
                _ => self.blocks.push(piece.crc),
            }
            self.size += piece.len;
        }
        self.tree.update(bytes);
    }

    /// The part's record. A part has at least one byte.
    pub fn finish(self) -> Part {
        debug_assert!(self.size > 0, "an empty file has no parts");
        let first = self.number == PartNumber::FIRST;
        Part {
            number: self.number,
            size: self.size,
            crc32c: self.crc32c,
            detail: Some(PartDetail {
                blocks: self.blocks,
                chaining_value: self.tree.finalize_non_root(),
                root: first.then(|| *self.tree.finalize().as_bytes()),
            }),
        }
    }

    fn pieces(&self, frame: &[u8]) -> Vec<Piece> {
        let room = BLOCK_SIZE - self.size % BLOCK_SIZE;
        #[expect(clippy::cast_possible_truncation, reason = "at most BLOCK_SIZE")]
        let (head, tail) = frame.split_at(frame.len().min(room as usize));
        [head]
            .into_iter()
            .chain(tail.chunks(BLOCK_SIZE as usize))
            .filter(|bytes| !bytes.is_empty())
            .map(|bytes| Piece { crc: Crc32c::of(bytes), len: bytes.len() as u64 })
            .collect()
    }
}

/// A run of a frame's bytes within one block.
struct Piece {
    crc: Crc32c,
    len: u64,
}

/// Checksums of a whole file, had from its parts without reading a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileDigest {
    /// Size in bytes.
    pub size: u64,
    /// CRC-32C of all bytes.
    pub crc32c: Crc32c,
    /// BLAKE3 of all bytes, unless there are parts that nobody has read.
    pub blake3: Option<[u8; 32]>,
}

impl FileDigest {
    /// Adds up all parts of a file, in order. Every part but the last must have
    /// the same size, a power of two; the parts of an upload do.
    pub fn of(parts: &[Part]) -> Self {
        let crc32c =
            parts.iter().fold(Crc32c::EMPTY, |crc, part| crc.combine(part.crc32c, part.size));
        let details: Option<Vec<_>> = parts.iter().map(|part| part.detail.as_ref()).collect();
        let blake3 = details.map(|details| root(&details));
        Self { size: parts.iter().map(|part| part.size).sum(), crc32c, blake3 }
    }
}

fn root(parts: &[&PartDetail]) -> [u8; 32] {
    match parts {
        [] => *blake3::hash(&[]).as_bytes(),
        [only] => only.root.unwrap_or_else(|| unreachable!("a lone part is the first part")),
        many => {
            let (left, right) = many.split_at(left_half(many.len()));
            *merge_subtrees_root(&subtree(left), &subtree(right), Mode::Hash).as_bytes()
        }
    }
}

fn subtree(parts: &[&PartDetail]) -> ChainingValue {
    match parts {
        [only] => only.chaining_value,
        many => {
            let (left, right) = many.split_at(left_half(many.len()));
            merge_subtrees_non_root(&subtree(left), &subtree(right), Mode::Hash)
        }
    }
}

/// The left child of a BLAKE3 node holds the largest power of two of leaves
/// that leaves something for the right one (BLAKE3 specification, section 2.1).
fn left_half(count: usize) -> usize {
    debug_assert!(count > 1);
    1 << (count - 1).ilog2()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PART: usize = 2 * BLOCK_SIZE as usize;

    fn parts_of(bytes: &[u8], frame: usize) -> Vec<Part> {
        let part = |(index, part): (usize, &[u8])| {
            let number = PartNumber::new(index as u32 + 1).unwrap();
            let mut hasher = PartHasher::new(number, (index * PART) as u64);
            for frame in part.chunks(frame) {
                assert!(hasher.fold(frame, Crc32c::of(frame)));
            }
            hasher.finish()
        };
        bytes.chunks(PART).enumerate().map(part).collect()
    }

    #[test]
    fn parts_add_up_to_what_one_pass_over_the_file_gives() {
        let mut bytes = vec![0; 7 * PART + 1];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        for size in
            [0, 1, 1024, 1025, PART - 1, PART, PART + 1, 2 * PART, 3 * PART + 1, 7 * PART + 1]
        {
            let bytes = &bytes[..size];
            let digest = FileDigest::of(&parts_of(bytes, 700_001));
            assert_eq!(digest.size, size as u64);
            assert_eq!(digest.crc32c, Crc32c::of(bytes), "{size} bytes");
            assert_eq!(digest.blake3, Some(*blake3::hash(bytes).as_bytes()), "{size} bytes");
        }
    }

    #[test]
    fn parts_that_nobody_has_read_add_up_to_size_and_crc32c() {
        let bytes: Vec<u8> = (0..3 * PART + 5).map(|i| (i / 7) as u8).collect();
        let read = parts_of(&bytes, 700_001);
        for unread in 0..read.len() {
            let mut parts = read.clone();
            parts[unread].detail = None;
            let digest = FileDigest::of(&parts);
            assert_eq!(digest, FileDigest { blake3: None, ..FileDigest::of(&read) });
            assert_eq!(digest.crc32c, Crc32c::of(&bytes));
        }
    }

    #[test]
    fn bytes_without_checksums_make_the_same_part() {
        let bytes: Vec<u8> = (0..PART + 12_345).map(|i| (i / 7) as u8).collect();
        let framed = parts_of(&bytes, 700_001);
        let mut hasher = PartHasher::new(PartNumber::FIRST, 0);
        for piece in bytes[..PART].chunks(99_991) {
            hasher.absorb(piece);
        }
        assert_eq!(hasher.crc32c(), Crc32c::of(&bytes[..PART]));
        assert_eq!(hasher.finish(), framed[0]);
    }

    #[test]
    fn blocks_do_not_depend_on_how_frames_were_cut() {
        let bytes: Vec<u8> = (0..PART + 12_345).map(|i| (i / 7) as u8).collect();
        let expect: Vec<_> = bytes
            .chunks(PART)
            .flat_map(|part| part.chunks(BLOCK_SIZE as usize))
            .map(Crc32c::of)
            .collect();
        for frame in [65_537, BLOCK_SIZE as usize, BLOCK_SIZE as usize + 1, PART] {
            let blocks: Vec<_> = parts_of(&bytes, frame)
                .into_iter()
                .flat_map(|part| part.detail.expect("it was read").blocks)
                .collect();
            assert_eq!(blocks, expect, "frames of {frame}");
        }
    }

    #[test]
    fn a_corrupt_frame_changes_nothing() {
        let mut hasher = PartHasher::new(PartNumber::FIRST, 0);
        assert!(hasher.fold(b"good", Crc32c::of(b"good")));
        assert!(!hasher.fold(b"bed", Crc32c::of(b"bad")));
        assert!(hasher.fold(b"bad", Crc32c::of(b"bad")));
        assert_eq!(hasher.finish().crc32c, Crc32c::of(b"goodbad"));
    }
}
