//! API keys of the caller's account.

use std::time::Duration;

use sluice_domain::{ApiKeyId, DisplayName, Error, Reason, Result, Scope, Scopes, Timestamp};

use super::{access::API_KEY_PREFIX, audit, hash_of, new_secret};
use crate::{
    ports::ApiKey,
    service::{Caller, Context, caller::scope_missing},
};

/// Most keys of an account.
const MOST: u32 = 100;

/// Makes a key; answers it and its secret, which nobody can find out again.
pub async fn create(
    context: &Context,
    caller: Caller,
    name: DisplayName,
    scopes: Scopes,
    ttl: Option<Duration>,
) -> Result<(ApiKey, String)> {
    if let Some(missing) = caller.scopes.first_missing(scopes) {
        return Err(scope_missing(missing));
    }
    let secret = new_secret(API_KEY_PREFIX)?;
    let now = context.clock.now();
    let key = ApiKey {
        id: ApiKeyId::from_uuid(context.new_uuid(now)),
        account: caller.owner,
        name,
        scopes,
        create_time: now,
        expire_time: ttl.map(|ttl| now.plus(ttl)),
        last_use_time: None,
    };
    context.identity.credentials.add_api_key(key.clone(), hash_of(&secret), MOST).await?;
    let names: Vec<_> = scopes.iter().map(Scope::as_str).collect();
    audit::done("create api key", caller.owner, &format!("{} {}", key.id, names.join(" ")));
    Ok((key, secret))
}

/// Lists keys after this one, newest first.
pub async fn list(
    context: &Context,
    caller: Caller,
    after: Option<(Timestamp, ApiKeyId)>,
    limit: u32,
) -> Result<Vec<ApiKey>> {
    context.identity.credentials.api_keys(caller.owner, after, limit).await
}

/// Ends a key.
pub async fn revoke(context: &Context, caller: Caller, id: ApiKeyId) -> Result<()> {
    let there = context.identity.credentials.end_api_key(caller.owner, id).await?;
    context.identity.standings.forget();
    if !there {
        let message = format!("there is no API key {id} of this account");
        return Err(Error::new(Reason::ApiKeyNotFound, message));
    }
    audit::done("revoke api key", caller.owner, &id);
    Ok(())
}
