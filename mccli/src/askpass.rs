//! Askpass: what ssh starts to have a prompt answered, by the broker or by the user.

use crate::{
    broker::{self, Ask, Reply},
    report, tty,
};
use std::{
    ffi::OsString,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// The broker's socket and the prompt, if this process was started by ssh to answer one.
///
/// ssh gives the prompt as the only argument and allows no option, so the name tells under which the
/// program was started.
pub(crate) fn wanted(argv: &[OsString]) -> Option<(PathBuf, String)> {
    let [name, prompt] = argv else { return None };
    let name = Path::new(name);
    (name.file_name()? == broker::ASKPASS)
        .then(|| (broker::socket_beside(name), prompt.to_string_lossy().into_owned()))
}

/// Answers one prompt of ssh; the whole life of the askpass process.
pub(crate) fn run(socket: &Path, prompt: &str) -> ExitCode {
    broker::forbid_core_dumps();
    match std::env::var("SSH_ASKPASS_PROMPT").as_deref() {
        Ok("none") => return code(tty::show(prompt)),
        Ok("confirm") => return confirm(prompt),
        _ => {}
    }
    match broker::ask(socket, &Ask::Prompt(prompt.to_owned())) {
        Ok(Reply::Answer(secret)) => code(print(secret.expose())),
        Ok(Reply::AskUser) => ask_user(prompt),
        Ok(Reply::Spent(text)) => {
            report::error(&text);
            ExitCode::FAILURE
        }
        Ok(_) => ExitCode::FAILURE,
        Err(text) => {
            report::warning(&format!("no answer from the process that holds the token: {text}"));
            ask_user(prompt)
        }
    }
}

/// Passwords, passphrases and questions about host keys belong to the user.
fn ask_user(prompt: &str) -> ExitCode {
    let answer =
        if prompt.contains("(yes/no") { tty::ask(prompt) } else { tty::ask_hidden(prompt) };
    code(answer.and_then(|text| print(&text)))
}

fn confirm(prompt: &str) -> ExitCode {
    match tty::ask(&format!("{prompt} (y/n) ")) {
        Ok(text) if matches!(text.trim(), "y" | "Y" | "yes") => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()
}

fn code(result: io::Result<()>) -> ExitCode {
    if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
