//! Content of unknown size, such as standard input: read once, part by part,
//! each part in memory until it is persisted.

use std::{
    collections::VecDeque,
    io, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::BytesMut;
use futures::{StreamExt, stream};
use sluice_domain::{ByteRange, Crc32c, DEFAULT_FRAME_SIZE, DEFAULT_PART_SIZE};
use sluice_proto::v1::{
    CompleteUploadRequest, WriteUploadRequest, write_upload_request::FirstMessage,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    task::JoinSet,
};

use super::{UploadOptions, persisted_ranges, verify, whole};
use crate::{
    Client, Connection, Error, File, Progress, Result,
    error::Kind,
    files::no_file,
    progress::Reporter,
    uploads::no_upload,
    write_stream::{FileFrame, write_upload},
};

type Reader = Box<dyn AsyncRead + Send + Unpin>;

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
            let sent = Arc::new(Mutex::new(0));
            let answer = self.clone().send_once(&part, final_size, turn, sent.clone()).await;
            let now = *sent.lock().unwrap_or_else(PoisonError::into_inner);
            {
                let mut progress = self.progress();
                progress.in_flight -= now;
                progress.resent += now.min(furthest);
            }
            furthest = furthest.max(now);
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
        sent: Arc<Mutex<u64>>,
    ) -> Result<crate::Upload> {
        let first = WriteUploadRequest {
            first_message: Some(FirstMessage::UploadId(self.upload_id.clone())),
            writer_epoch: self.epoch,
            final_size: final_size.map(u64::cast_signed),
            ..Default::default()
        };
        let connection = self.lanes[turn % self.lanes.len()].clone();
        let frames = stream::iter(part.to_vec()).map(move |frame| {
            let length = frame.len();
            *sent.lock().unwrap_or_else(PoisonError::into_inner) += length;
            let mut progress = self.progress();
            progress.sent += length;
            progress.trouble = None;
            progress.in_flight += length;
            frame.into_message()
        });
        let messages = stream::iter([first]).chain(frames);
        write_upload(connection, messages).await?.upload.ok_or_else(no_upload)
    }
}

/// The input, cut into frames. Waiting for more may be given up and begun again
/// without losing a byte.
struct Input {
    reader: Reader,
    ended: bool,
    offset: u64,
    buffer: BytesMut,
    frames: VecDeque<FileFrame>,
    /// Bytes in `frames`.
    waiting: u64,
}

impl Input {
    fn new(reader: Reader) -> Self {
        Self {
            reader,
            ended: false,
            offset: 0,
            buffer: BytesMut::new(),
            frames: VecDeque::new(),
            waiting: 0,
        }
    }

    /// Whether everything was read and handed out.
    fn ended(&self) -> bool {
        self.ended && self.frames.is_empty()
    }

    /// Reads until it is certain whether there are more bytes than these.
    async fn has_more_than(&mut self, bytes: u64) -> Result<bool> {
        while self.waiting <= bytes && !self.ended {
            self.read_frame().await?;
        }
        Ok(self.waiting > bytes)
    }

    /// The next part: whole, or whatever is left at the end of the input.
    async fn part(&mut self, part_size: u64) -> Result<Vec<FileFrame>> {
        // One byte more tells whether this part is the last.
        self.has_more_than(part_size).await?;
        let mut part = Vec::new();
        let mut room = part_size;
        while self.frames.front().is_some_and(|frame| frame.len() <= room)
            && let Some(frame) = self.frames.pop_front()
        {
            room -= frame.len();
            self.waiting -= frame.len();
            part.push(frame);
        }
        Ok(part)
    }

    /// Everything that was read.
    fn rest(&mut self) -> Vec<FileFrame> {
        self.waiting = 0;
        mem::take(&mut self.frames).into()
    }

    async fn read_frame(&mut self) -> Result<()> {
        #[expect(clippy::cast_possible_truncation, reason = "1 MiB")]
        const FRAME: usize = DEFAULT_FRAME_SIZE as usize;

        self.buffer.reserve(FRAME - self.buffer.len());
        while self.buffer.len() < FRAME {
            let room = FRAME - self.buffer.len();
            let read = (&mut self.reader).take(room as u64).read_buf(&mut self.buffer).await;
            match read {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let message = format!("cannot read the input: {error}");
                    return Err(Error::new(Kind::Local, message));
                }
            }
        }
        if !self.buffer.is_empty() {
            let frame = FileFrame::new(self.offset, self.buffer.split().freeze());
            self.offset += frame.len();
            self.waiting += frame.len();
            self.frames.push_back(frame);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn input(bytes: u64) -> Input {
        Input::new(Box::new(tokio::io::repeat(7).take(bytes)))
    }

    async fn parts(bytes: u64, part_size: u64) -> Vec<u64> {
        let mut input = input(bytes);
        let mut sizes = Vec::new();
        while !input.ended() {
            let part = input.part(part_size).await.unwrap();
            sizes.push(part.iter().map(FileFrame::len).sum());
        }
        sizes
    }

    #[tokio::test]
    async fn parts_are_whole_but_the_last() {
        assert_eq!(parts(5 * MIB + 1, 2 * MIB).await, [2 * MIB, 2 * MIB, MIB + 1]);
        assert_eq!(parts(4 * MIB, 2 * MIB).await, [2 * MIB, 2 * MIB]);
        assert_eq!(parts(1, 2 * MIB).await, [1]);
    }

    #[tokio::test]
    async fn looking_ahead_loses_nothing() {
        let mut ahead = input(3 * MIB + 5);
        assert!(ahead.has_more_than(3 * MIB).await.unwrap());
        let part = ahead.part(2 * MIB).await.unwrap();
        assert_eq!(part.iter().map(|frame| frame.offset).collect::<Vec<_>>(), [0, MIB]);
        let rest = ahead.part(2 * MIB).await.unwrap();
        assert_eq!(rest.iter().map(FileFrame::len).sum::<u64>(), MIB + 5);
        assert!(ahead.ended());

        let mut small = input(7);
        assert!(!small.has_more_than(8).await.unwrap());
        assert_eq!(small.rest().len(), 1);
    }
}
