//! Who is calling, and what they may do.

use sluice_domain::{
    AccountId, ApiKeyId, Epoch, Error, Reason, Result, Scope, Scopes, SessionId, UploadId,
};

use crate::ports::Actor;

/// What a caller has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// An access token of a session.
    Session(SessionId),
    /// An API key.
    ApiKey(ApiKeyId),
    /// A token for the data of one upload, and for one writer of it.
    UploadToken(UploadId, Epoch),
    /// A signed URL.
    Link,
}

impl Credential {
    /// What must still be there for the credential to be good.
    pub fn actor(self) -> Actor {
        match self {
            Self::Session(id) => Actor::Session(id),
            Self::ApiKey(id) => Actor::ApiKey(id),
            Self::UploadToken(..) | Self::Link => Actor::Signature,
        }
    }
}

/// Who is calling. The owner is part of every look-up that is made for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The account.
    pub owner: AccountId,
    /// What they may do.
    pub scopes: Scopes,
    /// How they have shown that.
    pub credential: Credential,
}

impl Caller {
    /// Whoever has a link that this account has signed.
    pub fn of_link(owner: AccountId) -> Self {
        Self { owner, scopes: Scopes::NONE, credential: Credential::Link }
    }

    /// Refuses a caller who may not do this.
    pub fn check_scope(self, scope: Scope) -> Result<()> {
        if self.scopes.has(scope) { Ok(()) } else { Err(scope_missing(scope)) }
    }

    /// Refuses a caller whose token is for another upload: for them there is no
    /// such upload.
    pub fn check_upload(self, id: UploadId) -> Result<()> {
        match self.credential {
            Credential::UploadToken(of, _) if of != id => {
                let message = format!("this token is for upload {of} alone");
                Err(Error::new(Reason::UploadNotFound, message))
            }
            _ => Ok(()),
        }
    }

    /// The writer that this caller may act as, where it is only one. Another
    /// one than they name is refused.
    pub fn writer(self, named: Option<Epoch>) -> Result<Option<Epoch>> {
        match (self.credential, named) {
            (Credential::UploadToken(_, of), Some(named)) if of != named => {
                let message = format!("this token is for writer epoch {}, not {}", of.0, named.0);
                Err(Error::new(Reason::TokenRevoked, message))
            }
            (Credential::UploadToken(_, of), _) => Ok(Some(of)),
            (_, named) => Ok(named),
        }
    }

    /// The session of this call, if it has one.
    pub fn session(self) -> Option<SessionId> {
        match self.credential {
            Credential::Session(id) => Some(id),
            _ => None,
        }
    }
}

/// The refusal of a credential that does not cover a request.
pub fn scope_missing(scope: Scope) -> Error {
    let message = format!("this credential does not have the scope {scope}");
    Error::new(Reason::ScopeMissing, message).with("scope", scope)
}
