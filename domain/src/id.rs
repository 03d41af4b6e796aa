//! Identifiers: a prefix that says what they name and a UUIDv7.
//!
//! Ids are made at the edge, where clock and randomness are; here they are only
//! parsed and printed.

use std::fmt;

use uuid::Uuid;

use crate::{Error, Result};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// What every id of this kind begins with.
            pub const PREFIX: &str = $prefix;

            /// The id that holds this UUID.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID inside.
            pub const fn as_uuid(&self) -> &Uuid {
                &self.0
            }

            /// Parses the text form; `field` names the request's field in the
            /// error. Only the canonical spelling is an id, so that one thing
            /// never has two names.
            pub fn parse(text: &str, field: &str) -> Result<Self> {
                let wrong = || {
                    Error::invalid_field(
                        field,
                        concat!("must be an id of the form ", $prefix, "<UUID in lower case>"),
                    )
                };
                let digits = text.strip_prefix($prefix).ok_or_else(wrong)?;
                let uuid = Uuid::try_parse(digits).map_err(|_| wrong())?;
                let id = Self(uuid);
                if id.to_string() == text { Ok(id) } else { Err(wrong()) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0.as_hyphenated())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

id!(
    /// An account: the owner of uploads and files.
    AccountId,
    "usr_"
);
id!(
    /// An upload.
    UploadId,
    "upl_"
);
id!(
    /// A file; fixed when its upload is created.
    FileId,
    "file_"
);
id!(
    /// A session: one sign-in and the tokens that came of it.
    SessionId,
    "ses_"
);
id!(
    /// An API key.
    ApiKeyId,
    "key_"
);

/// The caller's own id of a request, which makes `CreateUpload` idempotent:
/// 1 to 128 bytes of visible ASCII.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestId(String);

impl RequestId {
    /// Longest request id, in bytes.
    pub const MAX_BYTES: usize = 128;

    /// Parses a request id; an empty text means that there is none.
    pub fn parse(text: &str, field: &str) -> Result<Option<Self>> {
        if text.is_empty() {
            return Ok(None);
        }
        if text.len() > Self::MAX_BYTES || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::invalid_field(
                field,
                format!("must be at most {} bytes of visible ASCII", Self::MAX_BYTES),
            ));
        }
        Ok(Some(Self(text.to_owned())))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_exactly_one_spelling() {
        let id = UploadId::from_uuid(Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0001));
        let text = id.to_string();
        assert_eq!(UploadId::parse(&text, "upload_id").unwrap(), id);

        let digits = text.strip_prefix("upl_").unwrap();
        for wrong in [
            String::new(),
            digits.to_owned(),
            format!("file_{digits}"),
            text.to_uppercase(),
            format!("upl_{}", digits.replace('-', "")),
            format!("upl_{{{digits}}}"),
            format!("{text} "),
        ] {
            assert!(UploadId::parse(&wrong, "upload_id").is_err(), "{wrong:?} was accepted");
        }
    }

    #[test]
    fn a_request_id_is_short_visible_ascii_or_absent() {
        assert_eq!(RequestId::parse("", "request_id").unwrap(), None);
        assert!(RequestId::parse(&"x".repeat(128), "request_id").is_ok());
        for wrong in ["x".repeat(129), "a b".into(), "a\n".into(), "é".into()] {
            assert!(RequestId::parse(&wrong, "request_id").is_err(), "{wrong:?} was accepted");
        }
    }
}
