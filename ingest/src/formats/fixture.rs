//! `tests/fixtures/log_formats/`: a file for each format, with lines that are events and lines that are none.

use std::collections::HashSet;
use std::path::Path;

use tally_storage::clock::Clock;

use super::Format;
use crate::event::Rules;
use crate::headers::Reading;
use crate::lines::trim_line_end;

/// Lines are as long as they like.
const MAX_LINE_BYTES: usize = usize::MAX;

/// The format's file.
pub(crate) fn read(format: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/log_formats");
    std::fs::read(folder.join(format!("{format}.log"))).unwrap()
}

/// The lines of a file, without their ends.
pub(crate) fn lines(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    file.split_inclusive(|byte| *byte == b'\n').map(trim_line_end)
}

/// The lines of the file that are no headers, each with the reading that holds for it.
pub(crate) fn readings<'f>(format: &'f dyn Format, file: &[u8]) -> Vec<(Reading<'f>, Vec<u8>)> {
    let mut reading = Reading::new(format, None, MAX_LINE_BYTES);
    let mut readings = Vec::new();
    for line in lines(file) {
        if !reading.takes_header(line) {
            readings.push((reading.clone(), line.to_vec()));
        }
    }
    readings
}

/// The file's lines, each with the fields or the fault that come of it.
pub(crate) fn snapshot(format: &dyn Format) -> String {
    let clock = Clock::fixed("2024-03-07T12:00:00Z".parse().unwrap());
    let rules = Rules::new(HashSet::new(), clock);
    let mut reading = Reading::new(format, None, MAX_LINE_BYTES);
    let mut text = String::new();
    for line in lines(&read(format.name())) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
        if !reading.takes_header(line) {
            text.push_str(&match reading.format().parse(line) {
                Ok(raw) => match rules.now().event(&mut raw.clone()) {
                    Ok(_) => format!("{raw:#?}\n\n"),
                    Err(fault) => format!("{raw:#?}\n{fault}\n\n"),
                },
                Err(fault) => format!("{fault}\n\n"),
            });
        }
    }
    text
}
