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

use super::refusal::{explain, with_origins};
use super::{Config, variables};

/// Read where no other file is named.
const DEFAULT_FILE: &str = "config.toml";

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
    /// A file that a variable names is not there, or cannot be read.
    #[error("`{file}`, which the variable `{variable}` names, cannot be read")]
    SecretFile {
        /// Which variable.
        variable: String,
        /// Which file.
        file: String,
        /// Why not.
        source: io::Error,
    },
    /// A setting that the environment sets in two ways.
    #[error("the variables `{0}` and `{0}_FILE` are both set: expected one of them")]
    Both(String),
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
            figment = figment.merge(Source { origin: Metadata::named(format!("in `{name}`")), data });
        }
        for variable in variables::read(&defaults, &self.variables)? {
            figment = figment.merge(variable);
        }
        if let Some(level) = &self.log_level {
            let origin = Metadata::named("in `--log-level`");
            figment = figment.merge(Source::of(origin, "log.level", Value::from(level.as_str())));
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

/// Values and where they are from.
#[derive(Debug)]
pub(super) struct Source {
    origin: Metadata,
    data: Map<Profile, Dict>,
}

impl Source {
    pub(super) fn of(origin: Metadata, setting: &str, value: Value) -> Self {
        let nested = figment::util::nest(setting, value).into_dict().unwrap_or_default();
        Self { origin, data: Profile::Default.collect(nested) }
    }
}

impl Provider for Source {
    fn metadata(&self) -> Metadata {
        self.origin.clone()
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        Ok(self.data.clone())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The configuration made of a file with that text and those variables.
    pub(in crate::config) fn load(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
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
    fn a_refusal_names_the_setting_its_place_its_value_and_what_would_be_right() {
        let refused: [(&str, &[(&str, &str)]); 18] = [
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
            ("[catalog]\nurl = 'mysql://tally:hunter2@db/tally'", &[]),
            ("[catalog]\nurl = 5", &[]),
            ("[queue]\nurl = 'redis://:hunter2@cache:x'", &[]),
            ("", &[("TALLY_QUEUE__URL", "redis://:hunter2")]),
            ("[queue]\nprefix = 'Ours'\npoll_ms = 0", &[]),
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
}
