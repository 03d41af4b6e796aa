//! `FileService`.

use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use sluice_domain::{FileId, Result};
use sluice_proto::v1::{self, file_service_server::FileService};
use tonic::{Request, Response, Status};

use super::{
    caller,
    convert::{self, file as convert_file},
    page_token::{Filters, page_size},
    status::status,
};
use crate::{
    metrics,
    service::{
        Caller, Context, files,
        reading::{self, Chunk},
    },
};

/// Implements `FileService`.
pub(super) struct Files {
    context: Context,
}

impl Files {
    pub(super) fn new(context: Context) -> Self {
        Self { context }
    }

    async fn list(
        &self,
        caller: Caller,
        mut request: v1::ListFilesRequest,
    ) -> Result<v1::ListFilesResponse> {
        let limit = page_size(request.page_size)?;
        let token = std::mem::take(&mut request.page_token);
        request.page_size = 0;
        let filters = Filters::of(&request);
        let query = convert_file::file_query(&request, filters.position(&token)?, limit)?;
        let page = files::list(&self.context, caller, query).await?;
        Ok(v1::ListFilesResponse {
            files: page.files.iter().map(convert_file::file).collect(),
            prefixes: page.prefixes,
            next_page_token: page
                .next
                .map_or_else(String::new, |next| filters.token(convert_file::Position::from(next))),
        })
    }

    async fn read(
        &self,
        caller: Caller,
        request: v1::ReadFileRequest,
    ) -> Result<BoxStream<'static, Result<v1::ReadFileResponse, Status>>> {
        let id = FileId::parse(&request.file_id, "file_id")?;
        let offset = convert::size(request.offset, "offset")?;
        let limit = convert::size(request.limit, "limit")?;
        let (file, chunks) = reading::read(&self.context, caller, id, offset, limit).await?;
        let first = v1::ReadFileResponse {
            file: Some(convert_file::file(&file)),
            read_offset: request.offset,
            checksummed_data: None,
        };
        let frames = chunks.map_ok(frame).map_err(status);
        Ok(stream::once(async { Ok(first) }).chain(frames).boxed())
    }
}

fn frame(chunk: Chunk) -> v1::ReadFileResponse {
    metrics::content_sent(chunk.data.len() as u64);
    v1::ReadFileResponse {
        file: None,
        read_offset: convert::int64(chunk.offset),
        checksummed_data: Some(v1::ChecksummedData {
            content: chunk.data,
            crc32c: Some(chunk.crc32c.0),
        }),
    }
}

#[tonic::async_trait]
impl FileService for Files {
    async fn get_file(
        &self,
        request: Request<v1::GetFileRequest>,
    ) -> Result<Response<v1::GetFileResponse>, Status> {
        let caller = caller(&request).map_err(status)?;
        let id = file_id(&request.into_inner().file_id)?;
        let file = files::get(&self.context, caller, id).await.map_err(status)?;
        Ok(Response::new(v1::GetFileResponse { file: Some(convert_file::file(&file)) }))
    }

    async fn list_files(
        &self,
        request: Request<v1::ListFilesRequest>,
    ) -> Result<Response<v1::ListFilesResponse>, Status> {
        let caller = caller(&request).map_err(status)?;
        let response = self.list(caller, request.into_inner()).await.map_err(status)?;
        Ok(Response::new(response))
    }

    async fn update_file(
        &self,
        request: Request<v1::UpdateFileRequest>,
    ) -> Result<Response<v1::UpdateFileResponse>, Status> {
        let caller = caller(&request).map_err(status)?;
        let (id, etag, change) = convert_file::update_file(request.into_inner()).map_err(status)?;
        let file = files::update(&self.context, caller, id, etag, change).await.map_err(status)?;
        Ok(Response::new(v1::UpdateFileResponse { file: Some(convert_file::file(&file)) }))
    }

    async fn delete_file(
        &self,
        request: Request<v1::DeleteFileRequest>,
    ) -> Result<Response<v1::DeleteFileResponse>, Status> {
        let caller = caller(&request).map_err(status)?;
        let request = request.into_inner();
        let id = file_id(&request.file_id)?;
        files::delete(&self.context, caller, id, request.etag).await.map_err(status)?;
        Ok(Response::new(v1::DeleteFileResponse {}))
    }

    type ReadFileStream = BoxStream<'static, Result<v1::ReadFileResponse, Status>>;

    async fn read_file(
        &self,
        request: Request<v1::ReadFileRequest>,
    ) -> Result<Response<Self::ReadFileStream>, Status> {
        let caller = caller(&request).map_err(status)?;
        let frames = self.read(caller, request.into_inner()).await.map_err(status)?;
        Ok(Response::new(frames))
    }

    async fn sign_download_url(
        &self,
        request: Request<v1::SignDownloadUrlRequest>,
    ) -> Result<Response<v1::SignDownloadUrlResponse>, Status> {
        let caller = caller(&request).map_err(status)?;
        let (id, ttl, disposition) =
            convert::signing::sign_download_url(request.into_inner()).map_err(status)?;
        let signed = files::sign_download(&self.context, caller, id, ttl, disposition).await;
        let (url, expire_time) = signed.map_err(status)?;
        let expire_time = Some(convert::timestamp(expire_time));
        Ok(Response::new(v1::SignDownloadUrlResponse { url, expire_time }))
    }
}

fn file_id(text: &str) -> Result<FileId, Status> {
    FileId::parse(text, "file_id").map_err(status)
}
