//! Names of files: relative paths that are safe to show and never used as a
//! storage key.

use std::fmt;

use crate::{Error, Result};

/// Longest name, in bytes of UTF-8 (as in S3).
pub const MAX_NAME_BYTES: usize = 1024;

/// A relative path of 1 to 1,024 bytes of UTF-8, separated by `/`, without
/// empty, `.` or `..` segments and without control characters. It is unique
/// per owner.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileName(String);

impl FileName {
    /// Parses a name; `field` names the request's field in the error.
    pub fn parse(text: &str, field: &str) -> Result<Self> {
        let wrong = |description: String| Err(Error::invalid_field(field, description));
        if text.is_empty() || text.len() > MAX_NAME_BYTES {
            return wrong(format!(
                "must have 1 to {MAX_NAME_BYTES} bytes of UTF-8, has {}",
                text.len()
            ));
        }
        if text.chars().any(char::is_control) {
            return wrong("must not contain control characters".into());
        }
        if text.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
            return wrong("must be a relative path without empty, \".\" or \"..\" segments".into());
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_are_kept_as_they_are() {
        for name in ["a", "a/b.txt", "…/ünïcode/文件", "..a/b..", "a b", ".hidden", "a\\b"] {
            assert_eq!(FileName::parse(name, "name").unwrap().as_str(), name);
        }
        assert!(FileName::parse(&"x".repeat(1024), "name").is_ok());
    }

    #[test]
    fn names_that_could_mislead_a_file_system_are_refused() {
        let long = "x".repeat(1025);
        for name in [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "a/../b",
            "./a",
            "a/.",
            "a\0b",
            "a\r\nb",
            "a\u{7f}",
            "a\u{85}b",
            long.as_str(),
        ] {
            let error = FileName::parse(name, "name").unwrap_err();
            assert_eq!(error.violations[0].field, "name", "{name:?} was accepted");
        }
    }
}
