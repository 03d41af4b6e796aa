//! Rows of API keys.

use rusqlite::{Connection, OptionalExtension, Row, params, types::Type};
use sluice_domain::{AccountId, ApiKeyId, DisplayName, Error, Reason, Scope, Scopes, Timestamp};

use super::{
    database::Outcome,
    rows::{Sql, conversion},
    sessions,
};
use crate::ports::{Actor, ApiKey, ApiKeyHash};

const KEY_COLUMNS: &str = "id, account_id, name, scopes, create_time, expire_time, last_use_time";

fn api_key(row: &Row<'_>) -> rusqlite::Result<ApiKey> {
    let text = |index| conversion(index, Type::Text);
    let (name, scopes): (String, String) = (row.get(2)?, row.get(3)?);
    let scopes: Option<Scopes> = scopes.split_whitespace().map(Scope::parse).collect();
    Ok(ApiKey {
        id: row.get::<_, Sql<_>>(0)?.0,
        account: row.get::<_, Sql<_>>(1)?.0,
        name: DisplayName::parse(&name, "name").map_err(|_| text(2))?,
        scopes: scopes.ok_or_else(|| text(3))?,
        create_time: row.get::<_, Sql<_>>(4)?.0,
        expire_time: row.get::<_, Option<Sql<_>>>(5)?.map(|time| time.0),
        last_use_time: row.get::<_, Option<Sql<_>>>(6)?.map(|time| time.0),
    })
}

/// Replaces the key in the operator's data folder, unless it is this one.
pub(super) fn set_operators(
    connection: &Connection,
    key: &ApiKey,
    hash: &ApiKeyHash,
) -> Outcome<()> {
    connection
        .execute("DELETE FROM api_keys WHERE is_operators = 1 AND hash <> ?", params![hash])?;
    if find(connection, hash)?.is_none() {
        insert(connection, key, hash, true)?;
    }
    Ok(())
}

/// Adds a key.
pub(super) fn add(
    connection: &Connection,
    key: &ApiKey,
    hash: &ApiKeyHash,
    most: u32,
) -> Outcome<()> {
    sessions::standing(connection, key.account, Actor::Signature)?.status.check_active()?;
    let count: u32 = connection
        .prepare_cached("SELECT count(*) FROM api_keys WHERE account_id = ? AND is_operators = 0")?
        .query_row(params![Sql(key.account)], |row| row.get(0))?;
    if count >= most {
        let message = format!("an account can have {most} API keys; revoke one first");
        let error = Error::new(Reason::QuotaExceeded, message);
        return Err(error.with("limit", most).with("used", count).into());
    }
    insert(connection, key, hash, false)
}

fn insert(
    connection: &Connection,
    key: &ApiKey,
    hash: &ApiKeyHash,
    is_operators: bool,
) -> Outcome<()> {
    let scopes: Vec<_> = key.scopes.iter().map(Scope::as_str).collect();
    connection.execute(
        "INSERT INTO api_keys (id, account_id, hash, name, scopes, is_operators, create_time, \
         expire_time) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            Sql(key.id),
            Sql(key.account),
            hash,
            key.name.as_str(),
            scopes.join(" "),
            is_operators,
            Sql(key.create_time),
            key.expire_time.map(Sql),
        ],
    )?;
    Ok(())
}

/// The key with this hash.
pub(super) fn find(connection: &Connection, hash: &ApiKeyHash) -> Outcome<Option<ApiKey>> {
    let sql = format!("SELECT {KEY_COLUMNS} FROM api_keys WHERE hash = ?");
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_row(params![hash], api_key).optional()?)
}

/// Lists keys, newest first, without that in the operator's data folder.
pub(super) fn list(
    connection: &Connection,
    account: AccountId,
    after: Option<(Timestamp, ApiKeyId)>,
    limit: u32,
) -> Outcome<Vec<ApiKey>> {
    let sql = format!(
        "SELECT {KEY_COLUMNS} FROM api_keys WHERE account_id = ?1 AND is_operators = 0 \
         AND (?2 IS NULL OR (create_time, id) < (?2, ?3)) \
         ORDER BY create_time DESC, id DESC LIMIT ?4"
    );
    let (time, id) = after.map(|(time, id)| (Sql(time), Sql(id))).unzip();
    let mut statement = connection.prepare_cached(&sql)?;
    let found = statement.query_map(params![Sql(account), time, id, limit], api_key)?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// Ends a key; answers whether it was there.
pub(super) fn end(connection: &Connection, account: AccountId, id: ApiKeyId) -> Outcome<bool> {
    let ended = connection.execute(
        "DELETE FROM api_keys WHERE id = ? AND account_id = ? AND is_operators = 0",
        params![Sql(id), Sql(account)],
    )?;
    Ok(ended == 1)
}

/// Takes note that a key was used.
pub(super) fn used(
    connection: &Connection,
    account: AccountId,
    id: ApiKeyId,
    now: Timestamp,
) -> Outcome<()> {
    connection
        .prepare_cached("UPDATE api_keys SET last_use_time = ? WHERE id = ? AND account_id = ?")?
        .execute(params![Sql(now), Sql(id), Sql(account)])?;
    Ok(())
}
