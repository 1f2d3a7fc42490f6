//! What an operator is asked for: passwords, secrets and the word that confirms a deletion.
//!
//! Questions go to the terminal, never to standard output, which belongs to the answer. Where there is no terminal,
//! nothing is asked and the error says which option gives the answer.

use std::fmt;
use std::io::{self, BufRead, BufReader, IsTerminal as _, Read as _, Write};

use anyhow::{Context as _, bail, ensure};
use tally_storage::password::Password;

/// Far over any password or secret, so that a wrong file on standard input does not fill the memory.
const MAX_LINE_LEN: u64 = 16 * 1024;

/// Asks the operator.
pub struct Prompt {
    input: Box<dyn BufRead + Send>,
    /// Where questions go, if there is somebody to ask.
    terminal: Option<Box<dyn Write + Send>>,
}

impl Prompt {
    /// Reads from standard input; asks where that is a terminal.
    #[must_use]
    pub fn stdin() -> Self {
        let (stdin, stderr) = (io::stdin(), io::stderr());
        if stdin.is_terminal() && stderr.is_terminal() {
            return Self::asking(BufReader::new(stdin), stderr);
        }
        Self::piped(BufReader::new(stdin))
    }

    /// Reads from where nobody can be asked.
    #[must_use]
    pub fn piped(input: impl BufRead + Send + 'static) -> Self {
        Self { input: Box::new(input), terminal: None }
    }

    /// Reads the answers from one side of a terminal and writes the questions to the other.
    #[must_use]
    pub fn asking(input: impl BufRead + Send + 'static, terminal: impl Write + Send + 'static) -> Self {
        Self { input: Box::new(input), terminal: Some(Box::new(terminal)) }
    }

    /// Goes on after `--yes`, or once the operator has typed the expected word.
    ///
    /// # Errors
    /// When another word is typed, or nobody can be asked.
    pub fn confirm(&mut self, consequence: &str, expected: &str, yes: bool) -> anyhow::Result<()> {
        if yes {
            return Ok(());
        }
        let Some(terminal) = &mut self.terminal else {
            bail!("{consequence}; there is no terminal to ask on, so confirm with `--yes`");
        };
        write!(terminal, "{consequence}.\nType `{expected}` to go on: ")?;
        terminal.flush()?;
        let typed = self.line()?;
        ensure!(typed.trim() == expected, "nothing was deleted: `{}` is not `{expected}`", typed.trim());
        Ok(())
    }

    /// A password to be set: one line of standard input, or typed twice, unseen, on the terminal.
    ///
    /// # Errors
    /// When it is unfit, the two differ, or nobody can be asked.
    pub fn new_password(&mut self, from_stdin: bool) -> anyhow::Result<Password> {
        if from_stdin {
            return Ok(Password::new(self.line()?)?);
        }
        ensure!(
            self.terminal.is_some(),
            "there is no terminal to ask for the password: send it as a line to `--password-stdin`"
        );
        let typed = rpassword::prompt_password("Password: ").context("cannot read the password")?;
        let password = Password::new(typed.clone())?;
        let again = rpassword::prompt_password("Again: ").context("cannot read the password")?;
        if typed != again {
            bail!("the two passwords differ");
        }
        Ok(password)
    }

    /// One line of standard input, without its end.
    ///
    /// # Errors
    /// When it cannot be read or is longer than any secret.
    pub fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        let len = (&mut self.input).take(MAX_LINE_LEN).read_line(&mut line).context("cannot read standard input")?;
        ensure!((len as u64) < MAX_LINE_LEN, "the line on standard input is longer than {MAX_LINE_LEN} bytes");
        let text = line.strip_suffix('\n').unwrap_or(&line);
        Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
    }
}

impl fmt::Debug for Prompt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Prompt").field("is_terminal", &self.terminal.is_some()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::tests::Written;

    fn piped(text: &str) -> Prompt {
        Prompt::piped(io::Cursor::new(text.to_owned()))
    }

    #[test]
    fn a_line_loses_its_end_and_keeps_its_blanks() {
        let mut prompt = piped(" a b \r\nsecond");
        assert_eq!(prompt.line().unwrap(), " a b ");
        assert_eq!(prompt.line().unwrap(), "second");
        assert_eq!(prompt.line().unwrap(), "");
    }

    #[test]
    fn a_file_sent_by_mistake_is_refused() {
        let error = piped(&"x".repeat(20_000)).line().unwrap_err().to_string();
        assert_eq!(error, "the line on standard input is longer than 16384 bytes");
    }

    #[test]
    fn a_short_password_is_refused_without_its_text() {
        let error = piped("secret\n").new_password(true).unwrap_err().to_string();
        assert_eq!(error, "the password has 6 characters: expected at least 8");
    }

    #[test]
    fn without_a_terminal_the_error_names_the_option() {
        let password = piped("").new_password(false).unwrap_err().to_string();
        assert!(password.ends_with("send it as a line to `--password-stdin`"), "{password}");
        let deletion = piped("blt1\n").confirm("this deletes `blt1`", "blt1", false).unwrap_err().to_string();
        assert!(deletion.ends_with("confirm with `--yes`"), "{deletion}");
    }

    fn confirm(typed: &str, yes: bool) -> (anyhow::Result<()>, String) {
        let asked = Written::default();
        let mut prompt = Prompt::asking(io::Cursor::new(typed.to_owned()), asked.clone());
        (prompt.confirm("this deletes `blt1`", "blt1", yes), asked.text())
    }

    #[test]
    fn only_the_expected_word_confirms() {
        let (confirmed, asked) = confirm("blt1\n", false);
        confirmed.unwrap();
        assert_eq!(asked, "this deletes `blt1`.\nType `blt1` to go on: ");
        for typed in ["y\n", "\n", ""] {
            let error = confirm(typed, false).0.unwrap_err().to_string();
            assert!(error.starts_with("nothing was deleted"), "{error}");
        }
    }

    #[test]
    fn nobody_is_asked_who_said_yes() {
        let (confirmed, asked) = confirm("", true);
        confirmed.unwrap();
        assert_eq!(asked, "");
    }
}
