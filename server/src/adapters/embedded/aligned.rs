//! Memory that the disk can read by itself.

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;

/// Where direct writes begin and end, in memory and in files: a multiple of the
/// sector size of every common disk, and the size of a page.
pub(super) const ALIGNMENT: usize = 4096;

/// Buffers that are kept for the next write. More are made where more writes
/// are under way at the same time.
const MOST_IDLE: usize = 16;

/// Aligned buffers of one size, which are used again: fresh memory costs more
/// than the copy into it.
#[derive(Debug, Clone)]
pub(super) struct AlignedBuffers {
    size: usize,
    idle: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl AlignedBuffers {
    /// Buffers for `size` bytes each.
    pub(super) fn new(size: usize) -> Self {
        Self { size, idle: Arc::default() }
    }

    /// Takes bytes off the front, as many as one buffer holds.
    pub(super) fn gather(&self, slices: &mut VecDeque<Bytes>) -> AlignedBuffer {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let memory = idle.unwrap_or_else(|| vec![0; self.size + ALIGNMENT]);
        let start = memory.as_ptr().align_offset(ALIGNMENT);
        let mut buffer = AlignedBuffer { memory, start, end: start, pool: self.clone() };
        let full = start + self.size;
        while buffer.end < full
            && let Some(slice) = slices.front_mut()
        {
            let taken = slice.split_to(slice.len().min(full - buffer.end));
            let end = buffer.end + taken.len();
            buffer.memory[buffer.end..end].copy_from_slice(&taken);
            buffer.end = end;
            if slice.is_empty() {
                slices.pop_front();
            }
        }
        buffer
    }
}

/// Bytes whose first is at a multiple of [`ALIGNMENT`].
pub(super) struct AlignedBuffer {
    memory: Vec<u8>,
    start: usize,
    end: usize,
    pool: AlignedBuffers,
}

impl AsRef<[u8]> for AlignedBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.memory[self.start..self.end]
    }
}

impl Drop for AlignedBuffer {
    fn drop(&mut self) {
        let mut idle = self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST_IDLE {
            idle.push(mem::take(&mut self.memory));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_gathered_at_an_aligned_address() {
        let buffers = AlignedBuffers::new(10);
        for _ in 0..3 {
            let slices = [&b"abc"[..], b"", b"defghijkl", b"m"];
            let mut slices: VecDeque<_> = slices.map(Bytes::from_static).into();
            let one = buffers.gather(&mut slices);
            let other = buffers.gather(&mut slices);
            assert!(slices.is_empty());
            assert_eq!((one.as_ref(), other.as_ref()), (&b"abcdefghij"[..], &b"klm"[..]));
            for buffer in [&one, &other] {
                assert_eq!(buffer.as_ref().as_ptr().align_offset(ALIGNMENT), 0);
            }
        }
        assert_eq!(buffers.idle.lock().unwrap().len(), 2);
    }
}
