//! Compressed input becomes plain: gzip of any number of members, zstd of any number of frames, bzip2 of any number of
//! streams.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::str::FromStr;

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;

const BUFFER_BYTES: usize = 128 * 1024;

/// The largest window of a zstd body, as a power of two: what RFC 9659 asks of HTTP, and what bounds a body's memory.
const HTTP_ZSTD_WINDOW_LOG: u32 = 23;
/// The same for files: what `zstd --long` writes.
const FILE_ZSTD_WINDOW_LOG: u32 = 27;

/// How input is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Not at all.
    Plain,
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
    /// bzip2; files only.
    Bzip2,
}

/// A `Content-Encoding` that bodies cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("content encoding `{0}` is not supported; expected `gzip`, `zstd` or `identity`")]
pub struct UnknownEncoding(String);

impl FromStr for Encoding {
    type Err = UnknownEncoding;

    /// Reads the value of a `Content-Encoding` header.
    fn from_str(header: &str) -> Result<Self, UnknownEncoding> {
        match header.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(Self::Plain),
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            "zstd" => Ok(Self::Zstd),
            _ => Err(UnknownEncoding(header.to_owned())),
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Bzip2 => "bzip2",
        })
    }
}

impl Encoding {
    /// Told from a file's first bytes.
    #[must_use]
    pub fn of_file(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            // What pzstd writes begins with a skippable frame.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Self::Bzip2,
            _ => Self::Plain,
        }
    }

    /// The plain bytes of an HTTP body.
    ///
    /// # Errors
    /// The input cannot be read, or is empty where the encoding does not allow it.
    pub(crate) fn body<R: Read + Send>(self, input: R) -> io::Result<impl Read + Send> {
        self.decode(BufReader::with_capacity(BUFFER_BYTES, input), HTTP_ZSTD_WINDOW_LOG)
    }

    /// The plain bytes of a file.
    pub(crate) fn file<R: BufRead + Send>(self, input: R) -> io::Result<impl Read + Send> {
        self.decode(input, FILE_ZSTD_WINDOW_LOG)
    }

    fn decode<R: BufRead + Send>(self, mut input: R, zstd_window_log: u32) -> io::Result<Decoded<R>> {
        if self != Self::Plain && input.fill_buf()?.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("no {self} stream: the input is empty")));
        }
        Ok(match self {
            Self::Plain => Decoded::Plain(input),
            Self::Gzip => Decoded::Gzip(Box::new(MultiGzDecoder::new(input))),
            Self::Bzip2 => Decoded::Bzip2(MultiBzDecoder::new(input)),
            Self::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(input)?;
                decoder.window_log_max(zstd_window_log)?;
                Decoded::Zstd(decoder)
            }
        })
    }
}

enum Decoded<R: BufRead> {
    Plain(R),
    Gzip(Box<MultiGzDecoder<R>>),
    Zstd(zstd::Decoder<'static, R>),
    Bzip2(MultiBzDecoder<R>),
}

impl<R: BufRead> Read for Decoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(input) => input.read(buffer),
            Self::Gzip(decoder) => decoder.read(buffer),
            Self::Zstd(decoder) => decoder.read(buffer),
            Self::Bzip2(decoder) => decoder.read(buffer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_input::{Trickle, compressed};

    const ALL: [Encoding; 3] = [Encoding::Gzip, Encoding::Zstd, Encoding::Bzip2];

    fn plain(bytes: &[u8], encoding: Encoding) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        encoding.body(Trickle::new(bytes, 7))?.read_to_end(&mut text)?;
        Ok(text)
    }

    #[test]
    fn streams_set_end_to_end_are_one_text() {
        for encoding in ALL {
            let both = [compressed(encoding, b"one "), compressed(encoding, b"two")].concat();
            assert_eq!(Encoding::of_file(&both), encoding);
            assert_eq!(plain(&both, encoding).unwrap(), b"one two", "{encoding}");
        }
    }

    #[test]
    fn a_stream_cut_off_anywhere_fails() {
        let text: Vec<u8> = (0..4000_u32).flat_map(u32::to_le_bytes).collect();
        for encoding in ALL {
            let whole = compressed(encoding, &text);
            assert_eq!(plain(&whole, encoding).unwrap(), text);
            for end in (0..whole.len()).step_by(whole.len() / 50) {
                assert!(plain(&whole[..end], encoding).is_err(), "{encoding} at {end} of {}", whole.len());
            }
        }
    }

    #[test]
    fn garbage_before_or_after_the_stream_fails() {
        for encoding in ALL {
            assert!(plain(b"{\"ts\":1}\n", encoding).is_err(), "{encoding}");
            let with_tail = [compressed(encoding, b"text"), b"garbage".to_vec()].concat();
            assert!(plain(&with_tail, encoding).is_err(), "{encoding}");
        }
    }

    #[test]
    fn a_header_names_the_encodings_of_bodies_only() {
        assert_eq!("GZIP".parse(), Ok(Encoding::Gzip));
        assert_eq!(" identity ".parse(), Ok(Encoding::Plain));
        for header in ["br", "bzip2", "gzip, zstd"] {
            assert!(header.parse::<Encoding>().is_err());
        }
    }
}
