//! The change feed: numbers on the records themselves, and rows for files that
//! are gone.

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, params};
use sluice_domain::{AccountId, Error, File, Reason, Result, Timestamp};
use tokio::{sync::Notify, time::timeout};

use super::{Database, database::Outcome, rows::Sql};
use crate::ports::{Change, ChangeFeed, ChangePage, Changed, FeedPosition};

/// Bells are shared by accounts; more of them wake fewer for nothing.
const BELLS: usize = 64;

#[async_trait]
impl ChangeFeed for Database {
    async fn end(&self, _owner: AccountId) -> Result<FeedPosition> {
        self.read(|connection| {
            let feed = Feed::read(connection)?;
            Ok(feed.position(feed.newest))
        })
        .await
    }

    async fn changes(
        &self,
        owner: AccountId,
        after: FeedPosition,
        limit: u32,
        at_most: Duration,
    ) -> Result<ChangePage> {
        // From here on a ring is heard, so none is missed while looking.
        let rung = self.bells.of(owner).notified();
        let place = after.clone();
        let page = self.read(move |connection| page(connection, owner, &place, limit)).await?;
        if !page.changes.is_empty() || timeout(at_most, rung).await.is_err() {
            return Ok(page);
        }
        self.read(move |connection| self::page(connection, owner, &after, limit)).await
    }

    async fn forget_gone(&self, before: Timestamp, limit: u32) -> Result<u32> {
        self.write(move |connection| {
            let mut statement = connection.prepare_cached(
                "DELETE FROM gone_files WHERE (owner, change) IN \
                 (SELECT owner, change FROM gone_files WHERE gone_time < ? LIMIT ?) \
                 RETURNING change",
            )?;
            let gone = statement.query_map(params![Sql(before), limit], |row| row.get(0))?;
            forgotten(connection, &gone.collect::<rusqlite::Result<Vec<_>>>()?)
        })
        .await
    }
}

/// Rings for those who wait for changes of an account.
pub(super) struct Bells([Notify; BELLS]);

impl Bells {
    pub(super) fn new() -> Self {
        Self(std::array::from_fn(|_| Notify::new()))
    }

    /// The bell of this account, and of some others.
    pub(super) fn of(&self, owner: AccountId) -> &Notify {
        let random = owner.as_uuid().as_bytes()[15];
        &self.0[usize::from(random) % BELLS]
    }
}

/// The number of a change that is being made: greater than all before it.
pub(super) fn next(connection: &Connection) -> Outcome<u64> {
    let mut statement = connection.prepare_cached(
        "UPDATE settings SET value = value + 1 WHERE name = 'changes' RETURNING value",
    )?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

/// Keeps in mind that a file is gone.
pub(super) fn file_gone(connection: &Connection, file: &File, now: Timestamp) -> Outcome<()> {
    let change = next(connection)?;
    connection
        .prepare_cached(
            "INSERT INTO gone_files (owner, change, id, upload_id, gone_time) \
             VALUES (?, ?, ?, ?, ?)",
        )?
        .execute(params![Sql(file.owner), change, Sql(file.id), Sql(file.upload_id), Sql(now)])?;
    Ok(())
}

/// These changes cannot be read any more: whoever has not read them must begin
/// anew. Answers how many there are.
pub(super) fn forgotten(connection: &Connection, changes: &[u64]) -> Outcome<u32> {
    if let Some(newest) = changes.iter().max() {
        connection
            .prepare_cached(
                "UPDATE settings SET value = max(value, ?) WHERE name = 'changes_forgotten'",
            )?
            .execute(params![newest])?;
    }
    Ok(u32::try_from(changes.len()).unwrap_or(u32::MAX))
}

/// Which feed this is, and which changes it has.
struct Feed {
    /// Tells this feed from those of other databases.
    id: [u8; 8],
    newest: u64,
    forgotten: u64,
}

impl Feed {
    fn read(connection: &Connection) -> Outcome<Self> {
        let mut statement = connection.prepare_cached(
            "SELECT (SELECT value FROM settings WHERE name = 'feed'), \
             (SELECT value FROM settings WHERE name = 'changes'), \
             (SELECT value FROM settings WHERE name = 'changes_forgotten')",
        )?;
        Ok(statement.query_row([], |row| {
            Ok(Self { id: row.get(0)?, newest: row.get(1)?, forgotten: row.get(2)? })
        })?)
    }

    /// Sorts by the number, because it comes with its highest byte first.
    fn position(&self, change: u64) -> FeedPosition {
        FeedPosition::from_bytes([self.id, change.to_be_bytes()].concat())
    }

    fn change(&self, position: &FeedPosition) -> Result<u64> {
        let invalid =
            |message| Err(Error::new(Reason::ResumeTokenInvalid, format!("{message}; watch anew")));
        let (id, change) = match position.as_bytes().as_chunks() {
            ([id, change], []) => (*id, u64::from_be_bytes(*change)),
            _ => return invalid("this is not a resume token"),
        };
        if id != self.id || change > self.newest {
            return invalid("this resume token is not from here");
        }
        if change < self.forgotten {
            return invalid("this resume token is too old");
        }
        Ok(change)
    }
}

fn page(
    connection: &Connection,
    owner: AccountId,
    after: &FeedPosition,
    limit: u32,
) -> Outcome<ChangePage> {
    let feed = Feed::read(connection)?;
    let after = feed.change(after)?;
    let mut statement = connection.prepare_cached(
        "SELECT change, 0, id, id FROM uploads WHERE owner = ?1 AND change > ?2 \
         UNION ALL SELECT change, 1, id, upload_id FROM files WHERE owner = ?1 AND change > ?2 \
         UNION ALL SELECT change, 2, id, upload_id FROM gone_files \
                   WHERE owner = ?1 AND change > ?2 \
         ORDER BY 1 LIMIT ?3",
    )?;
    let changes = statement.query_map(params![Sql(owner), after, limit], |row| {
        let upload = row.get::<_, Sql<_>>(3)?.0;
        let what = match row.get(1)? {
            0 => Changed::Upload(upload),
            1 => Changed::File { id: row.get::<_, Sql<_>>(2)?.0, upload },
            _ => Changed::FileGone { id: row.get::<_, Sql<_>>(2)?.0, upload },
        };
        Ok(Change { what, position: feed.position(row.get(0)?) })
    })?;
    let changes = changes.collect::<rusqlite::Result<Vec<_>>>()?;
    let end = match changes.last() {
        Some(last) if changes.len() == limit as usize => last.position.clone(),
        _ => feed.position(feed.newest),
    };
    Ok(ChangePage { changes, end })
}
