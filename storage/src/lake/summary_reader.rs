//! Files of summaries being read. What was decompressed is kept in a cache that is bounded in bytes.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use moka::sync::Cache;

use super::aggregate::Dimension;
use super::dictionary::{Dictionary, Merged};
use super::summary::Summary;
use super::summary_file::{Contents, Frame, Index, MAGIC, Part, PartAt, TRAILER_BYTES};
use super::varint;
use crate::error::StorageError;
use crate::folder::DataFolder;

/// Bytes of the largest index that is believed in.
const INDEX_BYTES: usize = 1 << 30;

fn read_frame(file: &mut File, path: &Path, Frame(offset, stored, size): Frame) -> Result<Vec<u8>, StorageError> {
    let mut read = || {
        let mut compressed = vec![0; stored];
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(&mut compressed)?;
        zstd::bulk::decompress(&compressed, size)
    };
    read().map_err(|error| StorageError::file("could not read", path, error))
}

fn read_index(file: &mut File, path: &Path) -> Result<Index, StorageError> {
    let fail = |error| StorageError::file("could not read", path, error);
    let length = file.metadata().map_err(fail)?.len();
    let start = length.checked_sub(TRAILER_BYTES as u64).ok_or_else(varint::damaged)?;
    let mut trailer = [0; TRAILER_BYTES];
    file.seek(SeekFrom::Start(start)).and_then(|_| file.read_exact(&mut trailer)).map_err(fail)?;
    let number = |place: usize| {
        let bytes = trailer[place..place + 8].try_into().map_err(|_| varint::damaged())?;
        usize::try_from(u64::from_le_bytes(bytes)).map_err(|_| varint::damaged())
    };
    let (stored, size_bytes) = (number(0)?, number(8)?);
    let is_ours = trailer[16..] == *MAGIC && size_bytes <= INDEX_BYTES;
    let offset = start.checked_sub(stored as u64).filter(|_| is_ours).ok_or_else(varint::damaged)?;
    let index = read_frame(file, path, Frame(offset, stored, size_bytes))?;
    Ok(Index { size_bytes, ..serde_json::from_slice(&index)? })
}

#[derive(Debug, Clone)]
enum Decoded {
    Index(Arc<Index>),
    Dictionary(Arc<Dictionary>),
    Block(Arc<Vec<u8>>),
    Merged(Arc<Merged>),
}

/// What an entry of the cache takes beside what it holds and its name: the cache's own books. Files of few events have
/// many small entries.
const ENTRY_BYTES: usize = 512;

/// What a list takes beside what is in it.
const LIST_BYTES: usize = 48;

/// How much larger an index is in memory than as text.
const INDEX_GROWTH: usize = 4;

impl Decoded {
    fn size_bytes(&self) -> usize {
        let held = match self {
            Self::Index(index) => index.size_bytes * INDEX_GROWTH,
            Self::Dictionary(dictionary) => dictionary.size_bytes(),
            Self::Block(block) => block.len(),
            Self::Merged(merged) => {
                let codes = merged.1.iter().map(|codes| LIST_BYTES + codes.len() * size_of::<u32>());
                merged.0.size_bytes() + codes.sum::<usize>()
            }
        };
        held + ENTRY_BYTES
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    Index,
    Dictionary(Dimension),
    Block(usize),
    /// Of several files, which the name names.
    Merged(Dimension),
}

/// What was read of files of summaries. Clones share one cache.
#[derive(Clone)]
pub(super) struct SummaryCache {
    folder: DataFolder,
    decoded: Cache<(Arc<str>, Place), Decoded>,
}

impl std::fmt::Debug for SummaryCache {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SummaryCache").field("entries", &self.decoded.entry_count()).finish_non_exhaustive()
    }
}

impl SummaryCache {
    pub(super) fn new(folder: &DataFolder, bytes: u64) -> Self {
        // The names of many files together are often longer than what is merged of them.
        let weigh = |(name, _): &(Arc<str>, Place), decoded: &Decoded| {
            u32::try_from(name.len() + decoded.size_bytes()).unwrap_or(u32::MAX)
        };
        Self { folder: folder.clone(), decoded: Cache::builder().max_capacity(bytes).weigher(weigh).build() }
    }

    /// Opens a file by its name. Like everything that the reader does, this reads files: call it from a blocking thread.
    pub(super) fn open(&self, name: &str) -> Result<SummaryReader, StorageError> {
        let mut reader = SummaryReader { cache: self.clone(), name: name.into(), file: None, index: Arc::default() };
        if let Decoded::Index(index) = reader.get(Place::Index)? {
            reader.index = index;
        }
        Ok(reader)
    }

    /// The dictionaries of a dimension in some files, merged: what a report over a quarter's end would do anew each time.
    pub(super) fn merged(
        &self,
        files: &[Arc<str>],
        dimension: Dimension,
        dictionaries: &[Arc<Dictionary>],
    ) -> Result<Arc<Merged>, StorageError> {
        let key = (files.join("\n").into(), Place::Merged(dimension));
        if let Some(Decoded::Merged(merged)) = self.decoded.get(&key) {
            return Ok(merged);
        }
        let merged = Arc::new(Dictionary::merged(dictionaries)?);
        self.decoded.insert(key, Decoded::Merged(Arc::clone(&merged)));
        Ok(merged)
    }
}

