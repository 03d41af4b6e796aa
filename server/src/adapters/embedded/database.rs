//! SQLite: one thread that writes, a few connections that read.
//!
//! Every commit is a sync of the disk, so changes that arrive while one is
//! under way are committed together by the next one (group commit).

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, ffi, hooks::Action};
use sluice_domain::{Error, Result};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};

use super::storage_full;
use crate::tasks::Tasks;

/// Schema changes, in order; the database's `user_version` counts them.
const MIGRATIONS: [&str; 1] = [include_str!("migrations/0001_initial.sql")];

/// Most changes in one commit.
const MOST_IN_GROUP: usize = 256;

/// Changes that may wait for the writer before callers wait for room.
const QUEUE: usize = 1024;

const READERS: usize = 4;

/// Changes after which the write-ahead log is folded into the database: about
/// as many pages as SQLite's own default, 1,000.
const CHANGES_PER_CHECKPOINT: usize = 512;

/// How a database is opened.
pub struct DatabaseOptions {
    /// The database file; its folder exists.
    pub path: PathBuf,
    /// A SQLite VFS by name, for tests that put a failing disk underneath.
    pub vfs: Option<String>,
    /// Called when the database can no longer be trusted, because a sync has
    /// failed. The process must not answer anybody after that.
    pub on_fatal: Box<dyn Fn(&str) + Send>,
}

impl DatabaseOptions {
    /// A database that ends the process when it can no longer be trusted.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let on_fatal = Box::new(|message: &str| {
            tracing::error!(message, "the database cannot be trusted any more; ending the process");
            std::process::exit(74); // EX_IOERR of sysexits.h
        });
        Self { path: path.into(), vfs: None, on_fatal }
    }
}

/// Why a database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// SQLite says so.
    #[error("cannot open the database {path}: {source}")]
    Sqlite {
        /// The database file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// A newer version of Sluice wrote it.
    #[error(
        "the database {path} has schema {found}, this version of sluice knows up to {known}; use a newer sluice"
    )]
    TooNew {
        /// The database file.
        path: PathBuf,
        /// The schema's number.
        found: usize,
        /// The newest number this program knows.
        known: usize,
    },
    /// The writer thread cannot be started.
    #[error("cannot start the database thread: {0}")]
    Thread(#[from] io::Error),
}

