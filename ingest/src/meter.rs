//! Readers that watch what passes: a limit, a hash, a count.

use std::fmt;
use std::io::{self, Read};

use sha2::{Digest, Sha256};

/// A limit that an input went over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Bytes as they came.
    Wire(u64),
    /// Bytes after decompression.
    Decompressed(u64),
    /// Bytes of one line, or of one element of an array.
    Line(u64),
}

impl fmt::Display for Limit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wire(max) => write!(formatter, "the body is over {max} bytes (`ingest.max_wire_bytes`)"),
            Self::Decompressed(max) => {
                write!(formatter, "the decompressed body is over {max} bytes (`ingest.max_decompressed_bytes`)")
            }
            Self::Line(max) => write!(formatter, "a line is over {max} bytes (`ingest.max_line_bytes`)"),
        }
    }
}

impl std::error::Error for Limit {}

impl Limit {
    /// The limit that made a read fail, through any decoder that passed the failure on.
    pub(crate) fn behind(error: &io::Error) -> Option<Self> {
        error.get_ref().and_then(|inner| inner.downcast_ref::<Self>()).copied()
    }
}

/// Fails as soon as one byte more than the limit has been read.
#[derive(Debug)]
pub(crate) struct Limited<R> {
    input: R,
    left: u64,
    limit: Limit,
}

impl<R> Limited<R> {
    pub(crate) fn new(input: R, limit: Limit) -> Self {
        let (Limit::Wire(left) | Limit::Decompressed(left) | Limit::Line(left)) = limit;
        Self { input, left, limit }
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| io::Error::other(self.limit))?;
        Ok(count)
    }
}

/// Hashes what passes, where that is wanted.
pub(crate) struct Hashed<R> {
    input: R,
    hash: Option<Sha256>,
}

impl<R> Hashed<R> {
    pub(crate) fn new(input: R, wanted: bool) -> Self {
        Self { input, hash: wanted.then(Sha256::new) }
    }

    /// SHA-256 of all that was read, in lower-case hex.
    pub(crate) fn finish(self) -> Option<String> {
        self.hash.map(|hash| hex(&hash.finalize()))
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        if let Some(hash) = &mut self.hash {
            hash.update(&buffer[..count]);
        }
        Ok(count)
    }
}

/// SHA-256 in lower-case hex.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string cannot fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_limit_passes_and_one_byte_more_does_not() {
        let read = |bytes: &[u8]| {
            let mut text = String::new();
            Limited::new(bytes, Limit::Wire(4)).read_to_string(&mut text).map(|_| text)
        };
        assert_eq!(read(b"four").unwrap(), "four");
        assert_eq!(Limit::behind(&read(b"fives").unwrap_err()), Some(Limit::Wire(4)));
    }

    #[test]
    fn the_hash_covers_what_was_read() {
        let mut hashed = Hashed::new(b"abc".as_slice(), true);
        io::copy(&mut hashed, &mut io::sink()).unwrap();
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hashed.finish().as_deref(), Some(expected));
        assert_eq!(sha256_hex(b"abc"), expected);
    }
}
