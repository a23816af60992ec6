//! The message shell: tells why there is no shell here, and ends.
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

use motley_shell::{DEFAULT_MESSAGE, MAX_FILE_BYTES, MESSAGE_FILE, owned};
use std::{io::Write, path::Path, process::ExitCode};

const HELP: &str = "\
usage: motley-message-shell [-c COMMAND]

A login shell that starts nothing. It says what stands in /etc/motley_cue/message.txt, which must
belong to root, or a text of its own, and ends with status 1.
";

fn main() -> ExitCode {
    let first = std::env::args_os().nth(1);
    match first.as_ref().and_then(|word| word.to_str()) {
        Some("--help") => {
            say(&mut std::io::stdout(), HELP);
            return ExitCode::SUCCESS;
        }
        Some("--version") => {
            let version = concat!("motley-message-shell ", env!("CARGO_PKG_VERSION"), "\n");
            say(&mut std::io::stdout(), version);
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let text = owned::read(Path::new(MESSAGE_FILE), MAX_FILE_BYTES);
    let text = text.unwrap_or_else(|_| DEFAULT_MESSAGE.to_owned());
    // On standard output programs such as scp would take it for their protocol.
    match first {
        None => say(&mut std::io::stdout(), &text),
        Some(_) => say(&mut std::io::stderr(), &text),
    }
    ExitCode::FAILURE
}

/// Whoever closed the other end does not want to know.
fn say(to: &mut dyn Write, text: &str) {
    let _ = to.write_all(text.as_bytes()).and_then(|()| to.flush());
}
