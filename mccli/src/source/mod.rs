//! Where access tokens come from: sources behind one trait, tried in a fixed order.

pub(crate) mod agent;
mod given;

use crate::{
    claims::{Claims, audiences_of},
    cli::Options,
    error::{Error, Result},
    report,
};
use agent::{Agent, AgentToken, Chosen};
use given::{Command, File, Text};
use motley_proto::{Secret, rest::OpInfo};
use std::time::{SystemTime, UNIX_EPOCH};

/// Variables that hold a token, first non-empty one wins.
pub(crate) const TOKEN_VARIABLES: [&str; 6] = [
    "ACCESS_TOKEN",
    "OIDC",
    "OS_ACCESS_TOKEN",
    "OIDC_ACCESS_TOKEN",
    "WATTS_TOKEN",
    "WATTSON_TOKEN",
];
/// Variables that name an account of oidc-agent.
pub(crate) const ACCOUNT_VARIABLES: [&str; 1] = ["OIDC_AGENT_ACCOUNT"];
/// Variables that name an issuer.
pub(crate) const ISSUER_VARIABLES: [&str; 2] = ["OIDC_ISS", "OIDC_ISSUER"];

/// What a service wants of a token.
pub(crate) enum Needs {
    /// There is no service to ask.
    Unknown,
    /// The service does not accept tokens of this issuer.
    Unsupported,
    /// Scopes and audience.
    Op(OpInfo),
}

/// Answers what the service wants of an issuer's tokens.
pub(crate) trait Requirements {
    /// For this issuer.
    fn of(&self, issuer: &str) -> Needs;
    /// The issuers that the service supports, in its order.
    fn issuers(&self) -> Vec<String>;
}

/// A token and how a user could get one like it.
pub(crate) struct Token {
    /// The token.
    pub(crate) secret: Secret,
    /// Shell words that print one, for a dry run; `None`: only the token itself.
    pub(crate) recipe: Option<String>,
}

/// A place that may have a token.
pub(crate) trait TokenSource {
    /// Its name in messages: an option, a variable.
    fn name(&self) -> String;
    /// Gets a token, with the scopes and audience that the service wants where that can be chosen.
    ///
    /// # Errors
    /// What is wrong and what to do, in words.
    fn fetch(&self, needs: &dyn Requirements) -> std::result::Result<Token, String>;
}

/// Looks up a variable of the environment; empty ones count as absent.
pub(crate) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The environment of this process as a [`Lookup`].
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// True when the user asks for the behaviour of version 0.7 of the Python client.
pub(crate) fn behaves_as_0_7(lookup: Lookup<'_>) -> bool {
    lookup("MCCLI_COMPAT").as_deref() == Some("0.7")
}

/// The sources in the order in which they are tried.
///
/// What the command line names comes first, then the environment, then the service's only issuer.
/// `MCCLI_COMPAT=0.7` orders by kind instead: any token before any account before any issuer.
pub(crate) fn in_order(
    options: &Options,
    lookup: Lookup<'_>,
    needs: &dyn Requirements,
) -> Vec<Box<dyn TokenSource>> {
    let line = from_command_line(options);
    let variables = from_environment(lookup);
    let kinds: Vec<Box<dyn TokenSource>> = if behaves_as_0_7(lookup) {
        line.into_iter()
            .zip(variables)
            .filter_map(|(option, variable)| option.or(variable))
            .collect()
    } else {
        line.into_iter().chain(variables).flatten().collect()
    };
    let only = match needs.issuers().as_slice() {
        [one] => Some(agent_source("the service's only provider", Chosen::Issuer(one.clone()))),
        _ => None,
    };
    kinds.into_iter().chain(only).collect()
}

type Kinds = [Option<Box<dyn TokenSource>>; 5];

fn from_command_line(options: &Options) -> Kinds {
    let text = |value: &Secret| -> Box<dyn TokenSource> {
        Box::new(Text { name: "--token".to_owned(), text: value.clone() })
    };
    [
        options.token.as_ref().map(text),
        options.token_file.as_ref().map(|path| file_source("--token-file", path)),
        options.token_cmd.as_ref().map(|line| command_source("--token-cmd", line)),
        options.oa_account.clone().map(|a| agent_source("--oidc", Chosen::Account(a))),
        options.iss.clone().map(|i| agent_source("--iss", Chosen::issuer(&i))),
    ]
}

