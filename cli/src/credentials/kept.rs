//! What the file of credentials has in it.

use std::{collections::BTreeMap, fmt, time::SystemTime};

use serde::{Deserialize, Serialize};
use sluice_sdk::SessionTokens;

/// The whole file.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Kept {
    /// By scheme, host and port.
    #[serde(default)]
    pub(super) servers: BTreeMap<String, Login>,
}

/// What is known of signing in to one server.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Login {
    /// Whoever has signed in, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) account_id: Option<String>,
    /// The same for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) email: Option<String>,
    /// Absent while nobody has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) secret: Option<Secret>,
    /// What shows that this device is known, by the address that has signed in
    /// here. Opens nothing by itself, and stays when somebody signs out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) devices: BTreeMap<String, String>,
}

impl Login {
    /// Nobody is signed in any more.
    pub(crate) fn forget(&mut self) {
        (self.account_id, self.email, self.secret) = (None, None, None);
    }
}

/// What goes with calls.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Secret {
    ApiKey(String),
    Session(KeptTokens),
}

/// The tokens of a session.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct KeptTokens {
    session_id: String,
    access_token: String,
    #[serde(with = "humantime_text")]
    access_expire_time: SystemTime,
    refresh_token: String,
    #[serde(with = "humantime_text")]
    refresh_expire_time: SystemTime,
}

impl From<&SessionTokens> for KeptTokens {
    fn from(tokens: &SessionTokens) -> Self {
        let tokens = tokens.clone();
        Self {
            session_id: tokens.session_id,
            access_token: tokens.access_token,
            access_expire_time: tokens.access_expire_time,
            refresh_token: tokens.refresh_token,
            refresh_expire_time: tokens.refresh_expire_time,
        }
    }
}

impl From<KeptTokens> for SessionTokens {
    fn from(tokens: KeptTokens) -> Self {
        Self {
            session_id: tokens.session_id,
            access_token: tokens.access_token,
            access_expire_time: tokens.access_expire_time,
            refresh_token: tokens.refresh_token,
            refresh_expire_time: tokens.refresh_expire_time,
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ApiKey(_) => "ApiKey",
            Self::Session(_) => "Session",
        })
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("account_id", &self.account_id)
            .field("secret", &self.secret)
            .finish_non_exhaustive()
    }
}

/// Times as RFC 3339.
mod humantime_text {
    use std::time::SystemTime;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(time: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&humantime::format_rfc3339(*time))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SystemTime, D::Error> {
        let text = String::deserialize(from)?;
        humantime::parse_rfc3339(&text).map_err(D::Error::custom)
    }
}
