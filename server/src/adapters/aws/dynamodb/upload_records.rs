//! Items of uploads: what never changes, and what does.
//!
//! A part's commit writes only the second one, which is small whatever the
//! caller's metadata are.

use std::collections::HashMap;

use sluice_domain::{
    AccountId, Checksums, Completion, Crc32c, Error, FileDigest, FileName, OnConflict, PartPlan,
    Reason, RequestId, Result, Sha256, Timestamp, Upload, UploadId, UploadState,
};

use super::{
    Records,
    change::Change,
    item::{Item, unreadable},
    key::{self, Key, Sweep},
    transaction::{Before, Tag},
};
use crate::ports::{Changed, RequestKey};

/// An upload as it is stored.
#[derive(Debug, Clone)]
pub(super) struct StoredUpload {
    pub(super) upload: Upload,
    /// Who wrote it last.
    pub(super) tag: Tag,
    /// Its place in the feed.
    pub(super) at: u64,
    /// When the sweeper looks whether it is overdue: not later than it is.
    pub(super) due: Timestamp,
    /// The request that created it.
    pub(super) request: Option<String>,
    /// Whether it was frozen once, so that what the completion has decided counts.
    pub(super) is_decided: bool,
}

const REPLACE: &str = "REPLACE";
const FAIL: &str = "FAIL";

/// What of an upload never changes.
fn description(upload: &Upload) -> Item {
    Item::default()
        .with("name", upload.name.clone())
        .with("content_type", upload.content_type.clone())
        .with("metadata", upload.metadata.clone())
        .with("max_size", upload.max_size)
        .with("declared_crc32c", upload.declared.crc32c)
        .with("declared_sha256", upload.declared.sha256)
        .with("declared_blake3", upload.declared.blake3)
        .with("on_conflict", rule(upload.on_conflict))
}

/// What changes. Once it was frozen, what the completion has decided too.
fn progress(stored: &StoredUpload) -> Item {
    let StoredUpload { upload, at, due, request, is_decided, .. } = stored;
    let mut item = Item::default()
        .with("owner", upload.owner)
        .with("file", upload.file_id)
        .with("state", upload.state)
        .with("part_size", upload.plan.part_size)
        .with("size", upload.plan.size)
        .with("persisted", upload.persisted_bytes)
        .with("reserved", upload.reserved)
        .with("epoch", upload.epoch)
        .with("create_time", upload.create_time)
        .with("update_time", upload.update_time)
        .with("expire_time", upload.expire_time)
        .with("due", *due)
        .with("at", *at)
        .with("request", request.clone())
        .with("error", upload.error.clone());
    if let Some(Completion { digest, sequence, verify }) = upload.completion {
        item = item
            .with("file_size", digest.size)
            .with("file_crc32c", digest.crc32c)
            .with("file_blake3", digest.blake3)
            .with("sequence", sequence)
            .with("verify", verify);
    }
    if *is_decided || upload.completion.is_some() {
        item = item
            .with("final_name", upload.name.clone())
            .with("final_sha256", upload.declared.sha256)
            .with("final_blake3", upload.declared.blake3)
            .with("final_on_conflict", rule(upload.on_conflict));
    }
    item
}

fn rule(on_conflict: OnConflict) -> String {
    match on_conflict {
        OnConflict::Fail => FAIL,
        OnConflict::Replace => REPLACE,
    }
    .to_owned()
}

fn parse_rule(text: &str) -> Result<OnConflict> {
    match text {
        FAIL => Ok(OnConflict::Fail),
        REPLACE => Ok(OnConflict::Replace),
        _ => Err(unreadable("on_conflict")),
    }
}

