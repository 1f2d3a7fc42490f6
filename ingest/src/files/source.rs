//! One file, or standard input: opened, decompressed, and opened again at an offset.
//!
//! A plain file is sought in. A compressed one is read from its start and skipped. A pipe can be read only once.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

use tally_storage::events::ledger::SourcePosition;

use super::progress::{Counted, Progress};
use crate::decode::Encoding;
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

    /// The bytes after the position, and the tail before it, if that is the tail that stood there before.
    pub(crate) fn open_after(&mut self, position: &SourcePosition) -> io::Result<Option<(Plain, Vec<u8>)>> {
        let from = position.offset.saturating_sub(position.tail_len);
        let Some(mut plain) = self.open_at(from)? else { return Ok(None) };
        let mut tail = Vec::new();
        plain.by_ref().take(position.tail_len).read_to_end(&mut tail)?;
        let same = tail.len() as u64 == position.tail_len && sha256_hex(&tail) == position.tail_sha256;
        Ok(same.then_some((plain, tail)))
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
