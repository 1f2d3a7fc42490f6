//! Cuts a streamed JSON array into its elements, in constant memory.
//!
//! Only the array itself is read here: brackets, commas and where strings end. What an element holds is judged where
//! lines are, so that one bad element is one rejected line. An array that is none, or is cut off, fails as a whole.

use std::io::{self, Read};
use std::mem;
use std::ops::Range;

use crate::block::{Block, Cut, UTF8_BOM};

const CHUNK_BYTES: usize = 64 * 1024;

/// A block has at most so many elements: each takes memory of its own, however short it is.
const MAX_BLOCK_ELEMENTS: usize = 32 * 1024;

/// Why a body is no array of elements.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArrayError {
    #[error("the body could not be read")]
    Read(#[from] io::Error),
    #[error("the body is no JSON array: expected `[`, found {0}")]
    NoArray(String),
    #[error("the JSON array is cut off after {0} elements: expected `,` or `]`")]
    CutOff(u64),
    #[error("element {0} of the JSON array is empty: expected an object between two commas")]
    EmptyElement(u64),
    #[error("the JSON array has a closing bracket too many after element {0}")]
    Unbalanced(u64),
    #[error("the body goes on after the JSON array, with {0}")]
    Trailing(String),
    #[error("element {0} of the JSON array is longer than the limit for a line")]
    TooLong(u64),
}

/// The blocks of an array. After an error there is none more.
#[derive(Debug)]
pub(crate) struct ArrayBlocks<R> {
    input: R,
    block_bytes: usize,
    max_element_bytes: usize,
    chunk: Vec<u8>,
    at: usize,
    offset: u64,
    place: Place,
    elements: u64,
    bytes: Vec<u8>,
    places: Vec<Range<usize>>,
    element_start: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    BeforeArray,
    Element { depth: u64, text: Text },
    AfterArray,
    Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Text {
    Outside,
    Inside,
    Escape,
}

const ELEMENT: Place = Place::Element { depth: 0, text: Text::Outside };

impl<R: Read> ArrayBlocks<R> {
    pub(crate) fn new(input: R, block_bytes: usize, max_element_bytes: usize) -> Self {
        Self {
            input,
            block_bytes,
            max_element_bytes,
            chunk: Vec::new(),
            at: 0,
            offset: 0,
            place: Place::BeforeArray,
            elements: 0,
            bytes: Vec::new(),
            places: Vec::new(),
            element_start: 0,
        }
    }

    fn next_block(&mut self) -> Result<Option<Block>, ArrayError> {
        while self.place != Place::Ended {
            if self.at == self.chunk.len() && !self.fill()? {
                self.end_of_input()?;
                break;
            }
            match self.place {
                Place::BeforeArray => self.open()?,
                Place::Element { depth, text } => self.element(depth, text)?,
                Place::AfterArray => self.after()?,
                Place::Ended => {}
            }
            let is_full = self.bytes.len() >= self.block_bytes || self.places.len() >= MAX_BLOCK_ELEMENTS;
            if is_full && !self.places.is_empty() && self.element_start == self.bytes.len() {
                break;
            }
        }
        Ok(self.take_block())
    }

    fn take_block(&mut self) -> Option<Block> {
        if self.places.is_empty() {
            return None;
        }
        self.element_start = 0;
        let end = self.offset + self.at as u64;
        let cut = Cut::Elements(mem::take(&mut self.places));
        Some(Block { bytes: mem::take(&mut self.bytes).into(), end, cut, headed: None })
    }

    fn fill(&mut self) -> io::Result<bool> {
        let first = self.offset == 0 && self.chunk.is_empty();
        self.offset += self.chunk.len() as u64;
        self.chunk.clear();
        self.input.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut self.chunk)?;
        self.at = if first && self.chunk.starts_with(UTF8_BOM) { UTF8_BOM.len() } else { 0 };
        Ok(self.at < self.chunk.len())
    }

    fn end_of_input(&mut self) -> Result<(), ArrayError> {
        match mem::replace(&mut self.place, Place::Ended) {
            Place::BeforeArray => Err(ArrayError::NoArray("an empty body".to_owned())),
            Place::Element { .. } => Err(ArrayError::CutOff(self.elements)),
            Place::AfterArray | Place::Ended => Ok(()),
        }
    }

