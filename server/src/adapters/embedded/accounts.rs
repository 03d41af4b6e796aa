//! Accounts in SQLite.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params, types::Type};
use sluice_domain::{
    Account, AccountId, AccountStatus, DisplayName, EmailAddress, Error, Quota, Reason, Result,
    SessionId, Timestamp, Usage,
};

use super::{
    Database,
    database::Outcome,
    events::enqueue,
    purge,
    rows::{Sql, conversion},
    sessions, usage,
};
use crate::ports::{AccountPage, AccountStore, Event, InvitationHash, NewAccount, PasswordHash};

#[async_trait]
impl AccountStore for Database {
    async fn has_operator(&self) -> Result<bool> {
        self.read(|connection| Ok(operator(connection)?.is_some())).await
    }

    async fn operator(&self, new: AccountId, now: Timestamp) -> Result<Account> {
        self.write(move |connection| {
            if operator(connection)?.is_none() {
                connection.execute(
                    "INSERT INTO accounts (id, create_time) VALUES (?, ?)",
                    params![Sql(new), Sql(now)],
                )?;
                connection.execute(
                    "INSERT INTO settings (name, value) VALUES ('operator', ?)",
                    params![Sql(new)],
                )?;
            }
            get(connection, operator(connection)?.unwrap_or(new))
        })
        .await
    }

    async fn register(&self, new: NewAccount) -> Result<Account> {
        self.write(move |connection| {
            let of_operator = match new.invitation {
                None => false,
                Some(hash) => use_up(connection, hash, new.create_time)?,
            };
            if find_by_email(connection, &new.email)?.is_some() {
                return Err(taken(&new.email).into());
            }
            let id = match operator(connection)? {
                Some(operator) if of_operator => operator,
                _ => {
                    connection.execute(
                        "INSERT INTO accounts (id, create_time) VALUES (?, ?)",
                        params![Sql(new.id), Sql(new.create_time)],
                    )?;
                    new.id
                }
            };
            connection.execute(
                "UPDATE accounts SET email = ?, password = ?, display_name = ?, \
                 revision = revision + 1 WHERE id = ?",
                params![new.email.as_str(), new.password.0, new.display_name.as_str(), Sql(id)],
            )?;
            get(connection, id)
        })
        .await
    }

    async fn account(&self, id: AccountId) -> Result<Account> {
        self.read(move |connection| get(connection, id)).await
    }

    async fn by_email(&self, email: EmailAddress) -> Result<Option<(Account, PasswordHash)>> {
        self.read(move |connection| {
            let Some(id) = find_by_email(connection, &email)? else { return Ok(None) };
            let (Some(account), Some(password)) =
                (find(connection, id)?, password(connection, id)?)
            else {
                return Ok(None);
            };
            Ok(Some((account, password)))
        })
        .await
    }

    async fn password(&self, id: AccountId) -> Result<Option<PasswordHash>> {
        self.read(move |connection| password(connection, id)).await
    }

    async fn list_accounts(
        &self,
        after: Option<(Timestamp, AccountId)>,
        limit: u32,
    ) -> Result<AccountPage> {
        self.read(move |connection| {
            let sql = format!(
                "SELECT {ACCOUNT_COLUMNS} FROM accounts WHERE status <> 'DELETED' \
                 AND (?1 IS NULL OR (create_time, id) < (?1, ?2)) \
                 ORDER BY create_time DESC, id DESC LIMIT ?3"
            );
            let (time, id) = after.map(|(time, id)| (Sql(time), Sql(id))).unzip();
            let mut statement = connection.prepare_cached(&sql)?;
            let accounts = statement.query_map(params![time, id, limit + 1], account)?;
            let mut accounts = accounts.collect::<rusqlite::Result<Vec<_>>>()?;
            let more = accounts.len() > limit as usize;
            accounts.truncate(limit as usize);
            Ok(AccountPage { accounts, more })
        })
        .await
    }

    async fn rename_account(
        &self,
        id: AccountId,
        etag: String,
        display_name: DisplayName,
    ) -> Result<Account> {
        self.write(move |connection| {
            get(connection, id)?.check_etag(&etag)?;
            connection.execute(
                "UPDATE accounts SET display_name = ?, revision = revision + 1 WHERE id = ?",
                params![display_name.as_str(), Sql(id)],
            )?;
            get(connection, id)
        })
        .await
    }

    async fn change_password(
        &self,
        id: AccountId,
        before: PasswordHash,
        after: PasswordHash,
        keep: Option<SessionId>,
    ) -> Result<bool> {
        self.write(move |connection| {
            let changed = connection.execute(
                "UPDATE accounts SET password = ? WHERE id = ? AND password = ? \
                 AND status <> 'DELETED'",
                params![after.0, Sql(id), before.0],
            )?;
            if changed == 1 {
                sessions::end_all(connection, id, keep)?;
            }
            Ok(changed == 1)
        })
        .await
    }

    async fn set_status(
        &self,
        id: AccountId,
        status: AccountStatus,
        now: Timestamp,
    ) -> Result<Account> {
        self.write(move |connection| {
            let mut account = get(connection, id)?;
            if account.status == status {
                return Ok(account);
            }
            connection.execute(
                "UPDATE accounts SET status = ?, revision = revision + 1 WHERE id = ?",
                params![status.as_str(), Sql(id)],
            )?;
            if status != AccountStatus::Active {
                sessions::end_all(connection, id, None)?;
            }
            if status == AccountStatus::Deleted {
                // The address is free at once.
                connection.execute(
                    "UPDATE accounts SET email = NULL, password = NULL, display_name = '' \
                     WHERE id = ?",
                    params![Sql(id)],
                )?;
                connection
                    .execute("DELETE FROM api_keys WHERE account_id = ?", params![Sql(id)])?;
                enqueue(connection, &Event::DeleteAccount { account: id }, now)?;
            }
            account.status = status;
            account.revision += 1;
            Ok(account)
        })
        .await
    }

