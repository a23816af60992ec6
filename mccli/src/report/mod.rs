//! What people and scripts see: results on standard output, lines about the work on standard
//! error, each as text or as JSON, nothing secret.

mod progress;

pub(crate) use progress::{Progress, aside, progress};

use crate::error::Error;
use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{
    io::{self, Write},
    sync::{PoisonError, RwLock},
};

/// How important a line is; lines below the chosen level are not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[value(rename_all = "UPPER")]
pub(crate) enum Level {
    /// Steps of the program.
    Debug,
    /// What was chosen.
    Info,
    /// Works, but not as it should.
    Warning,
    /// Does not work.
    Error,
    /// Nothing works.
    Critical,
}

/// For whom results and lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// For people.
    Text,
    /// For scripts: one JSON object per result, and one per line on standard error.
    Json,
}

/// How everything is shown.
#[derive(Debug, Clone, Copy)]
struct Manner {
    lowest: Level,
    form: Form,
}

static MANNER: RwLock<Manner> = RwLock::new(Manner { lowest: Level::Warning, form: Form::Text });

fn manner() -> Manner {
    *MANNER.read().unwrap_or_else(PoisonError::into_inner)
}

/// Shows everything this way from now on.
pub(crate) fn set_up(lowest: Level, form: Form, colours: anstream::ColorChoice) {
    colours.write_global();
    *MANNER.write().unwrap_or_else(PoisonError::into_inner) = Manner { lowest, form };
}

/// Writes a text to standard output as it is.
///
/// # Errors
/// When nobody reads it any more, for instance.
pub(crate) fn result(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Writes facts to standard output: as one JSON object, or as the text that stands for them.
/// The text may be styled.
///
/// # Errors
/// When nobody reads it any more, for instance.
pub(crate) fn facts(facts: &impl Serialize, text: impl FnOnce() -> String) -> io::Result<()> {
    match manner().form {
        Form::Text => {
            let mut out = anstream::stdout().lock();
            out.write_all(text().as_bytes())?;
            out.flush()
        }
        // serde_json escapes C0; the rest of what could act on a terminal is no concern of scripts.
        Form::Json => result(&(serde_json::to_string_pretty(facts)? + "\n")),
    }
}

/// A text in a colour, where colours are wanted.
pub(crate) fn painted(colour: AnsiColor, text: &str) -> String {
    let style = Style::new().fg_color(Some(colour.into())).bold();
    format!("{style}{text}{style:#}")
}

/// A line that was asked for, at every level.
pub(crate) fn always(text: &str) {
    match manner().form {
        Form::Text => line(&motley_proto::text::escape(text, 4096)),
        Form::Json => object("note", json!({"message": text})),
    }
}

/// Facts for scripts that come while a command goes on; for `--json` only.
pub(crate) fn event(word: &str, facts: Value) {
    object(word, facts);
}

/// Why the program stops, and what to do about it.
pub(crate) fn failure(error: &Error, exit_code: u8) {
    if manner().form == Form::Json {
        let mut told = error.json();
        told["exit_code"] = json!(exit_code);
        return object("error", told);
    }
    write(Level::Error, "error", AnsiColor::Red, &error.message());
    if let Some(hint) = error.hint() {
        write(Level::Error, "hint", AnsiColor::Cyan, &hint);
    }
}

/// Why the program stops, where that is no [`Error`].
pub(crate) fn error(text: &str) {
    tell(Level::Error, "error", AnsiColor::Red, text);
}

/// Works, but not as it should.
pub(crate) fn warning(text: &str) {
    tell(Level::Warning, "warning", AnsiColor::Yellow, text);
}

/// What could be better, without anything being wrong.
pub(crate) fn hint(text: &str) {
    tell(Level::Warning, "hint", AnsiColor::Cyan, text);
}

/// What was chosen.
pub(crate) fn info(text: &str) {
    tell(Level::Info, "info", AnsiColor::Green, text);
}

/// Steps of the program.
pub(crate) fn debug(text: &str) {
    tell(Level::Debug, "debug", AnsiColor::BrightBlack, text);
}

fn tell(level: Level, word: &str, colour: AnsiColor, text: &str) {
    if level < manner().lowest {
        return;
    }
    match manner().form {
        Form::Text => write(level, word, colour, text),
        Form::Json => object(word, json!({"message": text})),
    }
}

fn write(level: Level, word: &str, colour: AnsiColor, text: &str) {
    if level < manner().lowest {
        return;
    }
    for part in text.lines() {
        // Remote text can't act on the terminal; a line is never cut short of its cure.
        let part = motley_proto::text::escape(part, 4096);
        line(&format!("{} {part}", painted(colour, &format!("{word}:"))));
    }
}

fn object(word: &str, value: Value) {
    line(&json!({word: value}).to_string());
}

/// Nobody is left to be told when standard error is closed.
fn line(text: &str) {
    aside(|| {
        let _ = writeln!(anstream::stderr().lock(), "{text}");
    });
}
