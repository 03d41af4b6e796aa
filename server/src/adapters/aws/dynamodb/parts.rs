//! Items of parts: what each says of its bytes is written once, and never changed.

use futures::{StreamExt, TryStreamExt, stream};
use sluice_domain::{
    AccountId, ByteRange, Crc32c, Part, PartDetail, PartNumber, RangeSet, Result, Upload, UploadId,
};

use super::{
    Records,
    call::Range,
    item::{Item, unreadable},
    key::{self, Key, PART_PREFIX},
    pause::Pause,
    transaction::{Outcome, Tag, Transaction},
    upload_records::StoredUpload,
};
use crate::ports::{StorageTag, StoredPart};

/// Parts that are read at once.
const PAGE: usize = 1000;

/// Parts that are changed at the same time.
const PARALLEL: usize = 8;

/// Part records that are removed with the change that gives their bytes up; the
/// others go when the bytes do.
const MOST_AT_ONCE: usize = 1000;

/// The attribute with what the blob store said of a part.
const STORAGE: &str = "storage";

/// The attribute with the checksums of a part's blocks, once it was read.
const BLOCKS: &str = "blocks";

/// The attributes of a part.
pub(super) fn item(owner: AccountId, part: &Part, storage: Option<&StorageTag>) -> Item {
    let item = Item::default()
        .with("owner", owner)
        .with(STORAGE, storage.map(|tag| tag.0.clone()))
        .with("size", part.size)
        .with("crc32c", part.crc32c);
    match &part.detail {
        Some(detail) => with_detail(item, detail),
        None => item,
    }
}

/// Adds what is known of a part once it was read.
fn with_detail(item: Item, detail: &PartDetail) -> Item {
    let blocks: Vec<_> = detail.blocks.iter().flat_map(|block| block.0.to_le_bytes()).collect();
    item.with(BLOCKS, blocks)
        .with("chaining_value", detail.chaining_value)
        .with("root", detail.root)
}

/// Reads a part.
pub(super) fn read(item: &Item) -> Result<Part> {
    Ok(Part {
        number: number(item)?,
        size: item.get("size")?,
        crc32c: item.get("crc32c")?,
        detail: detail(item)?,
    })
}

fn detail(item: &Item) -> Result<Option<PartDetail>> {
    let Some(blocks) = item.get::<Option<Vec<u8>>>(BLOCKS)? else { return Ok(None) };
    let (blocks, rest) = blocks.as_chunks();
    if !rest.is_empty() {
        return Err(unreadable(BLOCKS));
    }
    Ok(Some(PartDetail {
        blocks: blocks.iter().map(|block| Crc32c(u32::from_le_bytes(*block))).collect(),
        chaining_value: item.get("chaining_value")?,
        root: item.get("root")?,
    }))
}

fn number(item: &Item) -> Result<PartNumber> {
    let key = item.key()?;
    let number = key.sk.strip_prefix(PART_PREFIX).and_then(|number| number.parse().ok());
    number.and_then(PartNumber::new).ok_or_else(|| unreadable("sk"))
}

/// The parts after `after`.
fn range(id: UploadId, after: Option<PartNumber>) -> Range {
    let first = after.map_or(0, PartNumber::get) + 1;
    Range::all(key::upload(id)).from(key::part_sort(first)).to(format!("{PART_PREFIX}~"))
}

impl Records {
    /// Reads the parts after `after`, by number.
    pub(super) async fn list_parts(
        &self,
        owner: AccountId,
        id: UploadId,
        after: Option<PartNumber>,
        limit: u32,
    ) -> Result<Vec<Part>> {
        let items = self.query(&range(id, after), limit as usize).await?;
        match items.first() {
            Some(first) if first.get::<AccountId>("owner")? != owner => Ok(Vec::new()),
            _ => items.iter().map(read).collect(),
        }
    }

    /// Reads what storage knows of the parts after `after`, by number.
    pub(super) async fn list_stored_parts(
        &self,
        id: UploadId,
        after: Option<PartNumber>,
        limit: u32,
    ) -> Result<Vec<StoredPart>> {
        let items = self.query(&range(id, after), limit as usize).await?;
        let stored = items.iter().map(|item| {
            Ok(StoredPart {
                number: number(item)?,
                size: item.get("size")?,
                crc32c: item.get("crc32c")?,
                tag: item.get::<Option<String>>(STORAGE)?.map(StorageTag),
            })
        });
        stored.collect()
    }

    /// Gives parts other tags.
    pub(super) async fn retag(
        &self,
        id: UploadId,
        tags: Vec<(PartNumber, StorageTag)>,
    ) -> Result<()> {
        let retagged = tags.into_iter().map(|(number, tag)| self.retag_one(id, number, tag));
        stream::iter(retagged).buffer_unordered(PARALLEL).try_collect().await
    }

