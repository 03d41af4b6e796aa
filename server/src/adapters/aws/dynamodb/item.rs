//! Items: named attributes, and how values of the domain become attributes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use sluice_domain::{
    AccountId, ApiKeyId, ContentType, Crc32c, DisplayName, EmailAddress, Epoch, Error, Failure,
    FileId, FileName, FileState, Metadata, Reason, Result, SessionId, Timestamp, UploadId,
    UploadState,
};
use uuid::Uuid;

use super::key::{Key, PARTITION, SORT};

/// The attributes of an item.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Item(HashMap<String, AttributeValue>);

impl Item {
    /// As it came from the SDK.
    pub(super) fn from_sdk(attributes: HashMap<String, AttributeValue>) -> Self {
        Self(attributes)
    }

    /// As the SDK wants it, at this place.
    pub(super) fn at(mut self, key: &Key) -> HashMap<String, AttributeValue> {
        self.0.extend(key.attributes());
        self.0
    }

    /// Adds a value; an absent one leaves no attribute.
    pub(super) fn with(mut self, name: &'static str, value: impl Value) -> Self {
        if let Some(attribute) = value.into_attribute() {
            self.0.insert(name.to_owned(), attribute);
        }
        self
    }

    /// Reads a value. One that is not there, unless it is optional, or cannot
    /// be read, is an error of storage.
    pub(super) fn get<T: Value>(&self, name: &'static str) -> Result<T> {
        T::from_attribute(self.0.get(name)).ok_or_else(|| unreadable(name))
    }

    /// The item's place.
    pub(super) fn key(&self) -> Result<Key> {
        Ok(Key { pk: self.get(PARTITION)?, sk: self.get(SORT)? })
    }
}

/// The refusal for what this program has not written.
pub(super) fn unreadable(name: &'static str) -> Error {
    tracing::error!(attribute = name, "an item of the database cannot be read");
    Error::storage_io("a record in the server's database cannot be read")
}

/// What can be an attribute.
pub(super) trait Value: Sized {
    /// The attribute; nothing for a value that is absent.
    fn into_attribute(self) -> Option<AttributeValue>;
    /// The value of an attribute, or of none.
    fn from_attribute(attribute: Option<&AttributeValue>) -> Option<Self>;
}

impl<T: Value> Value for Option<T> {
    fn into_attribute(self) -> Option<AttributeValue> {
        self.and_then(T::into_attribute)
    }

    fn from_attribute(attribute: Option<&AttributeValue>) -> Option<Self> {
        match attribute {
            None => Some(None),
            present => T::from_attribute(present).map(Some),
        }
    }
}

macro_rules! numbers {
    ($($number:ty),+) => {$(
        impl Value for $number {
            fn into_attribute(self) -> Option<AttributeValue> {
                Some(AttributeValue::N(self.to_string()))
            }

            fn from_attribute(attribute: Option<&AttributeValue>) -> Option<Self> {
                attribute?.as_n().ok()?.parse().ok()
            }
        }
    )+};
}
numbers!(u8, u32, u64, i64);

/// Values that are kept as another one is.
macro_rules! like {
    ($($value:ty => $kept:ty: $write:expr, $read:expr;)+) => {$(
        impl Value for $value {
            fn into_attribute(self) -> Option<AttributeValue> {
                let write: fn($value) -> $kept = $write;
                write(self).into_attribute()
            }

            fn from_attribute(attribute: Option<&AttributeValue>) -> Option<Self> {
                let read: fn($kept) -> Option<$value> = $read;
                read(<$kept>::from_attribute(attribute)?)
            }
        }
    )+};
}
like! {
    Timestamp => i64: Timestamp::as_micros, |micros| Some(Timestamp::from_micros(micros));
    Crc32c => u32: |crc| crc.0, |crc| Some(Crc32c(crc));
    Epoch => u64: |epoch| epoch.0, |epoch| Some(Epoch(epoch));
    Uuid => String: |id| id.as_simple().to_string(), |text| Uuid::try_parse(&text).ok();
    AccountId => Uuid: |id| *id.as_uuid(), |id| Some(AccountId::from_uuid(id));
    ApiKeyId => Uuid: |id| *id.as_uuid(), |id| Some(ApiKeyId::from_uuid(id));
    FileId => Uuid: |id| *id.as_uuid(), |id| Some(FileId::from_uuid(id));
    SessionId => Uuid: |id| *id.as_uuid(), |id| Some(SessionId::from_uuid(id));
    UploadId => Uuid: |id| *id.as_uuid(), |id| Some(UploadId::from_uuid(id));
    UploadState => String: |it| it.as_str().to_owned(), |text| UploadState::parse(&text);
    FileState => String: |it| it.as_str().to_owned(), |text| FileState::parse(&text);
    FileName => String: |it| it.as_str().to_owned(), |text| FileName::parse(&text, "name").ok();
    ContentType => String: |it| it.as_str().to_owned(),
        |text| ContentType::parse(&text, "content_type").ok();
    DisplayName => String: |it| it.as_str().to_owned(),
        |text| DisplayName::parse(&text, "display_name").ok();
    EmailAddress => String: |it| it.as_str().to_owned(),
        |text| EmailAddress::parse(&text, "email").ok();
}

