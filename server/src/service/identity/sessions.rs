//! Signing up, in and out.

use secrecy::SecretString;
use std::time::Duration;

use sluice_domain::{
    Account, AccountId, DisplayName, EmailAddress, Error, Reason, Result, Scopes, SessionId,
    Timestamp,
};

use super::{
    Identity, Registration, access,
    audit::{self, Origin},
    hash_of, passwords,
    tokens::{Kind, Token, new_device},
};
use crate::{
    ports::{NewAccount, Refreshed, Session},
    service::{Caller, Context},
};

/// How long after its use a refresh token can be used again: the answer may
/// have been lost, or several tabs of a browser may share it.
pub const REFRESH_GRACE: Duration = Duration::from_secs(15);

/// How long a device is known that does not sign in.
const DEVICE_TTL: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What somebody registers with.
pub struct Register {
    /// Address to sign in with.
    pub email: EmailAddress,
    /// The password.
    pub password: SecretString,
    /// What people call the account.
    pub display_name: DisplayName,
    /// The invitation, if there is one.
    pub setup_token: Option<SecretString>,
}

/// What somebody signs in with.
pub struct Login {
    /// The address.
    pub email: EmailAddress,
    /// The password.
    pub password: SecretString,
    /// What shows that the device is known.
    pub device_token: Option<SecretString>,
}

/// The tokens of a session.
pub struct SessionTokens {
    /// Goes with every call.
    pub access_token: String,
    /// When that ends.
    pub access_expire_time: Timestamp,
    /// Gets the next tokens.
    pub refresh_token: String,
    /// When that ends.
    pub refresh_expire_time: Timestamp,
    /// The session.
    pub session: SessionId,
}

/// Somebody who has signed in.
pub struct SignedIn {
    /// The account.
    pub account: Account,
    /// The session's tokens.
    pub tokens: SessionTokens,
    /// Shows next time that the device is known.
    pub device_token: String,
}

/// What is known of a token.
pub struct Introspection {
    /// What kind it is.
    pub kind: IntrospectedKind,
    /// What it may be used for.
    pub scopes: Scopes,
    /// When it ends.
    pub expire_time: Option<Timestamp>,
    /// The session, upload or key.
    pub subject: String,
}

/// Kinds of credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntrospectedKind {
    /// An access token.
    Access,
    /// A refresh token.
    Refresh,
    /// An upload token.
    Upload,
    /// An API key.
    ApiKey,
}

/// Makes an account and signs in.
pub async fn register(context: &Context, origin: &Origin, request: Register) -> Result<SignedIn> {
    let identity = &context.identity;
    identity.throttle.stranger(origin.address, None)?;
    passwords::check_new(&request.password, "password")?;
    let invitation = match (&request.setup_token, identity.policy.registration) {
        (Some(token), _) => Some(hash_of(secrecy::ExposeSecret::expose_secret(token))),
        (None, Registration::Open) => None,
        (None, Registration::Invited) => {
            let message = "registering needs a set-up token; ask the operator of the server";
            return Err(Error::new(Reason::CredentialsInvalid, message));
        }
    };
    let password = identity.passwords.hash(request.password).await?;
    let now = context.clock.now();
    let new = NewAccount {
        id: AccountId::from_uuid(context.new_uuid(now)),
        email: request.email,
        password,
        display_name: request.display_name,
        create_time: now,
        invitation,
    };
    let registered = identity.accounts.register(new).await;
    let account =
        registered.inspect_err(|error| audit::refused("register", None, origin, error))?;
    sign_in(context, "register", account, origin, None).await
}