/// Why a change did not happen.
pub(super) enum Fault {
    /// The rules refuse it.
    Refused(Error),
    /// SQLite failed.
    Sqlite(rusqlite::Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Result of a change or a look-up.
pub(super) type Outcome<T> = Result<T, Fault>;

/// Records and events in one SQLite database.
pub struct Database {
    changes: mpsc::Sender<Change>,
    readers: Arc<Readers>,
    tasks: Tasks,
    /// Rings when events were committed.
    pub(super) events: Arc<Notify>,
}

/// A change that waits for the writer. Without a connection it is not made, and
/// only its answer remains.
type Change = Box<dyn FnOnce(Option<&Connection>) -> Made + Send>;

/// A change that was made but not committed yet.
struct Made {
    undo: Option<Undo>,
    answer: Box<dyn FnOnce(Result<()>) + Send>,
}

/// What must be undone after a change that did not happen.
enum Undo {
    /// Only what this change did.
    Change,
    /// Everything since the last commit: SQLite may have rolled it back itself.
    Group(Error),
}

struct Readers {
    idle: Mutex<Vec<Connection>>,
    permits: Semaphore,
}

impl Database {
    /// Opens or creates a database and starts its writer. Blocks.
    pub fn open(options: DatabaseOptions, tasks: Tasks) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Sqlite { path: options.path.clone(), source };
        let mut connection = connect(&options).map_err(failed)?;
        migrate(&mut connection, &options.path)?;
        let readers = (0..READERS)
            .map(|_| {
                let reader = connect(&options)?;
                reader.pragma_update(None, "query_only", true)?;
                Ok(reader)
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(failed)?;

        let (changes, waiting) = mpsc::channel(QUEUE);
        let events = Arc::new(Notify::new());
        let writer = Writer { connection, waiting, events: Arc::clone(&events), options };
        thread::Builder::new().name("database".into()).spawn(move || writer.run())?;
        let readers = Readers { idle: Mutex::new(readers), permits: Semaphore::new(READERS) };
        Ok(Self { changes, readers: Arc::new(readers), tasks, events })
    }

    /// Makes a change; it survives power loss when this returns. A change that
    /// is refused leaves no trace.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection) -> Outcome<T> + Send + 'static,
    ) -> Result<T> {
        let (sender, answer) = oneshot::channel();
        let change: Change = Box::new(move |connection| {
            let outcome = match connection {
                Some(connection) => change(connection),
                None => Err(Fault::Refused(Error::storage_io("the change was not made"))),
            };
            let (undo, result) = match outcome {
                Ok(value) => (None, Ok(value)),
                Err(Fault::Refused(error)) => (Some(Undo::Change), Err(error)),
                Err(Fault::Sqlite(error)) => {
                    let error = sqlite_error(&error);
                    (Some(Undo::Group(error.clone())), Err(error))
                }
            };
            let answer = move |committed: Result<()>| {
                let _ = sender.send(committed.and(result));
            };
            Made { undo, answer: Box::new(answer) }
        });
        let stopped = || Error::storage_io("the database has stopped");
        self.changes.send(change).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    /// Looks something up, in one snapshot.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        look_up: impl FnOnce(&Connection) -> Outcome<T> + Send + 'static,
    ) -> Result<T> {
        let readers = Arc::clone(&self.readers);
        let permit = self.readers.permits.acquire().await;
        let permit = permit.map_err(|_| Error::storage_io("the database has stopped"))?;
        let result = self
            .tasks
            .blocking(move || {
                let mut connection = readers.take();
                let outcome = snapshot(&mut connection, look_up);
                readers.put(connection);
                match outcome {
                    Ok(value) => Ok(value),
                    Err(Fault::Refused(error)) => Err(error),
                    Err(Fault::Sqlite(error)) => Err(sqlite_error(&error)),
                }
            })
            .await;
        drop(permit);
        result
    }
}

fn snapshot<T>(
    connection: &mut Connection,
    look_up: impl FnOnce(&Connection) -> Outcome<T>,
) -> Outcome<T> {
    let transaction = connection.transaction()?;
    let value = look_up(&transaction)?;
    transaction.finish()?;
    Ok(value)
}

impl Readers {
    fn take(&self) -> Connection {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.pop().expect("as many permits as connections")
    }

    fn put(&self, connection: Connection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
}

/// The thread that owns the writing connection.
struct Writer {
    connection: Connection,
    waiting: mpsc::Receiver<Change>,
    events: Arc<Notify>,
    options: DatabaseOptions,
}

impl Writer {
    fn run(mut self) {
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
            changes += group.len();
            if let Err(fatal) = self.commit(group) {
                return (self.options.on_fatal)(&fatal);
            }
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
            self.connection.execute_batch(sql).map_err(|error| Failed::Group(sqlite_error(&error)))
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
                Some(Undo::Change) => execute("ROLLBACK TO change; RELEASE change"),
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

fn connect(options: &DatabaseOptions) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::default();
    let connection = match &options.vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(&options.path, flags, vfs.as_str())?,
        None => Connection::open_with_flags(&options.path, flags)?,
    };
    connection.set_prepared_statement_cache_capacity(128);
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // FULL syncs the log at every commit. Anything less may lose parts that
    // were acknowledged when the power fails.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(connection)
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let failed = |source| OpenError::Sqlite { path: path.to_owned(), source };
    let done: usize =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
    let known = MIGRATIONS.len();
    if done > known {
        return Err(OpenError::TooNew { path: path.to_owned(), found: done, known });
    }
    for (index, migration) in MIGRATIONS.iter().enumerate().skip(done) {
        run_migration(connection, migration, index + 1).map_err(failed)?;
    }
    Ok(())
}

fn run_migration(
    connection: &mut Connection,
    migration: &str,
    version: usize,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(migration)?;
    transaction.pragma_update(None, "user_version", version)?;
    transaction.commit()
}

/// Turns SQLite's error into what the caller may know, and logs the rest.
fn sqlite_error(error: &rusqlite::Error) -> Error {
    tracing::error!(%error, "the database has reported an error");
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => storage_full(),
        _ => Error::storage_io("the server's database reported an error; try again"),
    }
}

fn is_sync_failure(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| {
        matches!(error.extended_code, ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC)
    })
}
