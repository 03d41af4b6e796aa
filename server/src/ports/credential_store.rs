//! What may act for accounts: sessions and API keys.

use std::time::Duration;

use async_trait::async_trait;
use sluice_domain::{
    AccountId, AccountStatus, ApiKeyId, DisplayName, Result, Scopes, SessionId, Timestamp,
};

/// SHA-256 of an API key. Keys hold 256 random bits, so a plain hash is enough
/// to keep the store from giving them away.
pub type ApiKeyHash = [u8; 32];

/// A sign-in that is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub account: AccountId,
    /// How often its tokens were refreshed.
    pub generation: u64,
    /// What signed in.
    pub user_agent: String,
    /// From where.
    pub address: String,
    /// When it signed in.
    pub create_time: Timestamp,
    /// When its tokens were refreshed last.
    pub refresh_time: Timestamp,
    /// When it ends.
    pub expire_time: Timestamp,
}

/// What became of a refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refreshed {
    /// The session goes on, at this generation.
    Session(Session),
    /// The token was used before, so long ago that somebody else has it: the
    /// session has ended.
    Reused,
    /// The session has ended.
    Ended,
}

/// An API key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// Whose it is.
    pub account: AccountId,
    /// What people call it.
    pub name: DisplayName,
    /// What it may be used for.
    pub scopes: Scopes,
    /// When it was made.
    pub create_time: Timestamp,
    /// When it ends.
    pub expire_time: Option<Timestamp>,
    /// When it was used, to within a minute.
    pub last_use_time: Option<Timestamp>,
}

/// How things are with an account and with what acts for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The account's status.
    pub status: AccountStatus,
    /// Whether it is the operator's.
    pub is_operator: bool,
    /// Whether the session or key that was asked for is there.
    pub credential: bool,
}

/// What acts for an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Actor {
    /// The tokens of a session.
    Session(SessionId),
    /// An API key.
    ApiKey(ApiKeyId),
    /// Something that the server has signed: a token for one upload, or a link.
    Signature,
}

/// Stores sessions and API keys. Every change is atomic and survives power loss
/// when the method returns.
#[async_trait]
pub trait CredentialStore: Send + Sync + 'static {
    /// How things are. An account that is not there is `DELETED`; a signature is
    /// always there.
    async fn standing(&self, account: AccountId, actor: Actor) -> Result<Standing>;

    /// Opens a session of an active account. Any other is refused as
    /// [`AccountStatus::check_active`] does.
    async fn open_session(&self, session: Session) -> Result<()>;

    /// Uses up the refresh token of a generation. The newest one makes the next
    /// generation, good until `expire_time`. The one before it, within `grace`
    /// of that, changes nothing and answers the session as it is: the answer may
    /// have been lost. An older one, or a later use, ends the session.
    async fn refresh_session(
        &self,
        account: AccountId,
        id: SessionId,
        generation: u64,
        now: Timestamp,
        grace: Duration,
        expire_time: Timestamp,
    ) -> Result<Refreshed>;

    /// Lists an account's sessions that are good at `now`, after this one,
    /// newest first.
    async fn sessions(
        &self,
        account: AccountId,
        after: Option<(Timestamp, SessionId)>,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Session>>;

    /// Ends a session; answers whether it was there.
    async fn end_session(&self, account: AccountId, id: SessionId) -> Result<bool>;

    /// Ends all sessions of an account but one; answers how many.
    async fn end_other_sessions(&self, account: AccountId, keep: Option<SessionId>) -> Result<u32>;

    /// Forgets sessions that have expired; answers how many.
    async fn forget_sessions(&self, now: Timestamp, limit: u32) -> Result<u32>;

    /// Makes this the one key in the operator's data folder, with all scopes.
    async fn set_operator_key(&self, key: ApiKey, hash: ApiKeyHash) -> Result<()>;

    /// Adds a key of an active account, unless the account has `most` of them:
    /// `QUOTA_EXCEEDED`.
    async fn add_api_key(&self, key: ApiKey, hash: ApiKeyHash, most: u32) -> Result<()>;

    /// The key with this hash.
    async fn api_key(&self, hash: ApiKeyHash) -> Result<Option<ApiKey>>;

    /// Lists an account's keys after this one, newest first.
    async fn api_keys(
        &self,
        account: AccountId,
        after: Option<(Timestamp, ApiKeyId)>,
        limit: u32,
    ) -> Result<Vec<ApiKey>>;

    /// Ends a key; answers whether it was there. The key in the operator's data
    /// folder is not there.
    async fn end_api_key(&self, account: AccountId, id: ApiKeyId) -> Result<bool>;

    /// Takes note that a key was used.
    async fn api_key_used(&self, account: AccountId, id: ApiKeyId, now: Timestamp) -> Result<()>;
}
