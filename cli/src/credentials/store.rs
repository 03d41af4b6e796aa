//! The session of one server, shared by all processes of a user.

use std::{any::Any, io};

use sluice_sdk::{SessionStore, SessionTokens};

use super::{Credentials, kept::Secret, origin};

/// A session in the file of credentials. Whoever signs in anew takes running
/// commands along, but nobody else does: to them, the session has ended.
#[derive(Debug, Clone)]
pub(crate) struct LoginStore {
    pub(super) credentials: Credentials,
    pub(super) server: String,
    pub(super) account_id: Option<String>,
}

impl SessionStore for LoginStore {
    fn load(&self) -> io::Result<Option<SessionTokens>> {
        let mut kept = self.credentials.read()?;
        let login = kept.servers.remove(&origin(&self.server));
        let own = login.filter(|login| login.account_id == self.account_id);
        Ok(match own.and_then(|login| login.secret) {
            Some(Secret::Session(tokens)) => Some(tokens.into()),
            Some(Secret::ApiKey(_)) | None => None,
        })
    }

    fn lock(&self) -> io::Result<Box<dyn Any + Send>> {
        self.credentials.lock()
    }

    fn save(&self, tokens: Option<&SessionTokens>) -> io::Result<()> {
        self.credentials.change_locked(&self.server, |login| match tokens {
            Some(tokens) => login.secret = Some(Secret::Session(tokens.into())),
            None => login.forget(),
        })
    }
}
