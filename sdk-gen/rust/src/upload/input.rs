//! Input of unknown size, cut into frames and parts.

use std::{collections::VecDeque, io, mem};

use sluice_domain::DEFAULT_FRAME_SIZE;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::{
    Error, Result,
    buffer_pool::{Buffer, BufferPool},
    error::Kind,
    write_stream::FileFrame,
};

#[expect(clippy::cast_possible_truncation, reason = "1 MiB")]
const FRAME: usize = DEFAULT_FRAME_SIZE as usize;

pub(super) type Reader = Box<dyn AsyncRead + Send + Unpin>;

/// The input, cut into frames. Waiting for more may be given up and begun again
/// without losing a byte.
pub(super) struct Input {
    reader: Reader,
    ended: bool,
    offset: u64,
    buffers: BufferPool,
    /// The frame that is being read, and how much of it there is.
    reading: Option<(Buffer, usize)>,
    frames: VecDeque<FileFrame>,
    /// Bytes in `frames`.
    waiting: u64,
}

impl Input {
    pub(super) fn new(reader: Reader) -> Self {
        Self {
            reader,
            ended: false,
            offset: 0,
            buffers: BufferPool::default(),
            reading: None,
            frames: VecDeque::new(),
            waiting: 0,
        }
    }

    /// Whether everything was read and handed out.
    pub(super) fn ended(&self) -> bool {
        self.ended && self.frames.is_empty()
    }

    /// Reads until it is certain whether there are more bytes than these.
    pub(super) async fn has_more_than(&mut self, bytes: u64) -> Result<bool> {
        while self.waiting <= bytes && !self.ended {
            self.read_frame().await?;
        }
        Ok(self.waiting > bytes)
    }

    /// The next part: whole, or whatever is left at the end of the input.
    pub(super) async fn part(&mut self, part_size: u64) -> Result<Vec<FileFrame>> {
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
    pub(super) fn rest(&mut self) -> Vec<FileFrame> {
        self.waiting = 0;
        mem::take(&mut self.frames).into()
    }

    async fn read_frame(&mut self) -> Result<()> {
        let buffers = &self.buffers;
        let (buffer, filled) = self.reading.get_or_insert_with(|| (buffers.take(FRAME), 0));
        while *filled < FRAME {
            match self.reader.read(&mut buffer.as_mut()[*filled..]).await {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(count) => *filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let message = format!("cannot read the input: {error}");
                    return Err(Error::new(Kind::Local, message));
                }
            }
        }
        if let Some((buffer, length)) = self.reading.take().filter(|(_, length)| *length > 0) {
            let frame = FileFrame::new(self.offset, buffer.freeze(length));
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
