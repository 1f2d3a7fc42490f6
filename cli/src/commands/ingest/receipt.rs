//! The end of a run: what was counted, what was not and why, and the exit status that says it.

use std::error::Error as _;
use std::fmt::Write as _;
use std::io::Write;

use anyhow::anyhow;
use indicatif::HumanCount;
use serde::Serialize;
use tally_ingest::files::{FileError, Report};

use super::stop::STOPPED;

/// Rejected lines that are shown to people; `--json` shows more, `--rejects` all.
const SHOWN_ERRORS: usize = 10;
const ALL: u8 = 0;
const PARTLY: u8 = 2;

/// A file that was not read to its end.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) file: String,
    pub(super) error: FileError,
}

#[derive(Serialize)]
struct Receipt<'a> {
    #[serde(flatten)]
    report: &'a Report,
    failures: Vec<FailureLine<'a>>,
}

#[derive(Serialize)]
struct FailureLine<'a> {
    file: &'a str,
    reason: String,
}

/// Writes the receipt and says how to exit.
///
/// # Errors
/// Where a failure left nothing done, that failure.
pub(super) fn answer(report: &Report, failures: &[Failure], json: bool, out: &mut dyn Write) -> anyhow::Result<u8> {
    let stopped = failures.iter().any(|failure| matches!(failure.error, FileError::Cancelled));
    if report.accepted + report.duplicates + report.rejected == 0 && !stopped && !failures.is_empty() {
        let reasons: Vec<String> = failures.iter().map(Failure::sentence).collect();
        return Err(anyhow!("{}", reasons.join("\n")));
    }
    let text = if json { as_json(report, failures)? } else { as_text(report, failures) };
    writeln!(out, "{}", text.trim_end())?;
    out.flush()?;
    Ok(if stopped {
        STOPPED
    } else if report.rejected > 0 || !failures.is_empty() {
        PARTLY
    } else {
        ALL
    })
}

impl Failure {
    fn sentence(&self) -> String {
        format!("`{}` {}", self.file, self.reason())
    }

    fn reason(&self) -> String {
        let mut text = self.error.to_string();
        let mut source = self.error.source();
        while let Some(cause) = source {
            // Writing to a string cannot fail.
            write!(text, ": {cause}").ok();
            source = cause.source();
        }
        text
    }
}

fn as_json(report: &Report, failures: &[Failure]) -> serde_json::Result<String> {
    let failures = failures.iter().map(|failure| FailureLine { file: &failure.file, reason: failure.reason() });
    serde_json::to_string(&Receipt { report, failures: failures.collect() })
}

fn as_text(report: &Report, failures: &[Failure]) -> String {
    let resumed = report.files.iter().any(|file| file.resumed_at > 0);
    if resumed && failures.is_empty() && report.accepted + report.duplicates + report.rejected == 0 {
        return "nothing new: all of it was counted before".to_owned();
    }
    let mut text = format!("{} accepted", HumanCount(report.accepted));
    for (count, what) in [
        (report.duplicates, "counted before"),
        (report.rejected, "rejected"),
        (report.unknown_fields, "unknown fields left out"),
    ] {
        if count > 0 {
            write!(text, ", {} {what}", HumanCount(count)).ok();
        }
    }
    for at in report.errors.iter().take(SHOWN_ERRORS) {
        write!(text, "\n  {}:{}: {}: {}", at.file, at.error.line, at.error.field, at.error.reason).ok();
    }
    if report.rejected > SHOWN_ERRORS as u64 {
        write!(text, "\n  … and {} more; --rejects FILE keeps them all", report.rejected - SHOWN_ERRORS as u64).ok();
    }
    for failure in failures {
        write!(text, "\n{}", failure.sentence()).ok();
    }
    if !failures.is_empty() {
        text.push_str("\nthe same command again goes on where this one ended");
    }
    text
}
