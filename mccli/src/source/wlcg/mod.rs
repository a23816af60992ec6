//! WLCG bearer token discovery: where grid tools leave their tokens.
//!
//! The steps are those of the specification. Beyond it, a file must belong to the user
//! and be closed to others: in `/tmp` anybody can make it first. Files may also hold the JSON object
//! with `access_token` that DIRAC writes.

use super::{Lookup, Requirements, Token, TokenSource};
use crate::report;
use motley_proto::Secret;
use nix::unistd::geteuid;
use serde::Deserialize;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// Longest file that is read, in bytes.
const MAX_BYTES: u64 = 256 * 1024;
/// Permission bits of everybody but the owner.
const OTHERS: u32 = 0o077;

/// The four places, for one user.
pub(super) struct Discovery {
    variable: Option<Secret>,
    named_file: Option<PathBuf>,
    usual_file: PathBuf,
    euid: u32,
}

struct Found {
    place: String,
    token: Secret,
}

/// What DIRAC writes.
#[derive(Deserialize)]
struct TokenFile {
    access_token: Secret,
}

impl Discovery {
    /// For this process.
    pub(super) fn here(lookup: Lookup<'_>) -> Self {
        Self::with(lookup, geteuid().as_raw(), Path::new("/tmp"))
    }

    fn with(lookup: Lookup<'_>, euid: u32, tmp: &Path) -> Self {
        let runtime = lookup("XDG_RUNTIME_DIR").map(PathBuf::from);
        Self {
            variable: lookup("BEARER_TOKEN").map(Secret::new),
            named_file: lookup("BEARER_TOKEN_FILE").map(PathBuf::from),
            usual_file: runtime.unwrap_or_else(|| tmp.to_owned()).join(format!("bt_u{euid}")),
            euid,
        }
    }

    /// True if there is a token, or something wrong where one should be.
    pub(super) fn has_something(&self) -> bool {
        !matches!(self.find(), Ok(None))
    }

    /// The first place that is not empty decides, even if what is there is no token.
    fn find(&self) -> Result<Option<Found>, String> {
        if let Some(text) = &self.variable
            && let Some(token) = token_in("BEARER_TOKEN", text.expose().as_bytes())?
        {
            return Ok(Some(Found { place: "BEARER_TOKEN".to_owned(), token }));
        }
        for path in self.named_file.iter().chain([&self.usual_file]) {
            let place = path.display().to_string();
            let text = self.read(path).map_err(|why| format!("{place}: {why}"))?;
            if let Some(text) = text
                && let Some(token) = token_in(&place, &text)?
            {
                return Ok(Some(Found { place, token }));
            }
        }
        Ok(None)
    }

    /// The text of a file that only the user can have written; `None` if there is none.
    fn read(&self, path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, String> {
        let said = |error: io::Error| error.to_string();
        // A link counts as its maker's: it could point to any other file of the user's.
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(said(error)),
            Ok(facts) => self.check_owner(facts.uid())?,
        }
        let mut file = open(path).map_err(said)?;
        let facts = file.metadata().map_err(said)?;
        self.check_owner(facts.uid())?;
        if !facts.is_file() {
            return Err("not a file".to_owned());
        }
        if facts.permissions().mode() & OTHERS != 0 {
            return Err(format!(
                "others can read or change this token, so it is not used; get a new one, or run: chmod 600 {}",
                path.display()
            ));
        }
        let size = facts.size().min(MAX_BYTES);
        let mut text = Zeroizing::new(Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1));
        file.by_ref().take(MAX_BYTES).read_to_end(&mut text).map_err(said)?;
        Ok(Some(text))
    }

    fn check_owner(&self, uid: u32) -> Result<(), String> {
        if uid == self.euid {
            return Ok(());
        }
        Err(format!("it belongs to uid {uid}, so it is not used; whoever that is made it"))
    }
}

/// Does not wait for a writer: somebody could have put a pipe there.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)
}

/// The token, without the white space of C's `isspace` around it; `None` if nothing is left.
fn token_in(place: &str, text: &[u8]) -> Result<Option<Secret>, String> {
    let is_space = |byte: &u8| b" \t\n\x0b\x0c\r".contains(byte);
    let Some(from) = text.iter().position(|byte| !is_space(byte)) else { return Ok(None) };
    let to = text.iter().rposition(|byte| !is_space(byte)).unwrap_or(from);
    let text = text.get(from..=to).unwrap_or_default();
    if text.first() == Some(&b'{') {
        let file: TokenFile = serde_json::from_slice(text)
            .map_err(|_| format!("{place}: JSON without an access_token; get a new token"))?;
        return token_in(place, file.access_token.expose().as_bytes());
    }
    match bad_byte(text) {
        Some(at) => Err(format!(
            "{place}: byte {} can't be part of a token (RFC 6750 §2.1); get a new one",
            from + at + 1
        )),
        None => Ok(Some(Secret::new(String::from_utf8_lossy(text).into_owned()))),
    }
}

/// Where a text leaves the grammar of `b64token`: letters, digits and `-._~+/`, then any `=`.
fn bad_byte(text: &[u8]) -> Option<usize> {
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte);
    let padding = text.iter().position(|byte| !fits(byte))?;
    if padding == 0 {
        return Some(0);
    }
    let behind = text.iter().skip(padding).position(|&byte| byte != b'=')?;
    Some(padding + behind)
}

impl TokenSource for Discovery {
    fn name(&self) -> String {
        "WLCG bearer token discovery".to_owned()
    }

    fn fetch(&self, _needs: &dyn Requirements) -> Result<Token, String> {
        let Some(Found { place, token }) = self.find()? else {
            return Err(format!(
                "nothing in BEARER_TOKEN, BEARER_TOKEN_FILE and {}; get a token with your grid tools, htgettoken for instance",
                self.usual_file.display()
            ));
        };
        report::info(&format!("the token is in {place}"));
        Ok(Token { secret: token, recipe: None })
    }
}

#[cfg(test)]
mod tests;
