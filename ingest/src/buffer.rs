//! The memory that blocks are read into, used again and again.
//!
//! Memory of this size that is given back to the system comes again page by page, each of them cleared, and would be
//! cleared once more to be read into. So a block that is done with is put where the next one of its stream is taken from.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes that were read, and behind them room for more.
#[derive(Debug, Clone, Default)]
pub(crate) struct Buffer {
    /// What was read, and then whatever was there before.
    bytes: Vec<u8>,
    filled: usize,
}

impl Buffer {
    /// Room for as many bytes as make `size` of all.
    pub(crate) fn room(&mut self, size: usize) -> &mut [u8] {
        if self.bytes.len() < size {
            self.bytes.resize(size, 0);
        }
        self.bytes.get_mut(self.filled..size).unwrap_or_default()
    }

    /// Counts the first bytes of the room as read.
    pub(crate) fn fill(&mut self, count: usize) {
        self.filled = (self.filled + count).min(self.bytes.len());
    }

    /// Keeps so many of the bytes.
    pub(crate) fn truncate(&mut self, size: usize) {
        self.filled = self.filled.min(size);
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }
}

impl From<Vec<u8>> for Buffer {
    fn from(bytes: Vec<u8>) -> Self {
        Self { filled: bytes.len(), bytes }
    }
}

/// The buffers of one stream that are done with.
#[derive(Debug, Clone, Default)]
pub(crate) struct SpareBuffers(Arc<Mutex<Vec<Buffer>>>);

impl SpareBuffers {
    pub(crate) fn put(&self, buffer: Buffer) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }

    /// A buffer that holds `bytes`.
    pub(crate) fn take(&self, bytes: &[u8]) -> Buffer {
        let mut buffer = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        buffer.truncate(0);
        buffer.room(bytes.len()).copy_from_slice(bytes);
        buffer.fill(bytes.len());
        buffer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_holds_what_was_read_and_nothing_of_what_was_there_before() {
        let spare = SpareBuffers::default();
        spare.put(b"before".to_vec().into());
        let mut buffer = spare.take(b"ab");
        assert_eq!((buffer.room(2).len(), &*buffer), (0, b"ab".as_slice()));
        buffer.room(8)[..2].copy_from_slice(b"cd");
        buffer.fill(2);
        assert_eq!((buffer.room(8).len(), &*buffer), (4, b"abcd".as_slice()));
        buffer.truncate(1);
        assert_eq!(&*buffer, b"a");
        assert_eq!(&*spare.take(b""), b"");
    }
}
