//! Writes each event as one line in which no character acts on its reader.

use motley_proto::text::acts;
use std::{
    fmt::Write as _,
    io::{self, Write},
};

/// How a character that acts is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `\u{1b}`
    Text,
    /// `\u001b`, as inside of a JSON text (RFC 8259 §7); such characters stand nowhere else.
    Json,
}

/// A writer that is handed one whole event at a time.
pub(super) struct Escaping<W> {
    inner: W,
    style: Style,
}

impl<W: Write> Escaping<W> {
    /// Writes to `inner`.
    pub(super) fn new(inner: W, style: Style) -> Self {
        Self { inner, style }
    }
}

impl<W: Write> Write for Escaping<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let line = escape(&String::from_utf8_lossy(event), self.style);
        self.inner.write_all(line.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn escape(event: &str, style: Style) -> String {
    let text = event.strip_suffix('\n').unwrap_or(event);
    let mut line = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        // Writing to a String can't fail.
        let _ = match style {
            _ if !acts(c) => {
                line.push(c);
                Ok(())
            }
            Style::Text => write!(line, "\\u{{{:x}}}", u32::from(c)),
            Style::Json => write!(line, "\\u{:04x}", u32::from(c)),
        };
    }
    line.push('\n');
    line
}
