//! Checksums of parts and files, over blocks and parts of their real size.

use std::sync::LazyLock;

use sluice_domain::{BLOCK_SIZE, Crc32c, FileDigest, PartHasher, PartNumber};

use crate::input::take;

/// Room for three blocks and a bit: what is cut and combined at their
/// boundaries.
static CONTENT: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut content = vec![0; 3 * BLOCK_SIZE as usize + 1000];
    blake3::Hasher::new().finalize_xof().fill(&mut content);
    content
});

/// Cuts content into frames as the input says; the checksums must be those of
/// one pass.
pub fn check(mut input: &[u8]) {
    let part_size = BLOCK_SIZE << (take::<1>(&mut input)[0] % 3);
    let mut sent = 0;
    let mut parts = Vec::new();
    let mut hasher: Option<PartHasher> = None;
    while !input.is_empty() && sent < CONTENT.len() {
        let wanted = u32::from_le_bytes(take(&mut input)) as usize % (2 * BLOCK_SIZE as usize);
        let part_end = ((sent as u64 / part_size + 1) * part_size) as usize;
        let end = (sent + wanted).min(part_end).min(CONTENT.len());
        let frame = &CONTENT[sent..end];
        let current = hasher.get_or_insert_with(|| {
            let number = PartNumber::new(sent as u32 / part_size as u32 + 1).unwrap();
            PartHasher::new(number, sent as u64)
        });
        let declared = Crc32c::of(frame);
        assert!(!current.fold(frame, Crc32c(declared.0 ^ 1)), "a wrong checksum was accepted");
        assert!(current.fold(frame, declared), "a right checksum was refused");
        sent = end;
        if sent == part_end {
            parts.extend(hasher.take().map(PartHasher::finish));
        }
    }
    parts.extend(hasher.filter(|hasher| hasher.size() > 0).map(PartHasher::finish));

    let whole = &CONTENT[..sent];
    let details = parts.iter().flat_map(|part| &part.detail);
    let blocks: Vec<_> = details.flat_map(|detail| detail.blocks.clone()).collect();
    let expect: Vec<_> = whole.chunks(BLOCK_SIZE as usize).map(Crc32c::of).collect();
    assert_eq!(blocks, expect, "the blocks of {sent} bytes in parts of {part_size}");
    let digest = FileDigest::of(&parts);
    assert_eq!(digest.size, sent as u64);
    assert_eq!(digest.crc32c, Crc32c::of(whole));
    assert_eq!(digest.blake3, Some(*blake3::hash(whole).as_bytes()));
}
