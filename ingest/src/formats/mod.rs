//! The formats of lines, one file each. Adding one is its file and its line in [`FORMATS`].
//!
//! A format only says which field is where; [`crate::event`] says what a field may be. Beside the formats:
//!
//! | file | |
//! |---|---|
//! | `detect.rs` | tells a file's format from its first lines |
//! | `access_line.rs` | what Common and its relatives share |
//! | `fields_line.rs` | columns that a `#Fields` line names |
//! | `json_line.rs` | lines of JSON |
//! | `flat_object.rs` | lines of JSON in the shape that nearly all have |
//! | `words.rs` | lines of words, quoted or not |
//! | `percent.rs`, `seconds.rs`, `whole_url.rs`, `x_cache.rs` | values that many logs write alike |
//! | `fixture.rs` | the formats' fixtures, for tests |

use std::fmt;
use std::sync::Arc;

use crate::fault::Fault;
use crate::raw::RawEvent;

mod access_line;
mod alb;
mod caddy;
mod cloudflare;
mod cloudfront;
mod combined;
mod combined_cache;
mod common;
mod detect;
mod fastly;
mod fields_line;
#[cfg(test)]
pub(crate) mod fixture;
mod flat_object;
mod haproxy;
mod json_line;
mod ndjson;
mod nginx;
mod nginx_json;
mod percent;
mod s3;
mod seconds;
mod traefik;
mod vhost_combined;
mod w3c;
mod whole_url;
mod words;
mod x_cache;

pub use detect::{DETECTION_LINES, detect};
pub use ndjson::Ndjson;
pub use nginx::LogFormatError;

/// What knows how one kind of line is written.
pub trait Format: fmt::Debug + Send + Sync {
    /// The name that `--format` takes.
    fn name(&self) -> &'static str;

    /// What writes such lines, for help texts.
    fn describe(&self) -> &'static str;

    /// The fields of a line, which has no line end and is not blank.
    ///
    /// # Errors
    /// The line is not of this format.
    fn parse<'a>(&self, line: &'a [u8]) -> Result<RawEvent<'a>, Fault>;

    /// What header lines begin with: lines that are no events, but may say how the lines after them are written.
    fn header_mark(&self) -> Option<u8> {
        None
    }

    /// The format of the lines after a header line; none where that line changes nothing.
    fn after_header(&self, _header: &[u8]) -> Option<Arc<dyn Format>> {
        None
    }

    /// Whether a line of unknown format is of this one. The more specific format must say no less often.
    fn claims(&self, line: &[u8]) -> bool {
        self.parse(line).is_ok()
    }
}

/// Every named format, the most specific first: where two claim as many lines, the earlier one has them.
pub const FORMATS: [&dyn Format; 15] = [
    &ndjson::Ndjson,
    &vhost_combined::VhostCombined,
    &combined_cache::CombinedCache,
    &combined::Combined,
    &common::Common,
    &nginx_json::NginxJson,
    &caddy::Caddy,
    &traefik::Traefik,
    &haproxy::HaProxy,
    &cloudfront::CloudFront::START,
    &w3c::W3c::START,
    &alb::Alb,
    &s3::S3,
    &cloudflare::Cloudflare,
    &fastly::Fastly,
];

/// What `--format` asks for.
#[derive(Debug, Clone)]
pub enum Selection {
    /// Told from the first lines.
    Auto,
    /// One of [`FORMATS`].
    Named(&'static dyn Format),
    /// A `log_format` of nginx.
    Nginx(Arc<nginx::LogFormat>),
}

/// A `--format` that nothing can be done with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// No format has the name.
    #[error("format `{given}` does not exist; expected `auto`, {known} or an nginx log_format with its `$variables`")]
    Unknown {
        /// What was asked for.
        given: String,
        /// The names there are.
        known: String,
    },
    /// A `log_format` that cannot be read back.
    #[error(transparent)]
    LogFormat(#[from] LogFormatError),
    /// No format claims any of the first lines.
    #[error("none of the first lines is of a known format ({known}); name one with --format, or give the log_format")]
    NotTold {
        /// The names there are.
        known: String,
    },
}

impl std::str::FromStr for Selection {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        if text.contains('$') {
            return Ok(Self::Nginx(Arc::new(text.parse()?)));
        }
        let named = FORMATS.into_iter().find(|format| format.name() == text);
        named.map(Self::Named).ok_or_else(|| FormatError::Unknown { given: text.to_owned(), known: known_names() })
    }
}

impl Selection {
    /// The format of a file that begins with `start`; none where it holds no line yet.
    ///
    /// # Errors
    /// The format is to be told from the lines and no format claims any.
    pub fn format_of(&self, start: &[u8]) -> Result<Option<&dyn Format>, FormatError> {
        match self {
            Self::Auto => detect(start).map(|found| found.map(|format| format as &dyn Format)),
            Self::Named(format) => Ok(Some(*format)),
            Self::Nginx(format) => Ok(Some(format.as_ref())),
        }
    }
}

fn known_names() -> String {
    FORMATS.map(|format| format!("`{}`", format.name())).join(", ")
}

/// What a format makes of lines, for snapshots.
#[cfg(test)]
fn snapshot(format: &dyn Format, lines: &[&str]) -> String {
    let parsed = lines.iter().map(|line| match format.parse(line.as_bytes()) {
        Ok(raw) => format!("{line}\n{raw:#?}\n"),
        Err(fault) => format!("{line}\n{fault}\n"),
    });
    parsed.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests;
