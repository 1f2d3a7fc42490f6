//! Rows as a table for people, as JSON or as CSV for programs.
//!
//! JSON and CSV are written page by page. A table needs all rows before it knows how wide its columns are.

use std::io::Write;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use tally_jobs::reports::{About, ColumnKind};

use super::answer::Page;

/// The form of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Columns for people
    Table,
    /// One object: the report, its request, and its rows as the API gives them
    Json,
    /// A line for each row, after a line with the columns' names
    Csv,
}

/// Writes the pages of one report.
pub struct RowWriter<W: Write>(Form<W>);

enum Form<W: Write> {
    Table { about: &'static About, table: Box<Table>, out: W },
    Json { about: &'static About, position: Position, out: W },
    Csv { about: &'static About, out: Box<csv::Writer<W>> },
}

/// How far a JSON object is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    Start,
    FirstRow,
    LaterRow,
}

impl<W: Write> std::fmt::Debug for RowWriter<W> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("RowWriter").finish_non_exhaustive()
    }
}

impl<W: Write> RowWriter<W> {
    /// Begins with what comes before the rows.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(format: Format, about: &'static About, out: W) -> anyhow::Result<Self> {
        let names = about.columns.iter().map(|column| column.name);
        Ok(Self(match format {
            Format::Table => {
                let mut table = Table::new();
                table.load_style(NOTHING).set_header(names);
                Form::Table { about, table: Box::new(table), out }
            }
            Format::Json => Form::Json { about, position: Position::Start, out },
            Format::Csv => {
                let mut out = csv::Writer::from_writer(out);
                out.write_record(names)?;
                Form::Csv { about, out: Box::new(out) }
            }
        }))
    }

    /// Writes a page.
    ///
    /// # Errors
    /// When it cannot be written, or its rows are no objects.
    pub(super) fn page(&mut self, page: &Page) -> anyhow::Result<()> {
        match &mut self.0 {
            Form::Table { about, table, .. } => {
                each_row(about, page, |cells| {
                    table.add_row(cells.iter().map(|cell| printable(cell)));
                    Ok(())
                })?;
            }
            Form::Json { about, position, out } => write_json(about, position, out, page)?,
            Form::Csv { about, out } => each_row(about, page, |cells| Ok(out.write_record(cells)?))?,
        }
        Ok(())
    }

    /// Ends with what comes after the rows.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(self) -> anyhow::Result<()> {
        match self.0 {
            Form::Table { about, mut table, mut out } => {
                for (column, about) in table.column_iter_mut().zip(about.columns) {
                    column.set_padding((0, 2));
                    if about.kind == ColumnKind::Number {
                        column.set_cell_alignment(CellAlignment::Right);
                    }
                }
                writeln!(out, "{}", table.trim_fmt())?;
                out.flush()?;
            }
            Form::Json { mut out, .. } => {
                out.write_all(b"\n]}\n")?;
                out.flush()?;
            }
            Form::Csv { mut out, .. } => out.flush()?,
        }
        Ok(())
    }
}

fn write_json(about: &About, position: &mut Position, out: &mut impl Write, page: &Page) -> anyhow::Result<()> {
    if *position == Position::Start {
        write!(out, "{{\"report\":\"{}\",\"meta\":{},\"rows\":[", about.name, page.meta)?;
        *position = Position::FirstRow;
    }
    for row in &page.data {
        out.write_all(if *position == Position::FirstRow { b"\n" } else { b",\n" })?;
        out.write_all(&serde_json::to_vec(&Row { about, row })?)?;
        *position = Position::LaterRow;
    }
    Ok(())
}

/// A row with its fields in the order of the report's columns, as the API gives them.
struct Row<'a> {
    about: &'a About,
    row: &'a Map<String, Value>,
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let names = self.about.columns.iter().map(|column| column.name);
        serializer.collect_map(names.filter_map(|name| Some((name, self.row.get(name)?))))
    }
}

/// The cells of each row, in the order of the report's columns.
fn each_row(about: &About, page: &Page, mut visit: impl FnMut(&[String]) -> anyhow::Result<()>) -> anyhow::Result<()> {
    for row in &page.data {
        if let Some(cells) = cells(about, row) {
            visit(&cells)?;
        }
    }
    Ok(())
}

/// None for the marker, the row that only says that the last bucket has none.
fn cells(about: &About, row: &Map<String, Value>) -> Option<Vec<String>> {
    about.columns.iter().map(|column| row.get(column.name).map(text)).collect()
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Clients choose their user agents and URLs: none of these may speak to the terminal.
fn printable(cell: &str) -> String {
    cell.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use tally_jobs::reports::find;

    use super::*;

    const PAGES: [&str; 2] = [
        r#"{"total":10,"data":[{"count":7,"type":"cdn","device":"a, \"quoted\"\u001b[31m","date":"2026-03-01"}],"meta":{"limit":2}}"#,
        r#"{"total":10,"data":[{"count":1203,"type":"cma","device":"Grüße","date":"2026-03-02"},{"date":"2026-03-03"}],"meta":{"limit":2}}"#,
    ];

    fn written(format: Format, report: &str, pages: &[&str]) -> String {
        let mut out = Vec::new();
        let mut writer = RowWriter::new(format, find(report).unwrap().about(), &mut out).unwrap();
        for page in pages {
            writer.page(&serde_json::from_str(page).unwrap()).unwrap();
        }
        writer.finish().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn csv_has_a_line_of_names_and_a_line_for_each_row_but_the_marker() {
        insta::assert_snapshot!(written(Format::Csv, "devices", &PAGES));
    }

    #[test]
    fn a_table_lets_no_client_speak_to_the_terminal() {
        insta::assert_snapshot!(written(Format::Table, "devices", &PAGES));
    }

    #[test]
    fn json_is_one_object_with_the_rows_as_the_api_gives_them() {
        let text = written(Format::Json, "devices", &PAGES);
        insta::assert_snapshot!(text);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["rows"].as_array().unwrap().len(), 3);
    }

    #[test]
    fn an_empty_result_is_still_whole() {
        let empty = [r#"{"data":[],"meta":{}}"#];
        assert_eq!(written(Format::Csv, "url", &empty), "url,type,count\n");
        let json: Value = serde_json::from_str(&written(Format::Json, "url", &empty)).unwrap();
        assert_eq!(json, serde_json::json!({"report": "url", "meta": {}, "rows": []}));
    }

    #[test]
    fn a_count_of_zero_alone_is_a_marker_too() {
        let page = r#"{"data":[{"date":"2026-03-03","count":0}],"meta":{}}"#;
        assert_eq!(written(Format::Csv, "http-statuses", &[page]).lines().count(), 1);
    }
}
