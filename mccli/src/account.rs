//! Which name to log in with: the account's state decides, the service's word is checked.

use crate::{
    error::{Error, Result},
    report,
    service::{Facts, Service, Standing},
};
use motley_proto::{Secret, UserName, rest::AccountState, text::escape};
use serde_json::Value;

/// What may be done about a missing account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deployment {
    /// Make it, and bring its groups up to date.
    Wanted,
    /// Leave everything as it is.
    Unwanted,
}

/// The name to log in with. A suspended account is never deployed.
///
/// # Errors
/// What the service refuses, or [`Error::BadAnswer`] for a name that no account can have.
pub(crate) fn login_name(
    service: &Service<'_>,
    facts: &Facts,
    token: &Secret,
    deployment: Deployment,
) -> Result<UserName> {
    let standing = service.status(token)?;
    report::debug(&format!("account: {} ({})", standing.state, standing.message));
    match (standing.state, deployment) {
        (AccountState::Suspended | AccountState::Rejected, _) => {
            Err(Error::Locked(standing.state, shown(&standing.message, facts)))
        }
        (AccountState::Limited, _) => {
            report::warning("Your account is limited: the login may work, the shell does not.");
            checked(&standing, "status")
        }
        (_, Deployment::Wanted) => deployed(service, facts, token, &standing),
        (AccountState::Deployed, Deployment::Unwanted) => checked(&standing, "status"),
        (state, Deployment::Unwanted) => Err(Error::BadAnswer {
            call: "status",
            reason: format!("your account is {state}; leave out --no-deploy to have it made"),
        }),
    }
}

fn deployed(
    service: &Service<'_>,
    facts: &Facts,
    token: &Secret,
    before: &Standing,
) -> Result<UserName> {
    match service.deploy(token) {
        Ok(after) => match after.state {
            AccountState::Pending => {
                Err(Error::Pending(escape(&after.message, 500), contact(facts)))
            }
            AccountState::Suspended | AccountState::Rejected => {
                Err(Error::Locked(after.state, shown(&after.message, facts)))
            }
            _ => {
                report::info(&after.message);
                checked(&after, "deploy")
            }
        },
        Err(error) if before.state == AccountState::Deployed && before.name.is_some() => {
            report::warning(&format!("{error}\nYour account exists, so the login goes on."));
            checked(before, "status")
        }
        Err(error) => Err(error),
    }
}

/// The name as one that can stand behind `-l`: it begins with no `-` and holds nothing that a
/// shell or ssh takes apart (CVE-2023-51385, CVE-2025-61984).
fn checked(standing: &Standing, call: &'static str) -> Result<UserName> {
    let Some(name) = &standing.name else {
        let reason = format!("no user name in state {}", standing.state);
        return Err(Error::BadAnswer { call, reason });
    };
    UserName::new(name.as_str()).map_err(|why| Error::BadAnswer {
        call,
        reason: format!("the user name \"{}\" {why}", escape(name, 64)),
    })
}

fn shown(message: &str, facts: &Facts) -> String {
    format!("{}{}", escape(message, 500), contact(facts))
}

/// A sentence with the service's contact, if it names one.
fn contact(facts: &Facts) -> String {
    let named = ["ops_contact", "contact", "support", "email"].into_iter().find_map(|key| {
        facts.info.login_info.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
    });
    named.map_or_else(String::new, |address| format!(" Contact: {}", escape(address, 200)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r38_a_hostile_name_from_the_service_never_reaches_ssh() {
        for name in [
            "-oProxyCommand=touch${IFS}x",
            "-l",
            "alice\n",
            "alice\nProxyCommand x",
            "alice;id",
            "$(id)",
            "al ice",
            "../alice",
            "alice@evil",
            "root",
            "",
            "A",
            "\u{202e}alice",
        ] {
            let standing = Standing {
                state: AccountState::Deployed,
                message: String::new(),
                name: Some(name.to_owned()),
                request: None,
                receipt: None,
            };
            let error = checked(&standing, "deploy").unwrap_err().to_string();
            assert!(!error.contains('\u{202e}'), "{error}");
        }
    }
}
