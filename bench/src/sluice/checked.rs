//! The least that a server of the contract can do: it checks the place and the
//! CRC32C of each frame, and of the file, and keeps nothing else. The client,
//! the connections and the messages are the real ones.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use anyhow::Result;
use futures::stream::Empty;
use sluice_domain::{ByteRange, Crc32c, DEFAULT_PART_SIZE, PartPlan, RangeSet, WriteCursor};
use sluice_proto::v1::{
    self,
    upload::State,
    upload_service_server::{UploadService, UploadServiceServer},
};
use sluice_server::{edge::Edge, tasks::Tasks};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming, service::Routes};

/// A frame and what stands around it.
const MAX_MESSAGE: usize = 4 * 1024 * 1024;

/// Serves until the process is killed. There is one upload at a time.
pub(crate) async fn serve() -> Result<()> {
    let service = UploadServiceServer::new(Checked::default());
    let edge = Edge {
        router: Routes::new(service.max_decoding_message_size(MAX_MESSAGE)).into_axum_router(),
        tls: None,
        max_connections: 1024,
        tasks: Tasks::new(),
        draining: CancellationToken::new(),
        cut: CancellationToken::new(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on http://{}", listener.local_addr()?);
    edge.serve(listener).await;
    Ok(())
}

/// The server.
#[derive(Default)]
struct Checked(Mutex<Upload>);

/// What it knows of the upload.
#[derive(Default)]
struct Upload {
    size: u64,
    /// The checksum of each part that came whole, and the part's end.
    parts: BTreeMap<u64, (u64, Crc32c)>,
}

impl Checked {
    fn upload(&self) -> MutexGuard<'_, Upload> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn take_all(
        &self,
        mut messages: Streaming<v1::WriteUploadRequest>,
    ) -> Result<(), Status> {
        let plan = PartPlan { part_size: DEFAULT_PART_SIZE, size: Some(self.upload().size) };
        let mut cursor = WriteCursor::new(plan, None);
        let mut part = Crc32c::EMPTY;
        while let Some(message) = messages.message().await? {
            let Some(data) = message.checksummed_data else { continue };
            let offset = message.write_offset.cast_unsigned();
            let length = data.content.len() as u64;
            let placement = cursor.place(offset, length).map_err(refused)?;
            let crc32c = Crc32c::of(&data.content);
            if data.crc32c != Some(crc32c.0) {
                return Err(refused("a frame arrived damaged"));
            }
            cursor.advance(placement);
            part = if placement.starts_part { crc32c } else { part.combine(crc32c, length) };
            if placement.ends_part {
                let start = plan.start(placement.part);
                self.upload().parts.insert(start, (offset + length, part));
            }
        }
        Ok(())
    }
}

impl Upload {
    fn message(&self) -> v1::Upload {
        let whole = self.parts.iter().map(|(&start, &(end, _))| ByteRange { start, end });
        let persisted = RangeSet::from_sorted(whole);
        let range = |range: &ByteRange| v1::ByteRange {
            start: range.start.cast_signed(),
            end: range.end.cast_signed(),
        };
        v1::Upload {
            id: "upl_bench".to_owned(),
            state: State::Active.into(),
            size: Some(self.size.cast_signed()),
            part_size: DEFAULT_PART_SIZE.cast_signed(),
            persisted_bytes: persisted.total().cast_signed(),
            persisted_ranges: persisted.ranges().iter().map(range).collect(),
            writer_epoch: 1,
            ..v1::Upload::default()
        }
    }

    fn crc32c(&self) -> Crc32c {
        self.parts
            .iter()
            .fold(Crc32c::EMPTY, |file, (start, (end, part))| file.combine(*part, end - start))
    }
}

fn refused(error: impl std::fmt::Display) -> Status {
    Status::invalid_argument(error.to_string())
}

fn not_offered<T>() -> Result<T, Status> {
    Err(Status::unimplemented("this server only checks"))
}

#[tonic::async_trait]
impl UploadService for Checked {
    async fn create_upload(
        &self,
        request: Request<v1::CreateUploadRequest>,
    ) -> Result<Response<v1::CreateUploadResponse>, Status> {
        let size = request.into_inner().size.unwrap_or(0).cast_unsigned();
        let mut upload = self.upload();
        *upload = Upload { size, parts: BTreeMap::new() };
        let upload = Some(upload.message());
        Ok(Response::new(v1::CreateUploadResponse { upload, upload_token: String::new() }))
    }

    async fn write_upload(
        &self,
        request: Request<Streaming<v1::WriteUploadRequest>>,
    ) -> Result<Response<v1::WriteUploadResponse>, Status> {
        self.take_all(request.into_inner()).await?;
        let upload = Some(self.upload().message());
        Ok(Response::new(v1::WriteUploadResponse { upload, file: None }))
    }

    async fn get_upload(
        &self,
        _request: Request<v1::GetUploadRequest>,
    ) -> Result<Response<v1::GetUploadResponse>, Status> {
        Ok(Response::new(v1::GetUploadResponse { upload: Some(self.upload().message()) }))
    }

    async fn complete_upload(
        &self,
        request: Request<v1::CompleteUploadRequest>,
    ) -> Result<Response<v1::CompleteUploadResponse>, Status> {
        let expected = request.into_inner().expected_checksums.and_then(|sums| sums.crc32c);
        let upload = self.upload();
        if expected != Some(upload.crc32c().0) {
            return Err(refused("the file arrived damaged"));
        }
        let file = v1::File { size: upload.size.cast_signed(), ..v1::File::default() };
        Ok(Response::new(v1::CompleteUploadResponse { file: Some(file) }))
    }

    type BidiWriteUploadStream = Empty<Result<v1::BidiWriteUploadResponse, Status>>;

    async fn bidi_write_upload(
        &self,
        _request: Request<Streaming<v1::BidiWriteUploadRequest>>,
    ) -> Result<Response<Self::BidiWriteUploadStream>, Status> {
        not_offered()
    }

    async fn resume_upload(
        &self,
        _request: Request<v1::ResumeUploadRequest>,
    ) -> Result<Response<v1::ResumeUploadResponse>, Status> {
        not_offered()
    }

    async fn list_upload_parts(
        &self,
        _request: Request<v1::ListUploadPartsRequest>,
    ) -> Result<Response<v1::ListUploadPartsResponse>, Status> {
        not_offered()
    }

    async fn sign_upload_parts(
        &self,
        _request: Request<v1::SignUploadPartsRequest>,
    ) -> Result<Response<v1::SignUploadPartsResponse>, Status> {
        not_offered()
    }

    async fn confirm_upload_parts(
        &self,
        _request: Request<v1::ConfirmUploadPartsRequest>,
    ) -> Result<Response<v1::ConfirmUploadPartsResponse>, Status> {
        not_offered()
    }

    async fn cancel_upload(
        &self,
        _request: Request<v1::CancelUploadRequest>,
    ) -> Result<Response<v1::CancelUploadResponse>, Status> {
        not_offered()
    }

    async fn list_uploads(
        &self,
        _request: Request<v1::ListUploadsRequest>,
    ) -> Result<Response<v1::ListUploadsResponse>, Status> {
        not_offered()
    }
}
