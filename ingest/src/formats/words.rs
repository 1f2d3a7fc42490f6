//! Reads a line word by word. One blank stands between words; those in quotes or brackets may hold blanks.

use std::borrow::Cow;

use super::access_line::{cut_off, quoted, text_of};
use crate::fault::Fault;

/// What has not been read of a line; none at its end.
#[derive(Debug)]
pub(super) struct Words<'a>(Option<&'a str>);

impl<'a> Words<'a> {
    pub(super) fn of(line: &'a [u8]) -> Result<Self, Fault> {
        text_of(line).map(|text| Self(Some(text)))
    }

    /// A word without quotes.
    pub(super) fn next(&mut self, what: &str) -> Result<&'a str, Fault> {
        let text = self.rest(what)?;
        let (word, rest) = match text.split_once(' ') {
            Some((word, rest)) => (word, Some(rest)),
            None => (text, None),
        };
        if word.is_empty() {
            return Err(cut_off(what));
        }
        self.0 = rest;
        Ok(word)
    }

    /// Passes words without quotes.
    pub(super) fn skip(&mut self, what: &[&str]) -> Result<(), Fault> {
        what.iter().try_for_each(|what| self.next(what).map(drop))
    }

    /// What stands in brackets.
    pub(super) fn bracketed(&mut self, what: &str) -> Result<&'a str, Fault> {
        let inner = self.rest(what)?.strip_prefix('[').ok_or_else(|| cut_off(what))?;
        let (word, rest) = inner.split_once(']').ok_or_else(|| cut_off(&format!("the bracket after {what}")))?;
        self.follow(rest, what)?;
        Ok(word)
    }

    /// What stands in quotes, where a backslash escapes a quote in the text.
    pub(super) fn escaped(&mut self, what: &str) -> Result<Cow<'a, str>, Fault> {
        let (word, rest) = quoted(self.rest(what)?, what)?;
        self.follow(rest, what)?;
        Ok(word)
    }

    /// What stands in quotes, where nothing escapes a quote in the text: the one before a blank, or before the end, is
    /// the last. `-` alone needs none.
    pub(super) fn raw_quoted(&mut self, what: &str) -> Result<&'a str, Fault> {
        let text = self.rest(what)?;
        let Some(inner) = text.strip_prefix('"') else {
            return self.next(what).and_then(|word| if word == "-" { Ok(word) } else { Err(cut_off(what)) });
        };
        let closing = inner.find("\" ").or_else(|| inner.ends_with('"').then(|| inner.len() - 1));
        let end = closing.ok_or_else(|| cut_off(&format!("the quote after {what}")))?;
        self.follow(&inner[end + 1..], what)?;
        Ok(&inner[..end])
    }

    /// As [`raw_quoted`](Self::raw_quoted), of a word behind which there are no more quotes: the line's last one ends it.
    pub(super) fn last_quoted(&mut self, what: &str) -> Result<&'a str, Fault> {
        let text = self.rest(what)?;
        let Some(inner) = text.strip_prefix('"') else { return self.raw_quoted(what) };
        let end = inner.rfind('"').ok_or_else(|| cut_off(&format!("the quote after {what}")))?;
        self.follow(&inner[end + 1..], what)?;
        Ok(&inner[..end])
    }

    /// Whether all words have been read.
    pub(super) fn is_at_end(&self) -> bool {
        self.0.is_none_or(str::is_empty)
    }

    fn rest(&self, what: &str) -> Result<&'a str, Fault> {
        self.0.ok_or_else(|| cut_off(what))
    }

    fn follow(&mut self, rest: &'a str, what: &str) -> Result<(), Fault> {
        self.0 = match rest {
            "" => None,
            rest => Some(rest.strip_prefix(' ').ok_or_else(|| cut_off(&format!("the blank after {what}")))?),
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_end_at_blanks_quotes_and_brackets() {
        let mut words = Words::of(br#"one [two words] "a \"b\" c" "say "hi"" - "last""#).unwrap();
        assert_eq!(words.next("it").unwrap(), "one");
        assert_eq!(words.bracketed("it").unwrap(), "two words");
        assert_eq!(words.escaped("it").unwrap(), "a \"b\" c");
        assert_eq!(words.raw_quoted("it").unwrap(), "say \"hi\"");
        assert_eq!(words.raw_quoted("it").unwrap(), "-");
        assert!(!words.is_at_end());
        assert_eq!(words.raw_quoted("it").unwrap(), "last");
        assert!(words.is_at_end() && words.next("it").is_err());
    }

    #[test]
    fn the_last_quoted_word_may_hold_any_quotes() {
        let mut words = Words::of(br#""a "b" c" d"#).unwrap();
        assert_eq!(words.last_quoted("it").unwrap(), "a \"b\" c");
        assert_eq!(words.next("it").unwrap(), "d");
        assert_eq!(Words::of(b"- d").unwrap().last_quoted("it").unwrap(), "-");
        assert!(Words::of(b"\"a").unwrap().last_quoted("it").is_err());
        assert!(Words::of(b"\"a\"b").unwrap().last_quoted("it").is_err());
    }

    #[test]
    fn what_is_not_closed_is_cut_off() {
        for line in ["", " x", "[a", "[a]b", "\"", "\"a", "\"a\"b", "a"] {
            let words = || Words::of(line.as_bytes()).unwrap();
            assert!(words().bracketed("it").is_err(), "{line}");
            assert!(words().escaped("it").is_err(), "{line}");
            assert!(words().raw_quoted("it").is_err(), "{line}");
        }
        assert!(Words::of(b" x").unwrap().next("it").is_err());
    }
}
