//! Where the configuration comes from: defaults ← file ← environment ← command line.
//!
//! A typing error must not silently leave a default in place. So a key that is no setting is refused, and each error says
//! where the value came from, what it is, and what would be right.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{fs, io};

use figment::providers::{Format as _, Serialized, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::Config;
use super::refusal::{explain, with_origins};

/// Read where no other file is named.
const DEFAULT_FILE: &str = "config.toml";

const PREFIX: &str = "TALLY_";

/// Variables that commands read, which are no settings.
const COMMAND_VARIABLES: [&str; 4] = ["TALLY_AUTHTOKEN", "TALLY_CONFIG", "TALLY_INGEST_KEY", "TALLY_URL"];

/// What the configuration is made of.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file that `--config` names; without it `config.toml`, where there is one.
    pub file: Option<PathBuf>,
    /// The environment.
    pub variables: Vec<(OsString, OsString)>,
    /// `--log-level`, which comes before `log.level`.
    pub log_level: Option<String>,
}

/// A configuration that is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not there, or cannot be read.
    #[error("`{}` cannot be read", file.display())]
    File {
        /// Which file.
        file: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file is no TOML.
    #[error("`{file}` is no TOML: {why}")]
    Syntax {
        /// Which file.
        file: String,
        /// What the parser says.
        why: String,
    },
    /// A variable that is no text.
    #[error("the variable `{0}` is not UTF-8: expected text")]
    Variable(String),
    /// A key that is no setting, or a value that it cannot have.
    #[error("{0}")]
    Value(String),
    /// Values that make no sense.
    #[error("{}", .0.join("\n"))]
    Faults(Vec<String>),
}

impl Sources {
    /// Reads and checks the configuration.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn load(&self) -> Result<Config, ConfigError> {
        let figment = self.figment()?;
        let config: Config = figment.extract().map_err(|error| explain(&figment, error))?;
        config.validate().map_err(|faults| {
            ConfigError::Faults(faults.into_iter().map(|fault| with_origins(&figment, fault)).collect())
        })?;
        Ok(config)
    }

    fn figment(&self) -> Result<Figment, ConfigError> {
        let defaults = Figment::from(Serialized::defaults(Config::default()));
        let mut figment = defaults.clone();
        if let Some((name, text)) = self.read_file()? {
            let data = Toml::string(&text).data();
            let data = data.map_err(|error| ConfigError::Syntax { file: name.clone(), why: error.to_string() })?;
            figment = figment.merge(Source { origin: format!("in `{name}`"), data });
        }
        for (name, value) in &self.variables {
            if let Some(variable) = setting_variable(&defaults, name, value)? {
                figment = figment.merge(variable);
            }
        }
        if let Some(level) = &self.log_level {
            figment =
                figment.merge(Source::of("in `--log-level`".to_owned(), "log.level", Value::from(level.as_str())));
        }
        Ok(figment)
    }

    fn read_file(&self) -> Result<Option<(String, String)>, ConfigError> {
        let path = self.file.as_deref().unwrap_or(Path::new(DEFAULT_FILE));
        match fs::read_to_string(path) {
            Ok(text) => Ok(Some((path.display().to_string(), text))),
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.file.is_none() => Ok(None),
            Err(source) => Err(ConfigError::File { file: path.to_owned(), source }),
        }
    }
}

/// The setting that a variable stands for; none where it is not for us.
fn setting_variable(defaults: &Figment, name: &OsString, value: &OsString) -> Result<Option<Source>, ConfigError> {
    let Some(name) = name.to_str() else { return Ok(None) };
    let Some(key) = name.strip_prefix(PREFIX) else { return Ok(None) };
    if COMMAND_VARIABLES.contains(&name) || is_service_link(key) {
        return Ok(None);
    }
    let value = value.to_str().ok_or_else(|| ConfigError::Variable(name.to_owned()))?;
    let setting = key.to_lowercase().replace("__", ".");
    // A text stays one: `TALLY_DATA_DIR=2026` is no number.
    let is_text = matches!(defaults.find_value(&setting), Ok(Value::String(..)));
    let parsed = if is_text { None } else { value.parse().ok() };
    let value = parsed.unwrap_or_else(|| Value::from(value));
    Ok(Some(Source::of(format!("in the variable `{name}`"), &setting, value)))
}

/// Kubernetes tells every pod of a service `tally` by variables such as `TALLY_SERVICE_HOST` and `TALLY_PORT_80_TCP`.
fn is_service_link(key: &str) -> bool {
    let key = format!("_{key}_");
    key.contains("_SERVICE_HOST_") || key.contains("_SERVICE_PORT_") || key.contains("_PORT_")
}

/// Values and where they are from.
#[derive(Debug)]
struct Source {
    origin: String,
    data: Map<Profile, Dict>,
}

impl Source {
    fn of(origin: String, setting: &str, value: Value) -> Self {
        let nested = figment::util::nest(setting, value).into_dict().unwrap_or_default();
        Self { origin, data: Profile::Default.collect(nested) }
    }
}

