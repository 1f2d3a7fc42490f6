//! Finds where an earlier run stopped in a file, and says where this one has come to.

use std::collections::HashMap;
use std::io::{self, Cursor, Read};
use std::sync::Arc;

use tally_storage::events::ledger::{HEAD_BYTES, SourcePosition, TAIL_BYTES};

use super::FileError;
use super::source::{After, Plain, Source};
use crate::formats::Format;
use crate::lines::keep_last;
use crate::meter::sha256_hex;
use crate::parse::LineParser;

/// A place in a source, and what the ledger needs to know of the bytes before it.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    head: Vec<u8>,
    tail: Vec<u8>,
    pub(crate) offset: u64,
    pub(crate) lines: u64,
}

impl Place {
    /// The beginning of a source that begins with `start`.
    pub(crate) fn beginning(start: &[u8]) -> Self {
        let head = start[..start.len().min(HEAD_BYTES)].to_vec();
        Self { head, tail: Vec::new(), offset: 0, lines: 0 }
    }

    /// Moves to `offset`, over `bytes` (of which only the last matter) and `lines`.
    pub(crate) fn advance(&mut self, bytes: &[u8], offset: u64, lines: u64) {
        keep_last(&mut self.tail, bytes, TAIL_BYTES);
        self.offset = offset;
        self.lines += lines;
    }

    /// The ledger's entry for this place.
    pub(crate) fn position(&self) -> SourcePosition {
        let head_len = self.head.len().min(usize::try_from(self.offset).unwrap_or(usize::MAX));
        SourcePosition {
            head_len: head_len as u64,
            head_sha256: sha256_hex(&self.head[..head_len]),
            offset: self.offset,
            lines: self.lines,
            tail_len: self.tail.len() as u64,
            tail_sha256: sha256_hex(&self.tail),
        }
    }
}

/// A source opened where there is something new.
pub(crate) struct Resumed {
    pub(crate) rest: Plain,
    pub(crate) place: Place,
    /// What header lines before the place have made of the format.
    pub(crate) headed: Option<Arc<dyn Format>>,
    /// The ledger's entry that this run moves on from.
    pub(crate) previous: Option<SourcePosition>,
}

/// Opens the source after the furthest position that is one of its own, else at its beginning. The parser is that of the
/// source's lines, if it has lines.
pub(crate) fn resume(
    source: &mut Source,
    positions: &[SourcePosition],
    parser: Option<&LineParser<'_>>,
) -> Result<Resumed, FileError> {
    for position in of_this_head(&source.start, positions) {
        let reading = parser.map(|parser| parser.reading(None));
        if let Some(after) = source.open_after(&position, reading)? {
            return Ok(Resumed::at(position, &source.start, after)?);
        }
        if source.is_pipe() {
            return Err(FileError::PipeDiffers { offset: position.offset });
        }
    }
    let rest = source.open_at(0)?.unwrap_or_else(|| Box::new(io::empty()));
    Ok(Resumed { rest, place: Place::beginning(&source.start), headed: None, previous: None })
}

/// The positions whose head the source begins with, the furthest first.
pub(crate) fn of_this_head(start: &[u8], positions: &[SourcePosition]) -> Vec<SourcePosition> {
    let mut hashes = HashMap::new();
    let mut own: Vec<SourcePosition> = positions
        .iter()
        .filter(|position| {
            let Some(head) = usize::try_from(position.head_len).ok().and_then(|len| start.get(..len)) else {
                return false;
            };
            *hashes.entry(position.head_len).or_insert_with(|| sha256_hex(head)) == position.head_sha256
        })
        .cloned()
        .collect();
    own.sort_by_key(|position| std::cmp::Reverse(position.offset));
    own
}

impl Resumed {
    fn at(position: SourcePosition, start: &[u8], after: After) -> io::Result<Self> {
        let After { rest, tail, headed } = after;
        let in_line = tail.last().is_some_and(|byte| *byte != b'\n');
        let place = Place { tail, offset: position.offset, lines: position.lines, ..Place::beginning(start) };
        let mut resumed = Self { rest, place, headed, previous: Some(position) };
        if in_line {
            resumed.skip_line_end()?;
        }
        Ok(resumed)
    }

    /// Passes the end of a line that was counted before its writer had ended it.
    fn skip_line_end(&mut self) -> io::Result<()> {
        let mut next = Vec::new();
        self.rest.by_ref().take(2).read_to_end(&mut next)?;
        let skipped = match next.as_slice() {
            [b'\n', ..] => 1,
            [b'\r', b'\n'] => 2,
            _ => 0,
        };
        self.place.advance(&next[..skipped], self.place.offset + skipped as u64, 0);
        let rest = std::mem::replace(&mut self.rest, Box::new(io::empty()));
        self.rest = Box::new(Cursor::new(next.split_off(skipped)).chain(rest));
        Ok(())
    }
}
