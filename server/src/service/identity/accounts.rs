//! What callers do with their own accounts.

use secrecy::SecretString;
use sluice_domain::{
    Account, AccountStatus, DisplayName, Error, Quota, Reason, Result, SessionId, Timestamp, Usage,
};

use super::{
    audit::{self, Origin},
    passwords,
};
use crate::{
    ports::{PasswordHash, Session},
    service::{Caller, Context},
};

/// The caller's account.
pub async fn get(context: &Context, caller: Caller) -> Result<Account> {
    context.identity.accounts.account(caller.owner).await
}

/// Changes the display name.
pub async fn rename(
    context: &Context,
    caller: Caller,
    etag: String,
    display_name: DisplayName,
) -> Result<Account> {
    context.identity.accounts.rename_account(caller.owner, etag, display_name).await
}

/// What the account holds, and how much it may.
pub async fn usage(context: &Context, caller: Caller) -> Result<(Usage, Quota)> {
    let (usage, own) = context.identity.accounts.usage(caller.owner).await?;
    Ok((usage, own.or(context.identity.policy.quota)))
}

/// Changes the password and ends all other sessions.
pub async fn change_password(
    context: &Context,
    caller: Caller,
    origin: &Origin,
    current: SecretString,
    new: SecretString,
) -> Result<()> {
    let identity = &context.identity;
    passwords::check_new(&new, "new_password")?;
    let before = confirmed(context, caller, "change password", origin, current).await?;
    let after = identity.passwords.hash(new).await?;
    let session = caller.session();
    let changed = identity.accounts.change_password(caller.owner, before, after, session).await?;
    identity.standings.forget();
    if !changed {
        return Err(wrong_password());
    }
    audit::done("change password", caller.owner, &"all other sessions ended");
    Ok(())
}

/// Deletes the account; what it owned is removed by the worker.
pub async fn delete(
    context: &Context,
    caller: Caller,
    origin: &Origin,
    password: SecretString,
) -> Result<()> {
    let identity = &context.identity;
    if get(context, caller).await?.is_operator {
        let message = "the operator's account cannot be deleted; remove the server's data instead";
        return Err(Error::new(Reason::NotSupported, message));
    }
    confirmed(context, caller, "delete account", origin, password).await?;
    let now = context.clock.now();
    identity.accounts.set_status(caller.owner, AccountStatus::Deleted, now).await?;
    identity.standings.forget();
    audit::done("delete account", caller.owner, &"");
    Ok(())
}

/// Lists sessions after this one, newest first.
pub async fn sessions(
    context: &Context,
    caller: Caller,
    after: Option<(Timestamp, SessionId)>,
    limit: u32,
) -> Result<Vec<Session>> {
    let now = context.clock.now();
    context.identity.credentials.sessions(caller.owner, after, now, limit).await
}

/// Ends one session.
pub async fn revoke_session(context: &Context, caller: Caller, id: SessionId) -> Result<()> {
    let there = context.identity.credentials.end_session(caller.owner, id).await?;
    context.identity.standings.forget();
    if !there {
        let message = format!("there is no session {id} of this account");
        return Err(Error::new(Reason::SessionNotFound, message));
    }
    audit::done("revoke session", caller.owner, &id);
    Ok(())
}

/// Ends all sessions but the caller's; answers how many.
pub async fn revoke_other_sessions(context: &Context, caller: Caller) -> Result<u32> {
    let keep = caller.session();
    let ended = context.identity.credentials.end_other_sessions(caller.owner, keep).await?;
    context.identity.standings.forget();
    audit::done("revoke other sessions", caller.owner, &ended);
    Ok(ended)
}

/// The hash of the account's password, if this is it. Tries count as those to
/// sign in do.
async fn confirmed(
    context: &Context,
    caller: Caller,
    action: &'static str,
    origin: &Origin,
    password: SecretString,
) -> Result<PasswordHash> {
    let identity = &context.identity;
    passwords::check_length(&password, "password")?;
    identity.throttle.device(*caller.owner.as_uuid())?;
    let hash = identity.accounts.password(caller.owner).await?;
    let fits = identity.passwords.verify(password, hash.clone()).await?;
    hash.filter(|_| fits).ok_or_else(|| {
        let error = wrong_password();
        audit::refused(action, Some(caller.owner), origin, &error);
        error
    })
}

fn wrong_password() -> Error {
    Error::new(Reason::CredentialsInvalid, "this is not the account's password")
}
