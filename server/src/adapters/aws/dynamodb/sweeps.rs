//! What the sweeper looks for: uploads by the time when something is to be done,
//! over all accounts.

use std::future::Future;

use futures::{StreamExt, TryStreamExt, future::try_join_all, stream};
use sluice_domain::{AccountId, FileId, Result, Timestamp, Upload, UploadId, UploadState};
use uuid::Uuid;

use super::{
    Records,
    call::Range,
    item::{Item, unreadable},
    key::{self, GLOBAL_SHARDS, Key, Sweep},
    pause::Pause,
    transaction::Before,
    upload_records::{StoredUpload, look_later, remove},
};
use crate::ports::Changed;

/// Records that are changed at the same time.
const PARALLEL: usize = 8;

/// How often a sweep asks for more where nothing it found was overdue.
const ROUNDS: u32 = 100;

/// Something that is due.
#[derive(Debug, Clone)]
pub(super) struct Due {
    pub(super) key: Key,
    pub(super) time: Timestamp,
    pub(super) owner: AccountId,
    pub(super) id: Uuid,
    pub(super) item: Item,
}

impl Records {
    /// What is due until a time, that time included or not, the first first.
    pub(super) async fn due(
        &self,
        what: Sweep,
        until: Timestamp,
        inclusive: bool,
        limit: usize,
    ) -> Result<Vec<Due>> {
        // A time alone sorts before everything of that time, and with this
        // after it.
        let last = key::time(until) + if inclusive { "~" } else { "" };
        let read = (0..GLOBAL_SHARDS).map(|shard| {
            let range = Range::all(key::sweep(what, shard)).to(last.clone());
            async move { self.query(&range, limit).await }
        });
        let mut due = Vec::new();
        for item in try_join_all(read).await?.into_iter().flatten() {
            let key = item.key()?;
            let (time, owner, id) = key::parse_swept(&key.sk).ok_or_else(|| unreadable("sk"))?;
            due.push(Due { key, time, owner, id, item });
        }
        due.sort_by(|one, other| one.key.sk.cmp(&other.key.sk));
        due.truncate(limit);
        Ok(due)
    }

    /// Active uploads whose expiry has passed, soonest first. One that somebody
    /// has touched since is looked at again when its new time comes.
    pub(super) async fn sweep_overdue(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<(AccountId, UploadId)>> {
        for _ in 0..ROUNDS {
            let due = self.due(Sweep::Active, now, true, limit as usize).await?;
            if due.is_empty() {
                break;
            }
            let looked = stream::iter(due).map(|due| self.look_at(due, now));
            let looked: Vec<_> = looked.buffered(PARALLEL).try_collect().await?;
            let mut overdue: Vec<_> = looked.into_iter().flatten().collect();
            overdue.sort_by_key(|upload| upload.expire_time);
            // Those that are not overdue are not found again so soon.
            if !overdue.is_empty() {
                return Ok(overdue.into_iter().map(|upload| (upload.owner, upload.id)).collect());
            }
        }
        Ok(Vec::new())
    }

    async fn look_at(&self, due: Due, now: Timestamp) -> Result<Option<Upload>> {
        let id = UploadId::from_uuid(due.id);
        let mut pause = Pause::new();
        loop {
            let Some(stored) = self.find_upload(due.owner, id).await? else {
                // Nothing is left of it.
                self.delete_all(vec![due.key]).await?;
                return Ok(None);
            };
            if stored.upload.state != UploadState::Active || stored.due != due.time {
                return Ok(None);
            }
            if stored.upload.expire_time <= now {
                return Ok(Some(stored.upload));
            }
            let mut change = self.begin(due.owner, &[].into()).await?;
            look_later(&mut change, &stored);
            if self.made(change).await? {
                return Ok(None);
            }
            pause.wait("an upload cannot be looked at").await?;
        }
    }

    /// Uploads that are `COMPLETING` and were last touched before `before`.
    pub(super) async fn sweep_completing(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<(AccountId, UploadId)>> {
        let due = self.due(Sweep::Completing, before, false, limit as usize).await?;
        Ok(due.into_iter().map(|due| (due.owner, UploadId::from_uuid(due.id))).collect())
    }

    /// Forgets uploads that ended before `before`.
    pub(super) async fn sweep_ended(&self, before: Timestamp, limit: u32) -> Result<u32> {
        let due = self.due(Sweep::Ended, before, false, limit as usize).await?;
        self.forget_each(due, |due| self.forget_upload(due)).await
    }

    /// Forgets files that were gone before `before`.
    pub(super) async fn sweep_gone(&self, before: Timestamp, limit: u32) -> Result<u32> {
        let due = self.due(Sweep::Gone, before, false, limit as usize).await?;
        self.forget_each(due, |due| self.forget_file(due)).await
    }

    async fn forget_each<F>(&self, due: Vec<Due>, forget: impl Fn(Due) -> F) -> Result<u32>
    where
        F: Future<Output = Result<()>>,
    {
        let count = u32::try_from(due.len()).unwrap_or(u32::MAX);
        stream::iter(due).map(forget).buffer_unordered(PARALLEL).try_collect::<()>().await?;
        Ok(count)
    }

    async fn forget_upload(&self, due: Due) -> Result<()> {
        let (owner, id) = (due.owner, UploadId::from_uuid(due.id));
        let shard = key::shard_of(id);
        let mut pause = Pause::new();
        loop {
            let mut change = self.begin(owner, &[shard].into()).await?;
            let Some(stored) = self.find_upload(owner, id).await? else {
                return self.delete_all(vec![due.key]).await;
            };
            let StoredUpload { upload, at, .. } = &stored;
            let leave_trace = upload.state == UploadState::Completed
                && self.became(owner, upload.file_id).await?;
            change.shard(shard).forget(Changed::Upload(id), *at);
            remove(&mut change, &stored, leave_trace)?;
            if self.made(change).await? {
                return Ok(());
            }
            pause.wait("an upload cannot be forgotten").await?;
        }
    }

    async fn forget_file(&self, due: Due) -> Result<()> {
        let (upload, at) = (due.item.get("upload")?, due.item.get("at")?);
        let shard = key::shard_of(upload);
        let what = Changed::FileGone { id: FileId::from_uuid(due.id), upload };
        let mut pause = Pause::new();
        loop {
            let mut change = self.begin(due.owner, &[shard].into()).await?;
            let of = change.shard(shard);
            if of.tag.is_none() || of.is_closed() {
                // The account is gone too, and nobody watches.
                return self.delete_all(vec![due.key]).await;
            }
            change.shard(shard).forget(what, at);
            change.transaction.delete(due.key.clone(), Before::Any);
            if self.made(change).await? {
                return Ok(());
            }
            pause.wait("a file cannot be forgotten").await?;
        }
    }
}
