//! The session of one server, shared by all processes of a user.

use std::{any::Any, io};

use sluice_sdk::{SessionStore, SessionTokens};

use super::{Credentials, kept::Secret, origin};

/// A session in the file of credentials.
#[derive(Debug, Clone)]
pub(crate) struct LoginStore {
    pub(super) credentials: Credentials,
    pub(super) server: String,
}

impl SessionStore for LoginStore {
    fn load(&self) -> io::Result<Option<SessionTokens>> {
        let mut kept = self.credentials.read()?;
        let login = kept.servers.remove(&origin(&self.server));
        Ok(match login.and_then(|login| login.secret) {
            Some(Secret::Session(tokens)) => Some(tokens.into()),
            Some(Secret::ApiKey(_)) | None => None,
        })
    }

    fn lock(&self) -> io::Result<Box<dyn Any + Send>> {
        self.credentials.lock()
    }

    fn save(&self, tokens: Option<&SessionTokens>) -> io::Result<()> {
        let secret = tokens.map(|tokens| Secret::Session(tokens.into()));
        self.credentials.change_locked(&self.server, |login| {
            if secret.is_none() {
                login.email = None;
            }
            login.secret = secret;
        })
    }
}
