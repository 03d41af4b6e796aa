//! Sessions: what somebody has who signed in, and where it is kept.

mod live;

use std::{
    any::Any,
    fmt, io,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use sluice_proto::v1;

pub(crate) use self::live::LiveSession;
use crate::{Error, error::Kind};

/// The tokens of a session: secrets, which `Debug` does not show.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionTokens {
    /// Goes with every call, for some minutes.
    pub access_token: String,
    /// When that ends.
    pub access_expire_time: SystemTime,
    /// Gets the next tokens, once. Whoever uses it again later ends the session.
    pub refresh_token: String,
    /// When that ends, and the session with it.
    pub refresh_expire_time: SystemTime,
    /// Id of the session.
    pub session_id: String,
}

/// Where the tokens of a session are kept.
///
/// A refresh token is good for one use, so all who share a session must take
/// turns: the client refreshes under [`lock`](Self::lock), looks first whether
/// somebody else has refreshed meanwhile, and uses new tokens only after they
/// were [saved](Self::save). All methods may block; they are called on threads
/// where that does no harm, but for the first [`load`](Self::load).
pub trait SessionStore: Send + Sync + 'static {
    /// The tokens that were saved last; none if the session has ended.
    fn load(&self) -> io::Result<Option<SessionTokens>>;

    /// Waits until nobody else refreshes the session, and keeps others from it,
    /// in other processes as well, until what it returns is dropped.
    fn lock(&self) -> io::Result<Box<dyn Any + Send>>;

    /// Keeps these tokens instead of those before; none once the session has
    /// ended. When it returns they must be there for the next process.
    fn save(&self, tokens: Option<&SessionTokens>) -> io::Result<()>;
}

/// A session that ends with the process. Clones share it.
#[derive(Debug, Clone)]
pub struct MemoryStore(Arc<Mutex<Option<SessionTokens>>>);

impl MemoryStore {
    /// A store with these tokens.
    pub fn new(tokens: SessionTokens) -> Self {
        Self(Arc::new(Mutex::new(Some(tokens))))
    }
}

impl SessionStore for MemoryStore {
    fn load(&self) -> io::Result<Option<SessionTokens>> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn lock(&self) -> io::Result<Box<dyn Any + Send>> {
        // The clones of a client take turns by themselves.
        Ok(Box::new(()))
    }

    fn save(&self, tokens: Option<&SessionTokens>) -> io::Result<()> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = tokens.cloned();
        Ok(())
    }
}

impl TryFrom<v1::Tokens> for SessionTokens {
    type Error = Error;

    fn try_from(tokens: v1::Tokens) -> Result<Self, Error> {
        let time = |time: Option<prost_types::Timestamp>| {
            let time = time.and_then(|time| SystemTime::try_from(time).ok());
            time.ok_or_else(|| Error::new(Kind::Corrupt, "the server's tokens have no expiry"))
        };
        Ok(Self {
            access_expire_time: time(tokens.access_expire_time)?,
            refresh_expire_time: time(tokens.refresh_expire_time)?,
            access_token: tokens.access_token,
            refresh_token: tokens.refresh_token,
            session_id: tokens.session_id,
        })
    }
}

impl fmt::Debug for SessionTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionTokens")
            .field("session_id", &self.session_id)
            .field("access_expire_time", &self.access_expire_time)
            .field("refresh_expire_time", &self.refresh_expire_time)
            .finish_non_exhaustive()
    }
}
