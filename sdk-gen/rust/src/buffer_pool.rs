//! Buffers that are used again, so that reading a file neither allocates nor
//! clears memory frame by frame.

use std::{
    io, mem,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;

/// Buffers that nobody uses at the moment. Those in use come back by
/// themselves once their last slice is dropped.
#[derive(Debug, Clone, Default)]
pub(crate) struct BufferPool(Arc<Mutex<Vec<Vec<u8>>>>);

impl BufferPool {
    /// Bytes that `read` puts into a buffer of this length.
    pub(crate) fn fill(
        &self,
        length: usize,
        read: impl FnOnce(&mut [u8]) -> io::Result<()>,
    ) -> io::Result<Bytes> {
        let mut buffer = self.take(length);
        read(&mut buffer.bytes)?;
        Ok(buffer.freeze(length))
    }

    /// A buffer of this length, with whatever is in it.
    pub(crate) fn take(&self, length: usize) -> Buffer {
        let idle = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut buffer = Buffer { bytes: idle.unwrap_or_default(), pool: self.clone() };
        buffer.bytes.resize(length, 0);
        buffer
    }
}

/// A buffer that is being filled.
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    pool: BufferPool,
}

impl Buffer {
    /// Its first `length` bytes, for good.
    pub(crate) fn freeze(self, length: usize) -> Bytes {
        Bytes::from_owner(self).slice(..length)
    }
}

impl AsMut<[u8]> for Buffer {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = mem::take(&mut self.bytes);
        self.pool.0.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_buffer_comes_back_when_its_last_slice_is_gone() {
        let pool = BufferPool::default();
        let idle = || pool.0.lock().unwrap().len();
        let bytes = pool.fill(4, |buffer| (&b"abcd"[..]).read_exact(buffer)).unwrap();
        let slice = bytes.slice(1..3);
        drop(bytes);
        assert_eq!(idle(), 0);
        assert_eq!(&slice[..], b"bc");
        drop(slice);
        assert_eq!(idle(), 1);
        let shorter = pool.fill(2, |_| Ok(())).unwrap();
        assert_eq!((idle(), shorter.len()), (0, 2));
    }
}
