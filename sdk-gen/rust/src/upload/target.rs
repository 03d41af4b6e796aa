//! What the lanes of an upload that is read once share.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use sluice_proto::v1::{WriteUploadRequest, write_upload_request::FirstMessage};

use super::{tally::Tally, verify};
use crate::{Client, Result, Upload};

/// Where parts go.
pub(super) struct Target {
    pub(super) client: Client,
    pub(super) upload_id: String,
    pub(super) epoch: i64,
    pub(super) tally: Arc<Tally>,
    /// Whether the server offers `BidiWriteUpload`.
    bidi: AtomicBool,
}

impl Target {
    pub(super) fn new(client: &Client, upload: &Upload, bidi: bool) -> Self {
        Self {
            client: client.clone(),
            upload_id: upload.id.clone(),
            epoch: upload.writer_epoch,
            tally: Arc::default(),
            bidi: AtomicBool::new(bidi),
        }
    }

    pub(super) fn is_bidi(&self) -> bool {
        self.bidi.load(Ordering::Relaxed)
    }

    /// The server has said that it does not offer it.
    pub(super) fn do_without_bidi(&self) {
        self.bidi.store(false, Ordering::Relaxed);
    }

    /// What every stream begins with.
    pub(super) fn first_message(&self) -> WriteUploadRequest {
        WriteUploadRequest {
            first_message: Some(FirstMessage::UploadId(self.upload_id.clone())),
            writer_epoch: self.epoch,
            ..Default::default()
        }
    }

    /// The upload as the server has it now.
    pub(super) async fn current(&self) -> Result<Upload> {
        verify::current(&self.client, &self.upload_id, self.epoch).await
    }
}
