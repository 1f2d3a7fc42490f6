//! The file of summaries, of one segment or of many.
//!
//! | in this order | |
//! |---|---|
//! | dictionaries | one for each dimension: the values of all segments together |
//! | blocks | parts: the rows of one summary of one segment, those of the same summary side by side |
//! | index | where all of these are, as JSON |
//! | trailer | the length of the index, and [`MAGIC`] |
//!
//! Everything but the trailer is compressed, with a checksum. A file is written once and never changed.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::aggregate::Dimension;
use super::dictionary::Dictionary;
use super::summary::Summary;
use crate::error::StorageError;

/// The last bytes of a file of summaries; the digit is the version of its form.
pub(super) const MAGIC: &[u8; 8] = b"TALLYSM1";

/// Parts are decompressed together up to so many bytes.
pub(super) const BLOCK_BYTES: usize = 256 * 1024;

/// Above this, a few percent take several times as long.
const ZSTD_LEVEL: i32 = 6;

/// A dictionary for each dimension, at the dimension's place.
pub(super) type Dictionaries = [Arc<Dictionary>; Dimension::ALL.len()];

/// The rows of one summary of one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) summary: Summary,
    pub(super) row_count: u64,
    /// In the codes of the dictionaries beside it.
    pub(super) encoded: Vec<u8>,
}

/// What a file holds.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) dictionaries: Dictionaries,
    /// The parts of each segment.
    pub(super) segments: Vec<Vec<Part>>,
}

/// Where something compressed is, and how long it is: there, and decompressed.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Frame(pub(super) u64, pub(super) usize, pub(super) usize);

/// Where a part is: its summary, how many rows, in which block, from where to where.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PartAt(pub(super) String, pub(super) u64, pub(super) usize, pub(super) Range<usize>);

/// Where everything in a file is.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Index {
    pub(super) dictionaries: Vec<(String, Frame)>,
    pub(super) blocks: Vec<Frame>,
    pub(super) segments: Vec<Vec<PartAt>>,
    /// Its own length, decompressed.
    #[serde(skip)]
    pub(super) size_bytes: usize,
}

/// Writes a file aside and syncs it; gives its size.
pub(super) fn write(path: &Path, contents: &Contents) -> Result<u64, StorageError> {
    let fail = |error| StorageError::file("could not write", path, error);
    let mut file = FrameWriter::create(path)?;
    let mut index = Index { segments: contents.segments.iter().map(|_| Vec::new()).collect(), ..Index::default() };
    for (dimension, dictionary) in Dimension::ALL.iter().zip(&contents.dictionaries) {
        if dictionary.len() > 0 {
            let frame = file.push(&dictionary.encode()).map_err(fail)?;
            index.dictionaries.push((dimension.column().to_owned(), frame));
        }
    }
    let mut parts: Vec<(usize, &Part)> = Vec::new();
    for (place, segment) in contents.segments.iter().enumerate() {
        parts.extend(segment.iter().map(|part| (place, part)));
    }
    parts.sort_by_key(|(place, part)| (part.summary, *place));
    let mut block = Vec::new();
    let mut of: Option<Summary> = None;
    for (place, part) in parts {
        if of.is_some_and(|of| of != part.summary || block.len() + part.encoded.len() > BLOCK_BYTES) {
            index.blocks.push(file.push(&block).map_err(fail)?);
            block.clear();
        }
        of = Some(part.summary);
        let range = block.len()..block.len() + part.encoded.len();
        block.extend_from_slice(&part.encoded);
        let at = PartAt(part.summary.to_string(), part.row_count, index.blocks.len(), range);
        index.segments[place].push(at);
    }
    if of.is_some() {
        index.blocks.push(file.push(&block).map_err(fail)?);
    }
    file.finish(&serde_json::to_vec(&index)?).map_err(fail)
}

struct FrameWriter {
    file: BufWriter<File>,
    compressor: zstd::bulk::Compressor<'static>,
    written: u64,
}

impl FrameWriter {
    fn create(path: &Path) -> Result<Self, StorageError> {
        let made = || {
            let mut compressor = zstd::bulk::Compressor::new(ZSTD_LEVEL)?;
            compressor.include_checksum(true)?;
            Ok(Self { file: BufWriter::new(File::create(path)?), compressor, written: 0 })
        };
        made().map_err(|error| StorageError::file("could not create", path, error))
    }

    fn push(&mut self, bytes: &[u8]) -> std::io::Result<Frame> {
        let compressed = self.compressor.compress(bytes)?;
        let frame = Frame(self.written, compressed.len(), bytes.len());
        self.file.write_all(&compressed)?;
        self.written += compressed.len() as u64;
        Ok(frame)
    }

    fn finish(mut self, index: &[u8]) -> std::io::Result<u64> {
        let Frame(_, stored, size) = self.push(index)?;
        self.file.write_all(&(stored as u64).to_le_bytes())?;
        self.file.write_all(&(size as u64).to_le_bytes())?;
        self.file.write_all(MAGIC)?;
        let file = self.file.into_inner()?;
        file.sync_all()?;
        Ok(file.metadata()?.len())
    }
}

/// Bytes of the trailer.
pub(super) const TRAILER_BYTES: usize = 24;
