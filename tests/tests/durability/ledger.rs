//! What was asked of the server, and what it has acknowledged.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use sluice_domain::{
    ByteRange, Checksums, ContentType, Crc32c, File, FileName, Metadata, OnConflict, PartNumber,
    PartPlan, RangeSet, Reason, RequestId, UploadId,
};
use sluice_server::{
    ports::RequestKey,
    service::uploads::{CreateUpload, UploadStatus},
};
use sluice_tests::Content;

/// Why a run cannot go on.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The machine is off; nothing more can be learnt from it.
    Off,
    /// The server has refused, for a reason that may be.
    Refused,
    /// The server has broken a promise.
    Broken(String),
}

/// A promise that was broken.
pub(crate) fn broken<T>(what: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Broken(what.into()))
}

/// An upload that several callers work on.
pub(crate) type Shared = Arc<Mutex<Entry>>;

/// Everything that was ever asked, over all boots.
#[derive(Default)]
pub(crate) struct Ledger {
    entries: Mutex<Vec<Shared>>,
}

impl Ledger {
    /// Adds an upload that is about to be asked for.
    pub(crate) fn add(&self, make: impl FnOnce(usize) -> Entry) -> Shared {
        let mut entries = lock(&self.entries);
        let entry = Arc::new(Mutex::new(make(entries.len())));
        entries.push(Arc::clone(&entry));
        entry
    }

    /// All uploads, in the order in which they were asked for.
    pub(crate) fn entries(&self) -> Vec<Shared> {
        lock(&self.entries).clone()
    }

    /// The same ledger, to be continued in another way.
    pub(crate) fn fork(&self) -> Self {
        let copies = self.entries().into_iter().map(|entry| {
            let copy = lock(&entry).clone();
            Arc::new(Mutex::new(copy))
        });
        Self { entries: Mutex::new(copies.collect()) }
    }
}

/// What the declared SHA-256 of a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Declared {
    Nothing,
    Right,
    Wrong,
}

/// One upload, from the side of its callers.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) request: CreateUpload,
    pub(crate) size: u64,
    pub(crate) part_size: u64,
    pub(crate) declared: Declared,
    /// What honest streams send, and what a confused one sends.
    pub(crate) contents: [Content; 2],
    /// Known once an answer has named it.
    pub(crate) id: Option<UploadId>,
    /// Acknowledged parts, and which content they must have, if that is known.
    pub(crate) parts: BTreeMap<PartNumber, Option<usize>>,
    /// Tried, with or without an answer.
    pub(crate) tried: Tried,
    pub(crate) completed: Option<File>,
    pub(crate) is_cancelled: bool,
    pub(crate) is_deleted: bool,
}

/// What was asked, whatever came of it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tried {
    pub(crate) complete: bool,
    pub(crate) cancel: bool,
    pub(crate) delete: bool,
}

impl Entry {
    /// An upload to ask for.
    pub(crate) fn new(
        index: usize,
        name: &str,
        on_conflict: OnConflict,
        content: Content,
        part_size: u64,
        declared: Declared,
    ) -> Self {
        let mut sha256: [u8; 32] = <sha2::Sha256 as sha2::Digest>::digest(content.all()).into();
        if declared == Declared::Wrong {
            sha256[0] ^= 1;
        }
        let id = RequestId::parse(&format!("request-{index}"), "request_id").expect("it is short");
        let request = CreateUpload {
            request: id.map(|id| RequestKey { id, fingerprint: [7; 32] }),
            name: FileName::parse(name, "name").expect("it is a name"),
            content_type: ContentType::parse("application/octet-stream", "content_type")
                .expect("it is a type"),
            size: Some(content.size()),
            max_size: None,
            preferred_part_size: Some(part_size),
            declared: Checksums {
                sha256: (declared != Declared::Nothing).then_some(sha256),
                ..Checksums::default()
            },
            metadata: Metadata::default(),
            on_conflict,
        };
        let rival = Content::new(!index as u64, content.size());
        Self {
            request,
            size: content.size(),
            part_size,
            declared,
            contents: [content, rival],
            id: None,
            parts: BTreeMap::new(),
            tried: Tried::default(),
            completed: None,
            is_cancelled: false,
            is_deleted: false,
        }
    }