    async fn retag_one(&self, id: UploadId, number: PartNumber, tag: StorageTag) -> Result<()> {
        let key = key::part(id, number);
        let mut pause = Pause::new();
        loop {
            let Some(item) = self.get(&key).await? else { return Ok(()) };
            let mut transaction = Transaction::new();
            let before = Some(Tag::of(&item)?);
            transaction.put(key.clone(), before, item.with(STORAGE, tag.0.clone()));
            if let Outcome::Committed = self.commit(&transaction).await? {
                return Ok(());
            }
            pause.wait("a part's tag cannot be changed").await?;
        }
    }

    /// Adds what reading a part has found, unless that is known. Answers whether
    /// its record is of the same bytes.
    pub(super) async fn detail_part(
        &self,
        owner: AccountId,
        id: UploadId,
        part: &Part,
    ) -> Result<bool> {
        let key = key::part(id, part.number);
        let mut pause = Pause::new();
        loop {
            let Some(item) = self.get(&key).await? else { return Ok(false) };
            let is_owners = item.get::<AccountId>("owner")? == owner;
            let recorded = read(&item)?;
            if !is_owners || (recorded.size, recorded.crc32c) != (part.size, part.crc32c) {
                return Ok(false);
            }
            let Some(detail) = part.detail.as_ref().filter(|_| recorded.detail.is_none()) else {
                return Ok(true);
            };
            let mut transaction = Transaction::new();
            let before = Some(Tag::of(&item)?);
            transaction.put(key.clone(), before, with_detail(item, detail));
            if let Outcome::Committed = self.commit(&transaction).await? {
                return Ok(true);
            }
            pause.wait("what a part has cannot be recorded").await?;
        }
    }

    /// The tags of items and the sizes of these parts, as far as they are there.
    pub(super) async fn find_parts(
        &self,
        id: UploadId,
        numbers: &[PartNumber],
    ) -> Result<Vec<(Key, Tag, u64)>> {
        let keys: Vec<_> = numbers.iter().map(|number| key::part(id, *number)).collect();
        let items = self.get_all(keys).await?;
        let found =
            items.into_iter().map(|(key, item)| Ok((key, Tag::of(&item)?, item.get("size")?)));
        found.collect()
    }

    /// Which bytes of an upload that was read just now have parts.
    pub(super) async fn persisted_ranges(&self, stored: &StoredUpload) -> Result<RangeSet> {
        if let Some(known) = self.open_uploads.persisted(stored) {
            return Ok(known);
        }
        let persisted = self.read_ranges(&stored.upload).await?;
        self.open_uploads.learn(stored, &persisted);
        Ok(persisted)
    }

    async fn read_ranges(&self, upload: &Upload) -> Result<RangeSet> {
        let id = upload.id;
        if upload.persisted_bytes == 0 {
            return Ok(RangeSet::default());
        }
        let bytes = |item: &Item| -> Result<ByteRange> {
            let start = upload.plan.start(number(item)?);
            Ok(ByteRange { start, end: start + item.get::<u64>("size")? })
        };
        // Where the last part ends at the number of all bytes, no part is
        // missing before it, and ten thousand need not be read to know that.
        let last = self.query(&range(id, None).descending(), 1).await?;
        if let Some(last) = last.first().map(bytes).transpose()?
            && last.end == upload.persisted_bytes
        {
            return Ok(RangeSet::from_sorted([ByteRange { start: 0, end: last.end }]));
        }
        let (mut ranges, mut after) = (Vec::new(), None);
        loop {
            let page = self.query(&range(id, after), PAGE).await?;
            for item in &page {
                ranges.push(bytes(item)?);
                after = Some(number(item)?);
            }
            if page.len() < PAGE {
                return Ok(RangeSet::from_sorted(ranges));
            }
        }
    }

    /// Removes the first records of parts that nobody needs any more: nearly
    /// always that is all of them.
    pub(super) async fn remove_parts(&self, id: UploadId) -> Result<()> {
        let page = self.query(&range(id, None), MOST_AT_ONCE).await?;
        self.delete_all(page.iter().map(Item::key).collect::<Result<_>>()?).await
    }

    /// Removes all that is left of an upload whose bytes are gone.
    pub(super) async fn remove_rest(&self, id: UploadId) -> Result<()> {
        self.delete_range(&range(id, None)).await?;
        let key = key::progress(id);
        self.delete_all(vec![key::place(id)]).await?;
        // A trace has no state; an upload that is remembered has one.
        if let Some(trace) = self.get(&key).await?
            && trace.get::<Option<String>>("state")?.is_none()
        {
            self.delete_all(vec![key]).await?;
        }
        Ok(())
    }
}
