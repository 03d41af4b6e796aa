//! A thin client: the generated stubs with the credential added.

use std::time::Duration;

use futures::Stream;
use sluice_proto::v1::{
    self, BidiWriteUploadRequest, CancelUploadRequest, Capabilities, CompleteUploadRequest,
    CreateUploadRequest, DeleteFileRequest, File, GetCapabilitiesRequest, GetFileRequest,
    GetUploadRequest, ListFilesRequest, ListFilesResponse, ListUploadPartsRequest,
    ListUploadsRequest, ListUploadsResponse, ResumeUploadRequest, UpdateFileRequest, Upload,
    UploadPart, WriteUploadRequest, WriteUploadResponse,
    account_service_client::AccountServiceClient, admin_service_client::AdminServiceClient,
    auth_service_client::AuthServiceClient, capabilities_service_client::CapabilitiesServiceClient,
    event_service_client::EventServiceClient, file_service_client::FileServiceClient,
    upload_service_client::UploadServiceClient,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

use crate::{BidiStream, Content, Frames, MIB, OpenStream};

/// No call of a test takes longer, unless something hangs.
const CALL_LIMIT: Duration = Duration::from_secs(300);

/// A channel that adds the credential.
pub type Transport = InterceptedService<Channel, Credential>;

/// Adds `authorization: Bearer …` to each call, or nothing.
#[derive(Debug, Clone)]
pub struct Credential(Option<MetadataValue<Ascii>>);

impl Interceptor for Credential {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

/// The stubs of every service on one connection. Clones share the connection.
#[derive(Debug, Clone)]
pub struct Client {
    /// The bare channel, for calls that no stub makes.
    pub transport: Transport,
    /// The stub of UploadService.
    pub uploads: UploadServiceClient<Transport>,
    /// The stub of FileService.
    pub files: FileServiceClient<Transport>,
    /// The stub of EventService.
    pub events: EventServiceClient<Transport>,
    /// The stub of CapabilitiesService.
    pub capabilities: CapabilitiesServiceClient<Transport>,
    /// The stub of AuthService.
    pub auth: AuthServiceClient<Transport>,
    /// The stub of AccountService.
    pub accounts: AccountServiceClient<Transport>,
    /// The stub of AdminService.
    pub admin: AdminServiceClient<Transport>,
}

impl Client {
    /// A client with a credential, on a connection of its own that is opened
    /// with the first call and again whenever it broke.
    pub fn new(url: &str, key: &str) -> Self {
        let value = format!("Bearer {key}");
        Self::with_credential(url, Some(value.parse().expect("a key is visible ASCII")))
    }

    /// A client without a credential.
    pub fn anonymous(url: &str) -> Self {
        Self::with_credential(url, None)
    }

    fn with_credential(url: &str, credential: Option<MetadataValue<Ascii>>) -> Self {
        let endpoint = Endpoint::from_shared(url.to_owned()).expect("a URL").timeout(CALL_LIMIT);
        let transport = InterceptedService::new(endpoint.connect_lazy(), Credential(credential));
        Self {
            uploads: UploadServiceClient::new(transport.clone()),
            files: FileServiceClient::new(transport.clone()),
            events: EventServiceClient::new(transport.clone()),
            capabilities: CapabilitiesServiceClient::new(transport.clone()),
            auth: AuthServiceClient::new(transport.clone()),
            accounts: AccountServiceClient::new(transport.clone()),
            admin: AdminServiceClient::new(transport.clone()),
            transport,
        }
    }

    /// Opens an upload.
    pub async fn create(&self, request: CreateUploadRequest) -> Result<Upload, Status> {
        let response = self.uploads.clone().create_upload(request).await?;
        Ok(response.into_inner().upload.expect("the response has an upload"))
    }

    /// Takes the next writer epoch.
    pub async fn resume(&self, upload_id: &str) -> Result<Upload, Status> {
        let request = ResumeUploadRequest { upload_id: upload_id.to_owned() };
        let response = self.uploads.clone().resume_upload(request).await?;
        Ok(response.into_inner().upload.expect("the response has an upload"))
    }

    /// Sends all frames, closes the stream and waits for the answer.
    pub async fn write(&self, frames: Frames) -> Result<WriteUploadResponse, Status> {
        self.write_stream(tokio_stream::iter(frames.messages())).await
    }

    /// Sends whatever the stream gives and waits for the answer.
    pub async fn write_stream(
        &self,
        messages: impl Stream<Item = WriteUploadRequest> + Send + 'static,
    ) -> Result<WriteUploadResponse, Status> {
        let response = self.uploads.clone().write_upload(messages).await?;
        Ok(response.into_inner())
    }

    /// Opens a write stream that stays open until it is told to end.
    pub fn open(&self) -> OpenStream {
        let (sender, receiver) = mpsc::channel(1);
        let client = self.clone();
        let outcome =
            tokio::spawn(async move { client.write_stream(ReceiverStream::new(receiver)).await });
        OpenStream::new(sender, outcome)
    }

    /// Opens a bidirectional write stream with its first messages.
    pub async fn open_bidi(&self, frames: Frames) -> Result<BidiStream, Status> {
        let (sender, receiver) = mpsc::channel::<BidiWriteUploadRequest>(1);
        let begin = tokio_stream::iter(frames.bidi_messages());
        let messages = futures::StreamExt::chain(begin, ReceiverStream::new(receiver));
        let response = self.uploads.clone().bidi_write_upload(messages).await?;
        Ok(BidiStream::new(sender, response.into_inner()))
    }

    /// Makes the upload a file, with nothing said but its id.
    pub async fn complete(&self, upload_id: &str) -> Result<File, Status> {
        self.complete_with(CompleteUploadRequest {
            upload_id: upload_id.to_owned(),
            ..Default::default()
        })
        .await
    }

    /// Makes the upload a file.
    pub async fn complete_with(&self, request: CompleteUploadRequest) -> Result<File, Status> {
        let response = self.uploads.clone().complete_upload(request).await?;
        Ok(response.into_inner().file.expect("the response has a file"))
    }

    /// Gives the upload up.
    pub async fn cancel(&self, upload_id: &str) -> Result<Upload, Status> {
        let request = CancelUploadRequest { upload_id: upload_id.to_owned() };
        let response = self.uploads.clone().cancel_upload(request).await?;
        Ok(response.into_inner().upload.expect("the response has an upload"))
    }

    /// Reads an upload.
    pub async fn upload(&self, upload_id: &str) -> Result<Upload, Status> {
        let request = GetUploadRequest { upload_id: upload_id.to_owned() };
        let response = self.uploads.clone().get_upload(request).await?;
        Ok(response.into_inner().upload.expect("the response has an upload"))
    }

    /// Lists one page of uploads.
    pub async fn list_uploads(
        &self,
        request: ListUploadsRequest,
    ) -> Result<ListUploadsResponse, Status> {
        let response = self.uploads.clone().list_uploads(request).await?;
        Ok(response.into_inner())
    }

    /// Lists all persisted parts of an upload, page by page.
    pub async fn parts(&self, upload_id: &str, page_size: i32) -> Result<Vec<UploadPart>, Status> {
        let mut parts = Vec::new();
        let mut page_token = String::new();
        loop {
            let request =
                ListUploadPartsRequest { upload_id: upload_id.to_owned(), page_size, page_token };
            let page = self.uploads.clone().list_upload_parts(request).await?.into_inner();
            parts.extend(page.parts);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(parts);
            }
        }
    }

    /// Reads a file's record.
    pub async fn file(&self, file_id: &str) -> Result<File, Status> {
        let request = GetFileRequest { file_id: file_id.to_owned() };
        let response = self.files.clone().get_file(request).await?;
        Ok(response.into_inner().file.expect("the response has a file"))
    }

    /// Lists one page of files.
    pub async fn list_files(&self, request: ListFilesRequest) -> Result<ListFilesResponse, Status> {
        Ok(self.files.clone().list_files(request).await?.into_inner())
    }

    /// Changes a file's record.
    pub async fn update_file(&self, request: UpdateFileRequest) -> Result<File, Status> {
        let response = self.files.clone().update_file(request).await?;
        Ok(response.into_inner().file.expect("the response has a file"))
    }

    /// Deletes a file, whatever its etag.
    pub async fn delete_file(&self, file_id: &str) -> Result<(), Status> {
        let request = DeleteFileRequest { file_id: file_id.to_owned(), ..Default::default() };
        self.files.clone().delete_file(request).await.map(drop)
    }

    /// What the server offers.
    pub async fn capabilities(&self) -> Result<Capabilities, Status> {
        let response =
            self.capabilities.clone().get_capabilities(GetCapabilitiesRequest {}).await?;
        Ok(response.into_inner().capabilities.expect("the response has capabilities"))
    }

    /// Uploads content in one call and answers the file.
    pub async fn put(&self, name: &str, content: &Content) -> Result<File, Status> {
        let request = CreateUploadRequest {
            request_id: uuid::Uuid::now_v7().to_string(),
            size: Some(content.size() as i64),
            ..named(name)
        };
        let response = self.write(Frames::creating(request).all(content).complete()).await?;
        Ok(response.file.expect("a completed upload has a file"))
    }
}

/// A request to create an upload of this name and unknown size.
pub fn named(name: &str) -> CreateUploadRequest {
    CreateUploadRequest { name: name.to_owned(), ..Default::default() }
}

/// A request to create an upload of this name and size in parts of 1 MiB.
pub fn in_small_parts(name: &str, size: u64) -> CreateUploadRequest {
    CreateUploadRequest {
        size: Some(size as i64),
        preferred_part_size: Some(MIB as i64),
        ..named(name)
    }
}

/// What is persisted, as pairs of start and end.
pub fn persisted(upload: &Upload) -> Vec<(i64, i64)> {
    let pair = |range: &v1::ByteRange| (range.start, range.end);
    upload.persisted_ranges.iter().map(pair).collect()
}
