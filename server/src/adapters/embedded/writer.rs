//! The thread that changes the database: group commit.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use rusqlite::{Connection, ffi, hooks::Action};
use sluice_domain::{Error, Result};
use tokio::{
    sync::{Notify, mpsc},
    time::Instant,
};

use super::database::{DatabaseOptions, sqlite_error};
use crate::metrics;

/// Most changes in one commit.
const MOST_IN_GROUP: usize = 256;

/// Changes after which the write-ahead log is folded into the database: about
/// as many pages as SQLite's own default, 1,000.
const CHANGES_PER_CHECKPOINT: usize = 512;

/// A change that waits for the writer. Without a connection it is not made, and
/// only its answer remains.
pub(super) type Change = Box<dyn FnOnce(Option<&Connection>) -> Made + Send>;

/// A change that was made but not committed yet.
pub(super) struct Made {
    pub(super) undo: Option<Undo>,
    pub(super) answer: Box<dyn FnOnce(Result<()>) + Send>,
}

/// What must be undone after a change that did not happen.
pub(super) enum Undo {
    /// Only what this change did.
    Change,
    /// Everything since the last commit: SQLite may have rolled it back itself.
    Group(Error),
}

/// The thread that owns the writing connection.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) waiting: mpsc::Receiver<Change>,
    /// Rings when events were committed.
    pub(super) events: Arc<Notify>,
    pub(super) options: DatabaseOptions,
}

impl Writer {
    /// Commits changes until nobody can send one any more.
    pub(super) fn run(mut self) {
        let has_events = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&has_events);
        let hook = move |_: Action, _: &str, table: &str, _: i64| {
            if table == "events" {
                seen.store(true, Ordering::Relaxed);
            }
        };
        if let Err(error) = self.connection.update_hook(Some(hook)) {
            return (self.options.on_fatal)(&error.to_string());
        }
        let mut changes = 0;
        while let Some(first) = self.waiting.blocking_recv() {
            let mut group = vec![first];
            while group.len() < MOST_IN_GROUP
                && let Ok(next) = self.waiting.try_recv()
            {
                group.push(next);
            }
            let (size, began) = (group.len(), Instant::now());
            changes += size;
            if let Err(fatal) = self.commit(group) {
                return (self.options.on_fatal)(&fatal);
            }
            metrics::committed(size, began.elapsed());
            if has_events.swap(false, Ordering::Relaxed) {
                self.events.notify_one();
            }
            if changes >= CHANGES_PER_CHECKPOINT {
                changes = 0;
                if let Err(fatal) = self.checkpoint() {
                    return (self.options.on_fatal)(&fatal);
                }
            }
        }
    }

    /// Makes all changes of a group and commits them once. An error is one
    /// after which nothing in the database can be trusted.
    fn commit(&mut self, group: Vec<Change>) -> Result<(), String> {
        let mut answers = Vec::with_capacity(group.len());
        let made = self.make(group, &mut answers);
        let committed = made.and_then(|()| match self.connection.execute_batch("COMMIT") {
            Ok(()) => Ok(()),
            Err(error) if is_sync_failure(&error) => Err(Failed::Fatal(error.to_string())),
            Err(error) => Err(Failed::Group(sqlite_error(&error))),
        });
        let outcome = match committed {
            Ok(()) => Ok(()),
            Err(Failed::Group(error)) => {
                if !self.connection.is_autocommit()
                    && let Err(error) = self.connection.execute_batch("ROLLBACK")
                {
                    return Err(error.to_string());
                }
                Err(error)
            }
            Err(Failed::Fatal(message)) => return Err(message),
        };
        for answer in answers {
            answer(outcome.clone());
        }
        Ok(())
    }

    fn make(
        &self,
        group: Vec<Change>,
        answers: &mut Vec<Box<dyn FnOnce(Result<()>) + Send>>,
    ) -> Result<(), Failed> {
        let execute = |sql: &str| {
            let done = self.connection.prepare_cached(sql).and_then(|mut it| it.execute([]));
            done.map(drop).map_err(|error| Failed::Group(sqlite_error(&error)))
        };
        let mut failed = execute("BEGIN IMMEDIATE").err();
        for change in group {
            if failed.is_none() {
                failed = execute("SAVEPOINT change").err();
            }
            let made = change(failed.is_none().then_some(&self.connection));
            answers.push(made.answer);
            if failed.is_some() {
                continue;
            }
            let ended = match made.undo {
                None => execute("RELEASE change"),
                Some(Undo::Change) => {
                    execute("ROLLBACK TO change").and_then(|()| execute("RELEASE change"))
                }
                Some(Undo::Group(error)) => Err(Failed::Group(error)),
            };
            failed = ended.err();
        }
        failed.map_or(Ok(()), Err)
    }

    /// Folds the log into the database. SQLite would do it by itself, but would
    /// not say when a sync fails on the way.
    fn checkpoint(&self) -> Result<(), String> {
        match self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
            Err(error) if is_sync_failure(&error) => Err(error.to_string()),
            Err(error) => {
                tracing::warn!(%error, "the database's log could not be folded in yet");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }
}

enum Failed {
    /// Every change since the last commit.
    Group(Error),
    /// The database.
    Fatal(String),
}

fn is_sync_failure(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| {
        matches!(error.extended_code, ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC)
    })
}
