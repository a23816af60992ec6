//! Takes the first token that can work, and tells why the others can't.

use super::{Candidate, Needs, Requirements, Standing, Token, fingerprint};
use crate::{
    claims::Claims,
    error::{Error, Result},
    report,
};
use motley_proto::Secret;

/// What Python's mccli says too when there is no token.
const NOTHING: &str =
    "No Access Token found. Try 'mccli --help' for help on specifying the Access Token source.";

/// A source that gave nothing good, and why.
struct Failure {
    standing: Standing,
    text: String,
}

/// Tries the sources and takes the first token that can work.
///
/// A token that lacks scopes or audience is taken only if no other source has a better one, and so
/// is one that lies around and does not tell whose it is: the service has the last word.
///
/// # Errors
/// [`Error::NoToken`] with what each source said.
pub(crate) fn first_token<'a>(
    candidates: impl IntoIterator<Item = Candidate<'a>>,
    needs: &dyn Requirements,
    now_s: f64,
) -> Result<Token> {
    first_named_token(candidates, needs, now_s).map(|(_name, token)| token)
}

/// The same, with the name of the source.
///
/// # Errors
/// As [`first_token`].
pub(crate) fn first_named_token<'a>(
    candidates: impl IntoIterator<Item = Candidate<'a>>,
    needs: &dyn Requirements,
    now_s: f64,
) -> Result<(String, Token)> {
    let mut failures = Vec::new();
    let mut doubtful = None;
    for Candidate { source, standing } in candidates {
        let name = source.name();
        let problem = match source.fetch(needs) {
            Ok(token) => match judge(&token.secret, standing, needs, now_s) {
                Judgement::Fits => {
                    announce(&failures, &name, &token.secret);
                    return Ok((name, token));
                }
                Judgement::Useless(why) => why,
                Judgement::Doubtful(why) => {
                    doubtful.get_or_insert((name.clone(), token));
                    why
                }
            },
            Err(why) => why,
        };
        failures.push(Failure { standing, text: format!("{name}: {problem}") });
    }
    match doubtful {
        Some((name, token)) => {
            announce(&failures, &name, &token.secret);
            Ok((name, token))
        }
        None => Err(no_token(&failures, needs)),
    }
}

/// What the user named and did not work is worth a warning; what mccli tried by itself is not.
fn announce(failures: &[Failure], name: &str, token: &Secret) {
    for failure in failures {
        match failure.standing {
            Standing::Named => report::warning(&failure.text),
            Standing::Known | Standing::Found => report::info(&failure.text),
        }
    }
    report::info(&format!("using the token of {name}, fingerprint {}", fingerprint(token)));
}

/// One line, an indented line for each source, and the next step.
fn no_token(failures: &[Failure], needs: &dyn Requirements) -> Error {
    let mut text = NOTHING.to_owned();
    for line in failures.iter().flat_map(|failure| failure.text.lines()) {
        text.push_str(&format!("\n  {line}"));
    }
    match needs.issuers().as_slice() {
        [] => {}
        [one] => text.push_str(&format!("\nLog in with: mccli login {one}")),
        several => {
            text.push_str("\nThe service supports several providers; log in at one with mccli login, or choose one with --iss:");
            several.iter().for_each(|issuer| text.push_str(&format!("\n  {issuer}")));
        }
    }
    Error::NoToken(text)
}

enum Judgement {
    Fits,
    Doubtful(String),
    Useless(String),
}

fn judge(token: &Secret, standing: Standing, needs: &dyn Requirements, now_s: f64) -> Judgement {
    let claims = Claims::of(token);
    let left = claims.as_ref().and_then(|claims| claims.seconds_left(now_s));
    if left.is_some_and(|left| left <= 0.0) {
        return Judgement::Useless("the token is expired; get a new one".to_owned());
    }
    let issuer = claims.as_ref().and_then(Claims::issuer);
    let (Some(claims), Some(issuer)) = (&claims, issuer) else {
        return match standing {
            Standing::Found if !needs.issuers().is_empty() => {
                Judgement::Doubtful("the token does not tell which provider it is of".to_owned())
            }
            _ => Judgement::Fits,
        };
    };
    match needs.of(issuer) {
        Needs::Unknown => Judgement::Fits,
        Needs::Unsupported => Judgement::Useless(unsupported(issuer, needs)),
        Needs::Op(op) => match claims.lacking(&op) {
            Some(why) => Judgement::Doubtful(why),
            None => Judgement::Fits,
        },
    }
}

/// Says that the service takes no tokens of this issuer, and of which it does.
pub(super) fn unsupported(issuer: &str, needs: &dyn Requirements) -> String {
    let supported = match needs.issuers().join(", ") {
        none if none.is_empty() => String::new(),
        some => format!("; it supports {some}"),
    };
    format!("the service does not support the issuer {issuer}{supported}")
}
