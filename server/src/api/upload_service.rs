//! `UploadService`.

use futures::{Stream, StreamExt, stream::BoxStream};
use sluice_domain::{Error, PartNumber, Result, Timestamp, Upload, UploadId};
use sluice_proto::v1::{self, upload_service_server::UploadService};
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

use super::{
    bidi_write, caller,
    convert::{
        self,
        signing::{declared_parts, part_number, signed_part},
        upload as convert_upload,
    },
    page_token::{Filters, page_size},
    status::{status, unreadable},
};
use crate::{
    edge::body::DrainLimit,
    ports::UploadQuery,
    service::{
        Caller, Context, completion, direct_uploads,
        identity::tokens::Token,
        ingest::{self, Refused, Replies, Target, WriteMessage},
        uploads::{self, UploadStatus},
    },
};

/// Implements `UploadService`.
pub(super) struct Uploads {
    context: Context,
}

impl Uploads {
    pub(super) fn new(context: Context) -> Self {
        Self { context }
    }

    async fn write(
        &self,
        caller: Caller,
        incoming: Streaming<v1::WriteUploadRequest>,
    ) -> Result<v1::WriteUploadResponse, Refused> {
        let (target, first, messages) = write_messages(incoming).await?;
        let replies = Replies::none();
        let wrote = ingest::write(&self.context, caller, target, first, messages, replies).await?;
        Ok(v1::WriteUploadResponse {
            upload: Some(convert_upload::upload_status(&wrote.status)),
            file: wrote.file.as_ref().map(convert::file::file),
        })
    }

    async fn list_parts(
        &self,
        caller: Caller,
        mut request: v1::ListUploadPartsRequest,
    ) -> Result<v1::ListUploadPartsResponse> {
        let id = UploadId::parse(&request.upload_id, "upload_id")?;
        let limit = page_size(request.page_size)?;
        let token = std::mem::take(&mut request.page_token);
        request.page_size = 0;
        let filters = Filters::of(&request);
        let after = filters.position::<u32>(&token)?.and_then(PartNumber::new);
        let (upload, mut parts) =
            uploads::parts(&self.context, caller, id, after, limit + 1).await?;
        let more = parts.len() > limit as usize;
        parts.truncate(limit as usize);
        let last = parts.last().filter(|_| more);
        Ok(v1::ListUploadPartsResponse {
            next_page_token: last.map_or_else(String::new, |part| filters.token(part.number.get())),
            parts: parts
                .iter()
                .map(|part| convert_upload::upload_part(upload.plan, part))
                .collect(),
        })
    }

    /// A credential for the data of this upload and this writer alone.
    async fn token(&self, caller: Caller, status: &UploadStatus) -> Result<String> {
        let Upload { id, epoch, .. } = status.upload;
        let token = Token::Upload { account: caller.owner, upload: id, epoch };
        let issued = self.context.identity.tokens.issue(token, Upload::MAX_LIFETIME).await?;
        Ok(issued.0)
    }

    async fn list(
        &self,
        caller: Caller,
        mut request: v1::ListUploadsRequest,
    ) -> Result<v1::ListUploadsResponse> {
        let limit = page_size(request.page_size)?;
        let states =
            convert::states(&request.states, "states", convert_upload::parse_upload_state)?;
        let token = std::mem::take(&mut request.page_token);
        request.page_size = 0;
        let filters = Filters::of(&request);
        let after = filters
            .position::<(i64, Uuid)>(&token)?
            .map(|(time, id)| (Timestamp::from_micros(time), UploadId::from_uuid(id)));
        let query = UploadQuery { states, after, limit };
        let page = uploads::list(&self.context, caller, query).await?;
        let last = page.uploads.last().filter(|_| page.more);
        Ok(v1::ListUploadsResponse {
            next_page_token: last.map_or_else(String::new, |last| {
                filters.token((last.create_time.as_micros(), last.id.as_uuid()))
            }),
            uploads: page.uploads.iter().map(convert_upload::upload).collect(),
        })
    }
}

#[tonic::async_trait]
impl UploadService for Uploads {
    async fn create_upload(
        &self,
        request: Request<v1::CreateUploadRequest>,
    ) -> Result<Response<v1::CreateUploadResponse>, Status> {
        let caller = caller(&request).map_err(status)?;
        let request = convert_upload::create_upload(request.into_inner()).map_err(status)?;
        let created = uploads::create(&self.context, caller, request).await.map_err(status)?;
        Ok(Response::new(v1::CreateUploadResponse {
            upload_token: self.token(caller, &created).await.map_err(status)?,
            upload: Some(convert_upload::upload_status(&created)),
        }))
    }

    async fn resume_upload(
        &self,
        request: Request<v1::ResumeUploadRequest>,
    ) -> Result<Response<v1::ResumeUploadResponse>, Status> {
        let caller = caller(&request).map_err(status)?;
        let id = upload_id(&request.into_inner().upload_id)?;
        let resumed = uploads::resume(&self.context, caller, id).await.map_err(status)?;
        Ok(Response::new(v1::ResumeUploadResponse {
            upload_token: self.token(caller, &resumed).await.map_err(status)?,
            upload: Some(convert_upload::upload_status(&resumed)),
        }))
    }

    async fn write_upload(
        &self,
        request: Request<Streaming<v1::WriteUploadRequest>>,
    ) -> Result<Response<v1::WriteUploadResponse>, Status> {
        let caller = caller(&request).map_err(status)?;
        let drain = request.extensions().get::<DrainLimit>().cloned();
        match self.write(caller, request.into_inner()).await {
            Ok(response) => Ok(Response::new(response)),
            Err(refused) => {
                if let (Some(drain), Some(part_size)) = (drain, refused.part_size) {
                    drain.allow_part(part_size);
                }
                Err(refusal(refused))
            }
        }
    }

