//! Tokens that the user hands over: as text, in a file, or printed by a command.

use super::{Requirements, Token, TokenSource};
use motley_proto::Secret;
use std::{
    io::Read,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{self, Stdio},
};
use zeroize::Zeroizing;

/// Longest text that is read, in bytes.
const MAX_BYTES: usize = 128 * 1024;

/// A token in an option or variable.
pub(super) struct Text {
    pub(super) name: String,
    pub(super) text: Secret,
}

impl TokenSource for Text {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn fetch(&self, _needs: &dyn Requirements) -> Result<Token, String> {
        token_in(self.text.expose().as_bytes())
    }
}

/// A file, or standard input when the path is `-`.
pub(super) struct File {
    pub(super) name: String,
    pub(super) path: PathBuf,
}

impl TokenSource for File {
    fn name(&self) -> String {
        format!("{} {}", self.name, self.path.display())
    }

    fn fetch(&self, _needs: &dyn Requirements) -> Result<Token, String> {
        if self.path == Path::new("-") {
            return from_input().map(|secret| Token { secret, recipe: None });
        }
        let failed = |error: std::io::Error| error.to_string();
        let mut file = std::fs::File::open(&self.path).map_err(failed)?;
        let facts = file.metadata().map_err(failed)?;
        // Whoever can write it decides as whom the user logs in. Pipes are the user's own doing.
        let own = [0, nix::unistd::geteuid().as_raw()];
        if facts.is_file() && (!own.contains(&facts.uid()) || facts.mode() & 0o022 != 0) {
            return Err("others could have written it; make it yours alone: chmod 600".to_owned());
        }
        if facts.is_file() && facts.mode() & 0o077 != 0 {
            crate::report::warning(&format!(
                "{}: others can read this token; run: chmod 600 {}",
                self.path.display(),
                self.path.display()
            ));
        }
        let expected = usize::try_from(facts.size()).unwrap_or(MAX_BYTES).min(MAX_BYTES);
        let mut text = Zeroizing::new(Vec::with_capacity(expected.max(4096)));
        file.by_ref().take(MAX_BYTES as u64).read_to_end(&mut text).map_err(failed)?;
        token_in(&text)
    }
}

/// The token in the first line of standard input.
pub(super) fn from_input() -> Result<Secret, String> {
    let line = first_line_of_input().map_err(|error| error.to_string())?;
    Ok(token_in(&line)?.secret)
}

/// Reads one line and not a byte more: the rest belongs to the remote command.
fn first_line_of_input() -> std::io::Result<Zeroizing<Vec<u8>>> {
    let input = std::io::stdin();
    // Straight from the descriptor: a buffer would swallow what follows the line.
    let fd = std::os::fd::AsFd::as_fd(&input);
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_BYTES));
    let mut byte = [0u8; 1];
    while line.len() < MAX_BYTES && nix::unistd::read(fd, &mut byte)? == 1 && byte != *b"\n" {
        line.extend_from_slice(&byte);
    }
    Ok(line)
}

/// A command that prints a token.
pub(super) struct Command {
    pub(super) name: String,
    pub(super) line: String,
}

impl TokenSource for Command {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn fetch(&self, _needs: &dyn Requirements) -> Result<Token, String> {
        // The user's own command line, for the user's own shell; nothing from outside is in it.
        let output = process::Command::new("/bin/sh")
            .args(["-c", &self.line])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| format!("/bin/sh: {error}"))?;
        let text = Zeroizing::new(output.stdout);
        if !output.status.success() {
            return Err(format!("the command failed ({})", output.status));
        }
        token_in(&text)
    }
}

/// Takes a token out of a text: blanks around it are dropped, its bytes must be those of a token.
fn token_in(text: &[u8]) -> Result<Token, String> {
    let text = text.trim_ascii();
    if text.is_empty() {
        return Err("there is no token in it".to_owned());
    }
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte);
    match text.iter().position(|byte| !fits(byte)) {
        Some(at) => Err(format!("byte {} can't be part of a token (RFC 6750 §2.1)", at + 1)),
        None => {
            let secret = Secret::new(String::from_utf8_lossy(text).into_owned());
            Ok(Token { secret, recipe: None })
        }
    }
}
