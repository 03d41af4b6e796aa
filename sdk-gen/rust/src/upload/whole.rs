//! Small content: opened, written and completed by one call.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{StreamExt, stream};
use sluice_domain::{ByteRange, Crc32c, Reason};
use sluice_proto::v1::{
    CreateUploadRequest, WriteUploadRequest, write_upload_request::FirstMessage,
};

use super::{UploadOptions, reader::frames};
use crate::{
    Client, Error, File, Progress, Result,
    blocking::blocking,
    buffer_pool::BufferPool,
    files::no_file,
    progress::Reporter,
    source::Content,
    write_stream::{FileFrame, write_upload},
};

pub(super) async fn upload(
    client: &Client,
    content: Content,
    options: &UploadOptions,
    reporter: &Reporter,
) -> Result<(File, Progress)> {
    let frames = blocking(move || {
        let all = ByteRange { start: 0, end: content.size() };
        let frames = frames(&content, all, &BufferPool::default()).collect::<Result<Vec<_>>>()?;
        content.check_unchanged()?;
        Ok::<_, Error>(frames)
    })
    .await?;
    send(client, frames, options, reporter).await
}

/// Sends all frames of a file. A repeat is the very same stream, which the
/// request id makes harmless.
pub(super) async fn send(
    client: &Client,
    frames: Vec<FileFrame>,
    options: &UploadOptions,
    reporter: &Reporter,
) -> Result<(File, Progress)> {
    let size = frames.iter().map(FileFrame::len).sum();
    let messages = messages(frames, options, options.create_request(Some(size))?);
    let tally = Arc::new(Mutex::new(Tally::default()));
    let progress = || {
        let tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = tally.before + tally.now;
        Progress {
            total: Some(size),
            in_flight: tally.now,
            sent,
            resent: sent - tally.furthest.max(tally.now),
            trouble: tally.trouble.clone(),
            ..Progress::default()
        }
    };
    let work = async {
        let mut attempts = client.attempts();
        loop {
            let counter = tally.clone();
            let counted = stream::iter(messages.clone()).inspect(move |message| {
                let mut tally = counter.lock().unwrap_or_else(PoisonError::into_inner);
                tally.now += content_length(message);
                tally.trouble = None;
            });
            let error = match write_upload(client.any_connection(), counted).await {
                Ok(answer) => return answer.file.ok_or_else(no_file),
                Err(error) => error,
            };
            tally.lock().unwrap_or_else(PoisonError::into_inner).failed(&error);
            abandon(client, &error).await;
            attempts.wait_after(error).await?;
        }
    };
    let file = reporter.follow(progress, work).await?;
    let progress = Progress { persisted: size, in_flight: 0, ..progress() };
    reporter.report(progress.clone());
    Ok((file, progress))
}

/// How much was sent.
#[derive(Default)]
struct Tally {
    /// By earlier attempts, all together.
    before: u64,
    /// By the earlier attempt that came furthest.
    furthest: u64,
    /// By this attempt.
    now: u64,
    trouble: Option<String>,
}

impl Tally {
    fn failed(&mut self, error: &Error) {
        self.trouble = Some(error.message().to_owned());
        self.before += self.now;
        self.furthest = self.furthest.max(self.now);
        self.now = 0;
    }
}

/// The whole stream: the first message opens the upload, the last completes
/// it; they may be one.
fn messages(
    frames: Vec<FileFrame>,
    options: &UploadOptions,
    create: CreateUploadRequest,
) -> Vec<WriteUploadRequest> {
    let crc32c =
        frames.iter().fold(Crc32c::EMPTY, |crc, frame| crc.combine(frame.crc32c, frame.len()));
    let mut messages: Vec<_> = frames.into_iter().map(FileFrame::into_message).collect();
    if messages.is_empty() {
        messages.push(WriteUploadRequest::default());
    }
    if let Some(first) = messages.first_mut() {
        first.first_message = Some(FirstMessage::CreateUpload(create));
    }
    if let Some(last) = messages.last_mut() {
        last.complete = true;
        last.expected_checksums = Some(options.expected_checksums(crc32c));
    }
    messages
}

fn content_length(message: &WriteUploadRequest) -> u64 {
    message.checksummed_data.as_ref().map_or(0, |data| data.content.len() as u64)
}

/// Nobody resumes what is sent in one call, so an upload that was refused at
/// its end is not left behind. It would expire in any case.
async fn abandon(client: &Client, error: &Error) {
    let refused_at_its_end =
        matches!(error.reason(), Some(Reason::FileExists | Reason::FileChecksumMismatch));
    if refused_at_its_end && let Some(upload_id) = error.upload_id() {
        let once = client.with_give_up_after(Duration::ZERO);
        let _ = once.cancel_upload(upload_id).await;
    }
}
