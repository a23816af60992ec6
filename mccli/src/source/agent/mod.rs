//! Asks a running oidc-agent for a token.

mod advice;
mod any;
mod wire;

pub(super) use any::AnyProvider;
pub(crate) use wire::Agent;

use super::{Requirements, Token, TokenSource, wanted_of};
use crate::shell_words;
use motley_proto::Secret;
use std::time::Instant;
use wire::Request;

/// Seconds that a token must still be valid.
const MIN_VALID_S: u32 = 60;

/// Which of the agent's tokens is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Chosen {
    /// The account with this short name.
    Account(String),
    /// The agent's default account for this issuer.
    Issuer(String),
}

impl Chosen {
    /// An issuer as users write it: https is added when it has no scheme.
    pub(super) fn issuer(text: &str) -> Self {
        let text = text.trim();
        if text.starts_with("http") {
            Self::Issuer(text.to_owned())
        } else {
            Self::Issuer(format!("https://{text}"))
        }
    }

    /// The account's name or the issuer's URL.
    pub(super) fn word(&self) -> &str {
        match self {
            Self::Account(text) | Self::Issuer(text) => text,
        }
    }
}

/// A token from the agent.
pub(crate) struct AgentToken {
    pub(super) name: String,
    pub(super) chosen: Chosen,
    pub(super) agent: Agent,
}

impl TokenSource for AgentToken {
    fn name(&self) -> String {
        format!("{} {}", self.name, self.chosen.word())
    }

    fn fetch(&self, needs: &dyn Requirements) -> Result<Token, String> {
        let deadline = self.agent.deadline();
        token(&self.agent, &self.chosen, needs, deadline)
            .map_err(|failure| advice::explain(&failure, &self.chosen))
    }
}

/// The token of an account or issuer with what the service wants of its issuer's tokens.
fn token(
    agent: &Agent,
    chosen: &Chosen,
    needs: &dyn Requirements,
    deadline: Instant,
) -> Result<Token, wire::Failure> {
    let issuer = match chosen {
        Chosen::Issuer(issuer) => issuer.clone(),
        Chosen::Account(_) => match request(agent, chosen, ("", ""), deadline)? {
            (_, Some(issuer)) => issuer,
            (secret, None) => return Ok(with_recipe(secret, chosen, "", "")),
        },
    };
    let (scope, audience) = wanted_of(needs, &issuer).map_err(wire::Failure::Broken)?;
    let (secret, _) = request(agent, chosen, (&scope, &audience), deadline)?;
    Ok(with_recipe(secret, chosen, &scope, &audience))
}

/// The token and its issuer.
fn request(
    agent: &Agent,
    chosen: &Chosen,
    (scope, audience): (&str, &str),
    deadline: Instant,
) -> Result<(Secret, Option<String>), wire::Failure> {
    let (account, issuer) = match chosen {
        Chosen::Account(account) => (Some(account.as_str()), None),
        Chosen::Issuer(issuer) => (None, Some(issuer.as_str())),
    };
    let reply = agent.ask(
        &Request {
            request: "access_token",
            account,
            issuer,
            min_valid_period: Some(MIN_VALID_S),
            application_hint: Some("mccli"),
            scope,
            audience,
        },
        deadline,
    )?;
    match reply.access_token {
        Some(token) if !token.is_empty() => Ok((token, reply.issuer)),
        _ => Err(wire::Failure::Broken("oidc-agent answered without a token".to_owned())),
    }
}

/// Scopes, audience and a provider may be the service's words, and the recipe is there to be
/// pasted into a shell: no recipe is given for words that a shell would act on.
fn with_recipe(secret: Secret, chosen: &Chosen, scope: &str, audience: &str) -> Token {
    let words = scope.split(' ').chain(audience.split(' ')).chain([chosen.word()]);
    if !words.filter(|word| !word.is_empty()).all(shell_words::is_plain) {
        return Token { secret, recipe: None };
    }
    let mut recipe = "oidc-token".to_owned();
    if !scope.is_empty() {
        recipe.push_str(&format!(" --scope \"{scope}\""));
    }
    match audience {
        "" => {}
        several if several.contains(' ') => recipe.push_str(&format!(" --aud \"{several}\"")),
        one => recipe.push_str(&format!(" --aud {one}")),
    }
    recipe.push_str(&format!(" {}", chosen.word()));
    Token { secret, recipe: Some(recipe) }
}
