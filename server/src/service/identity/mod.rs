//! Who somebody is, and what they may do: accounts, sessions, keys and tokens.

pub mod access;
pub mod accounts;
pub mod administration;
pub mod api_keys;
pub mod audit;
mod common_passwords;
pub mod passwords;
pub mod sessions;
pub mod throttle;
pub mod tokens;

use std::{sync::Arc, time::Duration};

use sha2::{Digest, Sha256};
use sluice_domain::{Error, Quota, Result, Timestamp};

use crate::ports::{AccountStore, Clock, CredentialStore};
use access::Standings;
use passwords::Passwords;
use throttle::SignInThrottle;
use tokens::Tokens;

/// Who may register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Registration {
    /// Whoever has an invitation.
    Invited,
    /// Everybody.
    Open,
}

/// What the operator has decided about accounts.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Who may register.
    pub registration: Registration,
    /// How long an access token is good for.
    pub access_ttl: Duration,
    /// How long a session lives without being refreshed.
    pub session_ttl: Duration,
    /// The limits of accounts that have none of their own.
    pub quota: Quota,
}

/// Everything that knows who somebody is.
pub struct Identity {
    /// Accounts.
    pub accounts: Arc<dyn AccountStore>,
    /// What may act for them.
    pub credentials: Arc<dyn CredentialStore>,
    /// Signed tokens.
    pub tokens: Tokens,
    /// Passwords.
    pub passwords: Passwords,
    /// Who tries to sign in too often.
    pub throttle: SignInThrottle,
    /// What is known of credentials that were used just now.
    pub standings: Standings,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What the operator has decided.
    pub policy: Policy,
}

/// SHA-256 of a secret that holds enough randomness itself.
pub(crate) fn hash_of(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// A new secret: a prefix that secret scanners can match, and 256 random bits.
pub(crate) fn new_secret(prefix: &str) -> Result<String> {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let mut bits = [0; 32];
    getrandom::fill(&mut bits).map_err(|_| Error::storage_io("the system gives no randomness"))?;
    Ok(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bits)))
}

/// Whole seconds since 1970, as tokens have them.
pub(crate) fn seconds(time: Timestamp) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(0) / 1_000_000
}
