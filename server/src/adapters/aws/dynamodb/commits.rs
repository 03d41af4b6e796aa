//! Commits of parts: one at a time for each upload and process, for all parts
//! that wait for it.

use std::{
    collections::{BTreeMap, HashMap, btree_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sluice_domain::{
    AccountId, ByteRange, Epoch, Error, Part, PartNumber, Result, Timestamp, Upload, UploadId,
};
use tokio::sync::oneshot;

use super::{
    Records, key, parts,
    pause::Pause,
    transaction::{Before, Outcome},
    upload_records::save,
};
use crate::ports::{Persisted, PersistedPart, Recorded};

/// Most parts of one transaction; the upload and its shard come on top.
const MOST_PARTS: usize = 90;

/// A part that is to be recorded.
pub(super) struct NewPart {
    pub(super) epoch: Epoch,
    pub(super) part: PersistedPart,
    pub(super) now: Timestamp,
    pub(super) time_to_live: Duration,
}

/// One that somebody waits for.
struct Waiting {
    new: NewPart,
    answer: oneshot::Sender<Result<Recorded>>,
}

/// What waits, by upload. An entry is there as long as somebody commits.
type Queues = HashMap<(AccountId, UploadId), Vec<Waiting>>;

/// All that waits in this process.
#[derive(Clone, Default)]
pub(super) struct Commits(Arc<Mutex<Queues>>);

impl Commits {
    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever commits for an upload. However it ends, somebody else can go on.
struct Turn<'a> {
    commits: &'a Commits,
    upload: (AccountId, UploadId),
}

impl Turn<'_> {
    /// The next parts; if there are none, the turn is over.
    fn next(&self) -> Option<Vec<Waiting>> {
        let mut waiting = self.commits.lock();
        let queue = waiting.get_mut(&self.upload)?;
        if queue.is_empty() {
            waiting.remove(&self.upload);
            return None;
        }
        let most = queue.len().min(MOST_PARTS);
        Some(queue.drain(..most).collect())
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // After a turn that came to its end there is nothing of it left.
        if std::thread::panicking() {
            self.commits.lock().remove(&self.upload);
        }
    }
}

impl Records {
    /// Records a part together with others of the upload.
    pub(super) async fn record_part(
        &self,
        owner: AccountId,
        id: UploadId,
        new: NewPart,
    ) -> Result<Recorded> {
        if let Persisted::WithRecord(_) = new.part.bytes {
            tracing::error!(upload = %id, "bytes came with a part's record");
            return Err(Error::storage_io("this server's database keeps no bytes of files"));
        }
        let (answer, answered) = oneshot::channel();
        let is_first = {
            let mut waiting = self.commits.lock();
            let is_first = !waiting.contains_key(&(owner, id));
            waiting.entry((owner, id)).or_default().push(Waiting { new, answer });
            is_first
        };
        if is_first {
            // Not by the caller, who may go away while others wait.
            let records = self.clone();
            self.tasks.spawn(async move {
                let turn = Turn { commits: &records.commits, upload: (owner, id) };
                while let Some(waiting) = turn.next() {
                    records.record_parts(owner, id, waiting).await;
                }
            });
        }
        let interrupted = |_| Error::storage_io("the part was not recorded; try again");
        answered.await.map_err(interrupted)?
    }

    async fn record_parts(&self, owner: AccountId, id: UploadId, mut waiting: Vec<Waiting>) {
        match self.try_record_parts(owner, id, &mut waiting).await {
            Ok(recorded) => {
                for (waiting, recorded) in waiting.into_iter().zip(recorded) {
                    let _ = waiting.answer.send(Ok(recorded));
                }
            }
            Err(error) => {
                for waiting in waiting {
                    let _ = waiting.answer.send(Err(error.clone()));
                }
            }
        }
    }

    /// Records parts that the upload takes, and answers those that it does not.
    /// What became of the others comes in their order.
    async fn try_record_parts(
        &self,
        owner: AccountId,
        id: UploadId,
        waiting: &mut Vec<Waiting>,
    ) -> Result<Vec<Recorded>> {
        let shard = key::shard_of(id);
        let mut pause = Pause::new();
        // Found to have a record already.
        let mut before = BTreeMap::<PartNumber, Part>::new();
        loop {
            let mut change = self.begin(owner, &[shard].into()).await?;
            // What is remembered may be enough to record a part, but not to
            // refuse one.
            let known = self
                .open_uploads
                .get(owner, id)
                .filter(|known| waiting.iter().all(|one| check(&one.new, &known.upload).is_ok()));
            let stored = match known {
                Some(known) => known,
                None => self.get_upload(owner, id).await?,
            };
            refuse(waiting, &stored.upload);
            if waiting.is_empty() {
                return Ok(Vec::new());
            }
            let mut upload = stored.upload.clone();
            let mut records = before.clone();
            let mut recorded = Vec::new();
            let mut new = Vec::<&PersistedPart>::new();
            for Waiting { new: NewPart { part, now, time_to_live, .. }, .. } in &*waiting {
                upload.update_time = upload.update_time.max(*now);
                upload.expire_time = upload.expiry_after_touch(upload.update_time, *time_to_live);
                let number = part.record.number;
                recorded.push(match records.entry(number) {
                    Entry::Occupied(first) => Recorded::Before(first.get().clone()),
                    Entry::Vacant(free) => {
                        free.insert(part.record.clone());
                        upload.persisted_bytes += part.record.size;
                        new.push(part);
                        Recorded::New
                    }
                });
            }
            save(&mut change, &stored, &upload);
            let added = new.iter().map(|part| {
                let start = upload.plan.start(part.record.number);
                ByteRange { start, end: start + part.record.size }
            });
            change.persists(added.collect());
            let first = change.transaction.len();
            for part in &new {
                let storage = match &part.bytes {
                    Persisted::Stored(tag) => tag.as_ref(),
                    Persisted::WithRecord(_) => None,
                };
                let item = parts::item(owner, &part.record, storage);
                change.transaction.put(key::part(id, part.record.number), Before::Absent, item);
            }
            match self.make(change).await? {
                Outcome::Committed => return Ok(recorded),
                Outcome::Stale(stale) => {
                    for (index, item) in stale {
                        let index = index.checked_sub(first).filter(|index| *index < new.len());
                        if let Some(item) = item.filter(|_| index.is_some()) {
                            let part = parts::read(&item)?;
                            before.insert(part.number, part);
                        }
                    }
                }
            }
            pause.wait("parts cannot be recorded").await?;
        }
    }
}

/// Answers those parts that the upload does not take.
fn refuse(waiting: &mut Vec<Waiting>, upload: &Upload) {
    let all = std::mem::take(waiting);
    for one in all {
        match check(&one.new, upload) {
            Ok(()) => waiting.push(one),
            Err(error) => drop(one.answer.send(Err(error))),
        }
    }
}

fn check(new: &NewPart, upload: &Upload) -> Result<()> {
    upload.check_active()?;
    upload.check_epoch(new.epoch)?;
    let record = &new.part.record;
    let range = upload.plan.range(record.number);
    if range.len() == record.size {
        return Ok(());
    }
    // The size was fixed after this part was begun.
    let end = range.start + record.size;
    upload.check_final_size(range.end, end)?;
    Err(Error::storage_io("a part of the wrong size"))
}
