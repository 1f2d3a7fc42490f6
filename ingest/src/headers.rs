//! Follows header lines, which say how the lines after them are written: `#Fields` and its like.
//!
//! They are followed twice. Once in the order of the input, so that every block knows what holds at its first line;
//! this looks at nothing but the headers. And once more within each block, by the thread that parses it. So a header in
//! the middle of a file holds for exactly the lines after it, on any number of threads.

use std::io::{self, Read};
use std::sync::Arc;

use memchr::memmem;

use crate::block::Block;
use crate::formats::Format;
use crate::lines::{LineBlocks, trim_line_end};

const BLOCK_BYTES: usize = 1 << 20;

/// A format, and what header lines have made of it so far.
#[derive(Debug, Clone)]
pub(crate) struct Reading<'f> {
    named: &'f dyn Format,
    headed: Option<Arc<dyn Format>>,
    mark: Option<u8>,
    max_line_bytes: usize,
}

impl<'f> Reading<'f> {
    /// Lines of `named`, after the headers that made `headed` of it. Longer lines are none of its headers.
    pub(crate) fn new(named: &'f dyn Format, headed: Option<Arc<dyn Format>>, max_line_bytes: usize) -> Self {
        Self { named, headed, mark: named.header_mark(), max_line_bytes }
    }

    /// Whether there are header lines in this format.
    pub(crate) fn has_headers(&self) -> bool {
        self.mark.is_some()
    }

    /// How the next line is written.
    pub(crate) fn format(&self) -> &dyn Format {
        self.headed.as_deref().unwrap_or(self.named)
    }

    /// What the headers so far have made of the format.
    pub(crate) fn into_headed(self) -> Option<Arc<dyn Format>> {
        self.headed
    }

    /// Whether the line is a header. If so it holds for the lines after it.
    pub(crate) fn takes_header(&mut self, line: &[u8]) -> bool {
        let is_header = self.mark.is_some() && line.first().copied() == self.mark && line.len() <= self.max_line_bytes;
        if is_header {
            self.headed = self.format().after_header(line).or_else(|| self.headed.take());
        }
        is_header
    }

    /// Tells the block what holds at its first line, and passes over it.
    pub(crate) fn enter(&mut self, block: &mut Block) {
        block.headed.clone_from(&self.headed);
        let Some(mark) = self.mark else { return };
        let first = block.places().next().map(|place| place.start);
        let line_start = [b'\n', mark];
        let starts = first.into_iter().chain(memmem::find_iter(&block.bytes, &line_start).map(|at| at + 1));
        for start in starts {
            let line = &block.bytes[start..];
            let end = memchr::memchr(b'\n', line).map_or(line.len(), |at| at + 1);
            self.takes_header(trim_line_end(&line[..end]));
        }
    }

    /// Passes over all of the input, which is the beginning of a file.
    pub(crate) fn pass(&mut self, input: impl Read) -> io::Result<()> {
        for block in LineBlocks::new(input, 0, BLOCK_BYTES, self.max_line_bytes) {
            self.enter(&mut block?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fault::Fault;
    use crate::raw::{Field, RawEvent, Value};

    /// Lines whose fields a header's number tells: every event has it as its status.
    #[derive(Debug, Default)]
    struct Numbered(i64);

    impl Format for Numbered {
        fn name(&self) -> &'static str {
            "numbered"
        }

        fn describe(&self) -> &'static str {
            "lines for a test"
        }

        fn parse<'a>(&self, _: &'a [u8]) -> Result<RawEvent<'a>, Fault> {
            let mut raw = RawEvent::default();
            raw.set(Field::Status, Value::Integer(self.0));
            Ok(raw)
        }

        fn header_mark(&self) -> Option<u8> {
            Some(b'#')
        }

        fn after_header(&self, header: &[u8]) -> Option<Arc<dyn Format>> {
            let number = std::str::from_utf8(&header[1..]).ok()?.parse().ok()?;
            Some(Arc::new(Self(number)))
        }
    }

    /// The number that holds for each line that is no header, as a run in blocks of that size finds it.
    fn numbers(text: &str, block_bytes: usize) -> Vec<Value<'static>> {
        let named = Numbered::default();
        let mut passing = Reading::new(&named, None, 16);
        let mut numbers = Vec::new();
        for block in LineBlocks::new(text.as_bytes(), 0, block_bytes, 16) {
            let mut block = block.unwrap();
            passing.enter(&mut block);
            let mut reading = Reading::new(&named, block.headed.clone(), 16);
            for place in block.places() {
                let line = &block.bytes[place];
                if !line.is_empty() && !reading.takes_header(line) {
                    let raw = reading.format().parse(line).unwrap();
                    let Some(Value::Integer(number)) = raw.get(Field::Status) else { unreachable!() };
                    numbers.push(Value::Integer(*number));
                }
            }
        }
        numbers
    }

    proptest! {
        #[test]
        fn a_header_holds_for_the_lines_after_it_whatever_the_blocks(
            lines in prop::collection::vec("#[0-9]{1,3}|#x|line|a#1|#[0-9]{20}|", 0..40), block_bytes in 1_usize..64,
            end in "\r?\n",
        ) {
            let text: String = ["\u{feff}".to_owned()].into_iter().chain(lines.iter().map(|line| format!("{line}{end}"))).collect();
            let mut expected = Vec::new();
            let mut number = 0;
            for line in lines.iter().filter(|line| !line.is_empty()) {
                match line.strip_prefix('#').filter(|_| line.len() <= 16) {
                    Some(given) => number = given.parse().unwrap_or(number),
                    None => expected.push(Value::Integer(number)),
                }
            }
            prop_assert_eq!(&numbers(&text, block_bytes), &expected);
            prop_assert_eq!(&numbers(&text, 1 << 20), &expected);
            let named = Numbered::default();
            let mut reading = Reading::new(&named, None, 16);
            reading.pass(text.as_bytes()).unwrap();
            let raw = reading.format().parse(b"").unwrap();
            prop_assert_eq!(raw.get(Field::Status), Some(&Value::Integer(number)));
        }
    }

    #[test]
    fn a_format_without_a_mark_has_no_headers() {
        let combined = crate::formats::FORMATS.into_iter().find(|format| format.name() == "combined").unwrap();
        let mut reading = Reading::new(combined, None, 64);
        assert!(!reading.takes_header(b"#Fields: date time"));
    }
}
