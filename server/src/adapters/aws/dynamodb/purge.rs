//! Removing what a deleted account owned, a batch at a time.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use sluice_domain::{AccountId, AccountStatus, FileId, FileState, Result, Timestamp, UploadId};

use super::{
    Records,
    call::Range,
    item::Item,
    key::{self, SHARDS, UPLOAD_LISTS},
    lists::Window,
    pause::Pause,
    transaction::{Outcome, Transaction},
    upload_records::remove,
};
use crate::ports::Event;

/// Records that are removed at the same time.
const PARALLEL: usize = 8;

/// How long it is remembered that an account was deleted. Whoever was let in
/// before is long gone by then.
const MEMORY: Duration = Duration::from_secs(30 * 24 * 60 * 60);

impl Records {
    /// Removes a batch; answers whether something is left. Its shards are closed,
    /// so that nobody adds to it any more.
    pub(super) async fn purge_batch(
        &self,
        owner: AccountId,
        limit: usize,
        now: Timestamp,
    ) -> Result<bool> {
        let found = self.find_account(owner).await?;
        let deleted = found.filter(|it| it.account.status == AccountStatus::Deleted);
        let Some(mut account) = deleted.filter(|it| !it.is_purged) else { return Ok(false) };

        let lists = FileState::ALL.map(|state| key::files(owner, state));
        let files = self.newest_first(lists.to_vec(), Window::default(), limit).await?;
        let is_done = files.is_empty();
        let purged = stream::iter(files).map(|(_, id)| self.purge_one_file(owner, id));
        purged.buffer_unordered(PARALLEL).try_collect::<()>().await?;
        if !is_done {
            return Ok(true);
        }
        let lists = UPLOAD_LISTS.map(|list| key::uploads(owner, list));
        let uploads = self.newest_first(lists.to_vec(), Window::default(), limit).await?;
        let is_done = uploads.is_empty();
        let purged = stream::iter(uploads).map(|(_, id)| self.purge_upload(owner, id, now));
        purged.buffer_unordered(PARALLEL).try_collect::<()>().await?;
        if !is_done {
            return Ok(true);
        }

        let names = FileState::ALL.map(|state| key::named(owner, state));
        let rest = names.into_iter().chain([key::names(owner)]);
        for partition in rest.chain((0..SHARDS).map(|shard| key::feed(owner, shard))) {
            self.delete_range(&Range::all(partition)).await?;
        }
        account.generation += 1;
        self.remove_ended_sessions(&account).await;
        self.purge_keys(owner).await?;
        account.is_purged = true;
        let ttl = now.plus(MEMORY).as_micros() / 1_000_000;
        let mut transaction = Transaction::new();
        account.write_until(&mut transaction, ttl);
        for shard in self.read_shards(owner).await?.values() {
            let tomb = Item::default().with("ttl", ttl);
            shard.bury(&mut transaction, tomb);
        }
        match self.commit(&transaction).await? {
            Outcome::Committed => Ok(false),
            Outcome::Stale(_) => Ok(true),
        }
    }

    async fn purge_one_file(&self, owner: AccountId, id: uuid::Uuid) -> Result<()> {
        let mut pause = Pause::new();
        loop {
            let Some(stored) = self.find_file(owner, FileId::from_uuid(id)).await? else {
                return Ok(());
            };
            let mut change = self.begin(owner, &[].into()).await?;
            self.purge_file(&mut change, &stored).await?;
            if self.made(change).await? {
                return Ok(());
            }
            pause.wait("a file cannot be purged").await?;
        }
    }

    async fn purge_upload(&self, owner: AccountId, id: uuid::Uuid, now: Timestamp) -> Result<()> {
        let id = UploadId::from_uuid(id);
        let mut pause = Pause::new();
        loop {
            let Some(stored) = self.find_upload(owner, id).await? else { return Ok(()) };
            let mut change = self.begin(owner, &[].into()).await?;
            remove(&mut change, &stored, false)?;
            change.enqueue(&Event::DeleteBlob { owner, upload_id: id }, now);
            change.let_go(id);
            if self.made(change).await? {
                return Ok(());
            }
            pause.wait("an upload cannot be purged").await?;
        }
    }
}
