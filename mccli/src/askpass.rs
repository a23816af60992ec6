//! Askpass: what ssh starts to have a prompt answered, by the broker or by the user.

use crate::{
    broker::{self, ANSWER_LIMIT, Ask, Reply},
    report, tty,
};
use motley_proto::{client::Connection, frame::Cap};
use nix::unistd;
use std::{
    ffi::OsString,
    io::{self, Write},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

/// The prompt, if this process was started by ssh to answer one.
///
/// ssh gives the prompt as the only argument and allows no option, so a variable tells. A single
/// word can't be a prompt: a ProxyCommand that runs `mccli info` has the variable too.
pub(crate) fn wanted(argv: &[OsString]) -> Option<(PathBuf, String)> {
    let socket = std::env::var_os(broker::SOCKET_VARIABLE)?;
    let [_, prompt] = argv else { return None };
    let is_word = !prompt.is_empty()
        && prompt.as_bytes().iter().all(|b| b.is_ascii_alphanumeric() || b"-_=".contains(b));
    (!is_word && prompt != broker::BROKER_ARGUMENT)
        .then(|| (PathBuf::from(socket), prompt.to_string_lossy().into_owned()))
}

/// Answers one prompt of ssh; the whole life of the askpass process.
pub(crate) fn run(socket: &Path, prompt: &str) -> ExitCode {
    broker::forbid_core_dumps();
    match std::env::var("SSH_ASKPASS_PROMPT").as_deref() {
        Ok("none") => return code(tty::show(prompt)),
        Ok("confirm") => return confirm(prompt),
        _ => {}
    }
    match ask_broker(socket, prompt) {
        Ok(Reply::Answer(secret)) => code(print(secret.expose())),
        Ok(Reply::AskUser) => ask_user(prompt),
        Ok(Reply::Nothing) => ExitCode::FAILURE,
        Ok(Reply::Spent(text)) => {
            report::error(&text);
            ExitCode::FAILURE
        }
        Err(text) => {
            report::warning(&format!("no answer from the process that holds the token: {text}"));
            ask_user(prompt)
        }
    }
}

fn ask_broker(socket: &Path, prompt: &str) -> Result<Reply, String> {
    let exchange = || {
        let mut connection = Connection::open(socket, Cap::LOGIN, Instant::now() + ANSWER_LIMIT)?;
        connection.require_server(Some(unistd::getuid().as_raw()))?;
        let parent = unistd::getppid().as_raw();
        connection.send(&Ask { prompt: prompt.to_owned(), parent })?;
        connection.receive::<Reply>()
    };
    exchange().map_err(|error| error.to_string())
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
