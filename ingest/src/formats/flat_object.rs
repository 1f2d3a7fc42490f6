//! The common shape of an NDJSON line, read in one pass: one flat object of texts without escapes, short numbers, `true`,
//! `false` and `null`, with at most one blank behind a comma or a colon.
//!
//! A JSON parser is ready for anything at every byte, and is most of what reading a line costs. This reader knows that one
//! shape, and never says what is wrong: whatever deviates from it is left to `serde_json`, which reads it or refuses it with
//! a reason. So there is one judge of lines, and what is read here must be what it would have read; a property test holds
//! that.

use super::json_line::Scalar;
use crate::raw::{Field, RawEvent, Value};

/// Integers of so many digits fit into 64 bits with their sign.
const INTEGER_DIGITS: usize = 18;

/// Digits of a number with a fraction: so few are exact in a double, and their quotient by a power of ten is the nearest
/// double there is, whoever computes it.
const FRACTION_DIGITS: usize = 15;

const POWERS_OF_TEN: [f64; FRACTION_DIGITS + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// The fields of a line; none where it is not of the common shape.
pub(super) fn read(line: &[u8]) -> Option<RawEvent<'_>> {
    if has_escapes(line) {
        return None;
    }
    let mut text = Unread { text: simdutf8::basic::from_utf8(line).ok()?, at: 0 };
    let mut raw = RawEvent::default();
    let mut seen = 0_u32;
    text.expect(b'{')?;
    loop {
        let field = Field::from_name(text.quoted()?);
        text.expect(b':')?;
        text.skip_blank();
        let Scalar(value) = text.value()?;
        match field {
            None => raw.unknown_fields += 1,
            Some(field) => {
                let bit = 1 << field as u32;
                if seen & bit != 0 {
                    return None;
                }
                seen |= bit;
                if let Some(value) = value {
                    raw.set(field, value);
                }
            }
        }
        match text.next()? {
            b',' => text.skip_blank(),
            b'}' => return (text.at == line.len()).then_some(raw),
            _ => return None,
        }
    }
}

/// Whether there is a backslash, or a byte that JSON does not allow in a text. Blocks of one size, of which the last may
/// lie over the one before it: so many bytes are looked at together, and none alone.
fn has_escapes(line: &[u8]) -> bool {
    let (blocks, rest) = line.as_chunks::<32>();
    let rest = line.last_chunk::<32>().map_or(rest, <[u8; 32]>::as_slice);
    blocks.iter().any(|block| any_escape(block)) || any_escape(rest)
}

/// Without an early exit.
#[expect(clippy::needless_bitwise_bool, reason = "it is what keeps a jump from between two bytes")]
fn any_escape(bytes: &[u8]) -> bool {
    bytes.iter().fold(false, |found, byte| found | (*byte < b' ') | (*byte == b'\\'))
}

/// The rest of a line, from `at` on.
struct Unread<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Unread<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    fn skip_blank(&mut self) {
        self.at += usize::from(self.peek() == Some(b' '));
    }

    /// A text, with its quotes; there are no escapes in the line.
    fn quoted(&mut self) -> Option<&'a str> {
        self.expect(b'"')?;
        let start = self.at;
        let end = start + quote_at(self.text.as_bytes().get(start..)?)?;
        self.at = end + 1;
        self.text.get(start..end)
    }

    fn value(&mut self) -> Option<Scalar<'a>> {
        Some(Scalar(match self.peek()? {
            b'"' => Some(Value::Text(self.quoted()?.into())),
            b'0'..=b'9' => Some(self.number()?),
            b't' => self.word("true", Some(Value::Bool(true)))?,
            b'f' => self.word("false", Some(Value::Bool(false)))?,
            b'n' => self.word("null", None)?,
            _ => return None,
        }))
    }

    fn word<T>(&mut self, word: &str, value: T) -> Option<T> {
        let is_there = self.text.as_bytes()[self.at..].starts_with(word.as_bytes());
        self.at += word.len();
        is_there.then_some(value)
    }

    /// A number without a sign or an exponent.
    #[expect(clippy::cast_precision_loss, reason = "a fraction's digits are few enough to be exact")]
    fn number(&mut self) -> Option<Value<'a>> {
        let start = self.at;
        let whole = self.digits(0)?;
        let whole_digits = self.at - start;
        if whole_digits > 1 && self.text.as_bytes()[start] == b'0' {
            return None;
        }
        match self.peek()? {
            b'.' => {
                self.at += 1;
                let fraction_start = self.at;
                let digits = self.digits(whole)?;
                let fraction_digits = self.at - fraction_start;
                let few = fraction_digits > 0 && whole_digits + fraction_digits <= FRACTION_DIGITS;
                (few && !self.is_at_exponent()).then(|| Value::Number(digits as f64 / POWERS_OF_TEN[fraction_digits]))
            }
            _ => (!self.is_at_exponent()).then_some(Value::Integer(whole)),
        }
    }

    /// The number that the digits go on to, where `before` is what those before them are.
    fn digits(&mut self, before: i64) -> Option<i64> {
        let start = self.at;
        let mut number = before;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            self.at += 1;
            if self.at - start > INTEGER_DIGITS {
                return None;
            }
            number = number.checked_mul(10)? + i64::from(digit - b'0');
        }
        Some(number)
    }

    fn is_at_exponent(&self) -> bool {
        matches!(self.peek(), Some(b'e' | b'E'))
    }
}

