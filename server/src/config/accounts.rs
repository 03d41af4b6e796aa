//! What holds for accounts.

use std::{num::NonZeroU32, time::Duration};

use serde::{Deserialize, Deserializer};
use sluice_domain::Quota;

use super::{
    ConfigError,
    units::{bytes, duration},
};
use crate::service::{
    identity::{
        Policy, Registration,
        throttle::{SignInLimits, Tries},
    },
    rates::RateLimits,
};

/// Longest life of an access token: what it allows cannot be taken back where
/// others check it by themselves.
const LONGEST_ACCESS: Duration = Duration::from_secs(10 * 60);

/// Longest time without a refresh.
const LONGEST_SESSION: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Who may register, and for how long they stay signed in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountsConfig {
    /// Who may register.
    pub registration: Registration,
    /// How long an access token is good for.
    #[serde(deserialize_with = "duration")]
    pub access_token_ttl: Duration,
    /// How long a session lives without being refreshed.
    #[serde(deserialize_with = "duration")]
    pub session_ttl: Duration,
    /// Tries to sign in from one address, at once.
    pub sign_in_tries_per_address: NonZeroU32,
    /// Time until one more is allowed.
    #[serde(deserialize_with = "duration")]
    pub sign_in_pause_per_address: Duration,
    /// Tries to sign in to one account from devices that it does not know, and
    /// from each that it knows, at once.
    pub sign_in_tries_per_account: NonZeroU32,
    /// Time until one more is allowed.
    #[serde(deserialize_with = "duration")]
    pub sign_in_pause_per_account: Duration,
}

/// Limits of accounts that have none of their own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuotaConfig {
    /// Most bytes, stored and reserved together.
    #[serde(default, deserialize_with = "optional_bytes")]
    pub max_bytes: Option<u64>,
    /// Most uploads that are open at a time.
    pub max_active_uploads: u64,
    /// Largest file.
    #[serde(default, deserialize_with = "optional_bytes")]
    pub max_file_size: Option<u64>,
}

/// Requests in a second.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RatesConfig {
    /// From one address, or one IPv6 network of 64 bits.
    pub per_address: NonZeroU32,
    /// By one account.
    pub per_account: NonZeroU32,
    /// With one session or API key.
    pub per_credential: NonZeroU32,
}

impl AccountsConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let within = |key, value: Duration, most: Duration| {
            if value >= Duration::from_secs(1) && value <= most {
                return Ok(());
            }
            let rule = format!("must be from 1s to {}s, is {}s", most.as_secs(), value.as_secs());
            Err(ConfigError::Rule { key, rule })
        };
        within("accounts.access_token_ttl", self.access_token_ttl, LONGEST_ACCESS)?;
        within("accounts.session_ttl", self.session_ttl, LONGEST_SESSION)
    }

    /// What holds for accounts, for the services.
    pub fn policy(&self, quota: &QuotaConfig) -> Policy {
        Policy {
            registration: self.registration,
            access_ttl: self.access_token_ttl,
            session_ttl: self.session_ttl,
            quota: Quota {
                max_bytes: quota.max_bytes,
                max_active_uploads: Some(quota.max_active_uploads),
                max_file_size: quota.max_file_size,
            },
        }
    }

    /// How often somebody may try to sign in.
    pub fn sign_in_limits(&self) -> SignInLimits {
        SignInLimits {
            per_address: Tries {
                burst: self.sign_in_tries_per_address,
                every: self.sign_in_pause_per_address,
            },
            per_account: Tries {
                burst: self.sign_in_tries_per_account,
                every: self.sign_in_pause_per_account,
            },
        }
    }
}

impl From<RatesConfig> for RateLimits {
    fn from(rates: RatesConfig) -> Self {
        Self {
            per_address: rates.per_address,
            per_account: rates.per_account,
            per_credential: rates.per_credential,
        }
    }
}

fn optional_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    bytes(deserializer).map(Some)
}
