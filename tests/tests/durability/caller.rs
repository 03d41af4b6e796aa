//! Somebody who uses the server, and remembers every answer.

use std::{collections::HashSet, time::Duration};

use futures::{future::join_all, stream};
use sluice_domain::{Error, PartNumber, Reason, Result, UploadId, UploadState};
use sluice_server::service::{
    completion::{self, CompleteUpload},
    files,
    ingest::{self, Replies, Reply, Target, Wrote},
    uploads,
};

use tokio::sync::mpsc;

use crate::{
    ledger::{Declared, Entry, Ledger, Shared, Stop, broken, lock},
    script::Script,
    server::{CALLER, Server},
};

/// More changes than the server makes between two checkpoints of its database.
const MANY: usize = 520;

/// Longer than any stream takes.
const FOR_EVER: Duration = Duration::from_secs(60 * 60);

/// A caller of the services.
#[derive(Clone, Copy)]
pub(crate) struct Caller<'a> {
    server: &'a Server,
    /// Refusals that are no wonder, whatever was asked.
    tolerates: &'a [Reason],
}

impl<'a> Caller<'a> {
    pub(crate) fn new(server: &'a Server, tolerates: &'a [Reason]) -> Self {
        Self { server, tolerates }
    }

    /// Creates an upload, or finds out what became of a creation that was never
    /// answered.
    pub(crate) async fn create(&self, entry: &Shared) -> Result<(), Stop> {
        let request = lock(entry).request.clone();
        let created = uploads::create(&self.server.context, CALLER, request).await;
        let status = self.judge("a creation", created, &[])?;
        lock(entry).acknowledge_status(&status)
    }

    /// Asks what is persisted.
    pub(crate) async fn look(&self, entry: &Shared) -> Result<uploads::UploadStatus, Stop> {
        let read = uploads::get(&self.server.context, CALLER, id_of(entry)).await;
        let status = self.judge("a look", read, &[])?;
        lock(entry).acknowledge_status(&status)?;
        Ok(status)
    }

    /// Sends these parts in one stream.
    pub(crate) async fn send_parts(
        &self,
        entry: &Shared,
        parts: &[PartNumber],
    ) -> Result<(), Stop> {
        let status = self.look(entry).await?;
        let script = Script::honest(&lock(entry), parts, 0);
        let target = Target::Existing { id: status.upload.id, epoch: status.upload.epoch };
        self.send(entry, target, script, &[]).await
    }

    /// Runs one stream, and listens if the script says so. A caller who has no
    /// patience goes away in the middle.
    pub(crate) async fn send(
        &self,
        entry: &Shared,
        target: Target,
        script: Script,
        refusals: &[Reason],
    ) -> Result<(), Stop> {
        let Script { first, rest, mut parts, content, listens, patience, fixes_size } = script;
        let (sender, said) = mpsc::channel(4);
        let replies = Some(sender).filter(|_| listens).map_or_else(Replies::none, Replies::to);
        let messages = stream::iter(rest);
        let write = ingest::write(&self.server.context, CALLER, target, first, messages, replies);
        let write = tokio::time::timeout(patience.unwrap_or(FOR_EVER), write);
        let (outcome, damaged) = tokio::join!(write, listen(entry, said, content));
        let damaged = damaged?;
        let mut entry = lock(entry);
        let Wrote { status, file } = match outcome {
            Ok(Ok(wrote)) => wrote,
            Ok(Err(refused)) => {
                entry.id = entry.id.or(refused.upload);
                let refusals = entry.refusals(refusals);
                return self.judge("a stream", Err(refused.error), &refusals);
            }
            Err(_) => return Ok(()),
        };
        entry.acknowledge_status(&status)?;
        parts.retain(|part| !damaged.contains(part));
        // Of what was given up since, nothing is persisted any more.
        let kept = match status.upload.state {
            UploadState::Active | UploadState::Completing => fixes_size,
            UploadState::Completed => {
                fixes_size && !entry.may_be_gone() && entry.declared == Declared::Nothing
            }
            _ => false,
        };
        for part in parts {
            if status.persisted.contains(entry.plan().range(part)) {
                entry.acknowledge(part, Some(content))?;
            } else if kept {
                return broken(format!(
                    "a stream of part {part} ended well without it: {status:?}"
                ));
            }
        }
        if let Some(file) = file {
            entry.completed = Some(file);
        }
        Ok(())
    }

    /// Completes an upload.
    pub(crate) async fn complete(&self, entry: &Shared, refusals: &[Reason]) -> Result<(), Stop> {
        let size = {
            let mut entry = lock(entry);
            entry.tried.complete = true;
            Some(entry.size)
        };
        let request = CompleteUpload { size, ..CompleteUpload::default() };
        let id = id_of(entry);
        let completed = completion::complete(&self.server.context, CALLER, id, request).await;
        let refusals = lock(entry).refusals(refusals);
        let file = self.judge("a completion", completed, &refusals)?;
        lock(entry).completed = Some(file);
        Ok(())
    }