impl Value for bool {
    /// Only what is true is kept.
    fn into_attribute(self) -> Option<AttributeValue> {
        self.then_some(AttributeValue::Bool(true))
    }

    fn from_attribute(attribute: Option<&AttributeValue>) -> Option<Self> {
        attribute.map_or(Some(false), |attribute| attribute.as_bool().ok().copied())
    }
}

impl Value for String {
    fn into_attribute(self) -> Option<AttributeValue> {
        Some(AttributeValue::S(self))
    }

    fn from_attribute(attribute: Option<&AttributeValue>) -> Option<Self> {
        attribute?.as_s().ok().cloned()
    }
}

impl Value for Vec<u8> {
    fn into_attribute(self) -> Option<AttributeValue> {
        Some(AttributeValue::B(Blob::new(self)))
    }

    fn from_attribute(attribute: Option<&AttributeValue>) -> Option<Self> {
        Some(attribute?.as_b().ok()?.as_ref().to_vec())
    }
}

impl<const N: usize> Value for [u8; N] {
    fn into_attribute(self) -> Option<AttributeValue> {
        self.to_vec().into_attribute()
    }

    fn from_attribute(attribute: Option<&AttributeValue>) -> Option<Self> {
        Vec::from_attribute(attribute)?.try_into().ok()
    }
}

impl Value for BTreeMap<String, String> {
    fn into_attribute(self) -> Option<AttributeValue> {
        let entries = self.into_iter().map(|(key, value)| (key, AttributeValue::S(value)));
        Some(AttributeValue::M(entries.collect()))
    }

    fn from_attribute(attribute: Option<&AttributeValue>) -> Option<Self> {
        let entries = attribute?.as_m().ok()?.iter();
        entries.map(|(key, value)| Some((key.clone(), value.as_s().ok()?.clone()))).collect()
    }
}

impl Value for Metadata {
    fn into_attribute(self) -> Option<AttributeValue> {
        self.entries().clone().into_attribute()
    }

    fn from_attribute(attribute: Option<&AttributeValue>) -> Option<Self> {
        Self::parse(BTreeMap::from_attribute(attribute)?, "metadata").ok()
    }
}

impl Value for Failure {
    fn into_attribute(self) -> Option<AttributeValue> {
        let item = Item::default()
            .with("reason", self.reason.as_str().to_owned())
            .with("message", self.message)
            .with("metadata", self.metadata);
        Some(AttributeValue::M(item.0))
    }

    fn from_attribute(attribute: Option<&AttributeValue>) -> Option<Self> {
        let item = attribute?.as_m().ok()?;
        let reason = String::from_attribute(item.get("reason"))?;
        Some(Self {
            reason: Reason::parse(&reason)?,
            message: String::from_attribute(item.get("message"))?,
            metadata: BTreeMap::from_attribute(item.get("metadata"))?,
        })
    }
}

impl Value for BTreeSet<FileId> {
    /// There are no empty sets.
    fn into_attribute(self) -> Option<AttributeValue> {
        let ids = self.iter().map(|id| Blob::new(id.as_uuid().as_bytes().to_vec()));
        let ids: Vec<_> = ids.collect();
        (!ids.is_empty()).then_some(AttributeValue::Bs(ids))
    }

    fn from_attribute(attribute: Option<&AttributeValue>) -> Option<Self> {
        let Some(attribute) = attribute else { return Some(Self::new()) };
        let ids = attribute.as_bs().ok()?.iter();
        ids.map(|id| Some(FileId::from_uuid(Uuid::from_slice(id.as_ref()).ok()?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_back() {
        let failure = Failure {
            reason: Reason::FileChecksumMismatch,
            message: "other bytes".into(),
            metadata: [("algorithm".to_owned(), "x".to_owned())].into(),
        };
        let ids: BTreeSet<_> = (0..3).map(|n| FileId::from_uuid(Uuid::from_u128(n))).collect();
        let item = Item::default()
            .with("failure", failure.clone())
            .with("ids", ids.clone())
            .with("time", Timestamp::from_micros(-5))
            .with("digest", [7; 32])
            .with("set", true)
            .with("absent", None::<u64>)
            .with("none", BTreeSet::new());
        assert_eq!(item.get::<Failure>("failure"), Ok(failure));
        assert_eq!(item.get::<BTreeSet<FileId>>("ids"), Ok(ids));
        assert_eq!(item.get("time"), Ok(Timestamp::from_micros(-5)));
        assert_eq!(item.get("digest"), Ok([7; 32]));
        assert_eq!((item.get("set"), item.get("unset")), (Ok(true), Ok(false)));
        assert_eq!(item.get::<Option<u64>>("absent"), Ok(None));
        assert_eq!(item.get("none"), Ok(BTreeSet::<FileId>::new()));
        assert!(item.get::<u64>("absent").is_err());
        assert!(item.get::<u64>("digest").is_err());
    }
}
