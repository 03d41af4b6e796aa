//! Uploads behind their port.

use std::{collections::BTreeSet, time::Duration};

use async_trait::async_trait;
use sluice_domain::{
    AccountId, Epoch, Error, Failure, File, FileId, OnConflict, Part, PartNumber, Quota, RangeSet,
    Reason, Result, Timestamp, Transition, Upload, UploadId, UploadState,
};

use super::{
    Records, account_records,
    change::{Change, every_shard},
    commits::NewPart,
    completion::{close, reserve, shrink},
    item::Item,
    key, parts,
    pause::Pause,
    transaction::{Before, Outcome, Transaction},
    upload_records::{self, StoredUpload, from_items, not_found, save, save_quietly},
};
use crate::ports::{
    BlobRecords, Created, Event, Freeze, NewUpload, PersistedPart, Recorded, RequestKey,
    StorageTag, StoredPart, UploadPage, UploadQuery, UploadStore, Written,
};

/// How long records count as readable after a call was answered.
const FRESH: Duration = Duration::from_secs(10);

#[async_trait]
impl UploadStore for Records {
    async fn check_health(&self) -> Result<()> {
        if self.breaker.succeeded_within(FRESH) {
            return Ok(());
        }
        self.get(&key::operator()).await.map(drop)
    }

    async fn create_upload(&self, new: NewUpload) -> Result<Created> {
        let upload = &new.upload;
        let (owner, shard) = (upload.owner, key::shard_of(upload.id));
        let mut shards: BTreeSet<_> = [shard].into();
        let mut pause = Pause::new();
        loop {
            let mut change = self.begin(owner, &shards).await?;
            if change.shard(shard).is_closed() {
                return Err(account_records::not_found(owner));
            }
            if let Some(request) = &new.request
                && let Some(before) = self.answered(owner, request).await?
            {
                return Ok(Created::Before(before));
            }
            if upload.on_conflict == OnConflict::Fail {
                self.read_name(owner, &upload.name).await?.check_free()?;
            }
            let quota = self.own_quota(owner).await?.or(new.quota);
            quota.check_file_size(upload.plan.size.unwrap_or(0))?;
            if !change.take(shard, quota, upload.reserved, 1)? {
                shards = every_shard();
                continue;
            }
            change.shard(shard).add(0, super::file_records::signed(upload.reserved), 1);
            upload_records::create(&mut change, upload, new.request.as_ref());
            if self.made(change).await? {
                return Ok(Created::New);
            }
            pause.wait("an upload cannot be created").await?;
        }
    }

    async fn upload(&self, owner: AccountId, id: UploadId) -> Result<Upload> {
        Ok(self.get_upload(owner, id).await?.upload)
    }

    async fn uploads(&self, owner: AccountId, ids: Vec<UploadId>) -> Result<Vec<Upload>> {
        let ids: Vec<_> = ids.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        let found = self.find_uploads(owner, &ids).await?;
        Ok(found.into_iter().map(|stored| stored.upload).collect())
    }

    async fn written(&self, owner: AccountId, id: UploadId, part: PartNumber) -> Result<Written> {
        let of_part = key::part(id, part);
        let keys = vec![key::description(id), key::progress(id), of_part.clone()];
        let items = self.get_all(keys).await?;
        let stored = from_items(owner, id, &items)?.ok_or_else(|| not_found(id))?;
        let part = match items.get(&of_part) {
            // What has ended has no parts, whether their records are gone yet or not.
            Some(item) if stored.upload.persisted_bytes > 0 => Some(parts::read(item)?),
            _ => None,
        };
        Ok(Written { upload: stored.upload, part })
    }

    async fn persisted(&self, owner: AccountId, id: UploadId) -> Result<(Upload, RangeSet)> {
        let stored = self.get_upload(owner, id).await?;
        let ranges = self.persisted_ranges(&stored).await?;
        Ok((stored.upload, ranges))
    }

    async fn parts(
        &self,
        owner: AccountId,
        id: UploadId,
        after: Option<PartNumber>,
        limit: u32,
    ) -> Result<Vec<Part>> {
        self.list_parts(owner, id, after, limit).await
    }

    async fn list_uploads(&self, owner: AccountId, query: UploadQuery) -> Result<UploadPage> {
        self.page_of_uploads(owner, &query).await
    }

    async fn advance_epoch(
        &self,
        owner: AccountId,
        id: UploadId,
        now: Timestamp,
        time_to_live: Duration,
    ) -> Result<Upload> {
        self.change_upload(owner, id, |_, upload| {
            upload.check_active()?;
            upload.epoch = Epoch(upload.epoch.0 + 1);
            upload.update_time = now;
            upload.expire_time = upload.expiry_after_touch(now, time_to_live);
            Ok(true)
        })
        .await
    }

