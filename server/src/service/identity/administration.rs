//! What the operator does with all accounts.

use std::time::Duration;

use sluice_domain::{
    Account, AccountId, AccountStatus, Error, Quota, Reason, Result, Timestamp, Usage,
};

use super::{audit, hash_of, new_secret};
use crate::{
    ports::AccountPage,
    service::{Caller, Context},
};

/// What every set-up token begins with.
pub const SETUP_TOKEN_PREFIX: &str = "sluice_setup_";

/// Lists accounts after this one, newest first.
pub async fn list(
    context: &Context,
    after: Option<(Timestamp, AccountId)>,
    limit: u32,
) -> Result<AccountPage> {
    context.identity.accounts.list_accounts(after, limit).await
}

/// Stops an account.
pub async fn suspend(context: &Context, caller: Caller, id: AccountId) -> Result<Account> {
    if id == caller.owner {
        let message = "the operator's own account cannot be suspended";
        return Err(Error::new(Reason::NotSupported, message));
    }
    set_status(context, id, AccountStatus::Suspended, "suspend account").await
}

/// Lets an account act again.
pub async fn reinstate(context: &Context, id: AccountId) -> Result<Account> {
    set_status(context, id, AccountStatus::Active, "reinstate account").await
}

async fn set_status(
    context: &Context,
    id: AccountId,
    status: AccountStatus,
    action: &'static str,
) -> Result<Account> {
    let now = context.clock.now();
    let account = context.identity.accounts.set_status(id, status, now).await?;
    context.identity.standings.forget();
    audit::done(action, id, &"");
    Ok(account)
}

/// Sets the limits of an account; answers what it holds, and what holds now.
pub async fn set_quota(context: &Context, id: AccountId, quota: Quota) -> Result<(Usage, Quota)> {
    let identity = &context.identity;
    identity.accounts.set_quota(id, quota).await?;
    audit::done("set quota", id, &format!("{quota:?}"));
    let (usage, own) = identity.accounts.usage(id).await?;
    Ok((usage, own.or(identity.policy.quota)))
}

/// Makes a token with which one account can be registered.
pub async fn invite(
    context: &Context,
    caller: Caller,
    ttl: Duration,
) -> Result<(String, Timestamp)> {
    let token = new_secret(SETUP_TOKEN_PREFIX)?;
    let end = context.clock.now().plus(ttl);
    context.identity.accounts.add_invitation(hash_of(&token), false, Some(end)).await?;
    audit::done("create invitation", caller.owner, &"");
    Ok((token, end))
}

/// Makes a token with which the operator's own account is registered, once.
pub async fn install_setup_token(context: &Context, token: &str) -> Result<()> {
    context.identity.accounts.add_invitation(hash_of(token), true, None).await
}
