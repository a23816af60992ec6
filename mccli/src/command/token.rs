//! `mccli token`: prints a token, checks whether there is one, or shows what it says.

use super::endpoint::real_name;
use crate::{
    claims::Claims,
    cli::{Options, TokenLine},
    context::{self, NoService, Wishes},
    error::{Error, Result},
    login::{self, Place, Wanted},
    logins::{Label, Logins},
    report,
    source::now_s,
};
use motley_proto::Secret;
use serde_json::{Value, json};

/// Runs the command.
pub(super) fn run(options: &Options, line: &TokenLine) -> Result<()> {
    // A check asks nobody: its exit code is what a script goes on with.
    let asks = Options { no_input: options.no_input || line.check, ..options.clone() };
    let found = find(&asks, line.place.as_deref(), line.min_valid);
    let checked = found.and_then(|token| check(token, line.min_valid));
    if line.check {
        // Only the exit code speaks; why is told to those who ask for it.
        return checked.map(drop).map_err(|error| match error {
            error @ (Error::Usage(_) | Error::Config { .. }) => error,
            error => {
                report::info(&error.to_string());
                Error::NotValid
            }
        });
    }
    let token = checked?;
    if line.decode {
        return decode(&token);
    }
    let claims = Claims::of(&token);
    let facts = json!({
        "access_token": token.expose(),
        "issuer": claims.as_ref().and_then(Claims::issuer),
        "expires_in": context::seconds_left(&token).map(f64::round),
    });
    Ok(report::facts(&facts, || format!("{}\n", token.expose()))?)
}

/// The token for a host, of an issuer, or of the one source that there is.
pub(super) fn find(options: &Options, place: Option<&str>, min_valid_s: u64) -> Result<Secret> {
    let logins = Logins::of_user();
    match place.map(|text| Place::of(text, &logins)) {
        Some(Place::Issuer(issuer)) => of_issuer(options, &logins, issuer, min_valid_s),
        Some(Place::Host(host)) => for_host(options, Some(&host)),
        None if options.mc_endpoint.is_some() => for_host(options, None),
        None => of_anybody(options, &logins, min_valid_s),
    }
}

fn for_host(options: &Options, host: Option<&str>) -> Result<Secret> {
    let hostname = host.map(real_name).transpose()?;
    let http = context::http(options, hostname.as_deref())?;
    let service = context::find_named_service(&http, options, hostname.as_deref())?;
    let facts = service.info()?;
    let needs = Wishes::new(&service, &facts);
    Ok(context::find_token(options, hostname.as_deref(), &needs)?.secret)
}

fn of_issuer(
    options: &Options,
    logins: &Logins,
    issuer: String,
    min_valid_s: u64,
) -> Result<Secret> {
    let labels = logins.at(&issuer);
    let stored = match first_of(options, logins, &labels, min_valid_s) {
        Some(Ok(token)) => return Ok(token),
        Some(Err(error)) => Some(error),
        None => None,
    };
    // oidc-agent may have it too.
    let options = Options { iss: Some(issuer), ..options.clone() };
    let other = context::find_token(&options, None, &NoService);
    let other = other.and_then(|token| check(token.secret, min_valid_s));
    other.map_err(|error| stored.unwrap_or(error))
}

fn of_anybody(options: &Options, logins: &Logins, min_valid_s: u64) -> Result<Secret> {
    let error = match context::find_token(options, None, &NoService) {
        Ok(token) => return Ok(token.secret),
        Err(error) => error,
    };
    let labels = logins.list();
    if let [_, _, ..] = labels.as_slice() {
        let list: String = labels.iter().map(|label| format!("\n  {}", label.issuer)).collect();
        return Err(Error::Usage(format!("there are several logins; name an ISSUER{list}")));
    }
    first_of(options, logins, &labels, min_valid_s).unwrap_or(Err(error))
}

/// The first login that gives a token, or why the last one gives none.
fn first_of(
    options: &Options,
    logins: &Logins,
    labels: &[Label],
    min_valid_s: u64,
) -> Option<Result<Secret>> {
    let wanted = Wanted { min_valid_s, ..Wanted::default() };
    let mut last = None;
    for label in labels {
        match login::access_token(&login::trust(options), logins, label, &wanted) {
            Ok(access) => return Some(Ok(access.token)),
            Err(error) => last = Some(Err(error)),
        }
    }
    last
}

/// Tokens that say how long they last must last long enough.
fn check(token: Secret, min_valid_s: u64) -> Result<Secret> {
    let wanted_s = std::time::Duration::from_secs(min_valid_s).as_secs_f64();
    match Claims::of(&token).and_then(|claims| claims.seconds_left(now_s())) {
        Some(left) if left < wanted_s => Err(Error::NoToken(format!(
            "the token is valid for {} more seconds, and {min_valid_s} are wanted\nGet a new one, or ask for less with --min-valid.",
            left.max(0.0).round()
        ))),
        _ => Ok(token),
    }
}

/// Header and payload; never the signature, so that what is shown is of no use to log in.
fn decode(token: &Secret) -> Result<()> {
    let claims = Claims::of(token).ok_or_else(|| {
        Error::NoToken("the token is opaque: only its provider can say what it means\nmccli whoami asks the provider.".to_owned())
    })?;
    let shown: Value = json!({"header": claims.header, "payload": claims.payload});
    Ok(report::facts(&shown, || format!("{shown:#}\n"))?)
}