fn from_environment(lookup: Lookup<'_>) -> Kinds {
    let first = |names: &[&'static str]| -> Option<(&'static str, String)> {
        names.iter().find_map(|&name| lookup(name).map(|value| (name, value)))
    };
    let text = |(name, value): (&'static str, String)| -> Box<dyn TokenSource> {
        Box::new(Text { name: name.to_owned(), text: Secret::new(value) })
    };
    [
        first(&TOKEN_VARIABLES).map(text),
        first(&["MCCLI_TOKEN_FILE"]).map(|(name, path)| file_source(name, &path)),
        first(&["MCCLI_TOKEN_CMD"]).map(|(name, line)| command_source(name, &line)),
        first(&ACCOUNT_VARIABLES).map(|(name, a)| agent_source(name, Chosen::Account(a))),
        first(&ISSUER_VARIABLES).map(|(name, i)| agent_source(name, Chosen::issuer(&i))),
    ]
}

fn file_source(name: &str, path: &str) -> Box<dyn TokenSource> {
    Box::new(File { name: name.to_owned(), path: path.into() })
}

fn command_source(name: &str, line: &str) -> Box<dyn TokenSource> {
    Box::new(Command { name: name.to_owned(), line: line.to_owned() })
}

fn agent_source(name: &str, chosen: Chosen) -> Box<dyn TokenSource> {
    Box::new(AgentToken { name: name.to_owned(), chosen, agent: Agent::from_environment() })
}

/// The token in the first line of standard input.
///
/// # Errors
/// What is wrong with it, in words.
pub(crate) fn token_from_input() -> std::result::Result<Secret, String> {
    given::from_input()
}

/// Tries the sources and takes the first token that can work.
///
/// A token that lacks scopes or audience is taken only if no other source has a better one: the
/// service has the last word.
///
/// # Errors
/// [`Error::NoToken`] with what each source said.
pub(crate) fn first_token(
    sources: &[Box<dyn TokenSource>],
    needs: &dyn Requirements,
    now_s: f64,
) -> Result<Token> {
    let mut failures = Vec::new();
    let mut doubtful = None;
    for source in sources {
        let name = source.name();
        let problem = match source.fetch(needs) {
            Ok(token) => match judge(&token.secret, needs, now_s) {
                Judgement::Fits => {
                    announce(&failures, &name, &token.secret);
                    return Ok(token);
                }
                Judgement::Useless(why) => why,
                Judgement::Doubtful(why) => {
                    doubtful.get_or_insert((name.clone(), token));
                    why
                }
            },
            Err(why) => why,
        };
        failures.push(format!("{name}: {problem}"));
    }
    match doubtful {
        Some((name, token)) => {
            announce(&failures, &name, &token.secret);
            Ok(token)
        }
        None => Err(no_token(&failures, needs)),
    }
}

fn announce(failures: &[String], name: &str, token: &Secret) {
    for failure in failures {
        report::warning(failure);
    }
    report::info(&format!("using the token of {name}, fingerprint {}", fingerprint(token)));
}

/// Eight hex digits of SHA-256: enough to tell tokens apart in a log, useless to log in.
pub(crate) fn fingerprint(token: &Secret) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.expose().as_bytes());
    digest.as_ref().iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

fn no_token(failures: &[String], needs: &dyn Requirements) -> Error {
    let mut text = failures.join("\n");
    if failures.is_empty() {
        text = "No Access Token found. Try 'mccli --help' for help on specifying the Access Token source.".to_owned();
    }
    let issuers = needs.issuers();
    if issuers.len() > 1 && failures.is_empty() {
        text.push_str("\nThe service supports several providers; choose one with --iss:");
        issuers.iter().for_each(|issuer| text.push_str(&format!("\n  {issuer}")));
    }
    Error::NoToken(text)
}

enum Judgement {
    Fits,
    Doubtful(String),
    Useless(String),
}

fn judge(token: &Secret, needs: &dyn Requirements, now_s: f64) -> Judgement {
    let Some(claims) = Claims::of(token) else { return Judgement::Fits };
    if claims.seconds_left(now_s).is_some_and(|left| left <= 0.0) {
        return Judgement::Useless("the token is expired; get a new one".to_owned());
    }
    let Some(issuer) = claims.issuer() else { return Judgement::Fits };
    match needs.of(issuer) {
        Needs::Unknown => Judgement::Fits,
        Needs::Unsupported => {
            Judgement::Doubtful(format!("the service does not support the issuer {issuer}"))
        }
        Needs::Op(op) => match claims.lacking(&op) {
            Some(why) => Judgement::Doubtful(why),
            None => Judgement::Fits,
        },
    }
}

/// Seconds since 1970.
pub(crate) fn now_s() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// Scopes and audience as oidc-agent takes them: each one text, blanks between values.
fn scope_and_audience(op: &OpInfo) -> (String, String) {
    (op.scopes.join(" "), audiences_of(op).join(" "))
}

#[cfg(test)]
mod tests;