/// Opens a session. Whether there is such an account cannot be told from the
/// answer nor from how long it takes.
pub async fn login(context: &Context, origin: &Origin, request: Login) -> Result<SignedIn> {
    let identity = &context.identity;
    passwords::check_length(&request.password, "password")?;
    let known = known_device(identity, request.device_token.as_ref()).await;
    let found = identity.accounts.by_email(request.email.clone()).await?;
    let device = known.filter(|(of, _)| found.as_ref().is_some_and(|(it, _)| it.id == *of));
    match device {
        Some((_, device)) => identity.throttle.device(device),
        None => identity.throttle.stranger(origin.address, Some(&request.email)),
    }
    .inspect_err(|error| audit::refused("login", None, origin, error))?;

    let (account, hash) = found.unzip();
    let fits = identity.passwords.verify(request.password, hash).await?;
    let refused = |account: Option<AccountId>, error: Error| {
        audit::refused("login", account, origin, &error);
        error
    };
    let Some(account) = account else { return Err(refused(None, wrong())) };
    if !fits {
        return Err(refused(Some(account.id), wrong()));
    }
    account.status.check_active().map_err(|error| refused(Some(account.id), error))?;
    sign_in(context, "login", account, origin, device.map(|(_, device)| device)).await
}

/// Gives the next tokens for a refresh token.
pub async fn refresh(
    context: &Context,
    origin: &Origin,
    refresh_token: &SecretString,
) -> Result<SessionTokens> {
    let identity = &context.identity;
    let (account, id, generation) = refresh_claims(identity, refresh_token).await?;
    let now = context.clock.now();
    let end = now.plus(identity.policy.session_ttl);
    let refreshed = identity
        .credentials
        .refresh_session(account, id, generation, now, REFRESH_GRACE, end)
        .await;
    let refreshed =
        refreshed.inspect_err(|error| audit::refused("refresh", Some(account), origin, error))?;
    let error = match refreshed {
        Refreshed::Session(session) => return tokens_of(identity, &session).await,
        Refreshed::Reused => {
            identity.standings.forget();
            let message = "this refresh token was used before: somebody else may have it, so the \
                           session has ended; sign in again";
            Error::new(Reason::TokenRevoked, message)
        }
        Refreshed::Ended => {
            Error::new(Reason::TokenRevoked, "this session has ended; sign in again")
        }
    };
    audit::refused("refresh", Some(account), origin, &error);
    Err(error)
}

/// Ends the session of a refresh token.
pub async fn logout(context: &Context, refresh_token: &SecretString) -> Result<()> {
    let identity = &context.identity;
    let (account, id, _) = match refresh_claims(identity, refresh_token).await {
        // It has ended by itself.
        Err(error) if error.reason == Reason::TokenExpired => return Ok(()),
        claims => claims?,
    };
    identity.credentials.end_session(account, id).await?;
    identity.standings.forget();
    audit::done("logout", account, &id);
    Ok(())
}

/// What is known of a credential of the caller's own account; nothing if it is
/// not good.
pub async fn introspect(
    context: &Context,
    caller: Caller,
    token: &SecretString,
) -> Result<Option<Introspection>> {
    let text = secrecy::ExposeSecret::expose_secret(token);
    let identity = &context.identity;
    let found = if text.starts_with(access::API_KEY_PREFIX) {
        let key = identity.credentials.api_key(hash_of(text)).await?;
        let now = context.clock.now();
        key.filter(|key| key.expire_time.is_none_or(|end| now < end)).map(|key| {
            let credential = crate::service::Credential::ApiKey(key.id);
            let caller = Caller { owner: key.account, scopes: key.scopes, credential };
            let known = Introspection {
                kind: IntrospectedKind::ApiKey,
                scopes: key.scopes,
                expire_time: key.expire_time,
                subject: key.id.to_string(),
            };
            (caller, known)
        })
    } else {
        let kinds = [Kind::Access, Kind::Refresh, Kind::Upload];
        match identity.tokens.verify(text, &kinds).await {
            Ok(verified) => Some(of_token(verified.token, verified.expire_time)),
            Err(error) if error.reason == Reason::StorageIo => return Err(error),
            Err(_) => None,
        }
    };
    let Some((of, known)) = found.filter(|(of, _)| of.owner == caller.owner) else {
        return Ok(None);
    };
    Ok(access::recheck(context, of).await.is_ok().then_some(known))
}

