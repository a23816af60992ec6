//! The token and the account: is there one, does it fit, does it get through, and who is it for.

use super::{Check, Examination, ssh::Destination};
use crate::{
    claims::Claims,
    cli::Options,
    context::{self, NoService, Wishes},
    credential::{self, Way},
    duration,
    error::Error,
    service::{Facts, Service},
    source::{Needs, Requirements, Token, fingerprint},
};
use motley_proto::{rest::AccountState, text::escape};

/// A token that ends sooner may not last until ssh asks for it.
const SOON_S: f64 = 60.0;

/// Checks token and account; gives the name of the account.
pub(super) fn examine(
    it: &mut Examination,
    options: &Options,
    destination: Option<&Destination>,
    found: Option<&(Service<'_>, Facts)>,
) -> Option<String> {
    it.about("your token");
    let wishes = found.map(|(service, facts)| Wishes::new(service, facts));
    let needs: &dyn Requirements = match &wishes {
        Some(wishes) => wishes,
        None => &NoService,
    };
    let host = destination.map(|it| it.settings.hostname.as_str());
    let (source, token) = match context::find_named_token(options, host, needs) {
        Ok(found) => found,
        Err(error) => {
            it.add(Check::fail("token", &error));
            for name in ["scopes", "length", "account"] {
                it.add(Check::skip(name, "there is no token"));
            }
            return None;
        }
    };
    it.add(lifetime(&source, &token));
    it.add(fit(&token, needs, found.is_some()));
    let Some((service, facts)) = found else {
        it.add(Check::skip("length", "there is no service"));
        it.add(Check::skip("account", "there is no service"));
        return None;
    };
    it.add(length(options, destination, (service, facts), &token));
    it.about("your account");
    account(it, service, &token)
}

fn lifetime(source: &str, token: &Token) -> Check {
    let origin = format!("of {source}, fingerprint {}", fingerprint(&token.secret));
    match context::seconds_left(&token.secret) {
        Some(left) => {
            let detail = format!("{origin}, valid for {}", duration::words(left));
            if left < SOON_S {
                Check::warn("token", detail, "It ends soon; get a new one.")
            } else {
                Check::ok("token", detail)
            }
        }
        None => Check::ok("token", format!("{origin}, says nothing of its end")),
    }
}

fn fit(token: &Token, needs: &dyn Requirements, asked: bool) -> Check {
    const NAME: &str = "scopes";
    if !asked {
        return Check::skip(NAME, "there is no service");
    }
    let Some(claims) = Claims::of(&token.secret) else {
        return Check::skip(NAME, "the token is not a JWT; only the service can tell");
    };
    let Some(issuer) = claims.issuer() else {
        return Check::skip(NAME, "the token does not name its provider");
    };
    match needs.of(issuer) {
        Needs::Op(op) => match claims.lacking(&op) {
            None => Check::ok(
                NAME,
                format!("a token of {}, as the service wants it", escape(issuer, 500)),
            ),
            Some(why) => {
                let hint =
                    format!("Get a token with what `mccli ops` shows for {}.", escape(issuer, 500));
                Check::warn(NAME, why, hint)
            }
        },
        Needs::Unsupported => {
            let text = format!(
                "the service takes no tokens of {}\nLog in at one of its providers: {}",
                escape(issuer, 500),
                needs.issuers().join(", ")
            );
            Check::fail(NAME, &Error::NoToken(text))
        }
        Needs::Unknown => Check::skip(NAME, "the service does not say what it wants"),
    }
}

fn length(
    options: &Options,
    destination: Option<&Destination>,
    (service, facts): (&Service<'_>, &Facts),
    token: &Token,
) -> Check {
    let prefixes = destination.is_none_or(|it| it.settings.prefixes_prompts);
    let chunks = facts.info.chunked_prompt && prefixes;
    let length = token.secret.len();
    match credential::choose(length, chunks, options.otp.unwrap_or_default()) {
        Ok(Way::Whole) => Check::ok("length", format!("{length} bytes fit through ssh's prompt")),
        Ok(Way::Chunks) => Check::ok("length", format!("{length} bytes go through ssh in pieces")),
        // Nothing else than making one tells whether the service has them.
        Ok(Way::OneTimePassword) => match credential::one_time_password(service, &token.secret) {
            Ok(_) => Check::ok(
                "length",
                format!("{length} bytes; a one-time password of the service goes through ssh"),
            ),
            Err(error @ Error::TokenTooLong(_)) => Check::fail("length", &error),
            Err(_) => Check::skip(
                "length",
                format!("{length} bytes; the service makes no one-time password for this token"),
            ),
        },
        Err(error) => Check::fail("length", &error),
    }
}

fn account(it: &mut Examination, service: &Service<'_>, token: &Token) -> Option<String> {
    const NAME: &str = "account";
    let standing = match service.status(&token.secret) {
        Ok(standing) => standing,
        Err(error) => {
            it.add(Check::fail(NAME, &error));
            return None;
        }
    };
    let name = standing.name.as_deref().map(|name| escape(name, 64));
    let message = escape(&standing.message, 500);
    it.add(match standing.state {
        AccountState::Deployed => {
            Check::ok(NAME, format!("{} is ready", name.as_deref().unwrap_or("it")))
        }
        AccountState::NotDeployed => Check::ok(NAME, "none yet; the first login makes it"),
        AccountState::Unknown => {
            Check::warn(NAME, message, "The service can't tell now; try again later.")
        }
        AccountState::Pending => Check::fail(NAME, &Error::Pending(message, String::new())),
        state => Check::fail(NAME, &Error::Locked(state, message)),
    });
    // Only a name that can stand behind -l.
    standing.name.filter(|name| motley_proto::UserName::new(name.as_str()).is_ok())
}
