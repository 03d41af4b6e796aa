//! Content of unknown size, such as standard input: read once, part by part,
//! each part in memory until it is persisted.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::{StreamExt, stream};
use sluice_domain::{ByteRange, Crc32c, DEFAULT_PART_SIZE};
use sluice_proto::v1::{
    CompleteUploadRequest, WriteUploadRequest, write_upload_request::FirstMessage,
};
use tokio::task::JoinSet;

use super::{
    UploadOptions,
    input::{Input, Reader},
    persisted_ranges, verify, whole,
};
use crate::{
    Client, Connection, Error, File, Progress, Result, Upload,
    error::Kind,
    files::no_file,
    progress::Reporter,
    uploads::no_upload,
    write_stream::{FileFrame, write_upload},
};

pub(super) async fn upload(
    client: &Client,
    reader: Reader,
    options: &UploadOptions,
    reporter: &Reporter,
) -> Result<(File, Progress)> {
    let mut input = Input::new(reader);
    // What turns out to be small is one call.
    let one_call = options.preferred_part_size().unwrap_or(DEFAULT_PART_SIZE);
    if !input.has_more_than(one_call).await? {
        return whole::send(client, input.rest(), options, reporter).await;
    }

    let request = options.create_request(None)?;
    let call = move |request| async move { client.raw_uploads().create_upload(request).await };
    let answer = client.unary(request, call).await?;
    let upload = answer.upload.ok_or_else(no_upload)?;
    if upload.writer_epoch != 1 || upload.persisted_bytes > 0 {
        return Err(Error::usage("a stream cannot go on with an upload that was begun before"));
    }
    reporter.opened(&upload.id, Progress::default());
    let streams = options.stream_count();
    let target = Arc::new(Target {
        client: client.clone(),
        lanes: client.data_connections(streams, &upload.data_endpoint, &answer.upload_token)?,
        upload_id: upload.id,
        epoch: upload.writer_epoch,
        progress: Mutex::default(),
    });
    let part_size = upload.part_size.cast_unsigned();
    let work = async {
        let (size, crc32c) = send_parts(&target, input, part_size, streams).await?;
        let request = CompleteUploadRequest {
            upload_id: target.upload_id.clone(),
            writer_epoch: Some(target.epoch),
            size: Some(size.cast_signed()),
            expected_checksums: Some(options.expected_checksums(crc32c)),
            ..Default::default()
        };
        let call =
            move |request| async move { client.raw_uploads().complete_upload(request).await };
        client.unary(request, call).await?.file.ok_or_else(no_file)
    };
    let file = reporter.follow(|| target.progress().clone(), work).await?;
    let progress = target.progress().clone();
    Ok((file, progress))
}

/// Reads on while up to `streams` parts are under way. Answers with the size
/// and the checksum of everything.
async fn send_parts(
    target: &Arc<Target>,
    mut input: Input,
    part_size: u64,
    streams: usize,
) -> Result<(u64, Crc32c)> {
    let mut size = 0;
    let mut crc32c = Crc32c::EMPTY;
    let mut under_way = JoinSet::new();
    let mut ended = false;
    let mut turn = 0;
    while !ended || !under_way.is_empty() {
        tokio::select! {
            part = input.part(part_size), if !ended && under_way.len() < streams => {
                let part = part?;
                for frame in &part {
                    size += frame.len();
                    crc32c = crc32c.combine(frame.crc32c, frame.len());
                }
                ended = input.ended();
                if ended {
                    target.progress().total = Some(size);
                }
                if !part.is_empty() {
                    let final_size = ended.then_some(size);
                    under_way.spawn(target.clone().send_part(part, final_size, turn));
                    turn += 1;
                }
            }
            Some(done) = under_way.join_next() => {
                done.map_err(|_| Error::cancelled())??;
            }
        }
    }
    Ok((size, crc32c))
}

/// Where parts go.
struct Target {
    client: Client,
    lanes: Vec<Connection>,
    upload_id: String,
    epoch: i64,
    progress: Mutex<Progress>,
}

impl Target {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends one part until it is persisted.
    async fn send_part(
        self: Arc<Self>,
        part: Vec<FileFrame>,
        final_size: Option<u64>,
        turn: usize,
    ) -> Result<()> {
        let range = ByteRange {
            start: part.first().map_or(0, |frame| frame.offset),
            end: part.last().map_or(0, |frame| frame.offset + frame.len()),
        };
        let mut attempts = self.client.attempts();
        let mut furthest = 0;
        loop {
            let sent = Arc::new(Mutex::new(Some(0)));
            let answer = self.clone().send_once(&part, final_size, turn, sent.clone()).await;
            // What the transport takes from now on does not count any more.
            let now = sent.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or(0);
            {
                let mut progress = self.progress();
                progress.in_flight -= now;
                progress.resent += now.min(furthest);
            }
            if now > furthest {
                attempts.progressed();
                furthest = now;
            }
            let (upload, error) = match answer {
                Ok(upload) => (upload, Error::new(Kind::Transport, "the server kept nothing")),
                Err(error) if error.is_transient() => {
                    self.progress().trouble = Some(error.message().to_owned());
                    (self.client.get_upload(&self.upload_id).await?, error)
                }
                Err(error) => return Err(error),
            };
            if persisted_ranges(&upload).contains(range) {
                self.progress().persisted += range.len();
                return Ok(());
            }
            verify::active(&upload)?;
            attempts.wait_after(error).await?;
        }
    }

    async fn send_once(
        self: Arc<Self>,
        part: &[FileFrame],
        final_size: Option<u64>,
        turn: usize,
        sent: Arc<Mutex<Option<u64>>>,
    ) -> Result<Upload> {
        let first = WriteUploadRequest {
            first_message: Some(FirstMessage::UploadId(self.upload_id.clone())),
            writer_epoch: self.epoch,
            final_size: final_size.map(u64::cast_signed),
            ..Default::default()
        };
        let connection = self.lanes[turn % self.lanes.len()].clone();
        let frames = stream::iter(part.to_vec()).map(move |frame| {
            let length = frame.len();
            if let Some(sent) = &mut *sent.lock().unwrap_or_else(PoisonError::into_inner) {
                *sent += length;
                let mut progress = self.progress();
                progress.sent += length;
                progress.trouble = None;
                progress.in_flight += length;
            }
            frame.into_message()
        });
        let messages = stream::iter([first]).chain(frames);
        write_upload(connection, messages).await?.upload.ok_or_else(no_upload)
    }
}