    /// The same, but nobody says at creation how large the file will be.
    pub(crate) fn of_unknown_size(mut self) -> Self {
        self.request.size = None;
        self
    }

    /// How the file is cut.
    pub(crate) fn plan(&self) -> PartPlan {
        PartPlan { part_size: self.part_size, size: Some(self.size) }
    }

    /// The numbers of all parts.
    pub(crate) fn part_numbers(&self) -> Vec<PartNumber> {
        let count = u32::try_from(self.plan().count(self.size)).expect("few parts");
        (1..=count).filter_map(PartNumber::new).collect()
    }

    /// Whether its file may have been removed: by its owner, or by another file
    /// that took its name.
    pub(crate) fn may_be_gone(&self) -> bool {
        self.tried.delete || self.request.on_conflict == OnConflict::Replace
    }

    /// Why a request about it may be refused: a complete upload whose file is
    /// gone has nothing to answer any more.
    pub(crate) fn refusals(&self, others: &[Reason]) -> Vec<Reason> {
        let gone = self.may_be_gone().then_some(Reason::FileNotFound);
        others.iter().copied().chain(gone).collect()
    }

    /// Whether nobody knows which content some part has.
    pub(crate) fn has_unknown_content(&self) -> bool {
        self.part_numbers().iter().any(|part| self.parts.get(part).copied().flatten().is_none())
    }

    /// Whether there is still something to do with it.
    pub(crate) fn is_open(&self) -> bool {
        self.id.is_some() && self.completed.is_none() && !self.is_cancelled
    }

    /// The server has said that a part with this content is persisted.
    pub(crate) fn acknowledge(
        &mut self,
        part: PartNumber,
        content: Option<usize>,
    ) -> Result<(), Stop> {
        let known = self.parts.entry(part).or_insert(content);
        match (*known, content) {
            (Some(before), Some(now)) if before != now => {
                broken(format!("part {part} of {:?} was accepted with two contents", self.id))
            }
            (known_content, _) => {
                *known = known_content.or(content);
                Ok(())
            }
        }
    }

    /// The server has said what is persisted.
    pub(crate) fn acknowledge_status(&mut self, status: &UploadStatus) -> Result<(), Stop> {
        self.id = Some(status.upload.id);
        for part in self.part_numbers() {
            if status.persisted.contains(self.plan().range(part)) {
                self.acknowledge(part, None)?;
            }
        }
        Ok(())
    }

    /// Whether everything acknowledged is there.
    pub(crate) fn check_persisted(&self, persisted: &RangeSet) -> Result<(), Stop> {
        for part in self.parts.keys() {
            let range = self.plan().range(*part);
            if !persisted.contains(range) {
                return broken(format!(
                    "bytes {range} of {:?} were acknowledged and are lost: {persisted:?}",
                    self.id
                ));
            }
        }
        Ok(())
    }

    /// Judges the bytes of one part as they are stored.
    pub(crate) fn check_part(&self, part: PartNumber, bytes: &Bytes) -> Result<(), Stop> {
        let ByteRange { start, .. } = self.plan().range(part);
        let matching: Vec<_> =
            (0..self.contents.len()).filter(|&i| self.contents[i].matches(start, bytes)).collect();
        let expected = self.parts.get(&part).copied().flatten();
        if matching.is_empty() || expected.is_some_and(|content| !matching.contains(&content)) {
            return broken(format!(
                "part {part} of {:?} has bytes that nobody sent there: crc32c {}",
                self.id,
                Crc32c::of(bytes)
            ));
        }
        Ok(())
    }
}

/// Locks an entry, or anything else; never held across an await.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
