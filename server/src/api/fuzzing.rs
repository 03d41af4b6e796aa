//! Entrances for the fuzz targets to what this module keeps to itself: the
//! steps that bytes from outside go through before a service sees them.

use futures::Stream;
use serde::{Serialize, de::DeserializeOwned};
use sluice_domain::{Error, FileId, Result, UploadId};
use sluice_proto::v1;
use tonic::{Status, Streaming};

use super::{
    convert::{
        self,
        file::{self, Position},
        upload,
    },
    page_token, resume_token,
};
use crate::{
    ports::{FeedPosition, FileChange, FilePosition, FileQuery},
    service::{
        Caller,
        completion::CompleteUpload,
        ingest::{Target, WriteMessage},
        uploads::CreateUpload,
        watch::Selection,
    },
};

/// Largest message of a write stream, in bytes.
pub const MAX_WRITE_MESSAGE: usize = super::MAX_LARGE_MESSAGE;

/// Reads a write stream as `WriteUpload` does.
pub async fn write_messages(
    incoming: Streaming<v1::WriteUploadRequest>,
) -> Result<(Target, WriteMessage, impl Stream<Item = Result<WriteMessage>> + Unpin + Send)> {
    super::upload_service::write_messages(incoming).await
}

/// A refusal as the caller sees it.
pub fn status(error: Error) -> Status {
    super::status::status(error)
}

/// Parses a request to open an upload.
pub fn create_upload(request: v1::CreateUploadRequest) -> Result<CreateUpload> {
    upload::create_upload(request)
}

/// Parses a request to complete an upload.
pub fn complete_upload(request: v1::CompleteUploadRequest) -> Result<(UploadId, CompleteUpload)> {
    upload::complete_upload(request)
}

/// Parses a change of a file's record.
pub fn update_file(request: v1::UpdateFileRequest) -> Result<(FileId, String, FileChange)> {
    file::update_file(request)
}

/// Parses a listing of files, with its page token and page size.
pub fn list_files(mut request: v1::ListFilesRequest) -> Result<FileQuery> {
    let limit = page_token::page_size(request.page_size)?;
    let token = std::mem::take(&mut request.page_token);
    request.page_size = 0;
    let filters = page_token::Filters::of(&request);
    file::file_query(&request, filters.position::<Position>(&token)?, limit)
}

/// Parses the states that uploads are listed by.
pub fn upload_states(values: &[i32]) -> Result<Vec<sluice_domain::UploadState>> {
    convert::states(values, "states", upload::parse_upload_state)
}

/// The page tokens of one listing.
pub struct PageTokens(page_token::Filters);

impl PageTokens {
    /// Of the listing that this request asks for.
    pub fn of(request: &impl prost::Message) -> Self {
        Self(page_token::Filters::of(request))
    }

    /// The token of a position.
    pub fn token(&self, position: impl Serialize) -> String {
        self.0.token(position)
    }

    /// The position of a token.
    pub fn position<P: DeserializeOwned>(&self, token: &str) -> Result<Option<P>> {
        self.0.position(token)
    }

    /// The token of a position among files.
    pub fn file_token(&self, position: FilePosition) -> String {
        self.0.token(Position::from(position))
    }

    /// The position of a token among files.
    pub fn file_position(&self, token: &str) -> Result<Option<FilePosition>> {
        Ok(self.0.position::<Position>(token)?.map(FilePosition::from))
    }
}

/// The resume tokens of one caller's watch.
pub struct ResumeTokens(resume_token::ResumeTokens);

impl ResumeTokens {
    /// Of a watch of this selection.
    pub fn of(caller: Caller, selection: &Selection) -> Self {
        Self(resume_token::ResumeTokens::of(caller, selection))
    }

    /// The token of a place.
    pub fn token(&self, position: &FeedPosition) -> String {
        self.0.token(position)
    }

    /// The place of a token.
    pub fn position(&self, token: &str) -> Result<Option<FeedPosition>> {
        self.0.position(token)
    }
}
