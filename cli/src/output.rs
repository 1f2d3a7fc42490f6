//! Where a command's answer goes: JSON for programs, sentences and tables for people.
//!
//! With `--json`, standard output carries one JSON value and nothing else. Without it, the same answer reads as one
//! sentence or one table; that text may change between versions.

use std::fmt;
use std::io::{self, Write};

use chrono::{DateTime, SecondsFormat, Utc};
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde::Serialize;

/// Takes the answer of one command.
pub struct Output {
    json: bool,
    sink: Box<dyn Write + Send>,
}

/// A column of a list: its heading, and what a row shows there.
pub type Column<T> = (&'static str, fn(&T) -> String);

impl Output {
    /// An output to standard output.
    #[must_use]
    pub fn stdout(json: bool) -> Self {
        Self::to(json, io::stdout())
    }

    /// An output to anywhere else.
    #[must_use]
    pub fn to(json: bool, sink: impl Write + Send + 'static) -> Self {
        Self { json, sink: Box::new(sink) }
    }

    /// Answers with one JSON value, or with the sentence that says the same.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn answer(&mut self, value: &impl Serialize, sentence: impl fmt::Display) -> anyhow::Result<()> {
        let text = if self.json { serde_json::to_string(value)? } else { sentence.to_string() };
        self.write_line(&text)
    }

    /// Answers with a JSON array, or with a table of those columns.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn list<T: Serialize>(&mut self, rows: &[T], columns: &[Column<T>]) -> anyhow::Result<()> {
        if self.json {
            return self.write_line(&serde_json::to_string(rows)?);
        }
        if rows.is_empty() {
            return self.write_line("(none)");
        }
        let mut table = Table::new();
        table.load_style(NOTHING).set_header(columns.iter().map(|(heading, _)| heading));
        for row in rows {
            table.add_row(columns.iter().map(|(_, cell)| cell(row)));
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        self.write_line(&table.trim_fmt())
    }

    /// Answers with one JSON value, or with a table of its details.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn detailed<T: Serialize>(
        &mut self,
        value: &impl Serialize,
        details: &[T],
        columns: &[Column<T>],
    ) -> anyhow::Result<()> {
        if self.json { self.answer(value, "") } else { self.list(details, columns) }
    }

    fn write_line(&mut self, line: &str) -> anyhow::Result<()> {
        match writeln!(self.sink, "{line}").and_then(|()| self.sink.flush()) {
            // Whoever reads has seen enough, as `head` has.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => Ok(written?),
        }
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Output").field("json", &self.json).finish_non_exhaustive()
    }
}

/// A time for a table, to the second.
#[must_use]
pub fn time_cell(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// What an [`Output`] wrote.
    #[derive(Debug, Clone, Default)]
    pub(crate) struct Written(Arc<Mutex<Vec<u8>>>);

    impl Written {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct ClosedPipe;

    impl Write for ClosedPipe {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const COLUMNS: &[Column<(u8, &str)>] = &[("number", |row| row.0.to_string()), ("word", |row| row.1.to_owned())];

    fn list(json: bool, rows: &[(u8, &'static str)]) -> String {
        let written = Written::default();
        Output::to(json, written.clone()).list(rows, COLUMNS).unwrap();
        written.text()
    }

    #[test]
    fn a_list_is_a_table_for_people_and_an_array_for_programs() {
        let rows = [(7, "seven"), (10, "ten")];
        assert_eq!(list(true, &rows), "[[7,\"seven\"],[10,\"ten\"]]\n");
        assert_eq!(list(false, &rows), "number  word\n7       seven\n10      ten\n");
    }

    #[test]
    fn an_empty_list_says_so() {
        assert_eq!(list(true, &[]), "[]\n");
        assert_eq!(list(false, &[]), "(none)\n");
    }

    #[test]
    fn an_answer_is_a_sentence_or_its_json() {
        for (json, expected) in [(true, "{\"uid\":\"x\"}\n"), (false, "made `x`\n")] {
            let written = Written::default();
            Output::to(json, written.clone()).answer(&serde_json::json!({"uid": "x"}), "made `x`").unwrap();
            assert_eq!(written.text(), expected);
        }
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        Output::to(true, ClosedPipe).list(&[(1, "one")], COLUMNS).unwrap();
    }
}
