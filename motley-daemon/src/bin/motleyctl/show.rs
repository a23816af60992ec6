//! How answers look: tables on a terminal, plain columns elsewhere, JSON on demand.

use super::ask::Failure;
use comfy_table::{Table, presets::UTF8_HORIZONTAL_ONLY};
use motley_proto::text::escape;
use serde::Serialize;
use std::io::{IsTerminal, Write, stdout};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Longest cell, in characters.
const CELL_CHARACTERS: usize = 500;
/// Column in which the values of facts begin.
const FACT_COLUMN: usize = 20;

/// Where answers go, and in which form.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// JSON was asked for.
    pub(crate) json: bool,
    terminal: bool,
}

impl Output {
    /// Looks whether standard output is a terminal.
    pub(crate) fn new(json: bool) -> Self {
        Self { json, terminal: stdout().is_terminal() }
    }

    /// Writes a value as JSON.
    pub(crate) fn write_json(self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value)?;
        writeln!(stdout(), "{text}").map_err(Failure::from)
    }

    /// Writes rows under their headings. Cells are escaped here and nowhere else.
    pub(crate) fn write_table(
        self,
        headings: &[&str],
        rows: &[Vec<String>],
    ) -> Result<(), Failure> {
        let rows: Vec<Vec<String>> =
            rows.iter().map(|row| row.iter().map(|cell| cell_text(cell)).collect()).collect();
        let text = if self.terminal { drawn(headings, &rows) } else { plain(headings, &rows) };
        writeln!(stdout(), "{text}").map_err(Failure::from)
    }

    /// Writes facts, one in a line. Values are escaped here and nowhere else.
    pub(crate) fn write_facts(self, facts: &[(&str, String)]) -> Result<(), Failure> {
        let mut text = String::new();
        for (name, value) in facts {
            text += &format!("{name:<width$}{}\n", escape(value, 4000), width = FACT_COLUMN);
        }
        write!(stdout(), "{text}").map_err(Failure::from)
    }

    /// Writes one line.
    pub(crate) fn write_line(self, line: &str) -> Result<(), Failure> {
        writeln!(stdout(), "{}", escape(line, 4000)).map_err(Failure::from)
    }
}

fn cell_text(cell: &str) -> String {
    match escape(cell, CELL_CHARACTERS) {
        text if text.is_empty() => "-".to_owned(),
        text => text,
    }
}

fn drawn(headings: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_header(headings.to_vec());
    for row in rows {
        table.add_row(row.clone());
    }
    table.to_string()
}

/// Columns as wide as their longest cell, parted by two blanks; the last one is not filled.
fn plain(headings: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<String> = headings.iter().map(|text| (*text).to_owned()).collect();
    let all = || std::iter::once(&head).chain(rows);
    let width = |column: usize| {
        all().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    all().map(line).collect::<Vec<_>>().join("\n")
}

/// Seconds since 1970 as a date and time in UTC.
pub(crate) fn date(at: i64) -> String {
    OffsetDateTime::from_unix_timestamp(at)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| at.to_string())
}

/// Seconds as the two largest units that they fill.
pub(crate) fn span(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// The text, or a dash.
pub(crate) fn or_dash(text: Option<&str>) -> String {
    text.unwrap_or("-").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Vec<String>> {
        [["kim", "deployed"], ["a-long-name", ""]]
            .map(|row| row.map(cell_text_of).to_vec())
            .to_vec()
    }

    fn cell_text_of(cell: &str) -> String {
        cell_text(cell)
    }

    #[test]
    fn plain_columns_line_up_and_end_without_blanks() {
        let text = plain(&["NAME", "STATE"], &rows());
        assert_eq!(text, "NAME         STATE\nkim          deployed\na-long-name  -");
    }

    #[test]
    fn a_terminal_gets_a_table_with_every_cell() {
        let text = drawn(&["NAME", "STATE"], &rows());
        for part in ["NAME", "STATE", "kim", "deployed", "a-long-name"] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn r31_no_cell_can_act_on_the_terminal() {
        assert_eq!(cell_text("\u{1b}[2Jx\n"), "\\u{1b}[2Jx\\u{a}");
    }

    #[test]
    fn times_and_spans_read_well() {
        assert_eq!(date(1_800_000_000), "2027-01-15T08:00:00Z");
        assert_eq!(date(i64::MAX), i64::MAX.to_string());
        let spans = [5, 65, 3720, 90_000].map(span);
        assert_eq!(spans, ["5 s", "1 min 5 s", "1 h 2 min", "1 d 1 h"]);
    }
}
