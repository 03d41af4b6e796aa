//! What happened to accounts and credentials, for whoever looks into it later:
//! one structured log line each, with ids and addresses and never a secret.

use std::net::IpAddr;

use sluice_domain::{AccountId, Error};

/// Under this target of the log every event can be found.
pub const TARGET: &str = "sluice::audit";

/// Where a call comes from.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// The address; absent where a call does not come over a socket.
    pub address: Option<IpAddr>,
    /// `user-agent` of the call, at most 256 characters.
    pub user_agent: String,
}

impl Origin {
    /// The address as text.
    pub fn address_text(&self) -> String {
        self.address.map(|address| address.to_string()).unwrap_or_default()
    }
}

/// Writes down that something was done to an account.
pub fn done(action: &'static str, account: AccountId, detail: &dyn std::fmt::Display) {
    tracing::info!(target: TARGET, action, %account, detail = %detail, outcome = "done");
}

/// Writes down that somebody was refused.
pub fn refused(action: &'static str, account: Option<AccountId>, origin: &Origin, error: &Error) {
    let account = account.map(tracing::field::display);
    tracing::warn!(
        target: TARGET,
        action,
        account,
        address = origin.address.map(tracing::field::display),
        reason = error.reason.as_str(),
        outcome = "refused",
    );
}

/// Writes down who signed in, and from where.
pub fn signed_in(action: &'static str, account: AccountId, session: &str, origin: &Origin) {
    tracing::info!(
        target: TARGET,
        action,
        %account,
        session,
        address = origin.address.map(tracing::field::display),
        user_agent = %origin.user_agent,
        outcome = "done",
    );
}
