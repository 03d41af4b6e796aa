//! What the server must know, kept in memory.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Bytes, BytesMut};
use sluice_domain::Reason;
use sluice_proto::v1::{File, OnConflict, upload::State};
use sluice_tests::{Content, MIB};

use super::operation::{Completion, Creation, Variant};

/// All that exists.
pub(super) struct World {
    seed: u64,
    pub(super) uploads: Vec<ModelUpload>,
    pub(super) files: Vec<ModelFile>,
    /// Which upload each request id made.
    pub(super) requests: BTreeMap<usize, usize>,
}

/// An upload.
pub(super) struct ModelUpload {
    pub(super) id: String,
    pub(super) body: Creation,
    pub(super) size: Option<u64>,
    pub(super) epoch: i64,
    pub(super) state: State,
    /// The variant of each persisted part and its length.
    pub(super) parts: BTreeMap<u64, (Variant, u64)>,
    /// The file that it became.
    pub(super) file: Option<usize>,
}

/// A file.
pub(super) struct ModelFile {
    /// The record as the server told it last.
    pub(super) record: File,
    pub(super) content: Bytes,
    pub(super) exists: bool,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, uploads: Vec::new(), files: Vec::new(), requests: BTreeMap::new() }
    }

    /// The bytes that a variant of an upload's content has; endless enough.
    pub(super) fn content(&self, upload: usize, variant: Variant) -> Content {
        Content::new(self.seed ^ (upload as u64 + 1), 4 * MIB).variant(variant)
    }

    /// The bytes that are persisted of an upload, which must be whole.
    pub(super) fn whole_content(&self, upload: usize) -> Bytes {
        let mut bytes = BytesMut::new();
        for (number, (variant, length)) in &self.uploads[upload].parts {
            let start = (number - 1) * MIB;
            bytes.extend_from_slice(&self.content(upload, *variant).bytes(start..start + length));
        }
        bytes.freeze()
    }

    /// The file that has a name.
    pub(super) fn named(&self, name: &str) -> Option<usize> {
        self.files.iter().position(|file| file.exists && file.record.name == name)
    }

    /// With what a completion may be refused; nothing if it must succeed.
    /// Where several things are wrong, the contract does not say which is told.
    pub(super) fn refusals(&self, request: &Completion) -> BTreeSet<Reason> {
        let upload = &self.uploads[request.upload];
        let mut refusals = BTreeSet::new();
        match upload.state {
            State::Active => {}
            State::Completed => {
                let file = upload.file.expect("a completed upload has become a file");
                if !self.files[file].exists {
                    refusals.insert(Reason::FileNotFound);
                }
                return refusals;
            }
            State::Failed => return [Reason::FileChecksumMismatch].into(),
            _ => return [Reason::UploadNotActive].into(),
        }
        if request.stale {
            refusals.insert(Reason::StaleWriter);
        }
        let size = request.size.or(upload.size).unwrap_or(upload.end());
        if upload.size.is_some_and(|known| known != size) || size < upload.end() {
            refusals.insert(Reason::SizeMismatch);
        }
        if upload.persisted() != size {
            refusals.insert(Reason::PartsMissing);
        }
        if request.wrong_checksum || self.is_misdeclared(request.upload) {
            refusals.insert(Reason::FileChecksumMismatch);
        }
        let on_conflict = request.on_conflict.unwrap_or(upload.body.on_conflict);
        let name = name(request.name.unwrap_or(upload.body.name));
        if on_conflict != OnConflict::Replace && self.named(&name).is_some() {
            refusals.insert(Reason::FileExists);
        }
        refusals
    }

    /// Whether the content is whole and differs from what was declared at
    /// creation.
    pub(super) fn is_misdeclared(&self, upload: usize) -> bool {
        let body = &self.uploads[upload].body;
        let (Some(declared), Some(size)) = (body.declared, body.size) else {
            return false;
        };
        let content = self.whole_content(upload);
        content.len() as u64 == size && content != self.content(upload, declared).bytes(0..size)
    }

    /// The upload has become this file, which may take its name from another.
    pub(super) fn publish(&mut self, upload: usize, record: File) {
        if let Some(replaced) = self.named(&record.name) {
            self.files[replaced].exists = false;
        }
        let content = self.whole_content(upload);
        self.files.push(ModelFile { record, content, exists: true });
        let upload = &mut self.uploads[upload];
        upload.state = State::Completed;
        upload.size = Some(upload.end());
        upload.file = Some(self.files.len() - 1);
    }
}

impl ModelUpload {
    /// Length that a part has when it is whole; none for an unknown size, where
    /// only full parts are whole by themselves.
    pub(super) fn part_length(&self, number: u64) -> u64 {
        let start = (number - 1) * MIB;
        self.size.map_or(MIB, |size| size.saturating_sub(start).min(MIB))
    }

    /// Offset after the last persisted byte.
    pub(super) fn end(&self) -> u64 {
        let last = self.parts.last_key_value();
        last.map_or(0, |(number, (_, length))| (number - 1) * MIB + length)
    }

    /// How many bytes are persisted.
    pub(super) fn persisted(&self) -> u64 {
        self.parts.values().map(|(_, length)| length).sum()
    }

    /// The persisted ranges, merged.
    pub(super) fn ranges(&self) -> Vec<(i64, i64)> {
        let mut ranges: Vec<(i64, i64)> = Vec::new();
        for (number, (_, length)) in &self.parts {
            let start = ((number - 1) * MIB) as i64;
            let end = start + *length as i64;
            match ranges.last_mut() {
                Some(last) if last.1 == start => last.1 = end,
                _ => ranges.push((start, end)),
            }
        }
        ranges
    }
}

/// The name with this number.
pub(super) fn name(number: usize) -> String {
    format!("name/{number}")
}