    async fn commit_part(
        &self,
        owner: AccountId,
        id: UploadId,
        epoch: Epoch,
        part: PersistedPart,
        now: Timestamp,
        time_to_live: Duration,
    ) -> Result<Recorded> {
        self.record_part(owner, id, NewPart { epoch, part, now, time_to_live }).await
    }

    async fn add_detail(&self, owner: AccountId, id: UploadId, part: Part) -> Result<bool> {
        self.detail_part(owner, id, &part).await
    }

    async fn reserve(
        &self,
        owner: AccountId,
        id: UploadId,
        end: u64,
        default: Quota,
    ) -> Result<()> {
        let shard = key::shard_of(id);
        let mut shards: BTreeSet<_> = [shard].into();
        let mut pause = Pause::new();
        loop {
            let mut change = self.begin(owner, &shards).await?;
            let stored = self.get_upload(owner, id).await?;
            stored.upload.check_active()?;
            // Once the size is known, that is what it holds.
            if stored.upload.plan.size.is_some() {
                return Ok(());
            }
            let mut upload = stored.upload.clone();
            let quota = self.own_quota(owner).await?.or(default);
            let before = upload.reserved;
            // Whole leases, as long as there is room for them here; else what
            // all shards together have left.
            let usage =
                if shards.len() > 1 { change.usage() } else { sluice_domain::Usage::default() };
            let limits = if shards.len() > 1 { quota } else { Quota { max_bytes: None, ..quota } };
            let reserved = usage.lease(before, end, limits)?;
            if reserved == before {
                return Ok(());
            }
            if !change.take(shard, quota, reserved - before, 0)? {
                shards = every_shard();
                continue;
            }
            reserve(&mut change, &mut upload, reserved);
            save_quietly(&mut change, &stored, &upload);
            if self.made(change).await? {
                return Ok(());
            }
            pause.wait("bytes cannot be reserved").await?;
        }
    }

    async fn fix_size(
        &self,
        owner: AccountId,
        id: UploadId,
        epoch: Option<Epoch>,
        size: u64,
        now: Timestamp,
    ) -> Result<()> {
        let mut pause = Pause::new();
        loop {
            let mut change = self.begin(owner, &[key::shard_of(id)].into()).await?;
            let stored = self.get_upload(owner, id).await?;
            let mut upload = stored.upload.clone();
            upload.check_active()?;
            epoch.map_or(Ok(()), |epoch| upload.check_epoch(epoch))?;
            upload.check_final_size(size, self.persisted_ranges(&stored).await?.end())?;
            if upload.plan.size.is_some() {
                return Ok(());
            }
            upload.plan.size = Some(size);
            shrink(&mut change, &mut upload, size);
            upload.update_time = now;
            save(&mut change, &stored, &upload);
            if self.made(change).await? {
                return Ok(());
            }
            pause.wait("a size cannot be fixed").await?;
        }
    }

    async fn freeze(
        &self,
        owner: AccountId,
        id: UploadId,
        freeze: Freeze,
        now: Timestamp,
    ) -> Result<Upload> {
        self.freeze_upload(owner, id, freeze, now).await
    }

    async fn retag_parts(
        &self,
        owner: AccountId,
        id: UploadId,
        tags: Vec<(PartNumber, StorageTag)>,
    ) -> Result<()> {
        // First, so that no other tag is published unverified.
        self.change_upload(owner, id, |_, upload| {
            let is_completing = upload.state == UploadState::Completing;
            match upload.completion.as_mut().filter(|_| is_completing) {
                Some(completion) => completion.verify = true,
                None => return Err(upload.state.not_active()),
            }
            Ok(true)
        })
        .await?;
        self.retag(id, tags).await
    }

    async fn reopen(
        &self,
        owner: AccountId,
        id: UploadId,
        lost: Vec<PartNumber>,
        now: Timestamp,
        time_to_live: Duration,
    ) -> Result<Upload> {
        self.reopen_upload(owner, id, &lost, now, time_to_live).await
    }

    async fn publish(&self, owner: AccountId, id: UploadId, now: Timestamp) -> Result<File> {
        self.publish_upload(owner, id, None, now).await
    }

    async fn freeze_and_publish(
        &self,
        owner: AccountId,
        id: UploadId,
        freeze: Freeze,
        now: Timestamp,
    ) -> Result<File> {
        self.publish_upload(owner, id, Some(&freeze), now).await
    }

    async fn fail_upload(
        &self,
        owner: AccountId,
        id: UploadId,
        failure: Failure,
        now: Timestamp,
    ) -> Result<()> {
        let ended = self.change_upload(owner, id, |change, upload| {
            // A frozen one has a name to give back, which needs more than this.
            upload.check_active()?;
            upload.error = Some(failure.clone());
            end(change, upload, Transition::Fail, now)
        });
        ended.await.map(drop)
    }

