//! `tally check`: whether the configuration is sound.

use std::io::Write;

use crate::config::Config;

/// The options of `tally check`.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct CheckArgs {
    /// Print every setting with the value that holds, as TOML
    #[arg(long)]
    pub print: bool,
}

impl CheckArgs {
    /// Answers for a configuration that was read, and so is sound.
    ///
    /// # Errors
    /// When the answer cannot be written.
    pub fn run(self, config: &Config, out: &mut impl Write) -> anyhow::Result<()> {
        if self.print {
            write!(out, "{}", toml::to_string(config)?)?;
        } else {
            writeln!(out, "the configuration is sound")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_a_configuration_again() {
        let mut out = Vec::new();
        CheckArgs { print: true }.run(&Config::default(), &mut out).unwrap();
        let printed: Config = toml::from_str(&String::from_utf8(out).unwrap()).unwrap();
        assert_eq!(printed, Config::default());
    }
}
