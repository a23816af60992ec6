//! Logging in at a provider: the flows that end with a stored login.

mod browser;
mod choose;
mod client;
mod device;
mod id_token;
mod offer;
mod page;
mod provider;
mod pubclients;
mod random;
mod refresh;
mod screen;
mod token;

pub(crate) use choose::{Place, provider_of_host};
pub(crate) use client::secret_in as client_secret_in;
pub(crate) use offer::{offer, order_for};
pub(crate) use provider::{Provider, is_plain};
pub(crate) use refresh::{Wanted, access_token};
pub(crate) use token::revoke;

use crate::{
    cli::Options,
    config::OpRule,
    error::{Error, Result},
    http::{Http, Trust},
    logins::{Access, Endpoints, Keeping, Label, Login, Logins},
    report,
    source::now_s,
};
use client::Origin;
use motley_proto::{Secret, rest::OpInfo};
use screen::Screen;
use token::Granted;

/// Why no login came about.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoginError {
    /// The provider can't be used.
    #[error("{issuer}: {reason}")]
    Provider {
        /// Which one.
        issuer: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// The provider says no.
    #[error("the provider refused {what}: {code}{}", described(.description))]
    Refused {
        /// Which request.
        what: &'static str,
        /// Error code of RFC 6749 §5.2.
        code: String,
        /// The provider's own words.
        description: String,
    },
    /// The user said no in the browser.
    #[error("the login was denied in the browser\nRun the command again if that was a mistake.")]
    Denied,
    /// Nobody confirmed in time.
    #[error(
        "nobody confirmed the login in time; the code is no longer valid\nRun the command again for a new one."
    )]
    Expired,
    /// The answer is not one to our question.
    #[error(
        "the provider's answer is not used: {0}\nRun the command again; if it happens again, tell the operators of the provider."
    )]
    Mismatch(String),
    /// mccli can't become a client of the provider.
    #[error(
        "{issuer}: there is no client that mccli could be: {reason}\nRegister a public client with the device flow there, then: mccli login {issuer} --client-id ID"
    )]
    NoClient {
        /// Which one.
        issuer: String,
        /// What was tried.
        reason: String,
    },
    /// The stored login no longer gets tokens.
    #[error("the login at {issuer} is over: {reason}\nLog in again: mccli login {issuer}")]
    Over {
        /// Which one.
        issuer: String,
        /// What the provider says.
        reason: String,
    },
    /// The stored login may not ask for this.
    #[error(
        "the login at {issuer} does not reach to the scopes {missing}\nLog in again with them: mccli login {issuer}{options}"
    )]
    Scopes {
        /// Which one.
        issuer: String,
        /// Which are missing.
        missing: String,
        /// `--scope A --scope B`: all that are wanted.
        options: String,
    },
}

fn described(description: &str) -> String {
    match description {
        "" => String::new(),
        text => format!(" ({})", motley_proto::text::escape(text, 500)),
    }
}

/// How the user shows who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// Link and code for a browser anywhere (RFC 8628).
    Device,
    /// A browser on this machine (RFC 8252).
    Browser,
    /// Whichever fits this terminal.
    Fitting,
}

/// What to log in for.
pub(crate) struct Order {
    /// Where, as the user or the service wrote it.
    pub(crate) issuer: String,
    /// Scopes that the service or the user wants; none: what providers usually have for people.
    pub(crate) scopes: Vec<String>,
    /// Audience of the tokens.
    pub(crate) audience: Option<String>,
    /// Client that the user named.
    pub(crate) client_id: Option<String>,
    /// Its secret.
    pub(crate) client_secret: Option<Secret>,
    /// Client that the service names.
    pub(crate) suggested_client: Option<String>,
    /// How.
    pub(crate) flow: Flow,
    /// Where the login is kept; the usual place if not given.
    pub(crate) store: Option<Keeping>,
    /// Whether the link is shown as a picture too.
    pub(crate) qr: bool,
}

/// What is asked for in one flow.
struct Request<'a> {
    provider: &'a Provider,
    client: &'a crate::logins::Client,
    scopes: &'a [String],
    audience: Option<&'a str>,
}