impl Provider for Source {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.clone())
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        Ok(self.data.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// The configuration made of a file with that text and those variables.
    fn load(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        fs::File::create(&file).and_then(|mut file| io::Write::write_all(&mut file, text.as_bytes())).unwrap();
        let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect();
        let sources = Sources { file: Some(file), variables, log_level: None };
        sources.load().map_err(|error| error.to_string().replace(folder.path().to_str().unwrap(), ""))
    }

    #[test]
    fn the_file_of_the_repository_is_the_defaults_key_by_key() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config.toml");
        let text = fs::read_to_string(file).unwrap();
        let written: toml::Table = text.parse().unwrap();
        assert_eq!(written, toml::Table::try_from(Config::default()).unwrap());
        let lines: Vec<&str> = text.lines().collect();
        for pair in lines.windows(2).filter(|pair| pair[1].contains(" = ")) {
            assert!(pair[0].starts_with("# "), "`{}` has no comment", pair[1]);
        }
    }

    #[test]
    fn the_environment_comes_before_the_file_and_the_file_before_the_defaults() {
        let text = "[server]\nbind = '127.0.0.1:1'\nworkers = 3\n[jobs]\nconcurrency = 5";
        let config = load(text, &[("TALLY_SERVER__BIND", "[::1]:2"), ("TALLY_DATA_DIR", "/var/lib/tally")]).unwrap();
        assert_eq!(config.server.bind, "[::1]:2".parse().unwrap());
        assert_eq!((config.server.workers, config.jobs.concurrency, config.jobs.max_attempts), (3, 5, 3));
        assert_eq!(config.data_dir, Path::new("/var/lib/tally"));
        assert_eq!(load("", &[("TALLY_DATA_DIR", "2026")]).unwrap().data_dir, Path::new("2026"));
    }

    #[test]
    fn what_the_command_line_says_comes_first() {
        let variables = vec![("TALLY_LOG__LEVEL".into(), "warn".into())];
        let sources = Sources { variables, log_level: Some("debug".to_owned()), ..Sources::default() };
        assert_eq!(sources.load().unwrap().log.level, "debug");
        let sources = Sources { log_level: Some("=".to_owned()), ..Sources::default() };
        assert!(sources.load().unwrap_err().to_string().ends_with("(`log.level` in `--log-level`)"));
    }

    #[test]
    fn variables_of_the_commands_and_of_kubernetes_are_no_settings() {
        let names =
            COMMAND_VARIABLES.into_iter().chain(["TALLY_SERVICE_HOST", "TALLY_PORT", "TALLY_API_PORT_80_TCP_ADDR"]);
        let variables: Vec<(&str, &str)> = names.map(|name| (name, "x")).collect();
        assert_eq!(load("", &variables).unwrap(), Config::default());
    }

    #[test]
    fn a_refusal_names_the_setting_its_place_its_value_and_what_would_be_right() {
        let refused: [(&str, &[(&str, &str)]); 13] = [
            ("[sever]\nworkers = 1", &[]),
            ("[jobs]\nlease_second = 1", &[]),
            ("[jobs]\ncolour = 1", &[]),
            ("[server]\nbind = 'localhost'", &[]),
            ("[server]\nworkers = 'many'", &[]),
            ("[server]\ntrust_forwarded_for = 1", &[]),
            ("data_dir = 5", &[]),
            ("[log]\nformat = 'xml'", &[]),
            ("server = 1", &[]),
            ("", &[("TALLY_JOBS__LEASE_SECOND", "1")]),
            ("", &[("TALLY_PROT__X", "1")]),
            ("", &[("TALLY_JOBS__LEASE_SECONDS", "-1")]),
            (
                "[jobs]\ntime_limit_seconds = 5",
                &[("TALLY_JOBS__LEASE_SECONDS", "9"), ("TALLY_INGEST__FLUSH_BYTES", "0")],
            ),
        ];
        let said: Vec<String> = refused.iter().map(|(text, variables)| load(text, variables).unwrap_err()).collect();
        insta::assert_snapshot!(said.join("\n"));
    }

    #[test]
    fn a_named_file_must_be_there_and_be_toml() {
        let sources = Sources { file: Some("/nowhere/tally.toml".into()), ..Sources::default() };
        assert_eq!(sources.load().unwrap_err().to_string(), "`/nowhere/tally.toml` cannot be read");
        assert!(load("[server", &[]).unwrap_err().starts_with("`/config.toml` is no TOML: "));
    }

    #[test]
    fn every_setting_can_be_set_by_a_variable() {
        let defaults = toml::Table::try_from(Config::default()).unwrap();
        let mut seen = HashSet::new();
        for (section, value) in defaults {
            let keys: Vec<(String, toml::Value)> = match value {
                toml::Value::Table(keys) => {
                    keys.into_iter().map(|(key, value)| (format!("{section}__{key}"), value)).collect()
                }
                value => vec![(section, value)],
            };
            for (key, value) in keys {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let name = format!("TALLY_{}", key.to_uppercase());
                assert_eq!(load("", &[(&name, &value)]), Ok(Config::default()), "{name}={value}");
                seen.insert(name);
            }
        }
        assert!(seen.len() > 25, "{seen:?}");
    }
}
