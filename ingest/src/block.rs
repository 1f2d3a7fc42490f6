//! A piece of input that holds whole lines, or whole elements of an array: the unit that parser threads work on.

use std::ops::Range;
use std::sync::Arc;

use memchr::memchr_iter;

use crate::buffer::Buffer;
use crate::formats::Format;
use crate::lines::trim_line_end;

/// What marks UTF-8 at the start of an input.
pub(crate) const UTF8_BOM: &[u8] = b"\xef\xbb\xbf";

/// Whole lines or elements, one after the other.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    /// The text: all bytes up to `end`, save the middle of a line that is over the limit.
    pub(crate) bytes: Buffer,
    /// Where the block ends in the decompressed input.
    pub(crate) end: u64,
    /// How the pieces lie in `bytes`.
    pub(crate) cut: Cut,
    /// How the first piece is written, where header lines before the block say so.
    pub(crate) headed: Option<Arc<dyn Format>>,
}

/// How a block is cut into pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cut {
    /// At line ends. The last line may lack its own, at the end of the input.
    Lines,
    /// Elements of an array, at these places.
    Elements(Vec<Range<usize>>),
}

impl Block {
    /// Whether the last line has no line end: the input ended, or its writer is not done with it.
    pub(crate) fn is_unterminated(&self) -> bool {
        self.cut == Cut::Lines && self.bytes.last().is_some_and(|byte| *byte != b'\n')
    }

    /// Where each piece lies in the bytes, without its line end.
    pub(crate) fn places(&self) -> Box<dyn Iterator<Item = Range<usize>> + '_> {
        match &self.cut {
            Cut::Elements(places) => Box::new(places.iter().cloned()),
            Cut::Lines => {
                let bytes = &*self.bytes;
                let unterminated = self.is_unterminated().then_some(bytes.len());
                let ends = memchr_iter(b'\n', bytes).map(|at| at + 1).chain(unterminated);
                let mut start = self.byte_order_mark_len();
                Box::new(ends.map(move |end| {
                    let place = start..start + trim_line_end(&bytes[start..end]).len();
                    start = end;
                    place
                }))
            }
        }
    }

    /// Length of the mark that some editors put before the first line.
    fn byte_order_mark_len(&self) -> usize {
        let first = self.end == self.bytes.len() as u64;
        if first && self.bytes.starts_with(UTF8_BOM) { UTF8_BOM.len() } else { 0 }
    }

    /// The pieces themselves.
    #[cfg(test)]
    pub(crate) fn pieces(&self) -> Vec<&[u8]> {
        self.places().map(|place| &self.bytes[place]).collect()
    }
}