fn of_token(token: Token, expire_time: Timestamp) -> (Caller, Introspection) {
    use crate::service::Credential;
    let (kind, owner, credential, scopes, subject) = match token {
        Token::Access { account, session } => {
            let credential = Credential::Session(session);
            (IntrospectedKind::Access, account, credential, Scopes::ACCOUNT, session.to_string())
        }
        Token::Refresh { account, session, .. } => {
            let credential = Credential::Session(session);
            (IntrospectedKind::Refresh, account, credential, Scopes::NONE, session.to_string())
        }
        Token::Upload { account, upload, epoch } => {
            let credential = Credential::UploadToken(upload, epoch);
            (IntrospectedKind::Upload, account, credential, Scopes::NONE, upload.to_string())
        }
        Token::Device { account, device } => {
            let credential = Credential::Link;
            (IntrospectedKind::Refresh, account, credential, Scopes::NONE, device.to_string())
        }
    };
    let known = Introspection { kind, scopes, expire_time: Some(expire_time), subject };
    (Caller { owner, scopes, credential }, known)
}

async fn sign_in(
    context: &Context,
    action: &'static str,
    account: Account,
    origin: &Origin,
    device: Option<uuid::Uuid>,
) -> Result<SignedIn> {
    let identity = &context.identity;
    let now = context.clock.now();
    let session = Session {
        id: SessionId::from_uuid(context.new_uuid(now)),
        account: account.id,
        generation: 0,
        user_agent: origin.user_agent.clone(),
        address: origin.address_text(),
        create_time: now,
        refresh_time: now,
        expire_time: now.plus(identity.policy.session_ttl),
    };
    identity.credentials.open_session(session.clone()).await?;
    let device = match device {
        Some(device) => device,
        None => new_device()?,
    };
    let device = Token::Device { account: account.id, device };
    let (device_token, _) = identity.tokens.issue(device, DEVICE_TTL).await?;
    let tokens = tokens_of(identity, &session).await?;
    audit::signed_in(action, account.id, &session.id.to_string(), origin);
    Ok(SignedIn { account, tokens, device_token })
}

async fn tokens_of(identity: &Identity, session: &Session) -> Result<SessionTokens> {
    let (account, id, policy) = (session.account, session.id, &identity.policy);
    let access = Token::Access { account, session: id };
    let (access_token, access_expire_time) =
        identity.tokens.issue(access, policy.access_ttl).await?;
    let refresh = Token::Refresh { account, session: id, generation: session.generation };
    let (refresh_token, refresh_expire_time) =
        identity.tokens.issue(refresh, policy.session_ttl).await?;
    Ok(SessionTokens {
        access_token,
        access_expire_time,
        refresh_token,
        refresh_expire_time,
        session: id,
    })
}

async fn refresh_claims(
    identity: &Identity,
    token: &SecretString,
) -> Result<(AccountId, SessionId, u64)> {
    let text = secrecy::ExposeSecret::expose_secret(token);
    match identity.tokens.verify(text, &[Kind::Refresh]).await?.token {
        Token::Refresh { account, session, generation } => Ok((account, session, generation)),
        _ => Err(wrong()),
    }
}

/// The account and the name of a device that shows a good token.
async fn known_device(
    identity: &Identity,
    token: Option<&SecretString>,
) -> Option<(AccountId, uuid::Uuid)> {
    let text = secrecy::ExposeSecret::expose_secret(token?);
    match identity.tokens.verify(text, &[Kind::Device]).await.ok()?.token {
        Token::Device { account, device } => Some((account, device)),
        _ => None,
    }
}

fn wrong() -> Error {
    Error::new(Reason::CredentialsInvalid, "address or password is wrong")
}
