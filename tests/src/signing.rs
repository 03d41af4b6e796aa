//! Signed URLs.

use std::time::Duration;

use bytes::Bytes;
use sluice_proto::v1::{
    ConfirmUploadPartsRequest, ConfirmUploadPartsResponse, DeclaredPart, SignDownloadUrlRequest,
    SignUploadPartsRequest, SignedPart, Upload, sign_download_url_request::Disposition,
};
use tonic::Status;

use crate::{Client, Content};

impl Client {
    /// A link to download a file, for an hour.
    pub async fn link(&self, file_id: &str) -> String {
        let link = self.link_for(file_id, Duration::from_secs(3600), Disposition::Attachment);
        link.await.expect("the link is signed")
    }

    /// A link to download a file.
    pub async fn link_for(
        &self,
        file_id: &str,
        ttl: Duration,
        disposition: Disposition,
    ) -> Result<String, Status> {
        let request = SignDownloadUrlRequest {
            file_id: file_id.to_owned(),
            ttl: Some(ttl.try_into().expect("a short time")),
            disposition: disposition.into(),
        };
        Ok(self.files.clone().sign_download_url(request).await?.into_inner().url)
    }

    /// URLs to send these parts to.
    pub async fn sign_parts(
        &self,
        upload: &Upload,
        parts: Vec<DeclaredPart>,
    ) -> Result<Vec<SignedPart>, Status> {
        let request = SignUploadPartsRequest {
            upload_id: upload.id.clone(),
            writer_epoch: upload.writer_epoch,
            parts,
        };
        Ok(self.uploads.clone().sign_upload_parts(request).await?.into_inner().parts)
    }

    /// Says that these parts were sent.
    pub async fn confirm_parts(
        &self,
        upload: &Upload,
        parts: Vec<DeclaredPart>,
    ) -> Result<ConfirmUploadPartsResponse, Status> {
        let request = ConfirmUploadPartsRequest {
            upload_id: upload.id.clone(),
            writer_epoch: upload.writer_epoch,
            parts,
        };
        Ok(self.uploads.clone().confirm_upload_parts(request).await?.into_inner())
    }
}

/// The bytes of one part of a content.
pub fn part_bytes(upload: &Upload, content: &Content, number: i32) -> Bytes {
    let start = (number as u64 - 1) * upload.part_size as u64;
    content.bytes(start..(start + upload.part_size as u64).min(content.size()))
}

/// What a caller declares about one part of a content.
pub fn declared(upload: &Upload, content: &Content, number: i32) -> DeclaredPart {
    let bytes = part_bytes(upload, content, number);
    DeclaredPart {
        part_number: number,
        size: bytes.len() as i64,
        crc32c: Some(sluice_domain::Crc32c::of(&bytes).0),
    }
}
