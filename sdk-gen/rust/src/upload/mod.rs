//! Getting the bytes of a source to the server, whatever happens on the way.

mod options;
mod whole;

mod crew;
mod parts;
mod reader;
mod session;

mod held;
mod input;
mod lane;
mod stream;
mod tally;
mod target;

mod verify;

use std::{path::Path, sync::Arc, time::Instant};

use sluice_domain::{ByteRange, DEFAULT_PART_SIZE, RangeSet};
use sluice_proto::v1::{ResumeUploadRequest, upload::State};

pub use options::UploadOptions;

use self::session::Session;
use crate::{
    Client, Error, File, Progress, Result, Source, Statistics, Upload,
    progress::Reporter,
    source::{Content, Opened},
    uploads::no_upload,
};

/// A file that was uploaded.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Uploaded {
    /// The file. It may still be PROCESSING.
    pub file: File,
    /// What it took.
    pub statistics: Statistics,
}

impl Client {
    /// Uploads a source and makes it a file.
    ///
    /// Broken connections and restarts of the server are ridden out: what is
    /// persisted is never sent again. After an error that
    /// [`is_transient`](Error::is_transient), or after cancellation,
    /// [`resume`](Self::resume) goes on with [`Error::upload_id`].
    pub async fn upload(
        &self,
        source: impl Into<Source>,
        options: UploadOptions,
    ) -> Result<Uploaded> {
        let source = source.into();
        let options = options.name_or(source.file_name());
        self.run(options, async |options, reporter| match source.open().await? {
            Opened::Known(content) => {
                let one_call = options.preferred_part_size().unwrap_or(DEFAULT_PART_SIZE);
                if content.size() <= one_call {
                    whole::upload(self, content, options, reporter).await
                } else {
                    self.upload_parts_of(content, options, reporter).await
                }
            }
            Opened::Stream(reader) => stream::upload(self, reader, options, reporter).await,
        })
        .await
    }

    /// Goes on with an upload that another call or process began, from the
    /// same bytes. What is persisted is compared with the source and not sent
    /// again. Takes the upload over: whoever still writes to it is stopped.
    ///
    /// Of the options, `name` and `on_conflict` replace those that the upload
    /// was opened with. An upload that is complete by now answers with its
    /// file.
    pub async fn resume(
        &self,
        upload_id: &str,
        source: impl Into<Source>,
        options: UploadOptions,
    ) -> Result<Uploaded> {
        let source = source.into();
        self.run(options, async |options, reporter| {
            let Opened::Known(content) = source.open().await? else {
                return Err(Error::usage("only a file or bytes in memory can be resumed"));
            };
            let upload = self.get_upload(upload_id).await?;
            self.go_on(upload, content, options, reporter).await
        })
        .await
    }

    /// Runs an upload under its cancellation, and completes its errors.
    async fn run(
        &self,
        options: UploadOptions,
        work: impl AsyncFnOnce(&UploadOptions, &Reporter) -> Result<(File, Progress)>,
    ) -> Result<Uploaded> {
        let started = Instant::now();
        let reporter = options.reporter();
        let cancellation = options.cancellation();
        // Boxed: an upload is a large future, and callers run many.
        let work = Box::pin(work(&options, &reporter));
        let done = cancellation.run_until_cancelled(work).await;
        let (file, progress) = done
            .unwrap_or_else(|| Err(Error::cancelled()))
            .map_err(|error| error.of_upload(reporter.upload_id()))?;
        let statistics = Statistics {
            size: file.size.cast_unsigned(),
            sent: progress.sent,
            resent: progress.resent,
            resumed: progress.resumed,
            elapsed: started.elapsed(),
        };
        Ok(Uploaded { file, statistics })
    }

    async fn upload_parts_of(
        &self,
        content: Content,
        options: &UploadOptions,
        reporter: &Reporter,
    ) -> Result<(File, Progress)> {
        let request = options.create_request(Some(content.size()))?;
        let call = move |request| async move { self.raw_uploads().create_upload(request).await };
        let answer = self.unary(request, call).await?;
        let upload = answer.upload.ok_or_else(no_upload)?;
        let fresh = upload.writer_epoch == 1
            && upload.persisted_bytes == 0
            && upload.state() == State::Active;
        if !fresh {
            // The request id is that of an earlier call.
            return self.go_on(upload, content, options, reporter).await;
        }
        let session = Session::new(
            self,
            &upload,
            &answer.upload_token,
            Arc::new(content),
            options,
            reporter,
        )?;
        session.run(Vec::new()).await
    }

    /// Goes on with an upload in whatever state it is.
    async fn go_on(
        &self,
        upload: Upload,
        content: Content,
        options: &UploadOptions,
        reporter: &Reporter,
    ) -> Result<(File, Progress)> {
        let content = Arc::new(content);
        verify::same_size(&upload, &content)?;
        match upload.state() {
            State::Completing | State::Completed => {
                let session = Session::new(self, &upload, "", content.clone(), options, reporter)?;
                let file = session.complete_in_any_case().await?;
                verify::same_content(content, &file).await?;
                let size = file.size.cast_unsigned();
                let progress = Progress {
                    total: Some(size),
                    persisted: size,
                    resumed: size,
                    ..Progress::default()
                };
                Ok((file, progress))
            }
            _ => {
                let request = ResumeUploadRequest { upload_id: upload.id };
                let call =
                    move |request| async move { self.raw_uploads().resume_upload(request).await };
                let answer = self.unary(request, call).await?;
                let upload = answer.upload.ok_or_else(no_upload)?;
                let parts = self.upload_parts(&upload.id).await?;
                let session =
                    Session::new(self, &upload, &answer.upload_token, content, options, reporter)?;
                session.run(parts).await
            }
        }
    }
}

impl Source {
    fn file_name(&self) -> Option<String> {
        let name = self.as_path().and_then(Path::file_name)?;
        Some(name.to_string_lossy().into_owned())
    }
}

/// What the server says is persisted.
fn persisted_ranges(upload: &Upload) -> RangeSet {
    RangeSet::from_sorted(upload.persisted_ranges.iter().map(|range| ByteRange {
        start: range.start.cast_unsigned(),
        end: range.end.cast_unsigned(),
    }))
}
