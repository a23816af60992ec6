//! Access tokens of a stored login: a kept one, or a new one by the refresh token.

use super::{LoginError, OFFLINE, token};
use crate::{
    error::{Error, Result},
    http::{Http, Trust},
    logins::{Access, Label, Login, Logins},
    signals,
    source::now_s,
};

/// What the token shall be good for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Scopes; none: all of the login.
    pub(crate) scopes: Vec<String>,
    /// Audience.
    pub(crate) audience: Option<String>,
    /// Seconds that it must still be valid.
    pub(crate) min_valid_s: u64,
}

/// Scopes in the order in which tokens are looked up.
pub(super) fn key_of(scopes: &[String]) -> Vec<String> {
    let mut key: Vec<String> =
        scopes.iter().filter(|scope| scope.as_str() != OFFLINE).cloned().collect();
    key.sort();
    key.dedup();
    key
}

/// A token of this login. Of several processes that want one at once, one asks the provider.
///
/// # Errors
/// [`LoginError::Over`], [`LoginError::Scopes`], or the provider or the store can't be used.
pub(crate) fn access_token(
    trust: &Trust,
    logins: &Logins,
    label: &Label,
    wanted: &Wanted,
) -> Result<Access> {
    let login = open(logins, label)?;
    if let Some(kept) = kept(&login, wanted) {
        return Ok(kept);
    }
    check_scopes(&login, wanted)?;
    let _lock = logins.lock(&label.id())?;
    // Another process may have been here while we waited.
    let mut login = open(logins, label)?;
    if let Some(kept) = kept(&login, wanted) {
        return Ok(kept);
    }
    // A rotated token that is lost between answer and file ends the login: no signal comes between.
    let _waiting = signals::Waiting::through_a_change();
    let http = Http::new(trust.clone())?;
    let room = logins.make_room(label, &login)?;
    let access = refresh(&http, &mut login, wanted)?;
    drop(room);
    logins.update(label, &login)?;
    Ok(access)
}

fn open(logins: &Logins, label: &Label) -> Result<Login> {
    let gone = || over(&label.issuer, "nothing is kept of it any more");
    logins.open(label)?.ok_or_else(|| gone().into())
}

fn over(issuer: &str, reason: &str) -> LoginError {
    LoginError::Over { issuer: issuer.to_owned(), reason: reason.to_owned() }
}

/// A kept token for the same scopes and audience. A login without a refresh token has one token for
/// everything: it serves whatever it reaches to.
fn kept(login: &Login, wanted: &Wanted) -> Option<Access> {
    let scopes = key_of(if wanted.scopes.is_empty() { &login.scopes } else { &wanted.scopes });
    let end_s = now_s() + std::time::Duration::from_secs(wanted.min_valid_s).as_secs_f64();
    let last = login.refresh_token.is_none();
    let fits = |kept: &&Access| {
        let reaches = match last {
            true => scopes.iter().all(|scope| kept.scopes.contains(scope)),
            false => kept.scopes == scopes,
        };
        reaches && kept.audience == wanted.audience && kept.expires_at_s >= end_s
    };
    login.access.iter().rev().find(fits).cloned()
}

/// A refresh can narrow scopes and never widen them (RFC 6749 §6).
fn check_scopes(login: &Login, wanted: &Wanted) -> std::result::Result<(), LoginError> {
    let missing: Vec<String> =
        key_of(&wanted.scopes).into_iter().filter(|scope| !login.scopes.contains(scope)).collect();
    if missing.is_empty() { Ok(()) } else { Err(lacking(login, wanted, &missing.join(" "))) }
}

fn lacking(login: &Login, wanted: &Wanted, missing: &str) -> LoginError {
    LoginError::Scopes {
        issuer: login.issuer.clone(),
        missing: missing.to_owned(),
        options: wanted
            .scopes
            .iter()
            .map(|scope| format!(" --scope {}", crate::shell_words::quote(scope)))
            .collect(),
    }
}

fn refresh(http: &Http, login: &mut Login, wanted: &Wanted) -> Result<Access> {
    let Some(refresh_token) = login.refresh_token.clone() else {
        return Err(over(
            &login.issuer,
            "its access token has ended, and there was no refresh token",
        )
        .into());
    };
    let scopes =
        if wanted.scopes.is_empty() { login.scopes.clone() } else { wanted.scopes.clone() };
    let scope = scopes.join(" ");
    let mut fields = vec![
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh_token.expose()),
        ("scope", &scope),
    ];
    let plain = fields.len();
    fields.extend(token::audience_fields(wanted.audience.as_deref()));
    let endpoint = login.endpoints.token.clone();
    let mut answer = token::ask(http, &endpoint, &login.client, &fields)?;
    if fields.len() > plain && matches!(&answer, Err(refusal) if refusal.error == "invalid_target")
    {
        // It knows resources (RFC 8707), but not this one: the service has the last word.
        fields.retain(|(name, _)| *name != "resource");
        answer = token::ask(http, &endpoint, &login.client, &fields)?;
    }
    let granted = answer.map_err(|refusal| -> Error {
        match refusal.error.as_str() {
            "invalid_grant" => {
                let said = format!(
                    "the provider says {}{}",
                    refusal.error,
                    super::described(&refusal.error_description)
                );
                over(&login.issuer, &said).into()
            }
            "invalid_scope" => lacking(login, wanted, &scope).into(),
            _ => refusal.of("the refresh"),
        }
    })?;
    if let Some(rotated) = granted.refresh_token {
        login.refresh_token = Some(rotated);
    }
    let access = Access {
        token: granted.access_token,
        scopes: key_of(&scopes),
        audience: wanted.audience.clone(),
        expires_at_s: granted.expires_at_s,
    };
    login.keep(access.clone(), now_s());
    Ok(access)
}
