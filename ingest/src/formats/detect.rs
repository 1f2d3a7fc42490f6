//! Tells a file's format from its first lines.

use super::{FORMATS, Format, FormatError, known_names};
use crate::headers::Reading;
use crate::lines::trim_line_end;

/// How many lines are asked about, blank ones aside.
pub const DETECTION_LINES: usize = 20;

/// The format that claims the most of the first lines; none where there is no line that is not blank.
///
/// # Errors
/// There are lines, but no format claims any.
pub fn detect(start: &[u8]) -> Result<Option<&'static dyn Format>, FormatError> {
    let lines: Vec<&[u8]> = start
        .split_inclusive(|byte| *byte == b'\n')
        .map(trim_line_end)
        .filter(|line| !line.trim_ascii().is_empty())
        .take(DETECTION_LINES)
        .collect();
    if lines.is_empty() {
        return Ok(None);
    }
    let claimed = FORMATS.map(|format| claimed(format, &lines));
    let most = claimed.into_iter().max().unwrap_or(0);
    if most == 0 {
        return Err(FormatError::NotTold { known: known_names() });
    }
    Ok(FORMATS.into_iter().zip(claimed).find(|(_, count)| *count == most).map(|(format, _)| format))
}

/// How many of the lines are claimed, each as the headers before it say.
fn claimed(format: &dyn Format, lines: &[&[u8]]) -> usize {
    let mut reading = Reading::new(format, None, usize::MAX);
    let mut count = 0;
    for line in lines {
        count += usize::from(reading.format().claims(line));
        reading.takes_header(line);
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMBINED: &str = r#"1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5 "-" "curl/8""#;
    const COMMON: &str = r#"1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5"#;

    fn name(start: &str) -> Option<&'static str> {
        detect(start.as_bytes()).unwrap().map(Format::name)
    }

    #[test]
    fn the_format_of_most_lines_has_the_file() {
        assert_eq!(name(&format!("{COMMON}\n{COMBINED}\r\n\n{COMBINED}")), Some("combined"));
        assert_eq!(name(&format!("garbage\n\n{COMMON}\n")), Some("common"));
        assert_eq!(name("{\"ts\":1,\"url\":\"/\",\"status\":200}\n"), Some("ndjson"));
    }

    #[test]
    fn a_file_without_lines_has_no_format_yet() {
        assert_eq!(name(""), None);
        assert_eq!(name("\n \r\n"), None);
    }

    #[test]
    fn lines_of_no_format_are_an_error_that_lists_the_formats() {
        let error = detect(b"hello\n{\"level\":\"info\"}\n").unwrap_err();
        assert!(FORMATS.iter().all(|format| error.to_string().contains(&format!("`{}`", format.name()))));
        let text = error.to_string().replace(&known_names(), "…");
        insta::assert_snapshot!(text, @"none of the first lines is of a known format (…); name one with --format, or give the log_format");
    }
}