/// Puts the two items together. What has no state is only a trace of an upload.
fn read(
    owner: AccountId,
    id: UploadId,
    description: &Item,
    progress: &Item,
) -> Result<Option<StoredUpload>> {
    let Some(state) = progress.get::<Option<UploadState>>("state")? else { return Ok(None) };
    if progress.get::<AccountId>("owner")? != owner {
        return Ok(None);
    }
    let completion = match progress.get::<Option<u64>>("sequence")? {
        None => None,
        Some(sequence) => Some(Completion {
            digest: FileDigest {
                size: progress.get("file_size")?,
                crc32c: progress.get::<Crc32c>("file_crc32c")?,
                blake3: progress.get("file_blake3")?,
            },
            sequence,
            verify: progress.get("verify")?,
        }),
    };
    let decided = progress.get::<Option<FileName>>("final_name")?;
    let is_decided = decided.is_some();
    let (name, on_conflict, sha256, blake3) = match decided {
        None => (
            description.get("name")?,
            description.get::<String>("on_conflict")?,
            description.get::<Option<Sha256>>("declared_sha256")?,
            description.get("declared_blake3")?,
        ),
        Some(name) => (
            name,
            progress.get("final_on_conflict")?,
            progress.get("final_sha256")?,
            progress.get("final_blake3")?,
        ),
    };
    let upload = Upload {
        id,
        file_id: progress.get("file")?,
        owner,
        state,
        name,
        content_type: description.get("content_type")?,
        plan: PartPlan { part_size: progress.get("part_size")?, size: progress.get("size")? },
        max_size: description.get("max_size")?,
        persisted_bytes: progress.get("persisted")?,
        reserved: progress.get("reserved")?,
        epoch: progress.get("epoch")?,
        declared: Checksums { crc32c: description.get("declared_crc32c")?, sha256, blake3 },
        metadata: description.get("metadata")?,
        on_conflict: parse_rule(&on_conflict)?,
        create_time: progress.get("create_time")?,
        update_time: progress.get("update_time")?,
        expire_time: progress.get("expire_time")?,
        completion,
        error: progress.get("error")?,
    };
    Ok(Some(StoredUpload {
        upload,
        tag: Tag::of(progress)?,
        at: progress.get("at")?,
        due: progress.get("due")?,
        request: progress.get("request")?,
        is_decided,
    }))
}

/// Where a sweep finds an upload.
fn swept(upload: &Upload, due: Timestamp) -> Key {
    let (what, at) = match upload.state {
        UploadState::Active => (Sweep::Active, due),
        UploadState::Completing => (Sweep::Completing, upload.update_time),
        _ => (Sweep::Ended, upload.update_time),
    };
    key::swept(what, at, upload.owner, upload.id.as_uuid())
}

fn listed(upload: &Upload) -> Key {
    key::listed_upload(upload.owner, upload.state, upload.create_time, upload.id)
}

/// What a list keeps of an upload, beside the key.
fn listed_item(upload: &Upload) -> Item {
    Item::default().with("state", upload.state)
}

/// Adds a new upload.
pub(super) fn create(change: &mut Change, upload: &Upload, request: Option<&RequestKey>) {
    let (owner, id) = (upload.owner, upload.id);
    let at = change.tell(key::shard_of(id), Changed::Upload(id), 0);
    let transaction = &mut change.transaction;
    let stored = StoredUpload {
        upload: upload.clone(),
        tag: transaction.tag(),
        at,
        due: upload.expire_time,
        request: request.map(|request| request.id.as_str().to_owned()),
        is_decided: false,
    };
    transaction.put(key::description(id), Before::Absent, description(upload));
    transaction.put(key::progress(id), Before::Absent, progress(&stored));
    transaction.put(listed(upload), Before::Any, listed_item(upload));
    transaction.put(swept(upload, stored.due), Before::Any, Item::default());
    change.saves(None, stored);
    let transaction = &mut change.transaction;
    if let Some(request) = request {
        let item = Item::default().with("upload", id).with("fingerprint", request.fingerprint);
        transaction.put(key::request(owner, &request.id), Before::Absent, item);
    }
}

/// Writes back an upload that those who watch are told of.
pub(super) fn save(change: &mut Change, before: &StoredUpload, after: &Upload) {
    let what = Changed::Upload(after.id);
    let at = change.tell(key::shard_of(after.id), what, before.at);
    save_at(change, before, after, at);
}

/// Writes back what is nobody else's business.
pub(super) fn save_quietly(change: &mut Change, before: &StoredUpload, after: &Upload) {
    save_at(change, before, after, before.at);
}

