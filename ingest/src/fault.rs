//! Why one line is no event.

use std::fmt;

/// Longest part of a value that a reason repeats, in characters.
const SHOWN_CHARS: usize = 80;

/// The field at fault of a line that cannot be read at all.
pub const WHOLE_LINE: &str = "line";

/// One fault of one line: where it is, what is there, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The field at fault, or [`WHOLE_LINE`].
    pub field: &'static str,
    /// The sentence for whoever wrote the line.
    pub reason: String,
}

impl Fault {
    /// A fault of `field`.
    pub(crate) fn new(field: &'static str, reason: impl Into<String>) -> Self {
        Self { field, reason: reason.into() }
    }

    /// A fault of the line as a whole.
    pub(crate) fn line(reason: impl Into<String>) -> Self {
        Self::new(WHOLE_LINE, reason)
    }

    /// The line is longer than it may be.
    pub(crate) fn too_long(max_line_bytes: usize) -> Self {
        Self::line(format!("is longer than {max_line_bytes} bytes"))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.field, self.reason)
    }
}

/// The value as a reason repeats it: in backticks, cut after [`SHOWN_CHARS`] characters, control characters escaped.
pub(crate) fn shown(value: &str) -> String {
    let cut = value.char_indices().nth(SHOWN_CHARS).map(|(at, _)| at);
    let mut text = String::from("`");
    for char in value[..cut.unwrap_or(value.len())].chars() {
        if char.is_control() { text.extend(char.escape_default()) } else { text.push(char) }
    }
    text.push_str(if cut.is_some() { "…`" } else { "`" });
    text
}

/// [`shown`] for bytes that may be no text.
pub(crate) fn shown_bytes(value: &[u8]) -> String {
    let start = &value[..value.len().min(4 * SHOWN_CHARS + 4)];
    shown(&String::from_utf8_lossy(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_cut_between_characters() {
        let long = "é".repeat(200);
        assert_eq!(shown(&long), format!("`{}…`", "é".repeat(80)));
        assert_eq!(shown_bytes(long.as_bytes()), shown(&long));
        assert_eq!(shown("short"), "`short`");
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(shown("a\u{1}\tb"), r"`a\u{1}\tb`");
    }
}
