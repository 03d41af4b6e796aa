//! Media types as callers declare them.

use crate::{Error, Reason, Result};

/// A media type such as `image/png` or `text/plain; charset=utf-8`: at most
/// 255 bytes, `type/subtype` by RFC 9110, lower-cased type and subtype.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentType(String);

impl ContentType {
    /// Longest media type, in bytes.
    pub const MAX_BYTES: usize = 255;

    /// What a file has whose caller did not say: RFC 2046's "arbitrary bytes".
    pub const DEFAULT: &str = "application/octet-stream";

    /// Parses a media type; an empty text means [`Self::DEFAULT`].
    pub fn parse(text: &str, field: &str) -> Result<Self> {
        if text.is_empty() {
            return Ok(Self(Self::DEFAULT.into()));
        }
        let (essence, parameters) = match text.split_once(';') {
            Some((essence, parameters)) => (essence.trim_end(), Some(parameters)),
            None => (text, None),
        };
        let valid = text.len() <= Self::MAX_BYTES
            && essence.split('/').count() == 2
            && essence.split('/').all(is_token)
            && parameters
                .is_none_or(|text| text.bytes().all(|b| b == b'\t' || (b' '..=b'~').contains(&b)));
        if !valid {
            return Err(Error::invalid_field(
                field,
                format!(
                    "must be a media type such as image/png of at most {} bytes",
                    Self::MAX_BYTES
                ),
            ));
        }
        let essence = essence.to_ascii_lowercase();
        Ok(Self(match parameters {
            Some(parameters) => format!("{essence};{parameters}"),
            None => essence,
        }))
    }

    /// The media type as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Checks against a list of allowed types, where `image/*` allows every
    /// image; an empty list allows everything.
    pub fn check_allowed(&self, allowed: &[String]) -> Result<()> {
        let essence = self.0.split(';').next().unwrap_or_default();
        let matches = |pattern: &String| match pattern.strip_suffix("/*") {
            Some(kind) => essence.split('/').next() == Some(kind),
            None => essence == pattern,
        };
        if allowed.is_empty() || allowed.iter().any(matches) {
            return Ok(());
        }
        let allowed = allowed.join(", ");
        Err(Error::new(
            Reason::ContentTypeNotAllowed,
            format!("content type {essence} is not accepted here; allowed: {allowed}"),
        )
        .with("allowed", allowed))
    }
}

/// A token of RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_are_parsed_and_lower_cased() {
        for (text, expect) in [
            ("", "application/octet-stream"),
            ("Image/PNG", "image/png"),
            ("text/plain; charset=UTF-8", "text/plain; charset=UTF-8"),
        ] {
            assert_eq!(ContentType::parse(text, "content_type").unwrap().as_str(), expect);
        }
        for wrong in ["image", "image/", "/png", "a/b/c", "a b/c", "a/b;\r\nx: y", "é/b"] {
            assert!(ContentType::parse(wrong, "content_type").is_err(), "{wrong:?} was accepted");
        }
    }

    #[test]
    fn an_allow_list_may_name_types_and_families() {
        let allowed = vec!["image/*".to_owned(), "text/plain".to_owned()];
        let check = |text| ContentType::parse(text, "t").unwrap().check_allowed(&allowed);
        assert!(check("image/webp").is_ok());
        assert!(check("text/plain; charset=utf-8").is_ok());
        let refused = check("text/html").unwrap_err();
        assert_eq!(refused.reason, Reason::ContentTypeNotAllowed);
        assert_eq!(refused.metadata["allowed"], "image/*, text/plain");
    }
}
