//! Signing keys in SQLite.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, params};
use secrecy::{ExposeSecret, SecretBox};
use sluice_domain::{Result, Timestamp};

use super::{Database, rows::Sql};
use crate::ports::{KeyPurpose, SigningKey, SigningKeyId, SigningKeyStore};

#[async_trait]
impl SigningKeyStore for Database {
    async fn signing_keys(&self, purpose: KeyPurpose) -> Result<Vec<SigningKey>> {
        self.read(move |connection| Ok(keys(connection, purpose)?)).await
    }

    async fn rotate_signing_key(
        &self,
        purpose: KeyPurpose,
        new: SigningKey,
        unless_after: Timestamp,
        superseded_before: Timestamp,
    ) -> Result<Vec<SigningKey>> {
        self.write(move |connection| {
            connection.execute(
                "INSERT INTO signing_keys (id, secret, create_time, purpose) SELECT ?1, ?2, ?3, ?4
                 WHERE NOT EXISTS (
                     SELECT 1 FROM signing_keys WHERE purpose = ?4 AND create_time > ?5)",
                params![
                    new.id.0,
                    new.secret.expose_secret(),
                    Sql(new.create_time),
                    name(purpose),
                    Sql(unless_after)
                ],
            )?;
            connection.execute(
                "DELETE FROM signing_keys AS old WHERE purpose = ?1 AND EXISTS (
                     SELECT 1 FROM signing_keys AS next WHERE next.purpose = ?1
                     AND next.create_time > old.create_time AND next.create_time < ?2)",
                params![name(purpose), Sql(superseded_before)],
            )?;
            Ok(keys(connection, purpose)?)
        })
        .await
    }
}

fn name(purpose: KeyPurpose) -> &'static str {
    match purpose {
        KeyPurpose::Url => "URL",
        KeyPurpose::Token => "TOKEN",
    }
}

fn keys(connection: &Connection, purpose: KeyPurpose) -> rusqlite::Result<Vec<SigningKey>> {
    connection
        .prepare_cached(
            "SELECT id, secret, create_time FROM signing_keys WHERE purpose = ? \
             ORDER BY create_time DESC, id",
        )?
        .query_map([name(purpose)], |row| {
            Ok(SigningKey {
                id: SigningKeyId(row.get(0)?),
                secret: Arc::new(SecretBox::new(Box::new(row.get(1)?))),
                create_time: row.get::<_, Sql<Timestamp>>(2)?.0,
            })
        })?
        .collect()
}