/// How providers are asked: their certificates are always verified, whatever holds for the service.
pub(crate) fn trust(options: &Options) -> Trust {
    Trust { any_certificate: false, ..options.trust() }
}

/// Logs in and keeps the login.
///
/// # Errors
/// Why not; nothing is changed then.
pub(crate) fn log_in(options: &Options, rule: &OpRule, order: &Order) -> Result<(Label, Login)> {
    let http = Http::new(trust(options))?;
    let provider = Provider::discover(&http, &order.issuer)?;
    let logins = Logins::of_user();
    let (client, origin) = client::choose(&http, &provider, &logins, rule, order)?;
    let earlier = logins
        .list()
        .into_iter()
        .find(|label| label.issuer == provider.issuer && label.client_id == client.id);
    let scopes = scopes_for(&provider, rule, order, earlier.as_ref());
    let request = Request {
        provider: &provider,
        client: &client,
        scopes: &scopes,
        audience: order.audience.as_deref(),
    };
    let screen = Screen::of(options, order.qr);
    let granted = match chosen_flow(order.flow, &provider, origin)? {
        Flow::Browser => browser::run(&http, &request, origin, &screen)?,
        _ => device::run(&http, &request, &screen)?,
    };
    let login = login_of(&request, origin, granted);
    let label = Label {
        issuer: provider.issuer.clone(),
        client_id: client.id.clone(),
        store: order.store.unwrap_or_else(|| logins.usual_store()),
        scopes: login.scopes.clone(),
        since_s: whole(now_s()),
    };
    let replaced = keep(&logins, earlier.as_ref(), &label, &login)?;
    if let Some(replaced) = replaced.filter(|it| it.refresh_token != login.refresh_token) {
        give_back(&http, &logins, &replaced, &label)?;
    }
    Ok((label, login))
}

/// Keeps a login; the earlier one of the same client that it replaces.
fn keep(
    logins: &Logins,
    earlier: Option<&Label>,
    label: &Label,
    login: &Login,
) -> Result<Option<Login>> {
    let _lock = logins.lock(&label.id())?;
    let replaced = earlier.and_then(|earlier| logins.open(earlier).ok().flatten());
    logins.save(label, login)?;
    let moved = earlier.filter(|earlier| earlier.store != label.store);
    if let Some(Err(error)) = moved.map(|moved| logins.vacate(moved)) {
        report::warning(&format!("{error}\nThe earlier login stays there, and is not used."));
    }
    if login.refresh_token.is_none() {
        report::warning(
            "the provider gave no refresh token: the login lasts as long as its access token\nAsk its operators to allow offline_access for this client.",
        );
    }
    Ok(replaced)
}

/// Revokes the tokens of a login that was replaced. Some providers end every login of the client with
/// one of them: the new one is tried then, and none is left that looks alive.
fn give_back(http: &Http, logins: &Logins, replaced: &Login, label: &Label) -> Result<()> {
    let reason = match revoke(http, replaced) {
        Ok(true) => None,
        Ok(false) => Some("the provider revokes no tokens".to_owned()),
        Err(error) => Some(error.to_string()),
    };
    if let Some(reason) = reason {
        report::warning(&format!(
            "{reason}\nThe tokens of the earlier login at {} were not revoked: they end by themselves.",
            label.issuer
        ));
        return Ok(());
    }
    let fresh = Wanted { min_valid_s: u64::MAX, ..Wanted::default() };
    match access_token(http.trust(), logins, label, &fresh) {
        Err(Error::Login(LoginError::Over { issuer, .. })) if replaced.refresh_token.is_some() => {
            logins.forget(label)?;
            let reason = "the provider ended it together with the earlier one, which is gone now";
            Err(LoginError::Over { issuer, reason: reason.to_owned() }.into())
        }
        Err(error) => {
            report::debug(&error.to_string());
            Ok(())
        }
        Ok(_) => Ok(()),
    }
}