    async fn cancel(&self, owner: AccountId, id: UploadId, now: Timestamp) -> Result<Upload> {
        self.change_upload(owner, id, |change, upload| {
            let has_ended = matches!(
                upload.state,
                UploadState::Cancelled | UploadState::Expired | UploadState::Failed
            );
            if has_ended {
                return Ok(false);
            }
            end(change, upload, Transition::Cancel, now)
        })
        .await
    }

    async fn expire(&self, owner: AccountId, id: UploadId, now: Timestamp) -> Result<bool> {
        let mut expired = false;
        self.change_upload(owner, id, |change, upload| {
            expired = upload.state == UploadState::Active && now >= upload.expire_time;
            if !expired {
                return Ok(false);
            }
            end(change, upload, Transition::Expire, now)
        })
        .await?;
        Ok(expired)
    }

    async fn overdue(&self, now: Timestamp, limit: u32) -> Result<Vec<(AccountId, UploadId)>> {
        self.sweep_overdue(now, limit).await
    }

    async fn completing(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<(AccountId, UploadId)>> {
        self.sweep_completing(before, limit).await
    }

    async fn forget_ended(&self, before: Timestamp, limit: u32) -> Result<u32> {
        self.sweep_ended(before, limit).await
    }

    async fn blob_in_use(&self, owner: AccountId, id: UploadId) -> Result<bool> {
        let Some(progress) = self.get(&key::progress(id)).await? else { return Ok(false) };
        if progress.get::<AccountId>("owner")? != owner {
            return Ok(false);
        }
        match progress.get::<Option<UploadState>>("state")? {
            Some(UploadState::Active | UploadState::Completing) => Ok(true),
            Some(UploadState::Completed) | None => self.became(owner, progress.get("file")?).await,
            Some(_) => Ok(false),
        }
    }

    async fn forget_parts(&self, _owner: AccountId, id: UploadId) -> Result<()> {
        self.remove_rest(id).await
    }

    async fn file_of_upload(&self, owner: AccountId, file_id: FileId) -> Result<File> {
        Ok(self.get_file(owner, file_id).await?.file)
    }
}

#[async_trait]
impl BlobRecords for Records {
    async fn keep_place(&self, upload: UploadId, place: StorageTag) -> Result<StorageTag> {
        let key = key::place(upload);
        let mut pause = Pause::new();
        loop {
            if let Some(kept) = self.place(upload).await? {
                return Ok(kept);
            }
            let mut transaction = Transaction::new();
            let item = Item::default().with("place", place.0.clone());
            transaction.put(key.clone(), Before::Absent, item);
            if let Outcome::Committed = self.commit(&transaction).await? {
                return Ok(place);
            }
            pause.wait("a place cannot be kept").await?;
        }
    }

    async fn place(&self, upload: UploadId) -> Result<Option<StorageTag>> {
        let item = self.get(&key::place(upload)).await?;
        item.map(|item| Ok(StorageTag(item.get("place")?))).transpose()
    }

    async fn stored_parts(
        &self,
        upload: UploadId,
        after: Option<PartNumber>,
        limit: u32,
    ) -> Result<Vec<StoredPart>> {
        self.list_stored_parts(upload, after, limit).await
    }
}

impl Records {
    /// Changes an upload by what it is: `decide` says whether there is a change.
    /// It is asked again where somebody else was faster.
    async fn change_upload(
        &self,
        owner: AccountId,
        id: UploadId,
        mut decide: impl FnMut(&mut Change, &mut Upload) -> Result<bool> + Send,
    ) -> Result<Upload> {
        let mut pause = Pause::new();
        loop {
            let mut change = self.begin(owner, &[key::shard_of(id)].into()).await?;
            let stored: StoredUpload = self.get_upload(owner, id).await?;
            let mut upload = stored.upload.clone();
            if !decide(&mut change, &mut upload)? {
                return Ok(upload);
            }
            save(&mut change, &stored, &upload);
            if self.made(change).await? {
                return Ok(upload);
            }
            pause.wait("an upload cannot be changed").await?;
        }
    }

    /// The upload that a request has created before.
    async fn answered(&self, owner: AccountId, request: &RequestKey) -> Result<Option<Upload>> {
        let Some(item) = self.get(&key::request(owner, &request.id)).await? else {
            return Ok(None);
        };
        if item.get::<[u8; 32]>("fingerprint")? != request.fingerprint {
            let message = "this request_id belongs to another upload; use a new one";
            return Err(Error::new(Reason::RequestIdReused, message));
        }
        Ok(self.find_upload(owner, item.get("upload")?).await?.map(|stored| stored.upload))
    }
}

/// Ends an upload without a file.
fn end(
    change: &mut Change,
    upload: &mut Upload,
    transition: Transition,
    now: Timestamp,
) -> Result<bool> {
    upload.state = upload.state.after(transition)?;
    upload.update_time = now;
    upload.persisted_bytes = 0;
    close(change, upload, 0);
    change.enqueue(&Event::DeleteBlob { owner: upload.owner, upload_id: upload.id }, now);
    change.let_go(upload.id);
    Ok(true)
}
