//! Which object holds what.

use sluice_domain::UploadId;
use uuid::Uuid;

/// Keys of objects: `<prefix><last two hex digits>/<uuid of the upload>/…`. The
/// last digits of a UUIDv7 are random, so that the load spreads over the partitions
/// of a bucket; all that belongs to an upload begins with the same text.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    prefix: String,
}

impl Layout {
    pub(super) fn new(prefix: String) -> Self {
        Self { prefix }
    }

    /// What the keys of an upload begin with.
    pub(super) fn folder(&self, upload: UploadId) -> String {
        let uuid = upload.as_uuid();
        format!("{}{:02x}/{}/", self.prefix, uuid.as_bytes()[15], uuid.simple())
    }

    /// The object of an upload of several parts.
    pub(super) fn parts(&self, upload: UploadId) -> String {
        format!("{}parts", self.folder(upload))
    }

    /// The object of an upload of one part, which one attempt has stored whole. No
    /// other attempt ever uses this key, however late it is.
    pub(super) fn whole(&self, upload: UploadId, attempt: Uuid) -> String {
        format!("{}{}", self.folder(upload), attempt.simple())
    }
}
