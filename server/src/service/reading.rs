//! Reading files, each block verified before a byte of it leaves.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use sluice_domain::{
    BLOCK_SIZE, ByteRange, Crc32c, Error, File, FileId, Part, PartNumber, PartPlan, Reason, Result,
};

use super::{Caller, Context};
use crate::ports::BlobReader;

/// Blocks that are read ahead of the caller.
const READ_AHEAD: usize = 2;

/// Part records that are fetched at once.
const PARTS_PER_PAGE: u32 = 16;

/// Verified bytes of a file.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// Offset of the first byte in the file.
    pub offset: u64,
    /// The bytes: at most a block.
    pub data: Bytes,
    /// Their checksum.
    pub crc32c: Crc32c,
    /// Whether a record says so. It does not of a part that nobody has read before.
    pub is_recorded: bool,
}

/// What to make of parts that nobody has read before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unread {
    /// Nothing can verify them.
    Refuse,
    /// The caller verifies them.
    Read,
}

/// Opens a range of a readable file: `limit` bytes from `offset` on, or to the
/// end if `limit` is 0.
pub async fn read(
    context: &Context,
    caller: Caller,
    id: FileId,
    offset: u64,
    limit: u64,
) -> Result<(File, impl Stream<Item = Result<Chunk>> + Send + 'static)> {
    let file = context.files.file(caller.owner, id).await?;
    file.check_ready()?;
    if offset > file.size {
        return Err(Error::invalid_field(
            "offset",
            format!("must be at most the file's size, {}, is {offset}", file.size),
        ));
    }
    let end = match limit {
        0 => file.size,
        limit => offset.saturating_add(limit).min(file.size),
    };
    let chunks = chunks(context.clone(), file.clone(), ByteRange { start: offset, end });
    Ok((file, chunks))
}

/// The verified bytes of a range, whatever the file's state.
pub fn chunks(
    context: Context,
    file: File,
    range: ByteRange,
) -> impl Stream<Item = Result<Chunk>> + Send + 'static {
    stream_of(context, file, range, Unread::Refuse)
}

/// All bytes of a file, verified as far as that is possible: parts that nobody has
/// read before are as storage has them.
pub fn first_reading(
    context: Context,
    file: File,
) -> impl Stream<Item = Result<Chunk>> + Send + 'static {
    let whole = ByteRange { start: 0, end: file.size };
    stream_of(context, file, whole, Unread::Read)
}

fn stream_of(
    context: Context,
    file: File,
    range: ByteRange,
    unread: Unread,
) -> impl Stream<Item = Result<Chunk>> + Send + 'static {
    let blocks = Blocks { context, file, range, unread, reader: None, parts: VecDeque::new() };
    stream::try_unfold(blocks, |mut blocks| async move {
        Ok(blocks.next().await?.map(|block| (block, blocks)))
    })
    .map_ok(Block::read)
    .try_buffered(READ_AHEAD)
    .boxed()
}

/// Finds the blocks of a range, one after the other.
struct Blocks {
    context: Context,
    file: File,
    range: ByteRange,
    unread: Unread,
    reader: Option<Arc<dyn BlobReader>>,
    parts: VecDeque<Part>,
}

/// One block of a file and what of it is wanted.
struct Block {
    reader: Arc<dyn BlobReader>,
    stored: ByteRange,
    wanted: ByteRange,
    /// What it must have, if somebody knows.
    crc32c: Option<Crc32c>,
}

impl Blocks {
    async fn next(&mut self) -> Result<Option<Block>> {
        if self.range.is_empty() {
            return Ok(None);
        }
        let reader = match &self.reader {
            Some(reader) => Arc::clone(reader),
            None => {
                let opened = self.context.blobs.open(self.file.upload_id).await;
                let reader = match opened {
                    Ok(reader) => reader,
                    Err(error) => return Err(self.explain(error).await),
                };
                Arc::clone(self.reader.insert(reader))
            }
        };
        let (position, unread) = (self.range.start, self.unread);
        let Some((part, part_start)) = self.part().await? else {
            let missing = Error::new(Reason::StoredDataCorrupt, "a part's record is missing")
                .with("offset", position);
            return Err(self.explain(missing).await);
        };
        let index = (position - part_start) / BLOCK_SIZE;
        let start = part_start + index * BLOCK_SIZE;
        let end = (start + BLOCK_SIZE).min(part_start + part.size);
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let crc32c = part.detail.as_ref().map(|detail| detail.blocks.get(index).copied());
        let crc32c = match crc32c {
            None if unread == Unread::Read => None,
            Some(Some(crc32c)) => Some(crc32c),
            None | Some(None) => {
                return Err(Error::new(Reason::StoredDataCorrupt, "a block's checksum is missing")
                    .with("offset", start));
            }
        };
        let wanted = ByteRange { start: self.range.start, end: end.min(self.range.end) };
        self.range.start = wanted.end;
        Ok(Some(Block { reader, stored: ByteRange { start, end }, wanted, crc32c }))
    }

    /// The part that holds the next byte, and where it starts.
    async fn part(&mut self) -> Result<Option<(&Part, u64)>> {
        let plan = PartPlan { part_size: self.file.part_size, size: Some(self.file.size) };
        let Some(number) = plan.part_at(self.range.start) else { return Ok(None) };
        while self.parts.front().is_some_and(|part| part.number < number) {
            self.parts.pop_front();
        }
        if self.parts.is_empty() {
            let before = PartNumber::new(number.get() - 1);
            let (owner, upload) = (self.file.owner, self.file.upload_id);
            let page = self.context.uploads.parts(owner, upload, before, PARTS_PER_PAGE).await?;
            self.parts.extend(page);
        }
        let part = self.parts.front().filter(|part| part.number == number);
        Ok(part.map(|part| (part, plan.start(number))))
    }

    /// A file that is deleted while it is read is not a corrupt one.
    async fn explain(&self, error: Error) -> Error {
        match self.context.files.file(self.file.owner, self.file.id).await {
            Ok(_) => error,
            Err(gone) => gone,
        }
    }
}

impl Block {
    /// Reads the whole block, verifies it, and cuts out what is wanted.
    async fn read(self) -> Result<Chunk> {
        let stored = self.reader.read(self.stored).await?;
        let crc32c = Crc32c::of(&stored);
        let is_recorded = self.crc32c.is_some();
        if self.crc32c.is_some_and(|recorded| recorded != crc32c) {
            tracing::error!(offset = self.stored.start, "stored bytes have changed");
            return Err(Error::new(
                Reason::StoredDataCorrupt,
                format!(
                    "the stored bytes at {} to {} have changed since they were written; restore \
                     the file from a backup",
                    self.stored.start, self.stored.end
                ),
            )
            .with("offset", self.stored.start));
        }
        if self.wanted == self.stored {
            return Ok(Chunk { offset: self.stored.start, data: stored, crc32c, is_recorded });
        }
        // A block is far smaller than any address space.
        let at = |offset: u64| usize::try_from(offset - self.stored.start).unwrap_or(usize::MAX);
        let data = stored.slice(at(self.wanted.start)..at(self.wanted.end));
        let crc32c = Crc32c::of(&data);
        Ok(Chunk { offset: self.wanted.start, data, crc32c, is_recorded })
    }
}
