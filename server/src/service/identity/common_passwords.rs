//! The most common passwords that are long enough to be chosen here.

use std::{collections::HashSet, sync::LazyLock};

/// One on each line, in lower case: those of at least 8 characters among the
/// 20,000 that Django refuses (`django/contrib/auth/common-passwords.txt.gz`),
/// which come from the passwords found in breaches, the most common first.
const LIST: &str = include_str!("common_passwords.txt");

static COMMON: LazyLock<HashSet<&str>> = LazyLock::new(|| LIST.lines().collect());

/// Whether many people have this password, in whatever case.
pub(super) fn is_common(password: &str) -> bool {
    COMMON.contains(password.to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commonest_three_thousand_are_known() {
        assert!(COMMON.len() >= 3000, "{} passwords", COMMON.len());
        for password in LIST.lines().take(3000) {
            assert!(password.chars().count() >= 8, "{password:?} is too short to be chosen");
            assert!(is_common(password) && is_common(&password.to_uppercase()));
        }
        assert!(!is_common("twelve tired tortoises"));
    }
}
