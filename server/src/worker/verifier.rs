//! Reads a file once, before anybody else may: finds out what nobody knows of it
//! yet, and whether it is what it must be.

use std::pin::pin;

use futures::TryStreamExt;
use sha2::{Digest, Sha256};
use sluice_domain::{
    AccountId, Error, File, FileDigest, FileId, FileState, Part, PartHasher, PartPlan, Reason,
    Result,
};

use crate::service::{
    Context,
    completion::check_same_hash,
    reading::{self, Chunk},
};

/// Reads a file that is being processed, and makes it readable or failed. What is
/// found out of a part is recorded at once; everything else begins anew if this is
/// interrupted.
pub(super) async fn verify_file(context: &Context, owner: AccountId, id: FileId) -> Result<()> {
    let file = match context.files.file(owner, id).await {
        Ok(file) if file.state == FileState::Processing => file,
        Ok(_) => return Ok(()),
        Err(error) if error.reason == Reason::FileNotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let failure = match read(context, file).await {
        Ok(blake3) => {
            return context.files.mark_ready(owner, id, blake3, context.clock.now()).await;
        }
        Err(error) if is_final(&error) => error,
        Err(error) => return Err(error),
    };
    tracing::warn!(file = %id, error = %failure, "a file is not what was declared");
    context.files.mark_failed(owner, id, failure.into()).await
}

fn is_final(error: &Error) -> bool {
    matches!(error.reason, Reason::StoredDataCorrupt | Reason::FileChecksumMismatch)
}

/// Reads the whole file and compares its checksums with those that it must have.
/// Answers its BLAKE3.
async fn read(context: &Context, file: File) -> Result<[u8; 32]> {
    let (declared, owner, upload) = (file.checksums, file.owner, file.upload_id);
    let mut pass = Pass::of(&file);
    let mut chunks = pin!(reading::first_reading(context.clone(), file));
    while let Some(chunk) = chunks.try_next().await? {
        let (next, found) = context
            .tasks
            .blocking(move || {
                let found = pass.fold(&chunk);
                Ok((pass, found))
            })
            .await?;
        pass = next;
        if let Some(part) = found {
            let start = pass.plan.start(part.number);
            if !context.uploads.add_detail(owner, upload, part).await? {
                let message = "storage holds other bytes of a part than were recorded";
                return Err(Error::new(Reason::StoredDataCorrupt, message).with("offset", start));
            }
        }
    }
    let digest = FileDigest::of(&pass.parts);
    let sha256 = pass.sha256.map(|hasher| hasher.finalize().into());
    check_same_hash("sha256", declared.sha256, sha256)?;
    check_same_hash("blake3", declared.blake3, digest.blake3)?;
    digest.blake3.ok_or_else(|| Error::storage_io("a part of the file was not read"))
}

/// What is computed while the bytes go by.
struct Pass {
    plan: PartPlan,
    current: Option<PartHasher>,
    /// The parts that are behind, without what is only for reading.
    parts: Vec<Part>,
    sha256: Option<Sha256>,
}

impl Pass {
    fn of(file: &File) -> Self {
        Self {
            plan: PartPlan { part_size: file.part_size, size: Some(file.size) },
            current: None,
            parts: Vec::new(),
            sha256: file.checksums.sha256.map(|_| Sha256::new()),
        }
    }

    /// Takes the next bytes, which lie in one part. Answers that part if they are
    /// its last ones and nobody has read it before.
    fn fold(&mut self, chunk: &Chunk) -> Option<Part> {
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(&chunk.data);
        }
        let number = self.plan.part_at(chunk.offset)?;
        let part = self.plan.range(number);
        let mut hasher = self.current.take().unwrap_or_else(|| PartHasher::new(number, part.start));
        hasher.absorb(&chunk.data);
        if hasher.size() < part.len() {
            self.current = Some(hasher);
            return None;
        }
        let part = hasher.finish();
        self.parts.push(part.clone().without_blocks());
        (!chunk.is_recorded).then_some(part)
    }
}
