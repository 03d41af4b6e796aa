//! One writer's work on an upload in parts: parallel streams that take missing
//! parts until all are persisted, and the completion.

use std::{pin::pin, sync::Arc, time::Duration};

use futures::{StreamExt, future, stream::FuturesUnordered};
use sluice_domain::Reason;
use sluice_proto::v1::{
    CompleteUploadRequest, UploadPart, WriteUploadRequest, write_upload_request::FirstMessage,
};
use tokio::{sync::mpsc, time};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use super::{
    UploadOptions,
    crew::Crew,
    parts::{Parts, StreamId},
    persisted_ranges,
    reader::send_parts,
    verify,
};
use crate::{
    Client, Connection, Error, File, Progress, Result, Upload, blocking::blocking,
    buffer_pool::BufferPool, error::Kind, progress::Reporter, source::Content, uploads::no_upload,
    write_stream::write_upload,
};

/// How often the server is asked what is persisted while streams are open.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);
/// A stream that has sent this much has reached the server, even if a slow link
/// was cut before a part was whole.
const MORE_THAN_BUFFERS: u64 = 4 * 1024 * 1024;
/// Times that storage may ask for parts again at completion.
const MOST_COMPLETIONS: u32 = 5;

pub(super) struct Session<'a> {
    client: &'a Client,
    options: &'a UploadOptions,
    reporter: &'a Reporter,
    content: Arc<Content>,
    parts: Arc<Parts>,
    buffers: BufferPool,
    /// A connection for each parallel stream that there may be.
    lanes: Vec<Connection>,
    upload_id: String,
    epoch: i64,
    /// Whether streams have to tell the size because the server lacks it.
    size_unknown: bool,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        client: &'a Client,
        upload: &Upload,
        token: &str,
        content: Arc<Content>,
        options: &'a UploadOptions,
        reporter: &'a Reporter,
    ) -> Result<Self> {
        let part_size = upload.part_size.cast_unsigned();
        if !part_size.is_power_of_two() {
            return Err(Error::new(Kind::Corrupt, "the server's part size is no power of two"));
        }
        let parts = Parts::new(part_size, content.size(), &persisted_ranges(upload));
        reporter.opened(&upload.id, parts.progress());
        Ok(Self {
            client,
            options,
            reporter,
            content,
            parts: Arc::new(parts),
            buffers: BufferPool::default(),
            lanes: client.data_connections(options.most_streams(), &upload.data_endpoint, token)?,
            upload_id: upload.id.clone(),
            epoch: upload.writer_epoch,
            size_unknown: upload.size.is_none(),
        })
    }

    /// Sends what is missing and completes. `earlier` are the parts that others
    /// have sent; they must be those of this content.
    pub(super) async fn run(&self, earlier: Vec<UploadPart>) -> Result<(File, Progress)> {
        let work = async {
            let check = verify::persisted_parts(&self.content, &self.parts, earlier);
            if self.options.compares_first() {
                check.await?;
                self.send_missing().await?;
            } else {
                future::try_join(self.send_missing(), check).await?;
            }
            for _ in 1..MOST_COMPLETIONS {
                match self.complete().await {
                    Err(error) if error.reason() == Some(Reason::PartsMissing) => {
                        let upload = self.current().await?;
                        self.parts.start_over(&persisted_ranges(&upload));
                        self.send_missing().await?;
                    }
                    done => return done,
                }
            }
            self.complete().await
        };
        let file = self.reporter.follow(|| self.parts.progress(), work).await?;
        Ok((file, self.parts.progress()))
    }

    /// Sends parts until none is missing, in as many streams as help.
    async fn send_missing(&self) -> Result<()> {
        let mut crew = Crew::new(self.client, &self.parts, self.options);
        let mut idle: Vec<_> = self.lanes.iter().rev().collect();
        let mut lanes = FuturesUnordered::new();
        let mut watch = pin!(self.watch());
        loop {
            while self.parts.has_missing()
                && lanes.len() < crew.size()
                && let Some(connection) = idle.pop()
            {
                lanes.push(self.run_lane(connection));
            }
            tokio::select! {
                ended = lanes.next() => match ended {
                    Some(connection) => idle.push(connection?),
                    None if !self.parts.has_missing() => return Ok(()),
                    None => {}
                },
                () = crew.learn() => {}
                never = &mut watch => match never {},
            }
        }
    }

    /// Keeps one stream open for as long as there are parts to take and it may
    /// take them.
    async fn run_lane<'c>(&self, connection: &'c Connection) -> Result<&'c Connection> {
        let mut attempts = self.client.attempts();
        while self.parts.has_missing()
            && let Some(stream) = self.parts.open_stream()
        {
            let before = self.parts.progress().persisted;
            let (upload, kept_nothing) = match self.send_stream(stream, connection).await {
                Ok(upload) => {
                    (upload, Some(Error::new(Kind::Transport, "the server kept nothing")))
                }
                Err(error) if error.is_transient() => {
                    self.parts.trouble(error.message());
                    attempts.wait_after(error).await?;
                    (self.current().await?, None)
                }
                Err(error) => return Err(error),
            };
            let in_vain = self.parts.settle(stream, &persisted_ranges(&upload));
            if self.parts.progress().persisted > before || in_vain > MORE_THAN_BUFFERS {
                attempts.progressed();
            }
            if let Some(error) = kept_nothing
                && self.parts.has_missing()
            {
                attempts.wait_after(error).await?;
            }
        }
        Ok(connection)
    }

    /// Sends parts on one stream until none is missing.
    async fn send_stream(&self, stream: StreamId, connection: &Connection) -> Result<Upload> {
        // Stops the reader also when this future is dropped.
        let stop = CancellationToken::new();
        let _stop_at_the_end = stop.clone().drop_guard();
        // What is queued is sent again after a cut, so it must not be much.
        let (sender, messages) = mpsc::channel(1);
        let first = WriteUploadRequest {
            first_message: Some(FirstMessage::UploadId(self.upload_id.clone())),
            writer_epoch: self.epoch,
            final_size: self.size_unknown.then(|| self.content.size().cast_signed()),
            ..Default::default()
        };
        let (content, parts) = (self.content.clone(), self.parts.clone());
        let buffers = self.buffers.clone();
        let reading =
            blocking(move || send_parts(first, stream, &content, &parts, &buffers, &sender, &stop));
        let writing = write_upload(connection.clone(), ReceiverStream::new(messages));
        // Reading is over before the answer comes, unless the stream is cut.
        let answer = tokio::select! {
            answer = writing => answer?,
            Err(error) = reading => return Err(error),
        };
        answer.upload.ok_or_else(no_upload)
    }

    /// The upload as the server has it now.
    async fn current(&self) -> Result<Upload> {
        verify::current(self.client, &self.upload_id, self.epoch).await
    }

    /// Looks from time to time what is persisted: for progress that is certain,
    /// and so that patience starts anew.
    async fn watch(&self) -> std::convert::Infallible {
        let once = self.client.with_give_up_after(Duration::ZERO);
        loop {
            time::sleep(WATCH_INTERVAL).await;
            // A failure shows on the streams as well, and is dealt with there.
            if let Ok(upload) = once.get_upload(&self.upload_id).await {
                self.parts.persisted(&persisted_ranges(&upload));
            }
        }
    }

    async fn complete(&self) -> Result<File> {
        let content = self.content.clone();
        blocking(move || content.check_unchanged()).await?;
        let read = self.parts.file_checksum().ok_or_else(|| {
            Error::new(Kind::Corrupt, "the server has parts that it did not list")
        })?;
        self.request_completion(CompleteUploadRequest {
            writer_epoch: Some(self.epoch),
            size: Some(self.content.size().cast_signed()),
            expected_checksums: Some(self.options.expected_checksums(read)),
            ..Default::default()
        })
        .await
    }

    /// The file of an upload that somebody else completes or has completed.
    pub(super) async fn complete_in_any_case(&self) -> Result<File> {
        self.request_completion(CompleteUploadRequest::default()).await
    }

    async fn request_completion(&self, request: CompleteUploadRequest) -> Result<File> {
        let request = CompleteUploadRequest {
            upload_id: self.upload_id.clone(),
            name: self.options.explicit_name(),
            on_conflict: self.options.conflict_choice().map(Into::into),
            ..request
        };
        self.client.complete_upload(request).await
    }
}
