//! URLs are signed while somebody else ends the upload.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use sluice_domain::{Crc32c, Epoch, PartNumber, Reason, Result, Upload, UploadId};
use sluice_server::{
    ports::{BlobRecords, Recorded, StorageTag, StoredPart, UploadStore},
    service::direct_uploads::{self, DeclaredPart},
};

use crate::{
    engine::{Engine, NOW, PART_SIZE, freeze_of, full_of, number, persist},
    service::{caller, context},
};

/// How an upload ends.
#[derive(Debug, Clone, Copy)]
enum End {
    Cancelled,
    Completed,
}

/// Records of which an upload ends when the blob store looks for its place: after it
/// was found to be active, and before anything of it begins on storage.
struct EndingRecords {
    engine: Arc<Engine>,
    upload: Upload,
    end: End,
    has_ended: AtomicBool,
}

#[async_trait]
impl BlobRecords for EndingRecords {
    async fn keep_place(&self, upload: UploadId, place: StorageTag) -> Result<StorageTag> {
        self.engine.database.keep_place(upload, place).await
    }

    async fn place(&self, upload: UploadId) -> Result<Option<StorageTag>> {
        if !self.has_ended.swap(true, Ordering::SeqCst) {
            let (owner, database) = (self.upload.owner, &self.engine.database);
            match self.end {
                End::Cancelled => {
                    database.cancel(owner, upload, NOW).await?;
                    self.engine.blobs.delete(upload).await?;
                }
                End::Completed => {
                    let bytes = full_of(7);
                    let (part, _writer) = persist(&self.engine.blobs, &self.upload, 1, bytes).await;
                    assert_eq!(self.engine.record(&self.upload, part).await, Recorded::New);
                    let freeze = freeze_of(&[7]);
                    database.freeze_and_publish(owner, upload, freeze, NOW).await?;
                }
            }
        }
        self.engine.database.place(upload).await
    }

    async fn stored_parts(
        &self,
        upload: UploadId,
        after: Option<PartNumber>,
        limit: u32,
    ) -> Result<Vec<StoredPart>> {
        self.engine.database.stored_parts(upload, after, limit).await
    }
}

/// Whoever signs too late gets no URL, and leaves nothing on storage that nobody
/// would remove.
#[tokio::test]
async fn signing_too_late_leaves_nothing() {
    for end in [End::Cancelled, End::Completed] {
        let engine = Arc::new(Engine::new().await);
        let upload = engine.create(PART_SIZE).await;
        let records = Arc::new(EndingRecords {
            engine: Arc::clone(&engine),
            upload: upload.clone(),
            end,
            has_ended: AtomicBool::new(false),
        });
        let blobs = engine.blobs_with(records);
        let context = context(&engine.database, &blobs);
        let part = DeclaredPart {
            number: number(1),
            size: PART_SIZE,
            crc32c: Some(Crc32c::of(&full_of(7))),
        };
        let (caller, id) = (caller(upload.owner), upload.id);
        let signed = direct_uploads::sign(&context, caller, id, Epoch::FIRST, vec![part]).await;
        let refusal = signed.expect_err("it is too late");
        assert_eq!(refusal.reason, Reason::UploadNotActive, "{end:?}: {refusal}");
        assert_eq!(engine.multiparts().await, 0, "{end:?}");
        let kept = matches!(end, End::Completed);
        assert_eq!(engine.keys().await.len(), usize::from(kept), "{end:?}");
    }
}
