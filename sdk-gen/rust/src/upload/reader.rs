//! Reads parts from the source, frame by frame, and hands them to a stream.

use sluice_domain::{ByteRange, Crc32c, DEFAULT_FRAME_SIZE};
use sluice_proto::v1::WriteUploadRequest;
use tokio::{runtime::Handle, sync::mpsc::Sender};
use tokio_util::sync::CancellationToken;

use super::parts::{Parts, StreamId};
use crate::{Result, buffer_pool::BufferPool, source::Content, write_stream::FileFrame};

/// Takes parts and sends their frames until there are none, or until the
/// stream has ended. Blocks: for a thread of its own.
pub(super) fn send_parts(
    first: WriteUploadRequest,
    stream: StreamId,
    content: &Content,
    parts: &Parts,
    buffers: &BufferPool,
    sender: &Sender<WriteUploadRequest>,
    stop: &CancellationToken,
) -> Result<()> {
    let runtime = Handle::current();
    // Answers whether the stream goes on. A transport may hold on to a stream
    // whose answer is there, so waiting for room is not enough.
    let send = |message| {
        let sent = runtime.block_on(stop.run_until_cancelled(sender.send(message)));
        matches!(sent, Some(Ok(())))
    };
    let mut goes_on = send(first);
    while goes_on && let Some(part) = parts.take(stream) {
        let range = parts.range(part);
        let mut crc32c = Crc32c::EMPTY;
        for frame in frames(content, range, buffers) {
            let frame = frame?;
            let length = frame.len();
            crc32c = crc32c.combine(frame.crc32c, length);
            if frame.offset + length == range.end {
                // Before the server can know the part.
                parts.checksum(part, crc32c);
            }
            goes_on = send(frame.into_message());
            if !goes_on {
                break;
            }
            parts.sent(stream, part, length);
        }
    }
    Ok(())
}

/// The frames of a range, read one by one.
pub(super) fn frames(
    content: &Content,
    range: ByteRange,
    buffers: &BufferPool,
) -> impl Iterator<Item = Result<FileFrame>> {
    let offsets = (range.start..range.end).step_by(DEFAULT_FRAME_SIZE as usize);
    offsets.map(move |offset| {
        let length = DEFAULT_FRAME_SIZE.min(range.end - offset);
        #[expect(clippy::cast_possible_truncation, reason = "at most a frame")]
        let bytes = content.read(offset, length as usize, buffers)?;
        Ok(FileFrame::new(offset, bytes))
    })
}