    /// Takes the next epoch.
    pub(crate) async fn resume(
        &self,
        entry: &Shared,
        refusals: &[Reason],
    ) -> Result<uploads::UploadStatus, Stop> {
        let resumed = uploads::resume(&self.server.context, CALLER, id_of(entry)).await;
        let status = self.judge("a resumption", resumed, refusals)?;
        lock(entry).acknowledge_status(&status)?;
        Ok(status)
    }

    /// Makes so many changes that the database folds its log in.
    pub(crate) async fn resume_often(
        &self,
        entry: &Shared,
        refusals: &[Reason],
    ) -> Result<(), Stop> {
        let (context, id) = (&self.server.context, id_of(entry));
        let resumed = join_all((0..MANY).map(|_| uploads::resume(context, CALLER, id))).await;
        let judged =
            resumed.into_iter().map(|outcome| self.judge("a resumption", outcome, refusals));
        judged.map(|judged| judged.map(drop)).fold(Ok(()), Result::and)
    }

    /// Sends what is missing of an upload, and completes it.
    pub(crate) async fn finish(&self, entry: &Shared) -> Result<(), Stop> {
        let status = self.resume(entry, &[]).await?;
        let missing: Vec<_> = {
            let entry = lock(entry);
            let numbers = entry.part_numbers().into_iter();
            numbers.filter(|part| !status.persisted.contains(entry.plan().range(*part))).collect()
        };
        if !missing.is_empty() {
            self.send_parts(entry, &missing).await?;
        }
        self.complete(entry, &[]).await
    }

    /// Finishes every upload that somebody has begun.
    pub(crate) async fn finish_all(&self, ledger: &Ledger) -> Result<(), Stop> {
        for entry in ledger.entries() {
            if lock(&entry).id.is_none() {
                self.create(&entry).await?;
            }
            if self.look(&entry).await?.upload.state == UploadState::Active {
                self.finish(&entry).await?;
            }
        }
        Ok(())
    }

    /// Gives an upload up.
    pub(crate) async fn cancel(&self, entry: &Shared, refusals: &[Reason]) -> Result<(), Stop> {
        lock(entry).tried.cancel = true;
        let cancelled = uploads::cancel(&self.server.context, CALLER, id_of(entry)).await;
        self.judge("a cancellation", cancelled, refusals)?;
        lock(entry).is_cancelled = true;
        Ok(())
    }

    /// Deletes a file.
    pub(crate) async fn delete(&self, entry: &Shared, refusals: &[Reason]) -> Result<(), Stop> {
        let file = {
            let mut entry = lock(entry);
            entry.tried.delete = true;
            entry.completed.as_ref().expect("it is complete").id
        };
        let deleted = files::delete(&self.server.context, CALLER, file, String::new()).await;
        self.judge("a deletion", deleted, refusals)?;
        lock(entry).is_deleted = true;
        Ok(())
    }

    /// The answer; else why there is none: a refusal that may be, a machine that
    /// is off, or a broken promise.
    fn judge<T>(
        &self,
        what: &str,
        outcome: Result<T, Error>,
        refusals: &[Reason],
    ) -> Result<T, Stop> {
        match outcome {
            Ok(value) => Ok(value),
            Err(_) if self.server.disk.is_off() => Err(Stop::Off),
            Err(error) if refusals.contains(&error.reason) => Err(Stop::Refused),
            Err(error) if self.tolerates.contains(&error.reason) => Err(Stop::Refused),
            Err(error) => broken(format!("{what} was refused: {error}")),
        }
    }
}

/// Remembers what is said on an open stream. Answers which parts were dropped
/// because they arrived damaged.
async fn listen(
    entry: &Shared,
    mut said: mpsc::Receiver<Reply>,
    content: usize,
) -> Result<HashSet<PartNumber>, Stop> {
    let mut damaged = HashSet::new();
    while let Some(reply) = said.recv().await {
        let mut entry = lock(entry);
        let part_at = |offset| entry.plan().part_at(offset).expect("a part of the file");
        match reply {
            Reply::State(status) => entry.acknowledge_status(&status)?,
            Reply::Persisted(range) => {
                let part = part_at(range.start);
                entry.acknowledge(part, Some(content))?;
            }
            Reply::Damaged { part_offset, .. } => {
                damaged.insert(part_at(part_offset));
            }
        }
    }
    Ok(damaged)
}

fn id_of(entry: &Shared) -> UploadId {
    let entry: &Entry = &lock(entry);
    entry.id.expect("somebody has created it")
}
