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
    match broker::ask(socket, Ask::Prompt(prompt.to_owned())) {
        Ok(Reply::Answer(secret)) => code(print(secret.expose())),
        Ok(Reply::AskUser) => ask_user(prompt),
        Ok(Reply::Spent(text)) => {
            report::error(&text);
            ExitCode::FAILURE
        }
        Ok(_) => ExitCode::FAILURE,
        // Whether the user may be asked, only that process knows.
        Err(text) => {
            report::error(&format!("no answer from the process that holds the token: {text}"));
            ExitCode::FAILURE
        }
    }
}

/// True for ssh's own question, which is answered in the open. What a server asks begins with
/// `(user@host) `, or is one that no server can word.
fn is_about_host_keys(prompt: &str) -> bool {
    let ends = [
        "(yes/no/[fingerprint])? ",
        "(yes/no)? ",
        "'yes', 'no' or the fingerprint: ",
        "'yes' or 'no': ",
        "(yes/no): ",
    ];
    !prompt.starts_with('(') && ends.iter().any(|end| prompt.ends_with(end))
}

/// Passwords, passphrases and questions about host keys belong to the user.
fn ask_user(prompt: &str) -> ExitCode {
    let answer =
        if is_about_host_keys(prompt) { tty::ask(prompt) } else { tty::ask_hidden(prompt) };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r38_only_questions_of_ssh_itself_are_answered_in_the_open() {
        for prompt in [
            "The authenticity of host 'cue (192.0.2.1)' can't be established.\nAre you sure you want to continue connecting (yes/no/[fingerprint])? ",
            "Please type 'yes', 'no' or the fingerprint: ",
            "Accept updated hostkeys? (yes/no): ",
        ] {
            assert!(is_about_host_keys(prompt), "{prompt}");
        }
        for prompt in [
            "(me@jump) Password (yes/no): ",
            "(me@jump) Are you sure you want to continue connecting (yes/no/[fingerprint])? ",
            "Enter passphrase for key '/k (yes/no)': ",
            "me@jump's password: ",
        ] {
            assert!(!is_about_host_keys(prompt), "{prompt}");
        }
    }
}