/// Where the first quote is, found eight bytes at a time: most texts of a line are short, and calling a search that is made
/// for long ones would cost more than the search.
fn quote_at(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);
    const QUOTES: u64 = u64::from_le_bytes([b'"'; 8]);
    let (words, rest) = bytes.as_chunks::<8>();
    for (place, word) in words.iter().enumerate() {
        // A byte that is a quote becomes zero, and the lowest zero byte has the lowest high bit set.
        let word = u64::from_le_bytes(*word) ^ QUOTES;
        let zeros = word.wrapping_sub(ONES) & !word & HIGHS;
        if zeros != 0 {
            return Some(place * 8 + zeros.trailing_zeros() as usize / 8);
        }
    }
    rest.iter().position(|byte| *byte == b'"').map(|at| words.len() * 8 + at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::formats::ndjson::parsed_by_serde;

    const LINE: &str = r#"{"ts":"2015-05-17T10:05:03Z","url":"/ä?b=1","status":200, "bytes": 0,"duration_ms":12.50,"cache":null,"new":true,"service":"cdn"}"#;

    fn agree(line: &[u8]) -> bool {
        read(line).is_none_or(|raw| parsed_by_serde(line) == Ok(raw))
    }

    #[test]
    fn the_common_shape_is_read() {
        let lines = [
            LINE,
            r#"{"ts":1431857103000}"#,
            r#"{"url":""}"#,
            r#"{"status": 999999999999999999, "bytes": 0.1}"#,
            r#"{"duration_ms":123456789012.345,"x":false}"#,
        ];
        for line in lines {
            assert_eq!(read(line.as_bytes()).as_ref(), parsed_by_serde(line.as_bytes()).as_ref().ok(), "{line}");
            assert!(read(line.as_bytes()).is_some(), "{line}");
        }
    }

    #[test]
    fn whatever_deviates_is_left_alone() {
        let lines = [
            "",
            "{",
            "{}",
            "[]",
            " {\"ts\":1}",
            "{\"ts\":1} ",
            "{\"ts\":1,}",
            "{\"ts\":1}{",
            "{\"ts\":01}",
            "{\"ts\":1.}",
            "{\"ts\":-1}",
            "{\"ts\":1e3}",
            "{\"ts\":1.5e3}",
            "{\"ts\":1234567890123456789}",
            "{\"ts\":0.1234567890123456}",
            "{\"ts\":1,\"ts\":1}",
            "{\"ts\":nul}",
            "{\"ts\":tru",
            "{\"ts\":[1]}",
            "{\"ts\":{}}",
            "{\"url\":\"\\n\"}",
            "{\"url\":\"\t\"}",
            "{\"ts\"  :1}",
            "{\"ts\":\t1}",
            "{ts:1}",
            "{\"ts\"",
            "{\"ts\":",
            "{\"ts\":1",
            "{\"ts\":\"1",
        ];
        for line in lines {
            assert_eq!(read(line.as_bytes()), None, "{line}");
        }
        assert_eq!(read(b"{\"url\":\"\xff\"}"), None);
    }

    #[test]
    fn the_first_quote_is_found_wherever_it_is() {
        for len in 0..40 {
            let mut bytes = vec![b'!'; len];
            assert_eq!(quote_at(&bytes), None);
            for at in (0..len).rev() {
                bytes[at] = b'"';
                assert_eq!(quote_at(&bytes), Some(at));
            }
        }
    }

    fn key() -> impl Strategy<Value = String> {
        let known: Vec<&'static str> = Field::ALL.map(Field::name).into_iter().chain(["new", "Ts", "", "ä"]).collect();
        prop::sample::select(known).prop_map(str::to_owned)
    }

    fn value() -> impl Strategy<Value = String> {
        prop_oneof![
            "\"[ -~äあ]{0,20}\"",
            "-?(0|[1-9][0-9]{0,20})",
            "(0|[1-9][0-9]{0,12})\\.[0-9]{1,8}",
            "-?[0-9]{0,2}\\.?[0-9]{0,2}([eE][+-]?[0-9]{0,3})?",
            "true|false|null|nul|\\[\\]|\\{\\}|\\[1,\"a\"\\]",
        ]
    }

    fn line() -> impl Strategy<Value = String> {
        let blank = || prop_oneof![8 => Just(""), 1 => Just(" "), 1 => Just("  ")];
        let member = (key(), blank(), blank(), value()).prop_map(|(k, a, b, v)| format!("\"{k}\"{a}:{b}{v}"));
        (prop::collection::vec(member, 0..8), blank())
            .prop_map(|(members, blank)| format!("{{{}}}", members.join(&format!(",{blank}"))))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn what_is_read_is_what_a_json_parser_reads(line in line()) {
            prop_assert!(agree(line.as_bytes()));
        }

        #[test]
        fn a_line_that_was_damaged_anywhere_is_read_alike_or_not_at_all(
            line in line(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
        ) {
            let mut line = line.into_bytes();
            let at = at.index(line.len());
            if cut { line.truncate(at) } else { line[at] = byte }
            prop_assert!(agree(&line));
        }
    }
}
