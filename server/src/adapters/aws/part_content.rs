//! The bytes of a part as they are sent to S3, as often as it takes.

use std::{
    convert::Infallible,
    fs::File,
    io,
    os::unix::fs::FileExt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;

use crate::tasks::Tasks;

/// Bytes that are read from a file in one go.
const CHUNK: u64 = 1024 * 1024;

/// A whole part. Its bytes are where they arrived; nothing is copied.
#[derive(Clone)]
pub(super) enum PartContent {
    Memory(Arc<[Bytes]>),
    File { file: Arc<File>, size: u64, tasks: Tasks },
}

impl PartContent {
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Memory(slices) => slices.iter().map(|slice| slice.len() as u64).sum(),
            Self::File { size, .. } => *size,
        }
    }

    /// The body of a request. Each attempt reads from the beginning.
    pub(super) fn body(&self) -> ByteStream {
        let content = self.clone();
        let body = move || match &content {
            Self::Memory(slices) => SdkBody::from_body_1_x(MemoryBody {
                slices: Arc::clone(slices),
                next: 0,
                left: content.size(),
            }),
            Self::File { file, size, tasks } => SdkBody::from_body_1_x(FileBody {
                file: Arc::clone(file),
                offset: 0,
                size: *size,
                tasks: tasks.clone(),
                reading: None,
            }),
        };
        ByteStream::new(SdkBody::retryable(body))
    }

    /// SHA-256 of all bytes, in hexadecimal digits. Blocks.
    pub(super) fn sha256(&self) -> io::Result<String> {
        let mut hasher = Sha256::new();
        match self {
            Self::Memory(slices) => slices.iter().for_each(|slice| hasher.update(slice)),
            Self::File { file, size, .. } => {
                let mut offset = 0;
                while offset < *size {
                    let chunk = read_chunk(file, offset, *size)?;
                    offset += chunk.len() as u64;
                    hasher.update(&chunk);
                }
            }
        }
        Ok(hex::encode(hasher.finalize()))
    }
}

fn read_chunk(file: &File, offset: u64, size: u64) -> io::Result<Bytes> {
    #[expect(clippy::cast_possible_truncation, reason = "at most CHUNK")]
    let mut chunk = vec![0; CHUNK.min(size - offset) as usize];
    file.read_exact_at(&mut chunk, offset)?;
    Ok(chunk.into())
}

struct MemoryBody {
    slices: Arc<[Bytes]>,
    next: usize,
    left: u64,
}

impl Body for MemoryBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(slice) = self.slices.get(self.next).cloned() else { return Poll::Ready(None) };
        self.next += 1;
        self.left -= slice.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(slice))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

struct FileBody {
    file: Arc<File>,
    offset: u64,
    size: u64,
    tasks: Tasks,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let (offset, size) = (self.offset, self.size);
        if offset == size {
            return Poll::Ready(None);
        }
        let (file, tasks) = (Arc::clone(&self.file), self.tasks.clone());
        let reading = self
            .reading
            .get_or_insert_with(|| tasks.spawn_blocking(move || read_chunk(&file, offset, size)));
        let read = ready!(Pin::new(reading).poll(context));
        self.reading = None;
        let chunk = read.unwrap_or_else(|error| Err(io::Error::other(error)))?;
        self.offset += chunk.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.offset == self.size
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.size - self.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Wherever the bytes are, each attempt sends all of them.
    #[tokio::test]
    async fn every_attempt_sends_the_same_bytes() {
        let slices: Vec<_> = [1, 70_000, 0, 1 << 20, 3 << 20]
            .iter()
            .enumerate()
            .map(|(index, length)| {
                Bytes::from((0..*length).map(|at| (at * 31 + index) as u8).collect::<Vec<u8>>())
            })
            .collect();
        let expected = slices.concat();
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&expected, 0).unwrap();
        let size = expected.len() as u64;
        for content in [
            PartContent::Memory(slices.into()),
            PartContent::File { file: Arc::new(file), size, tasks: Tasks::new() },
        ] {
            assert_eq!(content.size(), size);
            assert_eq!(content.sha256().unwrap(), hex::encode(Sha256::digest(&expected)));
            let first = content.body().into_inner();
            let second = first.try_clone().expect("it can be sent again");
            for body in [first, second] {
                assert_eq!(body.content_length(), Some(size));
                let sent = ByteStream::new(body).collect().await.unwrap().into_bytes();
                assert!(sent == expected);
            }
        }
    }
}
