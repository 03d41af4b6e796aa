//! The records of uploads: looking at them and ending them.

use futures::{Stream, TryStreamExt};
use sluice_proto::v1::{
    CancelUploadRequest, CompleteUploadRequest, GetUploadRequest, ListUploadPartsRequest,
    ListUploadsRequest, UploadPart, upload::State,
};

use crate::{Client, Error, File, Result, Upload, error::Kind, files::no_file, pages::paged};

/// Entries on one page: the most that there can be.
const PAGE_SIZE: i32 = 1000;

impl Client {
    /// One upload with what is persisted of it.
    pub async fn get_upload(&self, upload_id: &str) -> Result<Upload> {
        let request = GetUploadRequest { upload_id: upload_id.into() };
        let call = move |request| async move { self.raw_uploads().get_upload(request).await };
        let answer = self.unary(request, call).await?;
        answer.upload.ok_or_else(no_upload)
    }

    /// The caller's uploads in these states, or all, newest first.
    pub fn list_uploads<'a>(
        &'a self,
        states: &[State],
    ) -> impl Stream<Item = Result<Upload>> + Send + use<'a> {
        let states: Vec<_> = states.iter().copied().map(i32::from).collect();
        paged(move |page_token| {
            let request =
                ListUploadsRequest { page_size: PAGE_SIZE, page_token, states: states.clone() };
            async move {
                let call =
                    move |request| async move { self.raw_uploads().list_uploads(request).await };
                let page = self.unary(request, call).await?;
                Ok((page.uploads, page.next_page_token))
            }
        })
    }

    /// Turns an upload whose parts are all persisted into a file, as
    /// [`upload`](Self::upload) and [`resume`](Self::resume) do at their end.
    pub async fn complete_upload(&self, request: CompleteUploadRequest) -> Result<File> {
        let call = move |request| async move { self.raw_uploads().complete_upload(request).await };
        self.unary(request, call).await?.file.ok_or_else(no_file)
    }

    /// Gives an upload up: its parts are deleted and it cannot be resumed.
    pub async fn cancel_upload(&self, upload_id: &str) -> Result<Upload> {
        let request = CancelUploadRequest { upload_id: upload_id.into() };
        let call = move |request| async move { self.raw_uploads().cancel_upload(request).await };
        let answer = self.unary(request, call).await?;
        answer.upload.ok_or_else(no_upload)
    }

    /// The persisted parts of an upload, by number.
    pub(crate) async fn upload_parts(&self, upload_id: &str) -> Result<Vec<UploadPart>> {
        let parts = paged(|page_token| {
            let upload_id = upload_id.to_owned();
            let request = ListUploadPartsRequest { upload_id, page_size: PAGE_SIZE, page_token };
            async move {
                let call = move |request| async move {
                    self.raw_uploads().list_upload_parts(request).await
                };
                let page = self.unary(request, call).await?;
                Ok((page.parts, page.next_page_token))
            }
        });
        parts.try_collect().await
    }
}

/// An answer without the resource that the contract promises.
pub(crate) fn no_upload() -> Error {
    Error::new(Kind::Corrupt, "the server's answer has no upload")
}
