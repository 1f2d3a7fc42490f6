//! One file, or standard input: opened, decompressed, and opened again at an offset.
//!
//! A plain file is sought in. A compressed one is read from its start and skipped. A pipe can be read only once.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

use tally_storage::events::ledger::{SourcePosition, TAIL_BYTES};

use super::progress::{Counted, Progress};
use crate::decode::Encoding;
use crate::formats::Format;
use crate::headers::Reading;
use crate::lines::keep_last;
use crate::meter::sha256_hex;

/// How much of the beginning is kept: the ledger's head, and the lines that the format is told from.
const START_BYTES: u64 = 64 * 1024;
const BUFFER_BYTES: usize = 128 * 1024;
const MAGIC_BYTES: u64 = 4;

/// Where lines come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A file, plain or compressed.
    Path(PathBuf),
    /// Standard input, plain or compressed.
    Stdin,
}

impl fmt::Display for Input {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(formatter, "{}", path.display()),
            Self::Stdin => formatter.write_str("-"),
        }
    }
}

/// Decompressed bytes.
pub(crate) type Plain = Box<dyn Read + Send>;

/// An input whose beginning has been read.
pub(crate) struct Source {
    /// The first decompressed bytes, at most [`START_BYTES`].
    pub(crate) start: Vec<u8>,
    kind: Kind,
    progress: Arc<Progress>,
    passed_before: u64,
}

enum Kind {
    PlainFile(File),
    CompressedFile(File),
    /// What follows the start, until it is taken.
    Pipe(Option<Plain>),
}

impl Source {
    pub(crate) fn open(input: &Input, progress: &Arc<Progress>) -> io::Result<Self> {
        let passed_before = progress.bytes();
        let file = match input {
            Input::Stdin => return Self::open_pipe(io::stdin(), progress, passed_before),
            Input::Path(path) => File::open(path)?,
        };
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "is a folder; expected files"));
        }
        if !metadata.is_file() {
            return Self::open_pipe(file, progress, passed_before);
        }
        let counted = Counted::new(file.try_clone()?, Arc::clone(progress), passed_before);
        let (plain, encoding) = decoded(counted)?;
        let kind = if encoding == Encoding::Plain { Kind::PlainFile(file) } else { Kind::CompressedFile(file) };
        let mut source = Self { start: Vec::new(), kind, progress: Arc::clone(progress), passed_before };
        // A failure further on shows again when the whole is read.
        source.read_start(plain);
        Ok(source)
    }

    fn open_pipe(input: impl Read + Send + 'static, progress: &Arc<Progress>, passed_before: u64) -> io::Result<Self> {
        let counted = Counted::new(input, Arc::clone(progress), passed_before);
        let (mut plain, _) = decoded(counted)?;
        let mut source =
            Self { start: Vec::new(), kind: Kind::Pipe(None), progress: Arc::clone(progress), passed_before };
        let failure = source.read_start(&mut plain);
        source.kind = Kind::Pipe(Some(match failure {
            Some(error) => Box::new(Broken(Some(error))),
            None => plain,
        }));
        Ok(source)
    }

    /// Reads the start, as far as it can be read.
    fn read_start(&mut self, plain: impl Read) -> Option<io::Error> {
        plain.take(START_BYTES).read_to_end(&mut self.start).err()
    }

    /// Whether it can be opened only once.
    pub(crate) fn is_pipe(&self) -> bool {
        matches!(self.kind, Kind::Pipe(_))
    }

    /// The decompressed bytes from `offset` on; none where there are fewer.
    pub(crate) fn open_at(&mut self, offset: u64) -> io::Result<Option<Plain>> {
        let mut plain: Plain = match &mut self.kind {
            Kind::PlainFile(file) => {
                let mut file = file.try_clone()?;
                file.seek(SeekFrom::Start(offset))?;
                let counted = Counted::new(file, Arc::clone(&self.progress), self.passed_before + offset);
                return Ok(Some(Box::new(counted)));
            }
            Kind::CompressedFile(file) => {
                let mut file = file.try_clone()?;
                file.rewind()?;
                decoded(Counted::new(file, Arc::clone(&self.progress), self.passed_before))?.0
            }
            Kind::Pipe(rest) => {
                let rest = rest.take().ok_or_else(|| io::Error::other("a pipe can be read only once"))?;
                Box::new(Cursor::new(self.start.clone()).chain(rest))
            }
        };
        let skipped = io::copy(&mut plain.by_ref().take(offset), &mut io::sink())?;
        Ok((skipped == offset).then_some(plain))
    }

    /// What is after the position, if the tail before it is the one that stood there before. Lines that have headers are
    /// read from the beginning, for the last header before the position may be anywhere.
    pub(crate) fn open_after(
        &mut self,
        position: &SourcePosition,
        reading: Option<Reading<'_>>,
    ) -> io::Result<Option<After>> {
        let reading = reading.filter(Reading::has_headers);
        let tail_start = position.offset.saturating_sub(position.tail_len);
        let from = if reading.is_some() { 0 } else { tail_start };
        let Some(mut rest) = self.open_at(from)? else { return Ok(None) };
        let mut before = Tailed::new(rest.by_ref().take(position.offset - from), position.tail_len);
        let headed = match reading {
            Some(mut reading) => reading.pass(&mut before).map(|()| reading.into_headed())?,
            None => io::copy(&mut before, &mut io::sink()).map(|_| None)?,
        };
        let (passed, tail) = before.finish();
        let same = from + passed == position.offset && sha256_hex(&tail) == position.tail_sha256;
        Ok(same.then_some(After { rest, tail, headed }))
    }
}

/// A source opened after a position.
pub(crate) struct After {
    pub(crate) rest: Plain,
    /// The bytes before the position.
    pub(crate) tail: Vec<u8>,
    /// What header lines before the position have made of the format.
    pub(crate) headed: Option<Arc<dyn Format>>,
}

/// Keeps the last bytes that were read.
struct Tailed<R> {
    input: R,
    tail: Vec<u8>,
    tail_len: usize,
    passed: u64,
}

impl<R: Read> Tailed<R> {
    fn new(input: R, tail_len: u64) -> Self {
        // The ledger's tails are a few KiB; what it says is not trusted to size a buffer.
        let tail_len = usize::try_from(tail_len).map_or(TAIL_BYTES, |len| len.min(TAIL_BYTES));
        Self { input, tail: Vec::new(), tail_len, passed: 0 }
    }

    /// How many bytes were read, and the last of them.
    fn finish(self) -> (u64, Vec<u8>) {
        (self.passed, self.tail)
    }
}

impl<R: Read> Read for Tailed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        keep_last(&mut self.tail, &buffer[..count], self.tail_len);
        self.passed += count as u64;
        Ok(count)
    }
}

fn decoded(mut input: impl Read + Send + 'static) -> io::Result<(Plain, Encoding)> {
    let mut magic = Vec::new();
    input.by_ref().take(MAGIC_BYTES).read_to_end(&mut magic)?;
    let encoding = Encoding::of_file(&magic);
    let whole = BufReader::with_capacity(BUFFER_BYTES, Cursor::new(magic).chain(input));
    Ok((Box::new(encoding.file(whole)?), encoding))
}

/// The rest of a pipe that has failed: fails, instead of looking like an end.
struct Broken(Option<io::Error>);

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(self.0.take().unwrap_or_else(|| io::Error::other("the input has failed before")))
    }
}
