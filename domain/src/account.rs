//! Accounts: who owns uploads and files, and how much they may hold.

use std::fmt;

use crate::{AccountId, Error, Reason, Result, Timestamp};

/// Longest address to sign in with, in bytes (RFC 5321, section 4.5.3.1.3).
pub const MAX_EMAIL_BYTES: usize = 254;

/// The step in which uploads of unknown size take bytes of their owner's quota:
/// 1 GiB.
pub const LEASE: u64 = 1024 * 1024 * 1024;

/// Longest display name, in characters.
pub const MAX_DISPLAY_NAME_CHARS: usize = 128;

/// An e-mail address in lower case. It is a name to sign in with; whether mail
/// arrives there, nobody has tried.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EmailAddress(String);

impl EmailAddress {
    /// Parses an address; `field` names the request's field in the error.
    pub fn parse(text: &str, field: &str) -> Result<Self> {
        let wrong = || {
            Error::invalid_field(
                field,
                format!(
                    "must be an e-mail address of at most {MAX_EMAIL_BYTES} bytes, such as \
                     ada@example.com"
                ),
            )
        };
        let (local, host) = text.rsplit_once('@').ok_or_else(wrong)?;
        let odd = |c: char| c.is_whitespace() || c.is_control() || c == '@';
        if text.len() > MAX_EMAIL_BYTES
            || local.is_empty()
            || host.is_empty()
            || text.matches('@').count() > 1
            || local.contains(odd)
            || host.contains(odd)
        {
            return Err(wrong());
        }
        Ok(Self(text.to_lowercase()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What people call an account or a key: at most 128 characters, none of them a
/// control character.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DisplayName(String);

impl DisplayName {
    /// Parses a name; `field` names the request's field in the error.
    pub fn parse(text: &str, field: &str) -> Result<Self> {
        let text = text.trim();
        if text.chars().count() > MAX_DISPLAY_NAME_CHARS || text.contains(char::is_control) {
            return Err(Error::invalid_field(
                field,
                format!(
                    "must be at most {MAX_DISPLAY_NAME_CHARS} characters without control characters"
                ),
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether an account may act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountStatus {
    /// It may.
    Active,
    /// The operator has stopped it.
    Suspended,
    /// Its owner has deleted it; what it owned is being removed.
    Deleted,
}

impl AccountStatus {
    /// The name in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Suspended => "SUSPENDED",
            Self::Deleted => "DELETED",
        }
    }

    /// The status of this name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Suspended, Self::Deleted].into_iter().find(|it| it.as_str() == text)
    }

    /// Refuses in the name of an account that may not act.
    pub fn check_active(self) -> Result<()> {
        match self {
            Self::Active => Ok(()),
            Self::Suspended => Err(Error::new(
                Reason::AccountSuspended,
                "this account is suspended; ask the operator of the server",
            )),
            Self::Deleted => Err(Error::new(
                Reason::TokenRevoked,
                "the account of this credential has been deleted",
            )),
        }
    }
}

/// Limits of an account; what is absent has no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quota {
    /// Most bytes, stored and reserved together.
    pub max_bytes: Option<u64>,
    /// Most uploads that are open at a time.
    pub max_active_uploads: Option<u64>,
    /// Largest file, in bytes.
    pub max_file_size: Option<u64>,
}

impl Quota {
    /// These limits where they are set, and others where they are not.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self {
            max_bytes: self.max_bytes.or(others.max_bytes),
            max_active_uploads: self.max_active_uploads.or(others.max_active_uploads),
            max_file_size: self.max_file_size.or(others.max_file_size),
        }
    }

    /// Refuses a file that is larger than the account may have.
    pub fn check_file_size(self, size: u64) -> Result<()> {
        match self.max_file_size {
            Some(most) if size > most => {
                let message = format!("a file of this account can have {most} bytes, not {size}");
                Err(Error::new(Reason::FileTooLarge, message).with("max_bytes", most))
            }
            _ => Ok(()),
        }
    }
}

/// What an account holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Bytes of files.
    pub stored_bytes: u64,
    /// Bytes that open uploads have reserved.
    pub reserved_bytes: u64,
    /// Open uploads.
    pub active_uploads: u64,
}

impl Usage {
    /// Refuses an upload that would be one too many.
    pub fn check_uploads(self, quota: Quota) -> Result<()> {
        match quota.max_active_uploads {
            Some(limit) if self.active_uploads >= limit => {
                let used = self.active_uploads;
                let message = format!(
                    "the account may have {limit} open uploads and has {used}; complete or cancel some"
                );
                Err(exceeded(message, limit, used))
            }
            _ => Ok(()),
        }
    }

    /// How much an open upload of unknown size holds once it reaches `end`, if
    /// it has `reserved` now: whole leases, or what is left of the quota.
    pub fn lease(self, reserved: u64, end: u64, quota: Quota) -> Result<u64> {
        quota.check_file_size(end)?;
        self.check_bytes(end.saturating_sub(reserved), quota)?;
        let leases = end.div_ceil(LEASE).saturating_mul(LEASE);
        let used = self.stored_bytes.saturating_add(self.reserved_bytes);
        let left = quota.max_bytes.map_or(u64::MAX, |limit| limit.saturating_sub(used));
        Ok(leases.min(reserved.saturating_add(left)).max(reserved))
    }

    /// Refuses so many bytes more than the account may hold.
    pub fn check_bytes(self, more: u64, quota: Quota) -> Result<()> {
        let used = self.stored_bytes.saturating_add(self.reserved_bytes);
        match quota.max_bytes {
            Some(limit) if used.saturating_add(more) > limit => {
                let message = format!(
                    "the account may hold {limit} bytes and has {used}; {more} more do not fit: \
                     delete files or cancel uploads"
                );
                Err(exceeded(message, limit, used))
            }
            _ => Ok(()),
        }
    }
}

fn exceeded(message: String, limit: u64, used: u64) -> Error {
    Error::new(Reason::QuotaExceeded, message).with("limit", limit).with("used", used)
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Address to sign in with; absent while nobody has registered it.
    pub email: Option<EmailAddress>,
    /// What people call it.
    pub display_name: DisplayName,
    /// Whether it may act.
    pub status: AccountStatus,
    /// Whether it is the operator's.
    pub is_operator: bool,
    /// Counts the changes of the record.
    pub revision: u64,
    /// When it was made.
    pub create_time: Timestamp,
}

impl Account {
    /// The version of the record.
    pub fn etag(&self) -> String {
        self.revision.to_string()
    }

    /// Refuses a change to another version; an empty one fits always.
    pub fn check_etag(&self, etag: &str) -> Result<()> {
        let current = self.etag();
        if etag.is_empty() || etag == current {
            return Ok(());
        }
        Err(Error::new(
            Reason::EtagMismatch,
            "the account has changed since it was read; read it again and decide anew",
        )
        .with("etag", current))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_one_at_sign_and_no_case() {
        let parse = |text: &str| EmailAddress::parse(text, "email");
        assert_eq!(parse("Ada@Example.COM").unwrap().as_str(), "ada@example.com");
        for wrong in ["", "ada", "@example.com", "ada@", "a b@example.com", "a@b@c", "a\n@b"] {
            assert!(parse(wrong).is_err(), "{wrong:?} was accepted");
        }
        assert!(parse(&format!("{}@example.com", "x".repeat(243))).is_err());
    }

    #[test]
    fn the_last_byte_fits_and_no_more() {
        let usage = Usage { stored_bytes: 60, reserved_bytes: 30, active_uploads: 2 };
        let quota = Quota { max_bytes: Some(100), max_active_uploads: Some(3), ..Quota::default() };
        assert!(usage.check_bytes(10, quota).is_ok());
        let error = usage.check_bytes(11, quota).unwrap_err();
        assert_eq!(error.reason, Reason::QuotaExceeded);
        assert_eq!((&error.metadata["limit"][..], &error.metadata["used"][..]), ("100", "90"));
        assert!(usage.check_bytes(u64::MAX, quota).is_err());
        assert!(usage.check_uploads(quota).is_ok());
        assert!(Usage { active_uploads: 3, ..usage }.check_uploads(quota).is_err());
        assert!(usage.check_bytes(u64::MAX, Quota::default()).is_ok());
    }

    #[test]
    fn a_lease_is_whole_or_the_rest() {
        let usage = Usage { stored_bytes: 10, reserved_bytes: 20, active_uploads: 1 };
        assert_eq!(usage.lease(0, 1, Quota::default()), Ok(LEASE));
        assert_eq!(usage.lease(LEASE, LEASE + 1, Quota::default()), Ok(2 * LEASE));
        assert_eq!(usage.lease(2 * LEASE, LEASE, Quota::default()), Ok(2 * LEASE));
        let tight = Quota { max_bytes: Some(100), ..Quota::default() };
        assert_eq!(usage.lease(20, 90, tight), Ok(90));
        assert_eq!(usage.lease(20, 50, tight), Ok(90));
        assert!(usage.lease(20, 91, tight).is_err());
    }

    #[test]
    fn own_limits_come_first() {
        let own = Quota { max_bytes: Some(1), ..Quota::default() };
        let others = Quota { max_bytes: Some(2), max_active_uploads: Some(3), max_file_size: None };
        assert_eq!(own.or(others), Quota { max_bytes: Some(1), ..others });
    }
}
