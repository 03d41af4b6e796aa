//! The content of a file as a stream that survives broken connections.

use std::{
    fmt,
    ops::{Bound, RangeBounds},
    time::Duration,
};

use bytes::Bytes;
use futures::{Stream, stream};
use sluice_domain::Crc32c;
use sluice_proto::v1::{ReadFileRequest, ReadFileResponse};
use tokio::time;
use tonic::Streaming;

use crate::{
    Client, Error, File, Result, client::answer, error::Kind, retry::Attempts,
    write_stream::FileFrame,
};

/// A stream that brings nothing for this long is opened again.
const STALL: Duration = Duration::from_secs(60);

/// Reads a file, or a range of it, in order. Each chunk was verified against
/// its checksum.
pub struct FileReader {
    client: Client,
    file_id: String,
    file: Option<File>,
    /// Offset of the next byte.
    offset: u64,
    end: Option<u64>,
    stream: Option<Streaming<ReadFileResponse>>,
    attempts: Attempts,
}

impl Client {
    /// Reads a range of a file; `..` is all of it. What lies beyond its end is
    /// left out.
    pub fn read(&self, file_id: &str, range: impl RangeBounds<u64>) -> FileReader {
        let offset = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => Some(last.saturating_add(1)),
            Bound::Excluded(end) => Some(*end),
            Bound::Unbounded => None,
        };
        FileReader {
            client: self.clone(),
            file_id: file_id.to_owned(),
            file: None,
            offset,
            end,
            stream: None,
            attempts: self.attempts(),
        }
    }
}

impl FileReader {
    /// The file, once the first chunk was asked for.
    pub fn file(&self) -> Option<&File> {
        self.file.as_ref()
    }

    /// The next bytes, at most 1 MiB; none at the end of the range.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        Ok(self.frame().await?.map(|frame| frame.content))
    }

    /// All chunks as a stream.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes>> + Send {
        stream::try_unfold(self, async |mut reader| {
            Ok(reader.chunk().await?.map(|chunk| (chunk, reader)))
        })
    }

    pub(crate) async fn frame(&mut self) -> Result<Option<FileFrame>> {
        loop {
            if self.end.is_some_and(|end| self.offset >= end) {
                return Ok(None);
            }
            match self.try_frame().await {
                Ok(frame) => {
                    self.attempts.progressed();
                    if let (Some(limit), Some(frame)) = (self.client.rate_limit(), &frame) {
                        limit.pass(frame.len()).await;
                    }
                    return Ok(frame);
                }
                Err(error) => {
                    self.stream = None;
                    self.attempts.wait_after(error).await?;
                }
            }
        }
    }

    async fn try_frame(&mut self) -> Result<Option<FileFrame>> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => {
                let request = ReadFileRequest {
                    file_id: self.file_id.clone(),
                    offset: self.offset.cast_signed(),
                    limit: self.end.map_or(0, |end| (end - self.offset).cast_signed()),
                };
                let mut files = self.client.files_on_any_connection();
                self.stream.insert(Box::pin(answer(files.read_file(request))).await?)
            }
        };
        loop {
            let message = time::timeout(STALL, stream.message())
                .await
                .map_err(|_| Error::timed_out(STALL))??;
            let Some(message) = message else {
                return match self.end {
                    Some(end) if self.offset < end => Err(damaged("the stream ended early")),
                    _ => Ok(None),
                };
            };
            if let Some(file) = message.file {
                let size = file.size.cast_unsigned();
                self.end = Some(self.end.map_or(size, |end| end.min(size)));
                self.file = Some(file);
            }
            let Some(data) = message.checksummed_data.filter(|data| !data.content.is_empty())
            else {
                continue;
            };
            let frame = FileFrame::new(self.offset, data.content);
            if message.read_offset.cast_unsigned() != self.offset {
                return Err(damaged("a frame came out of order"));
            }
            if data.crc32c.map(Crc32c) != Some(frame.crc32c) {
                return Err(damaged("a frame arrived damaged"));
            }
            self.offset += frame.len();
            return Ok(Some(frame));
        }
    }
}

impl fmt::Debug for FileReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileReader")
            .field("file_id", &self.file_id)
            .field("offset", &self.offset)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

/// Damage on the way: another attempt may go well.
fn damaged(what: &str) -> Error {
    Error::new(Kind::Transport, what)
}
