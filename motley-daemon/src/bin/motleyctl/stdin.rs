//! What is read from standard input: a token that must not be seen, and a word of consent.

use super::ask::Failure;
use motley_proto::{Secret, admin::HeldToken, login::MAX_TOKEN_BYTES};
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use std::io::{BufRead, IsTerminal, Read, stdin};
use zeroize::Zeroizing;

/// Reads an access token. On a terminal it is one line, which is not shown.
pub(crate) fn token() -> Result<HeldToken, Failure> {
    // One allocation of the full size: a growing buffer would leave copies behind.
    let mut text = Zeroizing::new(String::with_capacity(MAX_TOKEN_BYTES + 2));
    if stdin().is_terminal() {
        eprint!("Access token: ");
        unseen(&mut text)?;
        eprintln!();
    } else {
        let limit = u64::try_from(MAX_TOKEN_BYTES + 1).unwrap_or(u64::MAX);
        stdin().lock().take(limit).read_to_string(&mut text)?;
    }
    let kept = text.trim_ascii().len();
    match kept {
        0 => Err(Failure::Usage("no token came on standard input".to_owned())),
        _ if text.len() > MAX_TOKEN_BYTES => {
            Err(Failure::Usage(format!("a token has at most {MAX_TOKEN_BYTES} bytes")))
        }
        _ => Ok(HeldToken(Secret::new(text.trim_ascii().to_owned()))),
    }
}

fn unseen(text: &mut String) -> Result<(), Failure> {
    let before = tcgetattr(stdin()).map_err(std::io::Error::from)?;
    let mut quiet = before.clone();
    quiet.local_flags.remove(LocalFlags::ECHO | LocalFlags::ICANON);
    tcsetattr(stdin(), SetArg::TCSAFLUSH, &quiet).map_err(std::io::Error::from)?;
    let read = stdin().lock().read_line(text);
    tcsetattr(stdin(), SetArg::TCSAFLUSH, &before).map_err(std::io::Error::from)?;
    read.map(drop).map_err(Failure::from)
}

/// Asks for a `yes`; where nobody can be asked, that is wrong usage.
pub(crate) fn consent(question: &str) -> Result<(), Failure> {
    if !stdin().is_terminal() {
        return Err(Failure::Usage("nobody can be asked here: add --yes".to_owned()));
    }
    eprint!("{question} [yes/no] ");
    let mut answer = String::new();
    stdin().lock().take(64).read_line(&mut answer)?;
    match answer.trim() {
        "yes" => Ok(()),
        _ => Err(Failure::Failed("nothing was done".to_owned())),
    }
}
