//! The browser flow (RFC 8252): a browser on this machine, which comes back to a port of ours.

mod answer;
mod listener;
mod program;
mod redirect;

use super::{
    LoginError, OFFLINE, Request,
    client::Origin,
    id_token, page, random,
    screen::Screen,
    token::{self, Granted},
};
use crate::{
    error::{Error, Result},
    http::{Http, check_scheme},
    report,
    source::{environment, now_s},
};
use answer::Answer;
use listener::Listener;
use motley_proto::Secret;
use redirect::Redirect;
use std::time::Duration;

/// Longest wait for the browser.
const LIMIT: Duration = Duration::from_secs(600);

/// True where a browser can be opened for the one who types: a display, a browser, and no ssh in
/// between.
pub(super) fn fits_here() -> bool {
    let has = |name| environment(name).is_some();
    (has("DISPLAY") || has("WAYLAND_DISPLAY"))
        && !has("SSH_CONNECTION")
        && program::find().is_some()
}

/// Logs in.
///
/// # Errors
/// When it is denied, nobody comes back, or what comes back is not the answer to this question.
pub(super) fn run(
    http: &Http,
    request: &Request<'_>,
    origin: Origin,
    screen: &Screen,
) -> Result<Granted> {
    let listener = Listener::open(origin)?;
    let (state, nonce, verifier) =
        (random::unguessable(), random::unguessable(), random::unguessable());
    let redirect = listener.redirect().to_owned();
    let link = link(http, request, &redirect, [&state, &nonce], &random::challenge(&verifier))?;
    page::check(request.provider, [&link])?;
    // It stays until the browser has come back.
    let page = program::find().and_then(|browser| opened(&browser, &link));
    let opened = page.is_some();
    screen.show_link(&request.provider.issuer, &link, opened);
    let waiting = screen.wait(LIMIT);
    let answer = listener.wait(http, &state, LIMIT, &waiting)?;
    drop(waiting);
    drop(page);
    let code = accept(request, answer)?;
    let mut fields = vec![
        ("grant_type", "authorization_code"),
        ("code", code.expose()),
        ("redirect_uri", redirect.as_str()),
        ("code_verifier", verifier.expose()),
    ];
    fields.extend(token::audience_fields(request.audience));
    let endpoint = &request.provider.token_endpoint;
    let mut granted = token::ask(http, endpoint, request.client, &fields)?
        .map_err(|refusal| refusal.of("the login"))?;
    id_token::check(&mut granted, request, Some(&nonce), now_s())?;
    Ok(granted)
}

/// The page in the browser, if one opens.
fn opened(browser: &program::Browser, link: &str) -> Option<Redirect> {
    let redirect = Redirect::to(link)
        .inspect_err(|error| report::debug(&format!("no page for the browser: {error}")))
        .ok()?;
    browser.open(&redirect.url()?).then_some(redirect)
}

/// The authorisation request (RFC 6749 §4.1.1, OpenID Connect Core 1.0 §3.1.2.1).
fn link(
    http: &Http,
    request: &Request<'_>,
    redirect: &str,
    [state, nonce]: [&Secret; 2],
    challenge: &str,
) -> Result<String> {
    let none = || LoginError::Provider {
        issuer: request.provider.issuer.clone(),
        reason: "it offers no login by browser".to_owned(),
    };
    let endpoint = request.provider.authorization_endpoint.as_deref().ok_or_else(none)?;
    let mut url = check_scheme(endpoint, http.trust())?;
    {
        let mut query = url.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &request.client.id)
            .append_pair("redirect_uri", redirect)
            .append_pair("scope", &request.scopes.join(" "))
            .append_pair("state", state.expose())
            .append_pair("nonce", nonce.expose())
            .append_pair("code_challenge", challenge)
            .append_pair("code_challenge_method", "S256");
        if request.scopes.iter().any(|scope| scope == OFFLINE) {
            // OpenID Connect Core 1.0 §11: no refresh token without it.
            query.append_pair("prompt", "consent");
        }
        query.extend_pairs(token::audience_fields(request.audience));
    }
    Ok(url.into())
}

/// The code, if the answer is our provider's (RFC 9207 §2.4) and a yes.
fn accept(request: &Request<'_>, answer: Answer) -> Result<Secret> {
    let provider = request.provider;
    let wrong = |what: &str| Err(Error::from(LoginError::Mismatch(what.to_owned())));
    match &answer.issuer {
        Some(issuer) if *issuer != provider.issuer => {
            return wrong("it says that it comes from another provider (RFC 9207)");
        }
        None if provider.authorization_response_iss_parameter_supported => {
            return wrong("it does not say which provider it comes from (RFC 9207)");
        }
        _ => {}
    }
    match (answer.error, answer.code) {
        (Some(error), _) if error == "access_denied" => Err(LoginError::Denied.into()),
        (Some(code), _) => Err(LoginError::Refused {
            what: "the login",
            code: motley_proto::text::escape(&code, 100),
            description: answer.description,
        }
        .into()),
        (None, Some(code)) => {
            report::debug("the browser came back with a code");
            Ok(code)
        }
        (None, None) => wrong("it holds no code"),
    }
}
