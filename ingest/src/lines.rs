//! Cuts a stream into blocks of whole lines, in constant memory.
//!
//! A line too long for a block is not held. Its start is kept, long enough for the line to be refused, and its last bytes,
//! by which the ledger knows the place; what lies between is dropped.

use std::io::{self, Read};
use std::mem;

use memchr::{memchr, memchr_iter, memrchr};

use tally_storage::events::ledger::TAIL_BYTES;

use crate::block::{Block, Cut};
use crate::buffer::{Buffer, SpareBuffers};

/// Lines in a block at most, so that a block of blank or broken lines costs no more than others.
const MAX_BLOCK_LINES: usize = 32 * 1024;

/// The line without `\n` or `\r\n`.
pub(crate) fn trim_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The blocks of a stream. After an error there is none more.
#[derive(Debug)]
pub(crate) struct LineBlocks<R> {
    input: R,
    block_bytes: usize,
    max_line_bytes: usize,
    /// Read, but not part of a block yet.
    carry: Buffer,
    /// Where `carry` begins in the decompressed input.
    offset: u64,
    state: State,
    spare: SpareBuffers,
}

#[derive(Debug)]
enum State {
    Reading,
    /// The input failed; whole lines before the failure come first.
    Failed(io::Error),
    Ended,
}

impl<R: Read> LineBlocks<R> {
    /// Cuts `input`, whose first byte is at `offset` of the decompressed whole.
    pub(crate) fn new(input: R, offset: u64, block_bytes: usize, max_line_bytes: usize) -> Self {
        // A block must hold a line of the longest kind with its end, and one byte more to know a longer one.
        let block_bytes = block_bytes.max(max_line_bytes + 3);
        let (carry, state, spare) = (Buffer::default(), State::Reading, SpareBuffers::default());
        Self { input, block_bytes, max_line_bytes, carry, offset, state, spare }
    }

    /// Where the buffers of blocks go that are done with.
    pub(crate) fn spare(&self) -> SpareBuffers {
        self.spare.clone()
    }

    /// Fills what was carried over up to a block.
    fn fill(&mut self) {
        loop {
            let room = self.carry.room(self.block_bytes);
            if room.is_empty() {
                return;
            }
            match self.input.read(room) {
                Ok(0) => {
                    self.state = State::Ended;
                    return;
                }
                Ok(read) => self.carry.fill(read),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.state = State::Failed(error);
                    return;
                }
            }
        }
    }

    fn next_block(&mut self) -> io::Result<Option<Block>> {
        if matches!(self.state, State::Reading) {
            self.fill();
        }
        let mut bytes = mem::take(&mut self.carry);
        let end = self.block_end(&bytes);
        self.carry = self.spare.take(&bytes[end..]);
        bytes.truncate(end);
        self.offset += bytes.len() as u64;
        if bytes.is_empty() {
            return self.without_line_end();
        }
        Ok(Some(Block { bytes, end: self.offset, cut: Cut::Lines, headed: None }))
    }

    /// How many of the bytes are the next block; none where no line ends in them.
    fn block_end(&self, bytes: &[u8]) -> usize {
        // Counting all line ends is much faster than finding one of them.
        if memchr_iter(b'\n', bytes).count() >= MAX_BLOCK_LINES {
            return memchr_iter(b'\n', bytes).nth(MAX_BLOCK_LINES - 1).map_or(0, |last| last + 1);
        }
        match (&self.state, memrchr(b'\n', bytes)) {
            (State::Ended, _) => bytes.len(),
            (_, Some(last)) => last + 1,
            (_, None) => 0,
        }
    }

    fn without_line_end(&mut self) -> io::Result<Option<Block>> {
        match mem::replace(&mut self.state, State::Ended) {
            State::Failed(error) => {
                self.carry.truncate(0);
                Err(error)
            }
            State::Reading => self.skip_long_line().map(Some),
            State::Ended => Ok(None),
        }
    }

    /// A line that fills a whole block, as a block without its middle.
    fn skip_long_line(&mut self) -> io::Result<Block> {
        let mut bytes = self.carry.to_vec();
        self.carry.truncate(0);
        let mut line_bytes = bytes.len() as u64;
        let mut last = bytes.split_off(self.max_line_bytes + 2);
        let mut chunk = Vec::with_capacity(self.block_bytes);
        while last.last() != Some(&b'\n') {
            chunk.clear();
            self.input.by_ref().take(self.block_bytes as u64).read_to_end(&mut chunk)?;
            if chunk.is_empty() {
                break;
            }
            self.carry = chunk.split_off(memchr(b'\n', &chunk).map_or(chunk.len(), |at| at + 1)).into();
            line_bytes += chunk.len() as u64;
            keep_last(&mut last, &chunk, TAIL_BYTES);
        }
        if last.last() == Some(&b'\n') {
            self.state = State::Reading;
        }
        bytes.append(&mut last);
        self.offset += line_bytes;
        Ok(Block { bytes: bytes.into(), end: self.offset, cut: Cut::Lines, headed: None })
    }
}

