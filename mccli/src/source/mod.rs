//! Where access tokens come from: sources behind one trait, tried in a fixed order.

pub(crate) mod agent;
mod choose;
mod given;
mod issuer;
mod mytoken;
mod order;
mod stored;
mod wlcg;

pub(crate) use choose::{first_named_token, first_token};
pub(crate) use order::{Origins, ProfileChoice, in_order};

use crate::claims::audiences_of;
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

/// How a source came into the row, and so how much it may decide by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The user named it: what it gives is meant, and why it gives nothing is always told.
    Named,
    /// mccli knows it, for providers that the service supports.
    Known,
    /// It lay there, and nobody said that it is for this service.
    Found,
}

/// A source in the row of those to try.
pub(crate) struct Candidate<'a> {
    pub(crate) source: Box<dyn TokenSource + 'a>,
    pub(crate) standing: Standing,
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

/// The token in the first line of standard input.
///
/// # Errors
/// What is wrong with it, in words.
pub(crate) fn token_from_input() -> std::result::Result<Secret, String> {
    given::from_input()
}

/// Seconds since 1970.
pub(crate) fn now_s() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// Eight hex digits of SHA-256: enough to tell tokens apart in a log, useless to log in.
pub(crate) fn fingerprint(token: &Secret) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.expose().as_bytes());
    digest.as_ref().iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// Scopes and audience as oidc-agent and mytoken take them: each one text, blanks between values.
fn scope_and_audience(op: &OpInfo) -> (String, String) {
    (op.scopes.join(" "), audiences_of(op).join(" "))
}

/// The same for an issuer, or why no token of it is of use.
fn wanted_of(
    needs: &dyn Requirements,
    issuer: &str,
) -> std::result::Result<(String, String), String> {
    match needs.of(issuer) {
        Needs::Op(op) => Ok(scope_and_audience(&op)),
        Needs::Unknown => Ok((String::new(), String::new())),
        Needs::Unsupported => Err(choose::unsupported(issuer, needs)),
    }
}

#[cfg(test)]
mod tests;