fn login_of(request: &Request<'_>, origin: Origin, granted: Granted) -> Login {
    let now_s = now_s();
    let scopes = granted.scopes.unwrap_or_else(|| request.scopes.to_vec());
    let mut login = Login {
        issuer: request.provider.issuer.clone(),
        client: request.client.clone(),
        origin,
        endpoints: Endpoints {
            token: request.provider.token_endpoint.clone(),
            revocation: request.provider.revocation_endpoint.clone(),
            userinfo: request.provider.userinfo_endpoint.clone(),
        },
        scopes: scopes.clone(),
        refresh_token: granted.refresh_token,
        access: Vec::new(),
        subject: granted.subject,
        name: granted.name,
    };
    let access = Access {
        token: granted.access_token,
        scopes: refresh::key_of(&scopes),
        audience: request.audience.map(str::to_owned),
        expires_at_s: granted.expires_at_s,
    };
    // Not every provider gives the first token an audience; a refresh may get one that has it.
    if login.refresh_token.is_none() || is_for(&access) {
        login.keep(access, now_s);
    }
    login
}

/// False for a token that says that it is for somebody else.
fn is_for(access: &Access) -> bool {
    let Some(audience) = &access.audience else { return true };
    let wanted = OpInfo { audience: audience.clone(), ..OpInfo::default() };
    crate::claims::Claims::of(&access.token).is_none_or(|claims| claims.lacking(&wanted).is_none())
}

/// Scopes that people usually want to be known by, where nobody says which.
const USUAL_SCOPES: [&str; 4] = ["openid", "profile", "email", "eduperson_entitlement"];
/// Scope that gets a refresh token (OpenID Connect Core 1.0 §11).
const OFFLINE: &str = "offline_access";

/// Those of the user, the configuration or the service, with what makes a login of them, and with
/// those of an earlier login of the same client: it is replaced, and must serve its hosts still.
fn scopes_for(
    provider: &Provider,
    rule: &OpRule,
    order: &Order,
    earlier: Option<&Label>,
) -> Vec<String> {
    let offered = |scope: &&str| {
        provider.scopes_supported.is_empty()
            || provider.scopes_supported.iter().any(|known| known == scope)
    };
    let mut scopes: Vec<String> = rule.scopes.clone().unwrap_or_default();
    scopes.extend(order.scopes.iter().cloned());
    if scopes.is_empty() {
        scopes.extend(USUAL_SCOPES.iter().filter(|scope| offered(scope)).map(|&s| s.to_owned()));
    }
    scopes.push("openid".to_owned());
    scopes.extend(Some(OFFLINE).filter(|scope| offered(scope)).map(str::to_owned));
    scopes.extend(earlier.iter().flat_map(|label| label.scopes.iter().cloned()));
    let mut seen = std::collections::HashSet::new();
    scopes.retain(|scope| seen.insert(scope.clone()));
    scopes
}

fn chosen_flow(wanted: Flow, provider: &Provider, origin: Origin) -> Result<Flow> {
    let lacks = |what: &str| LoginError::Provider {
        issuer: provider.issuer.clone(),
        reason: format!("it offers no login {what}"),
    };
    let (device, browser) = (
        provider.device_authorization_endpoint.is_some(),
        provider.authorization_endpoint.is_some(),
    );
    match wanted {
        Flow::Device if !device => Err(lacks("by device flow; try --browser").into()),
        Flow::Browser if !browser => Err(lacks("by browser; try --device").into()),
        Flow::Fitting if !device && !browser => Err(lacks("that mccli knows").into()),
        Flow::Fitting if !device => Ok(Flow::Browser),
        // Clients of oidc-agent may have addresses to return to that are not ours.
        Flow::Fitting if browser && origin != Origin::OidcAgent && browser::fits_here() => {
            Ok(Flow::Browser)
        }
        Flow::Fitting => Ok(Flow::Device),
        flow => Ok(flow),
    }
}

/// Seconds without their fraction.
fn whole(seconds: f64) -> u64 {
    std::time::Duration::try_from_secs_f64(seconds).map_or(0, |time| time.as_secs())
}

#[cfg(test)]
mod tests;
