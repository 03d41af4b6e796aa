//! API keys in SQLite.

use async_trait::async_trait;
use rusqlite::{OptionalExtension, params};
use sluice_domain::{AccountId, Result};

use super::{Database, rows::Sql};
use crate::ports::{ApiKeyHash, CredentialStore};

#[async_trait]
impl CredentialStore for Database {
    async fn account_of_api_key(&self, hash: ApiKeyHash) -> Result<Option<AccountId>> {
        self.read(move |connection| {
            let account: Option<Sql<AccountId>> = connection
                .prepare_cached("SELECT account_id FROM api_keys WHERE hash = ?")?
                .query_row(params![hash], |row| row.get(0))
                .optional()?;
            Ok(account.map(|account| account.0))
        })
        .await
    }

    async fn set_operator_key(
        &self,
        hash: ApiKeyHash,
        new_account: AccountId,
    ) -> Result<AccountId> {
        self.write(move |connection| {
            let account: Option<Sql<AccountId>> = connection
                .prepare_cached("SELECT value FROM settings WHERE name = 'operator'")?
                .query_row([], |row| row.get(0))
                .optional()?;
            let account = match account {
                Some(account) => account.0,
                None => {
                    connection.execute(
                        "INSERT INTO accounts (id, create_time) VALUES (?, unixepoch() * 1000000)",
                        params![Sql(new_account)],
                    )?;
                    connection.execute(
                        "INSERT INTO settings (name, value) VALUES ('operator', ?)",
                        params![Sql(new_account)],
                    )?;
                    new_account
                }
            };
            connection
                .execute("DELETE FROM api_keys WHERE account_id = ?", params![Sql(account)])?;
            connection.execute(
                "INSERT INTO api_keys (hash, account_id) VALUES (?, ?)",
                params![hash, Sql(account)],
            )?;
            Ok(account)
        })
        .await
    }
}
