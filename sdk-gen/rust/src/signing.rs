//! Signed URLs: for whoever shall download a file or send a part without
//! another credential.

use std::time::{Duration, SystemTime};

use sluice_proto::v1::{
    ConfirmUploadPartsRequest, DeclaredPart, SignDownloadUrlRequest, SignUploadPartsRequest,
    SignedPart, sign_download_url_request::Disposition,
};

use crate::{Client, Error, Result, Upload, error::Kind, uploads::no_upload};

/// How a download link shall be.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct LinkOptions {
    ttl: Option<Duration>,
    inline: bool,
}

/// A link with which anybody can download a file over plain HTTP: a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The link.
    pub url: String,
    /// When it stops working.
    pub expire_time: SystemTime,
}

/// What became of parts that were sent to signed URLs.
#[derive(Debug, Clone, PartialEq)]
pub struct Confirmed {
    /// The upload with what is persisted of it.
    pub upload: Upload,
    /// Numbers of the parts that must be signed and sent again.
    pub missing: Vec<i32>,
}

impl Client {
    /// A link to a file that can be read.
    pub async fn sign_download_url(&self, file_id: &str, options: LinkOptions) -> Result<Link> {
        let wrong = |_| Error::new(Kind::Usage, "the time to live is too long");
        let ttl = options.ttl.map(TryInto::try_into).transpose().map_err(wrong)?;
        let disposition =
            if options.inline { Disposition::Inline } else { Disposition::Attachment };
        let request = SignDownloadUrlRequest {
            file_id: file_id.into(),
            ttl,
            disposition: disposition.into(),
        };
        let call = move |request| async move { self.raw_files().sign_download_url(request).await };
        let answer = self.unary(request, call).await?;
        let expire_time = answer.expire_time.and_then(|time| SystemTime::try_from(time).ok());
        let incomplete = || Error::new(Kind::Corrupt, "the server's answer has no expiry");
        Ok(Link { url: answer.url, expire_time: expire_time.ok_or_else(incomplete)? })
    }

    /// URLs for the parts that are not persisted yet, at most 100 at a time.
    /// Each part is sent by HTTP PUT; then
    /// [`confirm_upload_parts`](Self::confirm_upload_parts) makes it count.
    pub async fn sign_upload_parts(
        &self,
        upload_id: &str,
        writer_epoch: i64,
        parts: Vec<DeclaredPart>,
    ) -> Result<Vec<SignedPart>> {
        let upload_id = upload_id.into();
        let request = SignUploadPartsRequest { upload_id, writer_epoch, parts };
        let call =
            move |request| async move { self.raw_uploads().sign_upload_parts(request).await };
        Ok(self.unary(request, call).await?.parts)
    }

    /// Makes parts count that were sent to signed URLs, at most 100 at a time,
    /// and says which of them did not arrive.
    pub async fn confirm_upload_parts(
        &self,
        upload_id: &str,
        writer_epoch: i64,
        parts: Vec<DeclaredPart>,
    ) -> Result<Confirmed> {
        let upload_id = upload_id.into();
        let request = ConfirmUploadPartsRequest { upload_id, writer_epoch, parts };
        let call =
            move |request| async move { self.raw_uploads().confirm_upload_parts(request).await };
        let answer = self.unary(request, call).await?;
        let upload = answer.upload.ok_or_else(no_upload)?;
        Ok(Confirmed { upload, missing: answer.missing_part_numbers })
    }
}

impl LinkOptions {
    /// A link that works for an hour, for a file to be saved.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long it works: at most 7 days.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Browsers show the file, where its type is harmless.
    pub fn inline(mut self) -> Self {
        self.inline = true;
        self
    }
}
