//! docs/configuration.md names every setting, in order, with its variable, default and range; what else is in its tables is
//! written by hand. `make bless` writes these four columns anew.

use std::collections::HashMap;
use std::path::Path;
use std::{env, fs};

use super::Config;

const HEAD: &str = "| setting | variable | default | range | |\n|---|---|---|---|---|\n";

/// A setting's section and key, and its default as TOML writes it.
struct Setting {
    section: String,
    key: String,
    default: String,
}

fn settings() -> Vec<Setting> {
    let mut section = String::new();
    let mut settings = Vec::new();
    for line in toml::to_string(&Config::default()).unwrap().lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
        } else if let Some((key, default)) = line.split_once(" = ") {
            settings.push(Setting { section: section.clone(), key: key.to_owned(), default: default.to_owned() });
        }
    }
    settings
}

impl Setting {
    fn row(&self, text: &str) -> String {
        let (key, variable, default, range) = (&self.key, self.variable(), self.default(), self.range());
        format!("| `{key}` | `{variable}` | {default} | {range} | {text} |\n")
    }

    fn variable(&self) -> String {
        let section = if self.section.is_empty() { String::new() } else { format!("{}__", self.section) };
        format!("TALLY_{section}{}", self.key).to_uppercase()
    }

    fn default(&self) -> String {
        let default = &self.default;
        match self.key.rsplit('_').next() {
            Some("seconds") => format!("{default} s"),
            Some("ms") => format!("{default} ms"),
            Some("hours") => format!("{default} h"),
            Some("bytes") => format!("{default} ({})", binary(default.parse().unwrap())),
            _ if default.parse::<u64>().is_ok() => default.clone(),
            _ => format!("`{}`", default.trim_matches('"')),
        }
    }

    fn range(&self) -> String {
        let name = format!("{}.{}", self.section, self.key);
        let ranges = Config::default().ranges();
        let range = ranges.into_iter().find_map(|(setting, _, range)| (setting == name).then_some(range));
        match range.map(|range| (*range.start(), *range.end())) {
            Some((least, u64::MAX)) => format!("from {least}"),
            Some((least, most)) => format!("{least} to {most}"),
            None if self.default.parse::<u64>().is_ok() => "from 0".to_owned(),
            None => String::new(),
        }
    }
}

/// Bytes in the largest unit that divides them.
fn binary(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let fitting = units.into_iter().find(|(bits, _)| bytes.trailing_zeros() >= *bits);
    fitting.map_or(format!("{bytes} B"), |(bits, unit)| format!("{} {unit}", bytes >> bits))
}

/// The page with its tables as the code says, and the last column as it was.
fn rewritten(page: &str) -> String {
    let mut parts = page.split("\n## ");
    let mut written = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let heading = part.lines().next().unwrap_or_default();
        let section = heading.strip_prefix("`[").and_then(|rest| rest.strip_suffix("]`"));
        let section = section.or((heading == "Top level").then_some(""));
        written += "\n## ";
        written += &section.map_or_else(|| part.to_owned(), |section| with_table(part, section));
    }
    written
}

fn with_table(part: &str, section: &str) -> String {
    let is_row = |line: &&str| line.starts_with('|');
    let texts: HashMap<&str, &str> = part.lines().filter(is_row).filter_map(key_and_text).collect();
    let rows = settings().into_iter().filter(|setting| setting.section == section);
    let rows: String = rows.map(|setting| setting.row(texts.get(setting.key.as_str()).unwrap_or(&""))).collect();
    let before: String = part.lines().take_while(|line| !is_row(line)).map(|line| format!("{line}\n")).collect();
    let table = part.lines().skip_while(|line| !is_row(line)).skip_while(is_row);
    let after: String = table.map(|line| format!("{line}\n")).collect();
    format!("{before}{HEAD}{rows}{after}")
}

fn key_and_text(row: &str) -> Option<(&str, &str)> {
    let key = row.split('`').nth(1)?;
    let text = row.trim_end_matches('|').rsplit('|').next()?;
    Some((key, text.trim()))
}

#[test]
#[expect(clippy::disallowed_methods, reason = "`make bless` rewrites the file that this test compares")]
fn the_page_about_the_configuration_says_of_every_setting_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let page = fs::read_to_string(&path).unwrap();
    let right = rewritten(&page);
    if env::var_os("BLESS").is_some() {
        fs::write(&path, &right).unwrap();
    }
    let page = fs::read_to_string(&path).unwrap();
    assert_eq!(page, right, "`make bless` writes {}", path.display());
    for setting in settings() {
        let name = format!("`{}`", setting.variable());
        let row = page.lines().find(|line| line.contains(&name) && line.starts_with('|'));
        assert!(row.is_some_and(|row| !row.ends_with("|  |")), "{name} is not explained");
    }
}