/// A file of summaries being read.
#[derive(Debug)]
pub(super) struct SummaryReader {
    cache: SummaryCache,
    name: Arc<str>,
    file: Option<File>,
    index: Arc<Index>,
}

/// Rows in memory.
#[derive(Debug, Clone)]
pub(super) struct ReadPart {
    pub(super) row_count: u64,
    block: Arc<Vec<u8>>,
    range: Range<usize>,
}

impl ReadPart {
    /// Rows that were made just now.
    pub(super) fn made(row_count: u64, encoded: Vec<u8>) -> Self {
        let range = 0..encoded.len();
        Self { row_count, block: Arc::new(encoded), range }
    }

    /// See `part.rs`.
    pub(super) fn encoded(&self) -> &[u8] {
        &self.block[self.range.clone()]
    }
}

impl SummaryReader {
    fn get(&mut self, place: Place) -> Result<Decoded, StorageError> {
        let key = (Arc::clone(&self.name), place);
        if let Some(decoded) = self.cache.decoded.get(&key) {
            return Ok(decoded);
        }
        let decoded = self.read(place)?;
        self.cache.decoded.insert(key, decoded.clone());
        Ok(decoded)
    }

    fn read(&mut self, place: Place) -> Result<Decoded, StorageError> {
        let path = self.cache.folder.path_of(&self.name);
        let mut file = match self.file.take() {
            Some(file) => file,
            None => File::open(&path).map_err(|error| StorageError::file("could not open", &path, error))?,
        };
        let decoded = match place {
            Place::Index => Decoded::Index(Arc::new(read_index(&mut file, &path)?)),
            Place::Block(number) => {
                let frame = self.index.blocks.get(number).ok_or_else(varint::damaged)?;
                Decoded::Block(Arc::new(read_frame(&mut file, &path, *frame)?))
            }
            Place::Dictionary(dimension) => {
                let found = self.index.dictionaries.iter().find(|(name, _)| name == dimension.column());
                Decoded::Dictionary(match found {
                    Some((_, frame)) => Arc::new(Dictionary::decode(&read_frame(&mut file, &path, *frame)?)?),
                    None => Arc::default(),
                })
            }
            Place::Merged(_) => return Err(varint::damaged()),
        };
        self.file = Some(file);
        Ok(decoded)
    }

    /// The values of a dimension.
    pub(super) fn dictionary(&mut self, dimension: Dimension) -> Result<Arc<Dictionary>, StorageError> {
        match self.get(Place::Dictionary(dimension))? {
            Decoded::Dictionary(dictionary) => Ok(dictionary),
            _ => Err(varint::damaged()),
        }
    }

    /// A summary of the segment at that place.
    pub(super) fn part(&mut self, place: usize, summary: Summary) -> Result<ReadPart, StorageError> {
        let (index, name) = (Arc::clone(&self.index), summary.to_string());
        let parts = index.segments.get(place).ok_or_else(varint::damaged)?;
        let PartAt(_, row_count, block, range) =
            parts.iter().find(|part| part.0 == name).ok_or_else(varint::damaged)?;
        match self.get(Place::Block(*block))? {
            Decoded::Block(block) if range.start <= range.end && range.end <= block.len() => {
                Ok(ReadPart { row_count: *row_count, block, range: range.clone() })
            }
            _ => Err(varint::damaged()),
        }
    }
}

/// Whether a file of summaries is not what was written, and stays so.
pub(super) fn is_damage(error: &StorageError) -> bool {
    let is_of_file = matches!(error, StorageError::File { .. } | StorageError::Damaged(_) | StorageError::Json(_));
    is_of_file && !error.is_temporary()
}

/// Reads segments of a file whole, past the cache.
pub(super) fn read(folder: &DataFolder, name: &str, places: &[usize]) -> Result<Contents, StorageError> {
    let mut reader = SummaryCache::new(folder, u64::MAX).open(name)?;
    let mut contents = Contents::default();
    for (dimension, dictionary) in Dimension::ALL.into_iter().zip(&mut contents.dictionaries) {
        *dictionary = reader.dictionary(dimension)?;
    }
    let index = Arc::clone(&reader.index);
    for place in places {
        let parts = index.segments.get(*place).ok_or_else(varint::damaged)?.iter().map(|part| {
            let summary: Summary = part.0.parse()?;
            let encoded = reader.part(*place, summary)?.encoded().to_vec();
            Ok(Part { summary, row_count: part.1, encoded })
        });
        contents.segments.push(parts.collect::<Result<_, StorageError>>()?);
    }
    Ok(contents)
}
/// Every value that a file names.
#[cfg(test)]
pub(crate) fn words_of(path: &Path) -> String {
    let mut file = File::open(path).unwrap();
    let index = read_index(&mut file, path).unwrap();
    let words = |(_, frame): &(String, Frame)| {
        let dictionary = Dictionary::decode(&read_frame(&mut file, path, *frame).unwrap()).unwrap();
        dictionary.iter().collect::<Vec<_>>().join("\n")
    };
    index.dictionaries.iter().map(words).collect()
}

#[cfg(test)]
#[path = "summary_reader_tests.rs"]
mod tests;
