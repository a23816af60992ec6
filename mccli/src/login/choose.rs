//! Where to log in: an issuer as it is, or one of the providers that a host's service takes.

use crate::{
    error::{Error, Result},
    logins::Logins,
    report, tty,
};
use motley_proto::Issuer;

/// What `ISSUER|HOST` means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A provider.
    Issuer(String),
    /// A host, whose service names its providers.
    Host(String),
}

impl Place {
    /// A text with a scheme is an issuer, and so is one that a stored login has; else it is a host.
    pub(crate) fn of(text: &str, logins: &Logins) -> Self {
        if text.contains("://") {
            return Self::Issuer(text.to_owned());
        }
        match logins.at(text).into_iter().next() {
            Some(label) => Self::Issuer(label.issuer),
            None => Self::Host(text.to_owned()),
        }
    }
}

/// One of the providers of a service: the only one, the only one with a stored login, or the one
/// that the user picks.
///
/// # Errors
/// [`Error::Usage`] with the list, when nobody can be asked or nothing was picked.
pub(crate) fn provider_of_host(
    issuers: &[String],
    wanted: Option<&str>,
    logins: &Logins,
    may_ask: bool,
) -> Result<String> {
    if let Some(wanted) = wanted {
        let same = |issuer: &&String| Issuer::canonical(issuer) == Issuer::canonical(wanted);
        return issuers.iter().find(same).cloned().ok_or_else(|| {
            unclear(&format!("the service does not take the provider {wanted}"), issuers)
        });
    }
    if let [only] = issuers {
        return Ok(only.clone());
    }
    let known: Vec<&String> =
        issuers.iter().filter(|issuer| !logins.at(issuer).is_empty()).collect();
    if let [only] = known.as_slice() {
        return Ok((*only).clone());
    }
    if issuers.is_empty() || !may_ask || !tty::is_there() {
        return Err(unclear("the service takes several providers", issuers));
    }
    pick(issuers)
}

fn unclear(what: &str, issuers: &[String]) -> Error {
    let list: String = issuers.iter().map(|issuer| format!("\n  {issuer}")).collect();
    Error::Usage(format!("{what}; choose one with --iss, or log in with: mccli login ISSUER{list}"))
}

fn pick(issuers: &[String]) -> Result<String> {
    let mut menu = "The service takes these providers:\n".to_owned();
    for (number, issuer) in (1..).zip(issuers) {
        menu.push_str(&format!("  {number}) {issuer}\n"));
    }
    let shown =
        motley_proto::text::escape(&menu.replace('\n', "\u{1}"), 8192).replace("\\u{1}", "\n");
    let typed = tty::ask(&format!("{shown}Your home organisation's (1-{}): ", issuers.len()))
        .map_err(|_| unclear("no provider was chosen", issuers))?;
    let number: usize = typed.trim().parse().unwrap_or_default();
    report::debug(&format!("provider {number} of {} was chosen", issuers.len()));
    number
        .checked_sub(1)
        .and_then(|index| issuers.get(index))
        .cloned()
        .ok_or_else(|| unclear("no provider was chosen", issuers))
}
