//! What is kept with the records to find bytes in S3 again.

use sluice_domain::{Error, PartNumber, Result};
use uuid::Uuid;

use crate::ports::StorageTag;

/// Where a recorded part is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StoredAs {
    /// It is the whole file and an object of its own, which this attempt stored.
    Object { attempt: Uuid, etag: String },
    /// It is a part of the upload's multipart upload.
    Part { etag: String },
}

impl StoredAs {
    pub(super) fn tag(&self) -> StorageTag {
        StorageTag(match self {
            Self::Object { attempt, etag } => format!("object {} {etag}", attempt.simple()),
            Self::Part { etag } => format!("part {etag}"),
        })
    }

    pub(super) fn parse(tag: Option<&StorageTag>, part: PartNumber) -> Result<Self> {
        let parsed = tag.and_then(|tag| {
            let (kind, rest) = tag.0.split_once(' ')?;
            match kind {
                "part" => Some(Self::Part { etag: rest.to_owned() }),
                "object" => {
                    let (attempt, etag) = rest.split_once(' ')?;
                    let attempt = Uuid::try_parse(attempt).ok()?;
                    Some(Self::Object { attempt, etag: etag.to_owned() })
                }
                _ => None,
            }
        });
        parsed.ok_or_else(|| {
            tracing::error!(%part, ?tag, "a part's record does not say where it is in S3");
            Error::storage_io("the record of a stored part is not usable; ask the operator")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_read_back() {
        let attempt = Uuid::from_u128(7);
        for stored in [
            StoredAs::Object { attempt, etag: "\"a b\"".into() },
            StoredAs::Part { etag: "\"0cc1\"".into() },
        ] {
            let tag = stored.tag();
            assert_eq!(StoredAs::parse(Some(&tag), PartNumber::FIRST), Ok(stored));
        }
        for wrong in ["", "part", "object x", "object 7 \"e\"", "other x"] {
            let tag = StorageTag(wrong.into());
            assert!(StoredAs::parse(Some(&tag), PartNumber::FIRST).is_err(), "{wrong:?}");
        }
        assert!(StoredAs::parse(None, PartNumber::FIRST).is_err());
    }
}
