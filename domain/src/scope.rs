//! What a credential may be used for.

use std::fmt;

/// One kind of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// See uploads and their parts.
    UploadsRead,
    /// Open, write, complete and cancel uploads.
    UploadsWrite,
    /// List, read and sign downloads of files.
    FilesRead,
    /// Rename and delete files.
    FilesWrite,
    /// See the account, its sessions, keys and usage.
    AccountRead,
    /// Change the account, its sessions and keys.
    AccountWrite,
    /// Look after all accounts.
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 7] = [
        Self::UploadsRead,
        Self::UploadsWrite,
        Self::FilesRead,
        Self::FilesWrite,
        Self::AccountRead,
        Self::AccountWrite,
        Self::Admin,
    ];

    /// The name for people and in tokens.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UploadsRead => "uploads:read",
            Self::UploadsWrite => "uploads:write",
            Self::FilesRead => "files:read",
            Self::FilesWrite => "files:write",
            Self::AccountRead => "account:read",
            Self::AccountWrite => "account:write",
            Self::Admin => "admin",
        }
    }

    /// The scope of this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text)
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u32);

impl Scopes {
    /// No scope at all.
    pub const NONE: Self = Self(0);

    /// What an account may do that is not the operator's.
    pub const ACCOUNT: Self = Self(Scope::Admin.bit() - 1);

    /// Everything.
    pub const ALL: Self = Self(Self::ACCOUNT.0 | Scope::Admin.bit());

    /// Whether the scope is in the set.
    pub const fn has(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// The first scope of the other set that is not in this one.
    pub fn first_missing(self, of: Self) -> Option<Scope> {
        of.iter().find(|scope| !self.has(*scope))
    }

    /// What is in both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The scopes, in order.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.has(*scope))
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<T: IntoIterator<Item = Scope>>(scopes: T) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_parses_back_to_its_scope() {
        for scope in Scope::ALL {
            assert_eq!(Scope::parse(scope.as_str()), Some(scope));
        }
        assert_eq!(Scope::parse("files"), None);
    }

    #[test]
    fn a_set_has_what_was_put_in() {
        let set: Scopes = [Scope::FilesRead, Scope::UploadsWrite].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [Scope::UploadsWrite, Scope::FilesRead]);
        assert_eq!(set.first_missing(Scopes::ALL), Some(Scope::UploadsRead));
        assert_eq!(Scopes::ALL.first_missing(set), None);
        assert!(Scopes::ACCOUNT.has(Scope::AccountWrite));
        assert!(!Scopes::ACCOUNT.has(Scope::Admin));
        assert_eq!(Scopes::ALL.iter().count(), Scope::ALL.len());
    }
}