/// Appends to a window that holds the last `count` bytes of all that it was given.
pub(crate) fn keep_last(window: &mut Vec<u8>, bytes: &[u8], count: usize) {
    window.extend_from_slice(&bytes[bytes.len().saturating_sub(count)..]);
    window.drain(..window.len().saturating_sub(count));
}

impl<R: Read> Iterator for LineBlocks<R> {
    type Item = io::Result<Block>;

    fn next(&mut self) -> Option<io::Result<Block>> {
        self.next_block().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_input::{Failing, Trickle};
    use proptest::prelude::*;

    fn lines(input: impl Read, block_bytes: usize, max_line_bytes: usize) -> (Vec<Vec<u8>>, Vec<u64>) {
        let (mut lines, mut ends) = (Vec::new(), Vec::new());
        let blocks = LineBlocks::new(input, 0, block_bytes, max_line_bytes);
        let spare = blocks.spare();
        for block in blocks {
            let block = block.unwrap();
            lines.extend(block.pieces().into_iter().map(<[u8]>::to_vec));
            ends.push(block.end);
            spare.put(block.bytes);
        }
        (lines, ends)
    }

    proptest! {
        #[test]
        fn lines_are_the_same_however_the_input_arrives(
            text in "[ab\r\n]{0,200}", block_bytes in 1_usize..64, step in 1_usize..16,
        ) {
            let whole: Vec<Vec<u8>> =
                text.split_inclusive('\n').map(|line| trim_line_end(line.as_bytes()).to_vec()).collect();
            let longest = text.split('\n').map(str::len).max().unwrap_or(0);
            let (cut, ends) = lines(Trickle::new(text.as_bytes(), step), block_bytes, longest);
            prop_assert_eq!(cut, whole);
            prop_assert_eq!(ends.last().copied().unwrap_or(0), text.len() as u64);
        }

        #[test]
        fn a_long_line_keeps_its_start_and_its_neighbours(long in 20_usize..300, block_bytes in 1_usize..40) {
            let text = format!("first\n{}\nlast", "x".repeat(long));
            let (cut, ends) = lines(text.as_bytes(), block_bytes, 8);
            prop_assert_eq!(cut.len(), 3);
            prop_assert_eq!(&cut[0], b"first");
            prop_assert!(cut[1].len() > 8 && cut[1].iter().all(|byte| *byte == b'x'));
            prop_assert_eq!(&cut[2], b"last");
            prop_assert_eq!(ends.last().copied(), Some(text.len() as u64));
        }
    }

    #[test]
    fn whole_lines_before_a_failure_come_first_and_the_broken_one_does_not() {
        let mut blocks = LineBlocks::new(Failing::after(b"one\ntwo\nthr"), 0, 1024, 64);
        let block = blocks.next().unwrap().unwrap();
        assert_eq!((&*block.bytes, block.end), (b"one\ntwo\n".as_slice(), 8));
        assert!(blocks.next().unwrap().is_err());
        assert!(blocks.next().is_none());
    }

    #[test]
    fn a_block_has_a_bounded_number_of_lines() {
        let text = "\n".repeat(MAX_BLOCK_LINES * 2 + 5);
        let sizes: Vec<usize> =
            LineBlocks::new(text.as_bytes(), 0, 1 << 20, 64).map(|block| block.unwrap().bytes.len()).collect();
        assert_eq!(sizes, [MAX_BLOCK_LINES, MAX_BLOCK_LINES, 5]);
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_line_but_of_the_offset() {
        let (cut, ends) = lines(b"\xef\xbb\xbfone\n".as_slice(), 64, 64);
        assert_eq!((cut, ends), (vec![b"one".to_vec()], vec![7]));
    }

    #[test]
    fn a_long_line_keeps_the_last_bytes_of_the_input() {
        let text: Vec<u8> = (0..20_000_u32).map(|number| b'a' + (number % 26) as u8).chain([b'\n']).collect();
        let block = LineBlocks::new(text.as_slice(), 0, 64, 16).next().unwrap().unwrap();
        assert!(block.bytes.ends_with(&text[text.len() - TAIL_BYTES..]) && block.bytes.len() < TAIL_BYTES + 64);
    }
}
