//! Inputs that behave badly, for tests.

use std::io::{self, Read, Write as _};

use crate::decode::Encoding;

/// Gives a few bytes at a time.
#[derive(Debug)]
pub(crate) struct Trickle<'a> {
    rest: &'a [u8],
    step: usize,
}

impl<'a> Trickle<'a> {
    pub(crate) fn new(bytes: &'a [u8], step: usize) -> Self {
        Self { rest: bytes, step }
    }
}

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.step.min(buffer.len()).min(self.rest.len());
        buffer[..count].copy_from_slice(&self.rest[..count]);
        self.rest = &self.rest[count..];
        Ok(count)
    }
}

/// Gives some bytes, then fails.
#[derive(Debug)]
pub(crate) struct Failing<'a>(&'a [u8]);

impl<'a> Failing<'a> {
    pub(crate) fn after(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
}

impl Read for Failing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            return Err(io::Error::other("the disk is on fire"));
        }
        self.0.read(buffer)
    }
}

/// The bytes as a stream of the encoding.
pub(crate) fn compressed(encoding: Encoding, bytes: &[u8]) -> Vec<u8> {
    match encoding {
        Encoding::Plain => bytes.to_vec(),
        Encoding::Zstd => zstd::encode_all(bytes, 1).unwrap(),
        Encoding::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Encoding::Bzip2 => {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
    }
}
