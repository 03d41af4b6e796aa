//! What a write stream sends.

use std::ops::Range;

use bytes::Bytes;
use sluice_domain::{Crc32c, DEFAULT_FRAME_SIZE};
use sluice_proto::v1::{
    BidiWriteUploadRequest, ChecksummedData, CreateUploadRequest, ObjectChecksums, Upload,
    WriteUploadRequest, bidi_write_upload_request, write_upload_request::FirstMessage,
};

use crate::Content;

/// The messages of one write stream, right ones and deliberately wrong ones.
/// Content is produced as it is sent, so that a huge stream needs no memory.
#[derive(Debug, Clone)]
pub struct Frames {
    steps: Vec<Step>,
    /// Content is cut at multiples of this.
    frame_size: u64,
}

#[derive(Debug, Clone)]
enum Step {
    Message(Box<WriteUploadRequest>),
    Data(Content, Range<u64>),
}

impl Frames {
    /// A stream to an upload at the epoch that it has.
    pub fn to(upload: &Upload) -> Self {
        Self::to_epoch(&upload.id, upload.writer_epoch)
    }

    /// A stream to an upload at this epoch.
    pub fn to_epoch(upload_id: &str, writer_epoch: i64) -> Self {
        Self::empty().message(WriteUploadRequest {
            first_message: Some(FirstMessage::UploadId(upload_id.to_owned())),
            writer_epoch,
            ..Default::default()
        })
    }

    /// A stream that creates its upload.
    pub fn creating(request: CreateUploadRequest) -> Self {
        Self::empty().message(WriteUploadRequest {
            first_message: Some(FirstMessage::CreateUpload(request)),
            ..Default::default()
        })
    }

    /// A stream without a message.
    pub fn empty() -> Self {
        Self { steps: Vec::new(), frame_size: DEFAULT_FRAME_SIZE }
    }

    /// Cuts content into frames of this size.
    #[must_use]
    pub fn framed(mut self, frame_size: u64) -> Self {
        self.frame_size = frame_size;
        self
    }

    /// Adds any message.
    #[must_use]
    pub fn message(mut self, message: WriteUploadRequest) -> Self {
        self.steps.push(Step::Message(Box::new(message)));
        self
    }

    /// Adds one right frame.
    #[must_use]
    pub fn frame(self, offset: u64, bytes: impl Into<Bytes>) -> Self {
        self.message(frame(offset, bytes.into()))
    }

    /// Adds a frame whose checksum is wrong.
    #[must_use]
    pub fn damaged_frame(self, offset: u64, bytes: impl Into<Bytes>) -> Self {
        self.message(damaged(frame(offset, bytes.into())))
    }

    /// Adds the frames of a range of content.
    #[must_use]
    pub fn range(mut self, content: &Content, range: Range<u64>) -> Self {
        self.steps.push(Step::Data(*content, range));
        self
    }

    /// Adds all frames of content.
    #[must_use]
    pub fn all(self, content: &Content) -> Self {
        self.range(content, 0..content.size())
    }

    /// Adds the frames of the part with this number, counted from 1.
    #[must_use]
    pub fn part(self, content: &Content, part_size: i64, number: u64) -> Self {
        let start = (number - 1) * part_size as u64;
        self.range(content, start..(start + part_size as u64).min(content.size()))
    }

    /// Adds a message that fixes the size.
    #[must_use]
    pub fn final_size(self, size: u64) -> Self {
        self.message(WriteUploadRequest { final_size: Some(size as i64), ..Default::default() })
    }

    /// Adds a message that completes the upload.
    #[must_use]
    pub fn complete(self) -> Self {
        self.message(WriteUploadRequest { complete: true, ..Default::default() })
    }

    /// Adds a message that completes the upload, with declared checksums.
    #[must_use]
    pub fn complete_expecting(self, checksums: ObjectChecksums) -> Self {
        self.message(WriteUploadRequest {
            complete: true,
            expected_checksums: Some(checksums),
            ..Default::default()
        })
    }

    /// The messages, made one by one.
    pub fn messages(self) -> impl Iterator<Item = WriteUploadRequest> + Send + 'static {
        let frame_size = self.frame_size;
        self.steps.into_iter().flat_map(move |step| -> Box<dyn Iterator<Item = _> + Send> {
            match step {
                Step::Message(message) => Box::new(std::iter::once(*message)),
                Step::Data(content, range) => Box::new(
                    cuts(range, frame_size)
                        .map(move |range| frame(range.start, content.bytes(range))),
                ),
            }
        })
    }

    /// The same for a bidirectional stream.
    pub fn bidi_messages(self) -> impl Iterator<Item = BidiWriteUploadRequest> + Send + 'static {
        self.messages().map(bidi)
    }
}

/// A right frame.
pub fn frame(offset: u64, bytes: Bytes) -> WriteUploadRequest {
    WriteUploadRequest {
        write_offset: offset as i64,
        checksummed_data: Some(ChecksummedData {
            crc32c: Some(Crc32c::of(&bytes).0),
            content: bytes,
        }),
        ..Default::default()
    }
}

/// The same frame with a checksum that is wrong.
pub fn damaged(mut frame: WriteUploadRequest) -> WriteUploadRequest {
    if let Some(data) = &mut frame.checksummed_data {
        data.crc32c = data.crc32c.map(|crc| crc ^ 1);
    }
    frame
}

/// The same message for a bidirectional stream.
pub fn bidi(message: WriteUploadRequest) -> BidiWriteUploadRequest {
    use bidi_write_upload_request::FirstMessage as Bidi;
    BidiWriteUploadRequest {
        first_message: message.first_message.map(|first| match first {
            FirstMessage::UploadId(id) => Bidi::UploadId(id),
            FirstMessage::CreateUpload(request) => Bidi::CreateUpload(request),
        }),
        writer_epoch: message.writer_epoch,
        write_offset: message.write_offset,
        checksummed_data: message.checksummed_data,
        final_size: message.final_size,
        complete: message.complete,
        expected_checksums: message.expected_checksums,
        state_lookup: false,
    }
}

/// A range, cut at multiples of `step`.
fn cuts(range: Range<u64>, step: u64) -> impl Iterator<Item = Range<u64>> + Send {
    let mut start = range.start;
    std::iter::from_fn(move || {
        let end = ((start / step + 1) * step).min(range.end);
        let cut = (start < range.end).then_some(start..end);
        start = end;
        cut
    })
}
