//! The event queue, in the same database as the changes that cause events.

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use sluice_domain::{AccountId, Error, FileId, Result, Timestamp, UploadId};
use uuid::Uuid;

use super::{Database, database::Outcome, rows::Sql};
use crate::ports::{Backlog, Delivery, Event, EventQueue, Receipt};

#[async_trait]
impl EventQueue for Database {
    async fn receive(
        &self,
        limit: u32,
        now: Timestamp,
        lease: Duration,
        max_attempts: u32,
    ) -> Result<Vec<Delivery>> {
        // Looking costs no commit.
        let waiting = self
            .read(move |connection| {
                let sql = "SELECT EXISTS (SELECT 1 FROM events WHERE dead = 0 AND visible_at <= ?)";
                let mut statement = connection.prepare_cached(sql)?;
                Ok(statement.query_row(params![Sql(now)], |row| row.get::<_, bool>(0))?)
            })
            .await?;
        if !waiting {
            return Ok(Vec::new());
        }
        self.write(move |connection| {
            connection
                .prepare_cached(
                    "UPDATE events SET dead = 1 \
                     WHERE dead = 0 AND visible_at <= ? AND attempts >= ?",
                )?
                .execute(params![Sql(now), max_attempts])?;
            let mut statement = connection.prepare_cached(
                "UPDATE events SET attempts = attempts + 1, visible_at = ? WHERE id IN \
                 (SELECT id FROM events WHERE dead = 0 AND visible_at <= ? \
                  ORDER BY visible_at LIMIT ?) RETURNING id, attempts, payload",
            )?;
            let rows = statement
                .query_map(params![Sql(now.plus(lease)), Sql(now), limit], |row| {
                    let id: u64 = row.get(0)?;
                    let receipt = Receipt { event: id.into(), attempt: row.get(1)? };
                    Ok((receipt, row.get::<_, String>(2)?))
                })?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            let deliver = |(receipt, payload): (Receipt, String)| match decode(&payload) {
                Ok(event) => Some(Delivery { event, receipt }),
                Err(error) => {
                    tracing::error!(event = %receipt.event, %error, "an unreadable event");
                    None
                }
            };
            Ok(rows.into_iter().filter_map(deliver).collect())
        })
        .await
    }

    async fn extend(&self, receipt: Receipt, until: Timestamp) -> Result<bool> {
        self.set_visible(receipt, until).await
    }

    async fn acknowledge(&self, receipt: Receipt) -> Result<()> {
        let Some(id) = row_id(receipt) else { return Ok(()) };
        self.write(move |connection| {
            connection
                .prepare_cached("DELETE FROM events WHERE id = ? AND attempts = ?")?
                .execute(params![id, receipt.attempt])?;
            Ok(())
        })
        .await
    }

    async fn retry(&self, receipt: Receipt, at: Timestamp) -> Result<()> {
        self.set_visible(receipt, at).await.map(drop)
    }

    async fn wait(&self, at_most: Duration) {
        let _ = tokio::time::timeout(at_most, self.events.notified()).await;
    }

    async fn backlog(&self, now: Timestamp) -> Result<Backlog> {
        self.read(move |connection| {
            let sql = "SELECT count(*) FILTER (WHERE dead = 0), \
                       min(visible_at) FILTER (WHERE dead = 0), \
                       count(*) FILTER (WHERE dead = 1) FROM events";
            Ok(connection.prepare_cached(sql)?.query_row([], |row| {
                let first: Option<i64> = row.get(1)?;
                let overdue = first.map_or(0, |first| now.as_micros().saturating_sub(first));
                Ok(Backlog {
                    waiting: row.get(0)?,
                    overdue: Duration::from_micros(u64::try_from(overdue).unwrap_or(0)),
                    dead: row.get(2)?,
                })
            })?)
        })
        .await
    }

    async fn dead_count(&self) -> Result<u64> {
        self.read(|connection| {
            let sql = "SELECT count(*) FROM events WHERE dead = 1";
            Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
        })
        .await
    }
}

impl Database {
    async fn set_visible(&self, receipt: Receipt, at: Timestamp) -> Result<bool> {
        let Some(id) = row_id(receipt) else { return Ok(false) };
        self.write(move |connection| {
            let changed = connection
                .prepare_cached("UPDATE events SET visible_at = ? WHERE id = ? AND attempts = ?")?
                .execute(params![Sql(at), id, receipt.attempt])?;
            Ok(changed == 1)
        })
        .await
    }
}

/// The row of an event, if the receipt names one.
fn row_id(receipt: Receipt) -> Option<i64> {
    i64::try_from(receipt.event).ok()
}

/// Adds an event to the change that is being made.
pub(super) fn enqueue(connection: &Connection, event: &Event, now: Timestamp) -> Outcome<()> {
    connection
        .prepare_cached("INSERT INTO events (payload, visible_at) VALUES (?, ?)")?
        .execute(params![encode(event)?, Sql(now)])?;
    Ok(())
}

/// An event as JSON.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Payload {
    VerifyFile {
        owner: Uuid,
        file_id: Uuid,
    },
    DeleteBlob {
        // Events of earlier versions name none; here nothing depends on it.
        #[serde(default)]
        owner: Uuid,
        upload_id: Uuid,
    },
    DeleteAccount {
        account: Uuid,
    },
}

fn encode(event: &Event) -> Result<String> {
    let payload = match event {
        Event::VerifyFile { owner, file_id } => {
            Payload::VerifyFile { owner: *owner.as_uuid(), file_id: *file_id.as_uuid() }
        }
        Event::DeleteBlob { owner, upload_id } => {
            Payload::DeleteBlob { owner: *owner.as_uuid(), upload_id: *upload_id.as_uuid() }
        }
        Event::DeleteAccount { account } => Payload::DeleteAccount { account: *account.as_uuid() },
    };
    serde_json::to_string(&payload).map_err(|_| Error::storage_io("an event cannot be encoded"))
}

fn decode(payload: &str) -> serde_json::Result<Event> {
    Ok(match serde_json::from_str(payload)? {
        Payload::VerifyFile { owner, file_id } => Event::VerifyFile {
            owner: AccountId::from_uuid(owner),
            file_id: FileId::from_uuid(file_id),
        },
        Payload::DeleteAccount { account } => {
            Event::DeleteAccount { account: AccountId::from_uuid(account) }
        }
        Payload::DeleteBlob { owner, upload_id } => Event::DeleteBlob {
            owner: AccountId::from_uuid(owner),
            upload_id: UploadId::from_uuid(upload_id),
        },
    })
}
