//! Settings from the environment: `TALLY_<SECTION>__<KEY>` is the value, `TALLY_<SECTION>__<KEY>_FILE` names a file that
//! holds it, as secrets are handed to containers.
//!
//! What such a file holds may be a secret, and something else than was meant: it is in no message.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use figment::value::Value;
use figment::{Figment, Metadata};

use super::ConfigError;
use super::sources::Source;

const PREFIX: &str = "TALLY_";
const FILE: &str = "_FILE";

/// Variables that commands read, which are no settings.
const COMMAND_VARIABLES: [&str; 4] = ["TALLY_AUTHTOKEN", "TALLY_CONFIG", "TALLY_INGEST_KEY", "TALLY_URL"];

/// What the environment says of settings.
pub(super) fn read(defaults: &Figment, variables: &[(OsString, OsString)]) -> Result<Vec<Source>, ConfigError> {
    let ours =
        variables.iter().filter_map(|(name, value)| Some((name.to_str().filter(|name| is_setting(name))?, value)));
    let ours: Vec<(&str, &OsString)> = ours.collect();
    let is_set = |wanted: &str| ours.iter().any(|(name, _)| *name == wanted);
    let read = |&(name, value): &(&str, &OsString)| match name.strip_suffix(FILE) {
        Some(plain) if is_set(plain) => Err(ConfigError::Both(plain.to_owned())),
        Some(plain) => file(defaults, name, plain, Path::new(value)),
        None => {
            let value = value.to_str().ok_or_else(|| ConfigError::Variable(name.to_owned()))?;
            Ok(source(defaults, Metadata::named(format!("in the variable `{name}`")), name, value))
        }
    };
    ours.iter().map(read).collect()
}

fn file(defaults: &Figment, variable: &str, plain: &str, file: &Path) -> Result<Source, ConfigError> {
    let text = fs::read_to_string(file).map_err(|source| ConfigError::SecretFile {
        variable: variable.to_owned(),
        file: file.display().to_string(),
        source,
    })?;
    let origin = format!("in `{}`, which the variable `{variable}` names,", file.display());
    Ok(source(defaults, Metadata::from(origin, file), plain, text.trim()))
}

fn source(defaults: &Figment, origin: Metadata, variable: &str, value: &str) -> Source {
    let setting = variable.strip_prefix(PREFIX).unwrap_or(variable).to_lowercase().replace("__", ".");
    // A text stays one: `TALLY_DATA_DIR=2026` is no number.
    let is_text = matches!(defaults.find_value(&setting), Ok(Value::String(..)));
    let parsed = if is_text { None } else { value.parse().ok() };
    Source::of(origin, &setting, parsed.unwrap_or_else(|| Value::from(value)))
}

fn is_setting(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_some_and(|key| !COMMAND_VARIABLES.contains(&name) && !is_service_link(key))
}

/// Kubernetes tells every pod of a service `tally` by variables such as `TALLY_SERVICE_HOST` and `TALLY_PORT_80_TCP`.
fn is_service_link(key: &str) -> bool {
    let key = format!("_{key}_");
    key.contains("_SERVICE_HOST_") || key.contains("_SERVICE_PORT_") || key.contains("_PORT_")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::io::Write as _;

    use tempfile::NamedTempFile;

    use super::super::sources::tests::load;
    use super::*;
    use crate::config::{CatalogUrl, Config};

    fn file_with(text: &str) -> NamedTempFile {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    /// The configuration with a file of that text named by that variable; its path is `FILE` where something is said.
    fn load_file(variable: &str, text: &str) -> Result<Config, String> {
        let file = file_with(text);
        let path = file.path().to_str().unwrap();
        load("", &[(variable, path)]).map_err(|said| said.replace(path, "FILE"))
    }

    /// The variable of each setting, and its default.
    fn settings() -> Vec<(String, String)> {
        let mut settings = Vec::new();
        for (section, value) in toml::Table::try_from(Config::default()).unwrap() {
            let keys: Vec<(String, toml::Value)> = match value {
                toml::Value::Table(keys) => {
                    keys.into_iter().map(|(key, value)| (format!("{section}__{key}"), value)).collect()
                }
                value => vec![(section, value)],
            };
            for (key, value) in keys {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                settings.push((format!("TALLY_{}", key.to_uppercase()), value));
            }
        }
        settings
    }

    #[test]
    fn variables_of_the_commands_and_of_kubernetes_are_no_settings() {
        let names =
            COMMAND_VARIABLES.into_iter().chain(["TALLY_SERVICE_HOST", "TALLY_PORT", "TALLY_API_PORT_80_TCP_ADDR"]);
        let variables: Vec<(&str, &str)> = names.map(|name| (name, "x")).collect();
        assert_eq!(load("", &variables).unwrap(), Config::default());
    }

    #[test]
    fn every_setting_can_be_set_by_a_variable() {
        let mut seen = HashSet::new();
        for (name, value) in settings() {
            assert_eq!(load("", &[(&name, &value)]), Ok(Config::default()), "{name}={value}");
            seen.insert(name);
        }
        assert!(seen.len() > 25, "{seen:?}");
    }

    #[test]
    fn every_setting_can_be_set_by_a_file() {
        for (name, value) in settings() {
            assert!(!name.ends_with(FILE), "{name}");
            assert_eq!(load_file(&format!("{name}_FILE"), &format!("{value}\n")), Ok(Config::default()), "{name}");
        }
        let config = load_file("TALLY_CATALOG__URL_FILE", "\n postgres://tally:hunter2@db/tally \n").unwrap();
        assert_eq!(config.catalog.url, CatalogUrl::Postgres("postgres://tally:hunter2@db/tally".to_owned()));
    }

    #[test]
    fn what_is_wrong_in_a_file_is_told_without_what_is_in_it() {
        let refused = [
            ("TALLY_CATALOG__URL_FILE", "hunter2"),
            ("TALLY_QUEUE__URL_FILE", "redis://:hunter2@cache:x"),
            ("TALLY_QUEUE__POLL_MS_FILE", "hunter2"),
            ("TALLY_LOG__FORMAT_FILE", "hunter2"),
            ("TALLY_QUEUE__ULR_FILE", "hunter2"),
        ];
        let said = refused.map(|(variable, text)| load_file(variable, text).unwrap_err());
        insta::assert_snapshot!(said.join("\n"));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named_with_its_variable() {
        let said = load("", &[("TALLY_QUEUE__URL_FILE", "/nowhere/queue_url")]).unwrap_err();
        assert_eq!(said, "`/nowhere/queue_url`, which the variable `TALLY_QUEUE__URL_FILE` names, cannot be read");
    }

    #[test]
    fn a_value_and_a_file_for_the_same_setting_are_refused() {
        let file = file_with("redis://cache");
        let path = file.path().to_str().unwrap();
        let said = load("", &[("TALLY_QUEUE__URL", "redis://cache"), ("TALLY_QUEUE__URL_FILE", path)]).unwrap_err();
        let both = "the variables `TALLY_QUEUE__URL` and `TALLY_QUEUE__URL_FILE` are both set: expected one of them";
        assert_eq!(said, both);
    }
}
