//! Connections and the schema.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags};

use super::database::{DatabaseOptions, OpenError};

/// Schema changes, in order; the database's `user_version` counts them.
const MIGRATIONS: [&str; 6] = [
    include_str!("migrations/0001_initial.sql"),
    include_str!("migrations/0002_changes.sql"),
    include_str!("migrations/0003_signing_keys.sql"),
    include_str!("migrations/0004_small_contents.sql"),
    include_str!("migrations/0005_accounts.sql"),
    include_str!("migrations/0006_storage.sql"),
];

/// Opens a connection that commits durably.
pub(super) fn connect(options: &DatabaseOptions) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::default();
    let connection = match &options.vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(&options.path, flags, vfs.as_str())?,
        None => Connection::open_with_flags(&options.path, flags)?,
    };
    connection.set_prepared_statement_cache_capacity(128);
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // FULL syncs the log at every commit. Anything less may lose parts that
    // were acknowledged when the power fails.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(connection)
}

/// Brings the schema up to this version.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
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
