//! A token from oidc-agent where the service supports several providers and the user names none.

use super::{
    super::{Requirements, Token, TokenSource},
    Agent, Chosen,
    advice::{explain, is_locked, is_not_loaded, making_an_account},
    token,
    wire::{Failure, Request},
};
use motley_proto::Issuer;
use serde_json::Value;
use std::time::Instant;

/// The first provider, in the service's order, for which the agent has an account.
pub(in crate::source) struct AnyProvider {
    pub(in crate::source) agent: Agent,
}

/// What the agent has.
enum Accounts {
    /// Accounts are there for these issuers: agents from version 5 on tell.
    For(Vec<String>),
    /// Accounts of these names are loaded.
    Named(Vec<String>),
}

impl TokenSource for AnyProvider {
    fn name(&self) -> String {
        "oidc-agent".to_owned()
    }

    fn fetch(&self, needs: &dyn Requirements) -> Result<Token, String> {
        let deadline = self.agent.deadline();
        let supported = needs.issuers();
        let accounts = accounts(&self.agent, deadline)
            .map_err(|failure| explain(&failure, &Chosen::Issuer(String::new())))?;
        let mut failures = Vec::new();
        for issuer in promising(&supported, &accounts) {
            let chosen = Chosen::Issuer(issuer.clone());
            match token(&self.agent, &chosen, needs, deadline) {
                Ok(token) => return Ok(token),
                Err(failure) if is_not_loaded(&failure) => {}
                Err(failure) => {
                    failures.push(format!("{issuer}: {}", explain(&failure, &chosen)));
                    // The next provider would only hear the same.
                    if is_locked(&failure) || !matches!(failure, Failure::Said { .. }) {
                        break;
                    }
                }
            }
        }
        if failures.is_empty() {
            return Err(none_fits(&supported, &accounts));
        }
        Err(failures.join("\n"))
    }
}

/// Asked first, because an agent that is asked for a token of a provider without an account may open
/// a window and want to make one.
fn accounts(agent: &Agent, deadline: Instant) -> Result<Accounts, Failure> {
    let ask = |request| agent.ask(&Request { request, ..Request::default() }, deadline);
    if let Ok(reply) = ask("account_info")
        && let Some(Value::Object(issuers)) = reply.info
    {
        let has_some = |about: &Value| match about.get("accounts") {
            Some(Value::Object(accounts)) => !accounts.is_empty(),
            Some(Value::Array(accounts)) => !accounts.is_empty(),
            _ => false,
        };
        let issuers = issuers.into_iter().filter(|(_, about)| has_some(about));
        return Ok(Accounts::For(issuers.map(|(issuer, _)| issuer).collect()));
    }
    let names = match ask("loaded_accounts")?.info {
        Some(Value::Array(names)) => names,
        _ => Vec::new(),
    };
    let names = names.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    Ok(Accounts::Named(names))
}

fn promising<'a>(supported: &'a [String], accounts: &'a Accounts) -> Vec<&'a String> {
    let has_account = |issuer: &&String| match accounts {
        Accounts::For(issuers) => {
            let wanted = Issuer::canonical(issuer);
            issuers.iter().any(|known| Issuer::canonical(known) == wanted)
        }
        Accounts::Named(names) => !names.is_empty(),
    };
    supported.iter().filter(has_account).collect()
}

fn none_fits(supported: &[String], accounts: &Accounts) -> String {
    let has = match accounts {
        Accounts::For(issuers) if !issuers.is_empty() => {
            format!("it has accounts for {}", issuers.join(", "))
        }
        Accounts::Named(names) if !names.is_empty() => {
            format!("it has the accounts {}", names.join(", "))
        }
        _ => "it has no account".to_owned(),
    };
    let example = supported.first().map_or_else(String::new, |issuer| making_an_account(issuer));
    format!("{has}, and none for a provider of the service; make one, for instance with: {example}")
}
