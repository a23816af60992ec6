//! `mccli info`: the service, your account there, and what your token says, in up to five blocks.

use super::endpoint::real_name;
use crate::{
    claims::Claims,
    cli::Options,
    context::{self, NoService, Wishes},
    error::{Error, Result},
    http::Http,
    report,
    service::{Facts, Service},
};
use motley_proto::{Issuer, Secret, rest::AccountState, text::escape};
use serde::Serialize;
use serde_json::{Value, json, ser::PrettyFormatter};

/// Prints what can be found out.
///
/// # Errors
/// When nothing at all is there to print.
pub(super) fn run(options: &Options, host: Option<&str>) -> Result<()> {
    let hostname = host.map(real_name).transpose()?;
    let http = context::http(options, hostname.as_deref())?;
    let found = find(&http, options, hostname.as_deref())?;
    let mut blocks = Vec::new();
    let token = match &found {
        Some((service, facts)) => {
            blocks.push(block("Information about service", &json_text(&facts.raw)));
            context::find_token(options, host, &Wishes::new(service, facts))
        }
        None => context::find_token(options, host, &NoService),
    };
    match token {
        Ok(token) => {
            if let Some((service, _)) = &found {
                blocks.extend(about_the_account(service, &token.secret));
            }
            blocks.extend(about_the_token(&http, &token.secret));
        }
        Err(error) if blocks.is_empty() => return Err(error),
        Err(error) => report::warning(&error.to_string()),
    }
    report::result(&blocks.concat())?;
    Ok(())
}

fn find<'a>(
    http: &'a Http,
    options: &Options,
    hostname: Option<&str>,
) -> Result<Option<(Service<'a>, Facts)>> {
    if hostname.is_none() && options.mc_endpoint.is_none() {
        return Ok(None);
    }
    let service = context::find_service(http, options, hostname)?;
    let facts = service.info()?;
    Ok(Some((service, facts)))
}

fn block(title: &str, text: &str) -> String {
    format!("\n==== {title} ====\n{text}\n")
}

fn json_text(value: &Value) -> String {
    let mut out = Vec::new();
    let mut writer =
        serde_json::Serializer::with_formatter(&mut out, PrettyFormatter::with_indent(b"    "));
    match value.serialize(&mut writer) {
        Ok(()) => safe(&String::from_utf8_lossy(&out)),
        Err(error) => error.to_string(),
    }
}

/// JSON escapes C0 itself; what else could act on a terminal is written as in JSON too.
fn safe(text: &str) -> String {
    text.lines().map(|line| escape(line, 20_000)).collect::<Vec<_>>().join("\n")
}

fn about_the_account(service: &Service<'_>, token: &Secret) -> Vec<String> {
    let authorisation = match service.authorisation(token) {
        Ok(value) => json_text(&value),
        Err(error) => safe(&error.to_string()),
    };
    let account = match service.status(token) {
        Ok(standing) => {
            let sentence = match standing.state {
                AccountState::Deployed => "Your account is deployed and ready.",
                AccountState::NotDeployed => {
                    "You have no account yet; it is made at the first login."
                }
                AccountState::Pending => "Your account waits for approval.",
                AccountState::Suspended => "Your account is suspended.",
                AccountState::Limited => "Your account is limited.",
                AccountState::Rejected => "Your account was rejected.",
                AccountState::Unknown => "The state of your account is unknown.",
            };
            match &standing.name {
                Some(name) => format!("{sentence}\nLocal username: {}", escape(name, 64)),
                None => format!("{sentence}\n{}", escape(&standing.message, 500)),
            }
        }
        Err(error) => safe(&error.to_string()),
    };
    vec![
        block("Authorisation on service for provided token issuer (OP)", &authorisation),
        block("Information about your local account on service for provided token", &account),
    ]
}

fn about_the_token(http: &Http, token: &Secret) -> Vec<String> {
    let claims = Claims::of(token);
    let inside = match &claims {
        // The signature is left out: together with the rest it would be the token.
        Some(claims) => json_text(&json!({"header": claims.header, "body": claims.payload})),
        None => "The token is not a JWT; only its provider can tell what it says.".to_owned(),
    };
    let issuer = claims.as_ref().and_then(Claims::issuer);
    let told = match issuer.map(|issuer| userinfo(http, issuer, token)) {
        Some(Ok(value)) => json_text(&value),
        Some(Err(error)) => safe(&error.to_string()),
        None => "The token does not name its provider.".to_owned(),
    };
    let mut blocks = vec![
        block("Information stored inside the provided Access Token", &inside),
        block("Information retrieved from userinfo endpoint", &told),
    ];
    blocks.extend(context::seconds_left(token).map(|left| {
        if left > 0.0 {
            format!("\nToken valid for {left:.1} more seconds.\n")
        } else {
            format!("\nToken already EXPIRED {:.1} seconds ago.\n", -left)
        }
    }));
    blocks
}

/// What the provider says about the user (OpenID Connect Core 1.0 §5.3), found by discovery.
fn userinfo(http: &Http, issuer: &str, token: &Secret) -> Result<Value> {
    let bad = |reason: String| Error::BadAnswer { call: "userinfo", reason };
    let issuer = Issuer::new(issuer).map_err(|why| bad(format!("the issuer {why}")))?;
    let url = format!("{}/.well-known/openid-configuration", issuer.trimmed());
    let document: Value =
        http.get(&url, None)?.json().map_err(|error| bad(format!("discovery: {error}")))?;
    // OpenID Connect Discovery 1.0 §4.3: the document must be about this issuer.
    if document.get("issuer").and_then(Value::as_str) != Some(issuer.as_str()) {
        return Err(bad(format!("{url} names another issuer")));
    }
    let endpoint = document.get("userinfo_endpoint").and_then(Value::as_str);
    let endpoint = endpoint.ok_or_else(|| bad("the provider has no userinfo".to_owned()))?;
    let answer = http.get(endpoint, Some(token))?;
    if answer.status != 200 {
        return Err(bad(format!("the provider answers HTTP {}", answer.status)));
    }
    answer.json().map_err(|error| bad(format!("not JSON: {error}")))
}
