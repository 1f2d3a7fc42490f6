//! What a refused configuration is told: the setting, where its value is from, the value, and what would be right.

use figment::error::{Actual, Kind};
use figment::value::Value;
use figment::{Figment, Source};

use super::url::without_password;
use super::{ConfigError, Fault};

/// Where a value is from; none where it is the default.
fn origin(figment: &Figment, setting: &str) -> Option<String> {
    let origin = figment.find_metadata(setting)?.name.to_string();
    origin.starts_with("in ").then_some(origin)
}

/// Whether a value is from a file that a variable names, which is not shown.
fn is_secret(figment: &Figment, setting: &str) -> bool {
    figment.find_metadata(setting).is_some_and(|metadata| matches!(metadata.source, Some(Source::File(_))))
}

/// The error that `extract` gave, as a refusal.
pub(super) fn explain(figment: &Figment, error: figment::Error) -> ConfigError {
    let setting = error.path.join(".");
    let place = origin(figment, &setting).map(|origin| format!(" {origin}")).unwrap_or_default();
    let is =
        |value: String| if is_secret(figment, &setting) { " is not sound".to_owned() } else { format!(" is {value}") };
    ConfigError::Value(match error.kind {
        Kind::UnknownField(_, known) => format!("`{setting}`{place} is no setting; {}", instead(&error.path, known)),
        Kind::UnknownVariant(value, known) => {
            format!("`{setting}`{place}{}: expected `{}`", is(quoted(&value)), known.join("` or `"))
        }
        Kind::InvalidType(value, expected) | Kind::InvalidValue(value, expected) => {
            format!("`{setting}`{place}{}: expected {}", is(shown(&value)), wanted(&expected))
        }
        other => {
            let value = figment.find_value(&setting).ok().and_then(Value::into_string);
            let value = value.map(|value| is(quoted(&value))).unwrap_or_default();
            format!("`{setting}`{place}{value}: {other}")
        }
    })
}

/// What a type of the code is to whoever writes a configuration.
fn wanted(expected: &str) -> &str {
    match expected {
        "u32" | "u64" | "usize" => "a whole number from 0",
        "path string" => "the name of a folder",
        "a string" => "a text",
        "a boolean" => "`true` or `false`",
        section if section.starts_with("struct ") => "a section with keys",
        other => other,
    }
}

fn quoted(value: &str) -> String {
    format!("`{}`", without_password(value))
}

fn shown(value: &Actual) -> String {
    match value {
        Actual::Str(text) => quoted(text),
        Actual::Bool(value) => format!("`{value}`"),
        Actual::Unsigned(value) => format!("`{value}`"),
        Actual::Signed(value) => format!("`{value}`"),
        Actual::Float(value) => format!("`{value}`"),
        Actual::Map => "a section".to_owned(),
        Actual::Seq => "a list".to_owned(),
        other => other.to_string(),
    }
}

fn instead(path: &[String], known: &[&str]) -> String {
    let Some((wrong, section)) = path.split_last() else { return String::new() };
    let full = |key: &str| section.iter().map(String::as_str).chain([key]).collect::<Vec<_>>().join(".");
    let scored = known.iter().map(|key| (strsim::jaro_winkler(wrong, key), *key));
    match scored.max_by(|left, right| left.0.total_cmp(&right.0)) {
        Some((score, key)) if score > 0.8 => format!("did you mean `{}`?", full(key)),
        _ if section.is_empty() => format!("there are `{}`", known.join("`, `")),
        _ => format!("section `{}` has `{}`", section.join("."), known.join("`, `")),
    }
}

/// A fault's sentence, and where its values are from.
pub(super) fn with_origins(figment: &Figment, fault: Fault) -> String {
    let origins = fault
        .settings
        .iter()
        .filter_map(|setting| Some(format!("`{setting}` {}", origin(figment, setting)?.trim_end_matches(','))));
    let origins: Vec<String> = origins.collect();
    if origins.is_empty() { fault.sentence } else { format!("{} ({})", fault.sentence, origins.join(", ")) }
}
