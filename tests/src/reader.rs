//! Reading files with every promise about frames checked.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use sluice_domain::Crc32c;
use sluice_proto::v1::{File, ReadFileRequest};
use tonic::Status;

use crate::{Client, Content};

/// Most content in one frame that the server sends.
const MOST_FRAME_BYTES: usize = 1024 * 1024;

impl Client {
    /// Streams a range of a file to `sink` as `(offset, bytes)` and answers the
    /// file of the first message. Asserts that frames are contiguous, no larger
    /// than promised and have the CRC32C that they say.
    pub async fn read_each(
        &self,
        file_id: &str,
        offset: u64,
        limit: u64,
        mut sink: impl FnMut(u64, &[u8]),
    ) -> Result<File, Status> {
        let request = ReadFileRequest {
            file_id: file_id.to_owned(),
            offset: offset as i64,
            limit: limit as i64,
        };
        let mut messages = self.files.clone().read_file(request).await?.into_inner();
        let first = messages.message().await?.expect("there is always a first message");
        assert!(first.checksummed_data.is_none(), "the first message has data");
        assert_eq!(first.read_offset as u64, offset, "reading starts elsewhere");
        let file = first.file.expect("the first message has the file");

        let mut next = offset;
        while let Some(message) = messages.message().await? {
            assert!(message.file.is_none(), "only the first message has the file");
            let data = message.checksummed_data.expect("all other messages have data");
            assert_eq!(message.read_offset as u64, next, "frames are not contiguous");
            assert!(!data.content.is_empty(), "a frame without content");
            assert!(data.content.len() <= MOST_FRAME_BYTES, "a frame is too large");
            let crc = data.crc32c.expect("data comes with its CRC32C");
            assert_eq!(crc, Crc32c::of(&data.content).0, "a damaged frame at {next}");
            sink(next, &data.content);
            next += data.content.len() as u64;
        }
        let end = range_end(file.size as u64, offset, limit);
        assert_eq!(next, end, "the stream ended well before its last byte");
        Ok(file)
    }

    /// Reads a range of a file into memory.
    pub async fn read(&self, file_id: &str, offset: u64, limit: u64) -> Result<Bytes, Status> {
        let mut bytes = BytesMut::new();
        self.read_each(file_id, offset, limit, |_, frame| bytes.extend_from_slice(frame)).await?;
        Ok(bytes.freeze())
    }

    /// Asserts that a file holds exactly this content.
    pub async fn assert_content(&self, file_id: &str, content: &Content) {
        self.assert_range(file_id, content, 0..content.size()).await;
        let file = self.file(file_id).await.expect("the file is there");
        assert_eq!(file.size as u64, content.size(), "another size");
    }

    /// Asserts that a range of a file holds this content.
    pub async fn assert_range(&self, file_id: &str, content: &Content, range: Range<u64>) {
        let compare = |offset, bytes: &[u8]| {
            assert!(content.matches(offset, bytes), "{file_id} differs near byte {offset}");
        };
        self.read_each(file_id, range.start, range.end - range.start, compare)
            .await
            .unwrap_or_else(|status| panic!("{file_id} cannot be read: {status:?}"));
    }
}

fn range_end(size: u64, offset: u64, limit: u64) -> u64 {
    match limit {
        0 => size,
        limit => size.min(offset.saturating_add(limit)),
    }
}