    fn open(&mut self) -> Result<(), ArrayError> {
        match self.next_visible() {
            None => Ok(()),
            Some(b'[') => {
                self.place = ELEMENT;
                Ok(())
            }
            Some(other) => Err(ArrayError::NoArray(visible(other))),
        }
    }

    fn after(&mut self) -> Result<(), ArrayError> {
        self.next_visible().map_or(Ok(()), |byte| Err(ArrayError::Trailing(visible(byte))))
    }

    fn next_visible(&mut self) -> Option<u8> {
        let found = self.chunk[self.at..].iter().position(|byte| !is_blank(*byte));
        self.at = found.map_or(self.chunk.len(), |skipped| self.at + skipped + 1);
        found.map(|_| self.chunk[self.at - 1])
    }

    /// Takes what belongs to the element from the chunk, up to the comma or bracket that ends it.
    fn element(&mut self, mut depth: u64, mut text: Text) -> Result<(), ArrayError> {
        if self.bytes.len() == self.element_start {
            self.at += self.chunk[self.at..].iter().take_while(|byte| is_blank(**byte)).count();
        }
        let rest = &self.chunk[self.at..];
        let mut ended_by = None;
        let mut used = rest.len();
        for (index, byte) in rest.iter().enumerate() {
            (text, depth) = match (text, byte) {
                (Text::Outside, b'"') | (Text::Escape, _) => (Text::Inside, depth),
                (Text::Inside, b'"') => (Text::Outside, depth),
                (Text::Inside, b'\\') => (Text::Escape, depth),
                (Text::Outside, b'{' | b'[') => (text, depth + 1),
                (Text::Outside, b'}' | b']') if depth > 0 => (text, depth - 1),
                (Text::Outside, end @ (b',' | b']' | b'}')) if depth == 0 => {
                    (ended_by, used) = (Some(*end), index);
                    break;
                }
                unchanged => (unchanged.0, depth),
            };
        }
        self.bytes.extend_from_slice(&rest[..used]);
        self.at += used + usize::from(ended_by.is_some());
        self.place = Place::Element { depth, text };
        let is_whole = self.place == ELEMENT;
        let end = if is_whole { self.end_without_blanks() } else { self.bytes.len() };
        if end - self.element_start > self.max_element_bytes {
            return Err(ArrayError::TooLong(self.elements + 1));
        }
        ended_by.map_or(Ok(()), |end| self.end_element(end))
    }

    /// Where the element ends without the blanks behind it, of which there may be as many as a client likes: one is kept.
    fn end_without_blanks(&mut self) -> usize {
        let last = self.bytes.iter().rposition(|byte| !is_blank(*byte));
        let end = last.map_or(0, |last| last + 1).max(self.element_start);
        self.bytes.truncate(end + 1);
        end
    }

    fn end_element(&mut self, end: u8) -> Result<(), ArrayError> {
        let place = trimmed(&self.bytes, self.element_start);
        let only_one = self.elements == 0 && end == b']';
        match (place.is_empty(), end) {
            (_, b'}') => return Err(ArrayError::Unbalanced(self.elements)),
            (true, _) if !only_one => return Err(ArrayError::EmptyElement(self.elements + 1)),
            (true, _) => {}
            (false, _) => {
                self.elements += 1;
                self.places.push(place);
            }
        }
        self.element_start = self.bytes.len();
        self.place = if end == b']' { Place::AfterArray } else { ELEMENT };
        Ok(())
    }
}

impl<R: Read> Iterator for ArrayBlocks<R> {
    type Item = Result<Block, ArrayError>;

    fn next(&mut self) -> Option<Result<Block, ArrayError>> {
        let block = self.next_block();
        if block.is_err() {
            self.place = Place::Ended;
            self.places.clear();
        }
        block.transpose()
    }
}

/// Where the element that begins at `start` lies, without the blanks around it.
fn trimmed(bytes: &[u8], start: usize) -> Range<usize> {
    let Some(first) = bytes[start..].iter().position(|byte| !is_blank(*byte)) else { return start..start };
    let last = bytes.iter().rposition(|byte| !is_blank(*byte)).unwrap_or(start);
    start + first..last + 1
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn visible(byte: u8) -> String {
    format!("`{}`", byte.escape_ascii())
}

#[cfg(test)]
#[path = "json_array_tests.rs"]
mod tests;
