//! Signing keys in SQLite.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, params};
use secrecy::{ExposeSecret, SecretBox};
use sluice_domain::{Result, Timestamp};

use super::{Database, rows::Sql};
use crate::ports::{SigningKey, SigningKeyId, SigningKeyStore};

#[async_trait]
impl SigningKeyStore for Database {
    async fn signing_keys(&self) -> Result<Vec<SigningKey>> {
        self.read(|connection| Ok(keys(connection)?)).await
    }

    async fn rotate_signing_key(
        &self,
        new: SigningKey,
        unless_after: Timestamp,
        superseded_before: Timestamp,
    ) -> Result<Vec<SigningKey>> {
        self.write(move |connection| {
            connection.execute(
                "INSERT INTO signing_keys (id, secret, create_time) SELECT ?, ?, ?
                 WHERE NOT EXISTS (SELECT 1 FROM signing_keys WHERE create_time > ?)",
                params![
                    new.id.0,
                    new.secret.expose_secret(),
                    Sql(new.create_time),
                    Sql(unless_after)
                ],
            )?;
            connection.execute(
                "DELETE FROM signing_keys AS old WHERE EXISTS (
                     SELECT 1 FROM signing_keys AS next
                     WHERE next.create_time > old.create_time AND next.create_time < ?)",
                params![Sql(superseded_before)],
            )?;
            Ok(keys(connection)?)
        })
        .await
    }
}

fn keys(connection: &Connection) -> rusqlite::Result<Vec<SigningKey>> {
    connection
        .prepare_cached(
            "SELECT id, secret, create_time FROM signing_keys ORDER BY create_time DESC, id",
        )?
        .query_map([], |row| {
            Ok(SigningKey {
                id: SigningKeyId(row.get(0)?),
                secret: Arc::new(SecretBox::new(Box::new(row.get(1)?))),
                create_time: row.get::<_, Sql<Timestamp>>(2)?.0,
            })
        })?
        .collect()
}