    async fn usage(&self, id: AccountId) -> Result<(Usage, Quota)> {
        self.read(move |connection| {
            get(connection, id)?;
            let quota = usage::quota(connection, id, Quota::default())?;
            Ok((usage::of(connection, id)?, quota))
        })
        .await
    }

    async fn set_quota(&self, id: AccountId, quota: Quota) -> Result<()> {
        self.write(move |connection| {
            get(connection, id)?;
            connection.execute(
                "UPDATE accounts SET max_bytes = ?, max_active_uploads = ?, max_file_size = ? \
                 WHERE id = ?",
                params![quota.max_bytes, quota.max_active_uploads, quota.max_file_size, Sql(id)],
            )?;
            Ok(())
        })
        .await
    }

    async fn add_invitation(
        &self,
        hash: InvitationHash,
        is_operators: bool,
        expire_time: Option<Timestamp>,
    ) -> Result<()> {
        self.write(move |connection| {
            connection.execute(
                "INSERT OR REPLACE INTO invitations (hash, is_operators, expire_time) \
                 VALUES (?, ?, ?)",
                params![hash, is_operators, expire_time.map(Sql)],
            )?;
            Ok(())
        })
        .await
    }

    async fn purge(&self, id: AccountId, limit: u32, now: Timestamp) -> Result<bool> {
        self.write_of(id, move |connection| purge::purge(connection, id, limit, now)).await
    }
}

/// The columns that [`account`] reads, in order.
const ACCOUNT_COLUMNS: &str = "id, email, display_name, status, revision, create_time, \
     EXISTS (SELECT 1 FROM settings WHERE name = 'operator' AND value = accounts.id)";

fn account(row: &Row<'_>) -> rusqlite::Result<Account> {
    let text = |index| conversion(index, Type::Text);
    let email: Option<String> = row.get(1)?;
    let email = email.map(|it| EmailAddress::parse(&it, "email").map_err(|_| text(1)));
    let display_name: String = row.get(2)?;
    let status: String = row.get(3)?;
    Ok(Account {
        id: row.get::<_, Sql<_>>(0)?.0,
        email: email.transpose()?,
        display_name: DisplayName::parse(&display_name, "display_name").map_err(|_| text(2))?,
        status: AccountStatus::parse(&status).ok_or_else(|| text(3))?,
        revision: row.get(4)?,
        create_time: row.get::<_, Sql<_>>(5)?.0,
        is_operator: row.get(6)?,
    })
}

/// Reads an account that is there.
fn get(connection: &Connection, id: AccountId) -> Outcome<Account> {
    find(connection, id)?.ok_or_else(|| not_found(id).into())
}

pub(super) fn not_found(id: AccountId) -> Error {
    Error::new(Reason::AccountNotFound, format!("there is no account {id}"))
}

fn find(connection: &Connection, id: AccountId) -> Outcome<Option<Account>> {
    let sql =
        format!("SELECT {ACCOUNT_COLUMNS} FROM accounts WHERE id = ? AND status <> 'DELETED'");
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_row(params![Sql(id)], account).optional()?)
}

fn find_by_email(connection: &Connection, email: &EmailAddress) -> Outcome<Option<AccountId>> {
    let mut statement = connection.prepare_cached("SELECT id FROM accounts WHERE email = ?")?;
    let id: Option<Sql<AccountId>> =
        statement.query_row([email.as_str()], |row| row.get(0)).optional()?;
    Ok(id.map(|id| id.0))
}

fn password(connection: &Connection, id: AccountId) -> Outcome<Option<PasswordHash>> {
    let mut statement = connection.prepare_cached("SELECT password FROM accounts WHERE id = ?")?;
    let password: Option<Option<String>> =
        statement.query_row(params![Sql(id)], |row| row.get(0)).optional()?;
    Ok(password.flatten().map(PasswordHash))
}

/// The operator's account, once it was made.
pub(super) fn operator(connection: &Connection) -> Outcome<Option<AccountId>> {
    let mut statement =
        connection.prepare_cached("SELECT value FROM settings WHERE name = 'operator'")?;
    let operator: Option<Sql<AccountId>> = statement.query_row([], |row| row.get(0)).optional()?;
    Ok(operator.map(|operator| operator.0))
}

/// Uses an invitation up; answers whether it is the operator's.
fn use_up(connection: &Connection, hash: InvitationHash, now: Timestamp) -> Outcome<bool> {
    let mut statement = connection.prepare_cached(
        "DELETE FROM invitations WHERE hash = ? AND (expire_time IS NULL OR expire_time > ?) \
         RETURNING is_operators",
    )?;
    let used = statement.query_row(params![hash, Sql(now)], |row| row.get(0)).optional()?;
    used.ok_or_else(|| {
        let message = "this set-up token is not known here, was used, or has expired";
        Error::new(Reason::CredentialsInvalid, message).into()
    })
}

fn taken(email: &EmailAddress) -> Error {
    let message = format!("there is an account {} already; sign in", email.as_str());
    Error::new(Reason::AccountExists, message)
}
