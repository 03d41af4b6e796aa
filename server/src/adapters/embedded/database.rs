//! SQLite: one thread that writes, a few connections that read.
//!
//! Every commit is a sync of the disk, so changes that arrive while one is
//! under way are committed together by the next one (group commit).

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use rusqlite::{Connection, ErrorCode};
use sluice_domain::{AccountId, Error, Result};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};

use super::{
    changes::Bells,
    purge,
    schema::{connect, migrate},
    storage_full,
    writer::{Change, Made, Undo, Writer},
};
use crate::tasks::Tasks;

/// Changes that may wait for the writer before callers wait for room.
const QUEUE: usize = 1024;

const READERS: usize = 4;

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
    /// Ring when changes of an account were committed.
    pub(super) bells: Arc<Bells>,
}

struct Readers {
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl Database {
    /// Opens or creates a database and starts its writer. Blocks.
    pub fn open(options: DatabaseOptions, tasks: Tasks) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Sqlite { path: options.path.clone(), source };
        let mut connection = connect(&options).map_err(failed)?;
        migrate(&mut connection, &options.path)?;
        connection.pragma_update(None, "temp_store", "MEMORY").map_err(failed)?;
        connection.execute_batch(purge::PURGED).map_err(failed)?;
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
        let permits = Arc::new(Semaphore::new(READERS));
        let readers = Readers { idle: Mutex::new(readers), permits };
        let bells = Arc::new(Bells::new());
        Ok(Self { changes, readers: Arc::new(readers), tasks, events, bells })
    }

    /// Makes a change; it survives power loss when this returns. A change that
    /// is refused leaves no trace.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection) -> Outcome<T> + Send + 'static,
    ) -> Result<T> {
        self.write_then(change, || {}).await
    }

    /// The same for a change of what an account can watch. Those who watch are
    /// told by the writer, so that nobody can go away before they are.
    pub(super) async fn write_of<T: Send + 'static>(
        &self,
        owner: AccountId,
        change: impl FnOnce(&Connection) -> Outcome<T> + Send + 'static,
    ) -> Result<T> {
        let bells = Arc::clone(&self.bells);
        self.write_then(change, move || bells.of(owner).notify_waiters()).await
    }

    async fn write_then<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection) -> Outcome<T> + Send + 'static,
        then: impl FnOnce() + Send + 'static,
    ) -> Result<T> {
        let (sender, mut answer) = oneshot::channel();
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
                let outcome = committed.and(result);
                if outcome.is_ok() {
                    then();
                }
                let _ = sender.send(outcome);
            };
            Made { undo, answer: Box::new(answer) }
        });
        let stopped = || Error::storage_io("the database has stopped");
        self.changes.send(change).await.map_err(|_| stopped())?;
        tokio::select! {
            biased;
            answered = &mut answer => answered.map_err(|_| stopped())?,
            // What comes into the queue in the moment in which the writer ends
            // stays there, and nobody answers it.
            () = self.changes.closed() => answer.try_recv().unwrap_or_else(|_| Err(stopped())),
        }
    }

    /// Looks something up, in one snapshot.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        look_up: impl FnOnce(&Connection) -> Outcome<T> + Send + 'static,
    ) -> Result<T> {
        let readers = Arc::clone(&self.readers);
        let permit = Arc::clone(&readers.permits).acquire_owned().await;
        let permit = permit.map_err(|_| Error::storage_io("the database has stopped"))?;
        let looked_up = move || {
            let mut connection = readers.take();
            let outcome = snapshot(&mut connection, look_up);
            readers.put(connection);
            // It lasts as long as the connection is in use, also if nobody
            // waits for the answer any more.
            drop(permit);
            match outcome {
                Ok(value) => Ok(value),
                Err(Fault::Refused(error)) => Err(error),
                Err(Fault::Sqlite(error)) => Err(sqlite_error(&error)),
            }
        };
        self.tasks.blocking(looked_up).await
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

/// Turns SQLite's error into what the caller may know, and logs the rest.
pub(super) fn sqlite_error(error: &rusqlite::Error) -> Error {
    tracing::error!(%error, "the database has reported an error");
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => storage_full(),
        _ => Error::storage_io("the server's database reported an error; try again"),
    }
}