    type BidiWriteUploadStream = BoxStream<'static, Result<v1::BidiWriteUploadResponse, Status>>;

    async fn bidi_write_upload(
        &self,
        request: Request<Streaming<v1::BidiWriteUploadRequest>>,
    ) -> Result<Response<Self::BidiWriteUploadStream>, Status> {
        let caller = caller(&request).map_err(status)?;
        Ok(Response::new(bidi_write::replies(self.context.clone(), caller, request.into_inner())))
    }

    async fn list_upload_parts(
        &self,
        request: Request<v1::ListUploadPartsRequest>,
    ) -> Result<Response<v1::ListUploadPartsResponse>, Status> {
        let caller = caller(&request).map_err(status)?;
        let response = self.list_parts(caller, request.into_inner()).await.map_err(status)?;
        Ok(Response::new(response))
    }

    async fn sign_upload_parts(
        &self,
        request: Request<v1::SignUploadPartsRequest>,
    ) -> Result<Response<v1::SignUploadPartsResponse>, Status> {
        let caller = caller(&request).map_err(status)?;
        let request = request.into_inner();
        let (id, epoch, parts) =
            declared_parts(&request.upload_id, request.writer_epoch, request.parts)
                .map_err(status)?;
        let signed = direct_uploads::sign(&self.context, caller, id, epoch, parts).await;
        let parts = signed.map_err(status)?.into_iter().map(signed_part).collect();
        Ok(Response::new(v1::SignUploadPartsResponse { parts }))
    }

    async fn confirm_upload_parts(
        &self,
        request: Request<v1::ConfirmUploadPartsRequest>,
    ) -> Result<Response<v1::ConfirmUploadPartsResponse>, Status> {
        let caller = caller(&request).map_err(status)?;
        let request = request.into_inner();
        let (id, epoch, parts) =
            declared_parts(&request.upload_id, request.writer_epoch, request.parts)
                .map_err(status)?;
        let confirmed = direct_uploads::confirm(&self.context, caller, id, epoch, parts).await;
        let (upload, missing) = confirmed.map_err(status)?;
        Ok(Response::new(v1::ConfirmUploadPartsResponse {
            upload: Some(convert_upload::upload_status(&upload)),
            missing_part_numbers: missing.into_iter().map(part_number).collect(),
        }))
    }

    async fn complete_upload(
        &self,
        request: Request<v1::CompleteUploadRequest>,
    ) -> Result<Response<v1::CompleteUploadResponse>, Status> {
        let caller = caller(&request).map_err(status)?;
        let (id, request) =
            convert_upload::complete_upload(request.into_inner()).map_err(status)?;
        let completed = completion::complete(&self.context, caller, id, request).await;
        let file = completed.map_err(|error: Error| status(error))?;
        Ok(Response::new(v1::CompleteUploadResponse { file: Some(convert::file::file(&file)) }))
    }

    async fn cancel_upload(
        &self,
        request: Request<v1::CancelUploadRequest>,
    ) -> Result<Response<v1::CancelUploadResponse>, Status> {
        let caller = caller(&request).map_err(status)?;
        let id = upload_id(&request.into_inner().upload_id)?;
        let upload = uploads::cancel(&self.context, caller, id).await.map_err(status)?;
        let upload = Some(convert_upload::upload(&upload));
        Ok(Response::new(v1::CancelUploadResponse { upload }))
    }

    async fn get_upload(
        &self,
        request: Request<v1::GetUploadRequest>,
    ) -> Result<Response<v1::GetUploadResponse>, Status> {
        let caller = caller(&request).map_err(status)?;
        let id = upload_id(&request.into_inner().upload_id)?;
        let found = uploads::get(&self.context, caller, id).await.map_err(status)?;
        let upload = Some(convert_upload::upload_status(&found));
        Ok(Response::new(v1::GetUploadResponse { upload }))
    }

    async fn list_uploads(
        &self,
        request: Request<v1::ListUploadsRequest>,
    ) -> Result<Response<v1::ListUploadsResponse>, Status> {
        let caller = caller(&request).map_err(status)?;
        let response = self.list(caller, request.into_inner()).await.map_err(status)?;
        Ok(Response::new(response))
    }
}

/// Reads what a write stream is about; what follows is parsed as it comes.
pub(super) async fn write_messages(
    mut incoming: Streaming<v1::WriteUploadRequest>,
) -> Result<(Target, WriteMessage, impl Stream<Item = Result<WriteMessage>> + Unpin + Send)> {
    let first = incoming.message().await.map_err(|status| unreadable(&status))?;
    let first = first.ok_or_else(convert_upload::no_first_message)?;
    let (target, first) = convert_upload::first_message(first)?;
    let epoch = convert::int64(target.epoch().0);
    let messages = incoming.map(move |message| {
        let message = message.map_err(|status| unreadable(&status))?;
        convert_upload::next_message(message, epoch)
    });
    Ok((target, first, messages))
}

/// Why a stream was refused, with the upload that it was about.
pub(super) fn refusal(refused: Refused) -> Status {
    match refused.upload {
        Some(id) => status(refused.error.with("upload_id", id)),
        None => status(refused.error),
    }
}

fn upload_id(text: &str) -> Result<UploadId, Status> {
    UploadId::parse(text, "upload_id").map_err(status)
}
