//! Turns a multipart upload into the object of a file.

use sluice_domain::{Crc32c, PartNumber, Result, UploadId};

use super::{
    blob_store::{CONFLICT_PAUSE, MOST_CONFLICTS, Shared, corrupt, is_conflict},
    calls::Fault,
    storage_tag::StoredAs,
};
use crate::ports::{Sealed, StoredPart};

/// Part records that are read at once.
const PARTS_PER_PAGE: u32 = 1000;

/// What an upload's object must be.
struct Wanted {
    key: String,
    parts: Vec<(StoredPart, String)>,
    size: u64,
    crc32c: Crc32c,
}

/// What became of a call that was to make the object.
enum Outcome {
    /// It is there.
    Done,
    /// Somebody else was at it.
    Again,
    /// Storage has other parts than these.
    Differs,
    /// The multipart upload is gone.
    Gone,
}

impl Shared {
    /// See `BlobStore::seal`.
    pub(super) async fn seal(&self, upload: UploadId, size: u64) -> Result<Sealed> {
        let parts = self.recorded(upload, size).await?;
        let mut whole = None;
        let mut wanted = Vec::with_capacity(parts.len());
        for part in parts {
            match StoredAs::parse(part.tag.as_ref(), part.number)? {
                StoredAs::Object { attempt, .. } => whole = Some(attempt),
                StoredAs::Part { etag } => wanted.push((part, etag)),
            }
        }
        // Nothing has to be done for an empty file, or one that is an object.
        if wanted.is_empty() {
            if self.records.place(upload).await?.is_some() {
                self.tidy(upload).await;
            }
            return Ok(Sealed::Whole);
        }
        if whole.is_some() {
            tracing::error!(%upload, "a part is a whole file and others are not");
            return Err(corrupt(0));
        }
        let crc32c = wanted
            .iter()
            .fold(Crc32c::EMPTY, |crc32c, (part, _)| crc32c.combine(part.crc32c, part.size));
        let wanted = Wanted { key: self.layout.parts(upload), parts: wanted, size, crc32c };
        let Some(place) = self.records.place(upload).await? else { return Err(corrupt(0)) };
        self.seal_parts(upload, &wanted, &place.0).await
    }

    async fn seal_parts(&self, upload: UploadId, wanted: &Wanted, place: &str) -> Result<Sealed> {
        for conflicts in 1..=MOST_CONFLICTS {
            let outcome = self.complete(wanted, place).await;
            match outcome.map_err(|fault| fault.unexpected("CompleteMultipartUpload"))? {
                Outcome::Done => {
                    self.forget(upload);
                    self.tidy(upload).await;
                    return Ok(Sealed::Whole);
                }
                Outcome::Again => tokio::time::sleep(CONFLICT_PAUSE * conflicts).await,
                Outcome::Differs => return self.compare(wanted, place).await,
                Outcome::Gone => {
                    self.forget(upload);
                    let lost = wanted.parts.iter().map(|(part, _)| part.number).collect();
                    return Ok(Sealed::Lost(lost));
                }
            }
        }
        Err(sluice_domain::Error::storage_io("the server's storage is busy; try again"))
    }

    /// Asks storage for the object, and looks whether it is what it must be.
    async fn complete(&self, wanted: &Wanted, place: &str) -> Result<Outcome, Fault> {
        let parts = wanted.parts.iter();
        let parts = parts.map(|(part, etag)| (part.number, etag.clone(), part.crc32c)).collect();
        let completed =
            self.bucket.complete(&wanted.key, place, parts, wanted.size, wanted.crc32c).await;
        // Whatever the answer is, what counts is what is there: an earlier call, or
        // one of another process, may have done it.
        let refusal = match completed {
            Ok(()) => None,
            Err(fault @ Fault::Refused { .. }) => Some(fault),
            Err(fault) => return Err(fault),
        };
        match (self.bucket.find(&wanted.key).await?, refusal) {
            (Some(found), _) if self.is(&found, wanted.size, wanted.crc32c) => Ok(Outcome::Done),
            (Some(found), _) => Err(Fault::Refused {
                code: "WrongObject".to_owned(),
                story: format!("{} holds {found:?}, not what was recorded", wanted.key),
            }),
            (None, None) => Ok(Outcome::Again),
            (None, Some(fault)) if is_conflict(&fault) => Ok(Outcome::Again),
            (None, Some(fault)) if fault.is("NoSuchUpload") => Ok(Outcome::Gone),
            (None, Some(fault))
                if ["InvalidPart", "BadDigest", "InvalidRequest"]
                    .iter()
                    .any(|code| fault.is(code)) =>
            {
                tracing::warn!(key = wanted.key, ?fault, "storage has other parts than recorded");
                Ok(Outcome::Differs)
            }
            (None, Some(fault)) => Err(fault),
        }
    }

    /// Compares what storage has with what is recorded, part by part.
    async fn compare(&self, wanted: &Wanted, place: &str) -> Result<Sealed> {
        let numbers = wanted.parts.iter().map(|(part, _)| part.number).collect();
        let listed = self.bucket.parts(&wanted.key, place, numbers).await;
        let listed = listed.map_err(|fault| fault.unexpected("ListParts"))?;
        let (mut lost, mut changed) = (Vec::new(), Vec::new());
        for (part, etag) in &wanted.parts {
            match listed.get(&part.number) {
                Some(found) if found.etag == *etag && found.size == part.size => {}
                Some(found) if found.size == part.size && found.crc32c == Some(part.crc32c) => {
                    let stored = StoredAs::Part { etag: found.etag.clone() };
                    changed.push((part.number, stored.tag()));
                }
                _ => lost.push(part.number),
            }
        }
        if !lost.is_empty() {
            return Ok(Sealed::Lost(lost));
        }
        if !changed.is_empty() {
            return Ok(Sealed::Changed(changed));
        }
        tracing::error!(key = wanted.key, "storage refuses parts that it has as recorded");
        Err(sluice_domain::Error::storage_io("the server's storage has refused to do this"))
    }

    /// Ends multipart uploads that nobody needs any more. What stays because this
    /// fails is removed with the file.
    async fn tidy(&self, upload: UploadId) {
        if let Err(fault) = self.abort_all(upload).await {
            let error = fault.unexpected("AbortMultipartUpload");
            tracing::warn!(%upload, %error, "multipart uploads that nobody needs stay for now");
        }
    }

    /// The records of all parts, if they make up a file of this size.
    async fn recorded(&self, upload: UploadId, size: u64) -> Result<Vec<StoredPart>> {
        let mut parts: Vec<StoredPart> = Vec::new();
        loop {
            let after = parts.last().map(|part| part.number);
            let page = self.records.stored_parts(upload, after, PARTS_PER_PAGE).await?;
            if page.is_empty() {
                break;
            }
            parts.extend(page);
        }
        let mut end = 0;
        for (index, part) in parts.iter().enumerate() {
            if u32::try_from(index + 1).ok().and_then(PartNumber::new) != Some(part.number) {
                return Err(corrupt(end));
            }
            end += part.size;
        }
        if end == size { Ok(parts) } else { Err(corrupt(end.min(size))) }
    }
}
