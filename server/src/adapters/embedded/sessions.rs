//! Sessions in SQLite, and the standing of what acts for an account.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params, types::Type};
use sluice_domain::{AccountId, AccountStatus, SessionId, Timestamp};

use super::{
    database::Outcome,
    rows::{Sql, conversion},
};
use crate::ports::{Actor, Refreshed, Session, Standing};

const SESSION_COLUMNS: &str =
    "id, account_id, generation, user_agent, address, create_time, refresh_time, expire_time";

fn session(row: &Row<'_>) -> rusqlite::Result<Session> {
    Ok(Session {
        id: row.get::<_, Sql<_>>(0)?.0,
        account: row.get::<_, Sql<_>>(1)?.0,
        generation: row.get(2)?,
        user_agent: row.get(3)?,
        address: row.get(4)?,
        create_time: row.get::<_, Sql<_>>(5)?.0,
        refresh_time: row.get::<_, Sql<_>>(6)?.0,
        expire_time: row.get::<_, Sql<_>>(7)?.0,
    })
}

/// How things are with an account and with what acts for it.
pub(super) fn standing(
    connection: &Connection,
    account: AccountId,
    actor: Actor,
) -> Outcome<Standing> {
    let mut statement = connection.prepare_cached(
        "SELECT status, EXISTS (SELECT 1 FROM settings WHERE name = 'operator' AND value = ?1) \
         FROM accounts WHERE id = ?1",
    )?;
    let found = statement.query_row(params![Sql(account)], |row| {
        let status: String = row.get(0)?;
        let status = AccountStatus::parse(&status).ok_or_else(|| conversion(0, Type::Text))?;
        Ok((status, row.get(1)?))
    });
    let (status, is_operator) = found.optional()?.unwrap_or((AccountStatus::Deleted, false));
    let there = |sql, id: &[u8; 16]| -> Outcome<bool> {
        let mut statement = connection.prepare_cached(sql)?;
        Ok(statement.query_row(params![id, Sql(account)], |row| row.get(0))?)
    };
    let credential = match actor {
        Actor::Session(id) => there(
            "SELECT EXISTS (SELECT 1 FROM sessions WHERE id = ? AND account_id = ?)",
            id.as_uuid().as_bytes(),
        )?,
        Actor::ApiKey(id) => there(
            "SELECT EXISTS (SELECT 1 FROM api_keys WHERE id = ? AND account_id = ?)",
            id.as_uuid().as_bytes(),
        )?,
        Actor::Signature => true,
    };
    Ok(Standing { status, is_operator, credential })
}

/// Writes a new session.
pub(super) fn insert(connection: &Connection, session: &Session) -> Outcome<()> {
    standing(connection, session.account, Actor::Signature)?.status.check_active()?;
    let mut statement = connection.prepare_cached(
        "INSERT INTO sessions (id, account_id, generation, user_agent, address, create_time, \
         refresh_time, expire_time) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    statement.execute(params![
        Sql(session.id),
        Sql(session.account),
        session.generation,
        session.user_agent,
        session.address,
        Sql(session.create_time),
        Sql(session.refresh_time),
        Sql(session.expire_time),
    ])?;
    Ok(())
}

/// A use of the refresh token of a generation.
pub(super) struct Refresh {
    pub(super) generation: u64,
    pub(super) now: Timestamp,
    pub(super) grace: Duration,
    pub(super) expire_time: Timestamp,
}

/// Uses up a refresh token.
pub(super) fn refresh(
    connection: &Connection,
    account: AccountId,
    id: SessionId,
    refresh: &Refresh,
) -> Outcome<Refreshed> {
    standing(connection, account, Actor::Signature)?.status.check_active()?;
    let sql = format!(
        "SELECT {SESSION_COLUMNS} FROM sessions WHERE id = ? AND account_id = ? AND expire_time > ?"
    );
    let found = connection
        .prepare_cached(&sql)?
        .query_row(params![Sql(id), Sql(account), Sql(refresh.now)], session)
        .optional()?;
    let Some(mut session) = found else { return Ok(Refreshed::Ended) };
    if refresh.generation == session.generation {
        session.generation += 1;
        session.refresh_time = refresh.now;
        session.expire_time = refresh.expire_time;
        connection
            .prepare_cached(
                "UPDATE sessions SET generation = ?, refresh_time = ?, expire_time = ? WHERE id = ?",
            )?
            .execute(params![
                session.generation,
                Sql(session.refresh_time),
                Sql(session.expire_time),
                Sql(id)
            ])?;
        return Ok(Refreshed::Session(session));
    }
    let lost = refresh.generation + 1 == session.generation
        && refresh.now <= session.refresh_time.plus(refresh.grace);
    if lost {
        return Ok(Refreshed::Session(session));
    }
    connection.prepare_cached("DELETE FROM sessions WHERE id = ?")?.execute(params![Sql(id)])?;
    Ok(Refreshed::Reused)
}

/// Lists sessions that are good, newest first.
pub(super) fn list(
    connection: &Connection,
    account: AccountId,
    after: Option<(Timestamp, SessionId)>,
    now: Timestamp,
    limit: u32,
) -> Outcome<Vec<Session>> {
    let sql = format!(
        "SELECT {SESSION_COLUMNS} FROM sessions WHERE account_id = ?1 AND expire_time > ?2 \
         AND (?3 IS NULL OR (create_time, id) < (?3, ?4)) \
         ORDER BY create_time DESC, id DESC LIMIT ?5"
    );
    let (time, id) = after.map(|(time, id)| (Sql(time), Sql(id))).unzip();
    let mut statement = connection.prepare_cached(&sql)?;
    let found = statement.query_map(params![Sql(account), Sql(now), time, id, limit], session)?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// Ends a session; answers whether it was there.
pub(super) fn end(connection: &Connection, account: AccountId, id: SessionId) -> Outcome<bool> {
    let ended = connection
        .prepare_cached("DELETE FROM sessions WHERE id = ? AND account_id = ?")?
        .execute(params![Sql(id), Sql(account)])?;
    Ok(ended == 1)
}

/// Ends all sessions of an account but one; answers how many.
pub(super) fn end_all(
    connection: &Connection,
    account: AccountId,
    keep: Option<SessionId>,
) -> Outcome<u32> {
    let ended = connection
        .prepare_cached("DELETE FROM sessions WHERE account_id = ?1 AND (?2 IS NULL OR id <> ?2)")?
        .execute(params![Sql(account), keep.map(Sql)])?;
    Ok(u32::try_from(ended).unwrap_or(u32::MAX))
}

/// Forgets sessions that have expired; answers how many.
pub(super) fn forget(connection: &Connection, now: Timestamp, limit: u32) -> Outcome<u32> {
    let forgotten = connection
        .prepare_cached(
            "DELETE FROM sessions WHERE id IN \
             (SELECT id FROM sessions WHERE expire_time <= ? LIMIT ?)",
        )?
        .execute(params![Sql(now), limit])?;
    Ok(u32::try_from(forgotten).unwrap_or(u32::MAX))
}
