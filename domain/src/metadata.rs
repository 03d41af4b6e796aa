//! The caller's own key-value pairs on uploads and files.

use std::collections::BTreeMap;

use crate::{Error, Result};

/// Most entries.
pub const MAX_METADATA_ENTRIES: usize = 64;
/// Longest key, in bytes of UTF-8.
pub const MAX_METADATA_KEY_BYTES: usize = 128;
/// Longest value, in bytes of UTF-8.
pub const MAX_METADATA_VALUE_BYTES: usize = 1024;
/// All keys and values together, in bytes of UTF-8.
pub const MAX_METADATA_BYTES: usize = 8 * 1024;

/// Key-value pairs within the limits above; Sluice stores them and never
/// looks inside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata(BTreeMap<String, String>);

impl Metadata {
    /// Checks the limits; `field` names the request's field in the error.
    pub fn parse(entries: BTreeMap<String, String>, field: &str) -> Result<Self> {
        if entries.len() > MAX_METADATA_ENTRIES {
            return Err(Error::invalid_field(
                field,
                format!("at most {MAX_METADATA_ENTRIES} entries, has {}", entries.len()),
            ));
        }
        for (key, value) in &entries {
            if key.is_empty()
                || key.len() > MAX_METADATA_KEY_BYTES
                || key.chars().any(char::is_control)
            {
                return Err(Error::invalid_field(
                    field,
                    format!(
                        "keys must have 1 to {MAX_METADATA_KEY_BYTES} bytes without control characters"
                    ),
                ));
            }
            if value.len() > MAX_METADATA_VALUE_BYTES {
                return Err(Error::invalid_field(
                    field,
                    format!(
                        "values must have at most {MAX_METADATA_VALUE_BYTES} bytes, one has {}",
                        value.len()
                    ),
                ));
            }
        }
        let total: usize = entries.iter().map(|(key, value)| key.len() + value.len()).sum();
        if total > MAX_METADATA_BYTES {
            return Err(Error::invalid_field(
                field,
                format!("at most {MAX_METADATA_BYTES} bytes in all, has {total}"),
            ));
        }
        Ok(Self(entries))
    }

    /// The entries, sorted by key.
    pub fn entries(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(entries: impl IntoIterator<Item = (String, String)>) -> Result<Metadata> {
        Metadata::parse(entries.into_iter().collect(), "metadata")
    }

    #[test]
    fn each_limit_holds() {
        let numbered =
            |n: usize, value: usize| (0..n).map(move |i| (format!("key{i}"), "v".repeat(value)));
        assert!(parse(numbered(64, 10)).is_ok());
        assert!(parse(numbered(65, 10)).is_err());
        assert!(parse(numbered(1, 1024)).is_ok());
        assert!(parse(numbered(1, 1025)).is_err());
        assert!(parse(numbered(9, 1000)).is_err());
        assert!(parse([(String::new(), "v".into())]).is_err());
        assert!(parse([("k".repeat(129), "v".into())]).is_err());
        assert!(parse([("a\nb".into(), "v".into())]).is_err());
    }
}
