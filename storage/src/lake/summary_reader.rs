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

impl Decoded {
    fn size_bytes(&self) -> usize {
        match self {
            Self::Index(index) => index.size_bytes,
            Self::Dictionary(dictionary) => dictionary.size_bytes(),
            Self::Block(block) => block.len(),
            Self::Merged(merged) => {
                let codes: usize = merged.1.iter().map(Vec::len).sum();
                merged.0.size_bytes() + codes * size_of::<u32>()
            }
        }
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
        let weigh = |_: &(Arc<str>, Place), decoded: &Decoded| u32::try_from(decoded.size_bytes()).unwrap_or(u32::MAX);
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
mod tests {
    use super::*;
    use crate::lake::summary_file::{BLOCK_BYTES, write};

    fn contents() -> Contents {
        let urls: Vec<String> = (0..20_000).map(|number| format!("/a/{number:06}")).collect();
        let mut contents = Contents::default();
        contents.dictionaries[Dimension::Url as usize] =
            Arc::new(Dictionary::from_sorted(urls.iter().map(String::as_str)).unwrap());
        let part = |name: &str, length: usize| Part {
            summary: name.parse().unwrap(),
            row_count: 3,
            encoded: (0..length).map(|place| u8::try_from(place % 251).unwrap()).collect(),
        };
        contents.segments = vec![
            vec![part("service", 5), part("url", BLOCK_BYTES / 2)],
            vec![],
            vec![part("url", BLOCK_BYTES), part("url/stack", 3)],
        ];
        contents
    }

    fn written(contents: &Contents) -> (tempfile::TempDir, DataFolder, &'static str) {
        let root = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(root.path()).unwrap();
        let staged = folder.staged_path();
        let size = write(&staged, contents).unwrap();
        assert_eq!(size, std::fs::metadata(&staged).unwrap().len());
        folder.publish(&staged, "events/some.summaries").unwrap();
        (root, folder, "events/some.summaries")
    }

    #[test]
    fn each_part_is_read_back_by_its_segment_and_summary() {
        let contents = contents();
        let (_root, folder, name) = written(&contents);
        assert_eq!(read(&folder, name, &[0, 1, 2]).unwrap(), contents);
        let cache = SummaryCache::new(&folder, 1 << 24);
        let mut reader = cache.open(name).unwrap();
        let wide: Summary = "url/stack".parse().unwrap();
        assert_eq!(reader.part(2, wide).unwrap().encoded(), [0, 1, 2]);
        assert!(reader.part(0, wide).is_err() && reader.part(3, wide).is_err());
        std::fs::remove_file(folder.path_of(name)).unwrap();
        let mut again = cache.open(name).unwrap();
        assert_eq!(again.part(2, wide).unwrap().row_count, 3, "it is kept in memory");
        assert!(again.dictionary(Dimension::Url).is_err());
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "what it damages is thrown away")]
    fn a_changed_byte_is_found_or_changes_nothing() {
        let contents = contents();
        let (_root, folder, name) = written(&contents);
        let path = folder.path_of(name);
        let bytes = std::fs::read(&path).unwrap();
        for place in (0..bytes.len()).step_by(997).chain(bytes.len() - 24..bytes.len()) {
            let mut changed = bytes.clone();
            changed[place] ^= 4;
            std::fs::write(&path, &changed).unwrap();
            let unchanged = read(&folder, name, &[0, 1, 2]).map_or(true, |read| read == contents);
            assert!(unchanged, "the byte at {place} of {}", bytes.len());
        }
    }
}