fn save_at(change: &mut Change, before: &StoredUpload, after: &Upload, at: u64) {
    // The sweeper moves the time when it looks, but only to a later one.
    let due = before.due.min(after.expire_time);
    let transaction = &mut change.transaction;
    let (was, is) = (swept(&before.upload, before.due), swept(after, due));
    if was != is {
        transaction.delete(was, Before::Any);
        transaction.put(is, Before::Any, Item::default());
    }
    let (was, is) = (listed(&before.upload), listed(after));
    if was != is {
        transaction.delete(was, Before::Any);
        transaction.put(is, Before::Any, listed_item(after));
    }
    let (upload, tag) = (after.clone(), transaction.tag());
    let stored = StoredUpload { upload, tag, at, due, ..before.clone() };
    transaction.put(key::progress(after.id), Some(before.tag), progress(&stored));
    change.saves(Some(before.tag), stored);
}

/// Removes an upload's items but for its parts. A trace of one that became a
/// file is left: by it the file of the bytes is found.
pub(super) fn remove(change: &mut Change, stored: &StoredUpload, leave_trace: bool) -> Result<()> {
    let upload = &stored.upload;
    let (owner, id) = (upload.owner, upload.id);
    let transaction = &mut change.transaction;
    transaction.delete(key::description(id), Before::Any);
    transaction.delete(listed(upload), Before::Any);
    transaction.delete(swept(upload, stored.due), Before::Any);
    if let Some(request) = &stored.request {
        let request = RequestId::parse(request, "request_id").ok().flatten();
        let request = request.ok_or_else(|| unreadable("request"))?;
        transaction.delete(key::request(owner, &request), Before::Any);
    }
    let progress = key::progress(id);
    match leave_trace {
        true => {
            let trace = Item::default().with("owner", owner).with("file", upload.file_id);
            transaction.put(progress, Some(stored.tag), trace);
        }
        false => transaction.delete(progress, Some(stored.tag)),
    }
    Ok(())
}

/// The sweeper has looked at an upload that is not overdue.
pub(super) fn look_later(change: &mut Change, stored: &StoredUpload) {
    let later = StoredUpload { due: stored.upload.expire_time, ..stored.clone() };
    let transaction = &mut change.transaction;
    transaction.delete(swept(&stored.upload, stored.due), Before::Any);
    transaction.put(swept(&later.upload, later.due), Before::Any, Item::default());
    transaction.put(key::progress(later.upload.id), Some(stored.tag), progress(&later));
}

impl Records {
    /// Reads an upload, if there is such a one.
    pub(super) async fn find_upload(
        &self,
        owner: AccountId,
        id: UploadId,
    ) -> Result<Option<StoredUpload>> {
        Ok(self.find_uploads(owner, &[id]).await?.pop())
    }

    /// Reads an upload.
    pub(super) async fn get_upload(&self, owner: AccountId, id: UploadId) -> Result<StoredUpload> {
        self.find_upload(owner, id).await?.ok_or_else(|| not_found(id))
    }

    /// Reads uploads in the order of their ids; leaves out those that are not
    /// there.
    pub(super) async fn find_uploads(
        &self,
        owner: AccountId,
        ids: &[UploadId],
    ) -> Result<Vec<StoredUpload>> {
        let keys = ids.iter().flat_map(|id| [key::description(*id), key::progress(*id)]);
        let items = self.get_all(keys.collect()).await?;
        let found = ids.iter().map(|id| from_items(owner, *id, &items));
        found.filter_map(Result::transpose).collect()
    }
}

/// An upload whose items were read with others.
pub(super) fn from_items(
    owner: AccountId,
    id: UploadId,
    items: &HashMap<Key, Item>,
) -> Result<Option<StoredUpload>> {
    let description = items.get(&key::description(id));
    match description.zip(items.get(&key::progress(id))) {
        Some((description, progress)) => read(owner, id, description, progress),
        None => Ok(None),
    }
}

pub(super) fn not_found(id: UploadId) -> Error {
    Error::new(Reason::UploadNotFound, format!("there is no upload {id} of this account"))
}
