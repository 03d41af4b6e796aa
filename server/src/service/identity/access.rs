//! Who a credential stands for, and whether it still does.

use std::{sync::Arc, time::Duration};

use moka::sync::Cache;
use sluice_domain::{AccountId, ApiKeyId, DisplayName, Error, Reason, Result, Scopes, Timestamp};

use super::{
    Identity, hash_of,
    tokens::{Kind, Token},
};
use crate::{
    ports::{Actor, ApiKey, ApiKeyHash, Standing},
    service::{Caller, Context, Credential},
};

/// What every API key begins with, so that secret scanners can match it.
pub const API_KEY_PREFIX: &str = "sluice_key_";

/// How long what is known of a credential counts without being looked up again:
/// what another process revokes ends here within this time.
const FRESH: Duration = Duration::from_secs(2);

/// Credentials that are remembered.
const REMEMBERED: u64 = 10_000;

/// The use of a key is noted once in this time.
const USE_NOTED_EVERY: Duration = Duration::from_secs(60);

/// How often what an open stream goes by is looked at.
pub const RECHECK: Duration = Duration::from_secs(2);

/// What is known of credentials that were used just now.
pub struct Standings {
    actors: Cache<(AccountId, Actor), Standing>,
    keys: Cache<ApiKeyHash, Arc<ApiKey>>,
}

impl Default for Standings {
    fn default() -> Self {
        let (most, fresh) = (REMEMBERED, FRESH);
        Self {
            actors: Cache::builder().max_capacity(most).time_to_live(fresh).build(),
            keys: Cache::builder().max_capacity(most).time_to_live(fresh).build(),
        }
    }
}

impl Standings {
    /// Something was revoked: everything is looked up anew.
    pub fn forget(&self) {
        self.actors.invalidate_all();
        self.keys.invalidate_all();
    }
}

/// Finds the caller behind a bearer token.
pub async fn authenticate(context: &Context, token: Option<&str>) -> Result<Caller> {
    let Some(token) = token else {
        return Err(Error::new(
            Reason::CredentialsInvalid,
            "no credential: send the header \"authorization: Bearer <access token or API key>\"",
        ));
    };
    let identity = &context.identity;
    if token.starts_with(API_KEY_PREFIX) {
        return by_api_key(context, token).await;
    }
    let verified = identity.tokens.verify(token, &[Kind::Access, Kind::Upload]).await?;
    let (owner, credential, scopes) = match verified.token {
        Token::Access { account, session } => (account, Credential::Session(session), Scopes::ALL),
        Token::Upload { account, upload, epoch } => {
            (account, Credential::UploadToken(upload, epoch), Scopes::NONE)
        }
        Token::Refresh { .. } | Token::Device { .. } => return Err(unknown()),
    };
    settled(identity, Caller { owner, scopes, credential }).await
}

async fn by_api_key(context: &Context, token: &str) -> Result<Caller> {
    let identity = &context.identity;
    let hash = hash_of(token);
    let key = match identity.standings.keys.get(&hash) {
        Some(key) => key,
        None => {
            let key = identity.credentials.api_key(hash).await?.ok_or_else(unknown)?;
            note_use(context, &key);
            let key = Arc::new(key);
            identity.standings.keys.insert(hash, Arc::clone(&key));
            key
        }
    };
    if key.expire_time.is_some_and(|end| end <= identity.clock.now()) {
        return Err(Error::new(Reason::TokenExpired, "this API key has expired; make a new one"));
    }
    let credential = Credential::ApiKey(key.id);
    settled(identity, Caller { owner: key.account, scopes: key.scopes, credential }).await
}

fn note_use(context: &Context, key: &ApiKey) {
    let now = context.clock.now();
    if key.last_use_time.is_some_and(|last| now < last.plus(USE_NOTED_EVERY)) {
        return;
    }
    let credentials = Arc::clone(&context.identity.credentials);
    let (account, id) = (key.account, key.id);
    context.tasks.spawn(async move {
        if let Err(error) = credentials.api_key_used(account, id, now).await {
            tracing::warn!(key = %id, %error, "the use of an API key could not be noted");
        }
    });
}

/// The caller, if account and credential are still good.
async fn settled(identity: &Identity, caller: Caller) -> Result<Caller> {
    let standing = standing(identity, caller.owner, caller.credential.actor()).await?;
    standing.status.check_active()?;
    if !standing.credential {
        return Err(Error::new(Reason::TokenRevoked, "this credential was revoked; sign in again"));
    }
    let most = if standing.is_operator { Scopes::ALL } else { Scopes::ACCOUNT };
    Ok(Caller { scopes: caller.scopes.and(most), ..caller })
}

async fn standing(identity: &Identity, owner: AccountId, actor: Actor) -> Result<Standing> {
    let cache = &identity.standings.actors;
    if let Some(standing) = cache.get(&(owner, actor)) {
        return Ok(standing);
    }
    let standing = identity.credentials.standing(owner, actor).await?;
    cache.insert((owner, actor), standing);
    Ok(standing)
}

/// Refuses what a caller goes on with after they have lost the right to.
pub async fn recheck(context: &Context, caller: Caller) -> Result<()> {
    settled(&context.identity, caller).await.map(drop)
}

/// Returns why a caller may no longer go on, once that is so. A storage that
/// does not answer ends nothing.
pub async fn revoked(context: Context, caller: Caller) -> Error {
    loop {
        tokio::time::sleep(RECHECK).await;
        match recheck(&context, caller).await {
            Err(error) if is_final(error.reason) => return error,
            _ => {}
        }
    }
}

fn is_final(reason: Reason) -> bool {
    matches!(reason, Reason::TokenRevoked | Reason::TokenExpired | Reason::AccountSuspended)
}

fn unknown() -> Error {
    Error::new(Reason::CredentialsInvalid, "this credential is not known here")
}

/// What is kept of an API key.
pub fn hash(secret: &str) -> ApiKeyHash {
    hash_of(secret)
}

/// Makes `secret` the one API key of the operator's account that lies in the
/// data folder; answers the account.
pub async fn install_operator_key(
    context: &Context,
    secret: &str,
) -> Result<sluice_domain::Account> {
    let now: Timestamp = context.clock.now();
    let identity = &context.identity;
    let new = AccountId::from_uuid(context.new_uuid(now));
    let account = identity.accounts.operator(new, now).await?;
    let key = ApiKey {
        id: ApiKeyId::from_uuid(context.new_uuid(now)),
        account: account.id,
        name: DisplayName::parse("data folder", "name")?,
        scopes: Scopes::ALL,
        create_time: now,
        expire_time: None,
        last_use_time: None,
    };
    identity.credentials.set_operator_key(key, hash_of(secret)).await?;
    Ok(account)
}
