//! `mccli info`: the service, your account there, and what your token says, in up to five blocks.

use super::endpoint::real_name;
use crate::{
    claims::Claims,
    cli::Options,
    context::{self, NoService, Wishes},
    error::{Error, Result},
    http::{Http, check_scheme},
    login, report,
    service::{Facts, Service, Standing},
};
use motley_proto::{Issuer, Secret, rest::AccountState, text::escape};
use serde::Serialize;
use serde_json::{Value, json, ser::PrettyFormatter};

/// Everything that was found out; what is absent was not asked for.
#[derive(Default, Serialize)]
struct Findings {
    endpoint: Option<String>,
    service: Option<Value>,
    authorisation: Option<Part<Value>>,
    account: Option<Part<Account>>,
    token: Option<Part<Inside>>,
    userinfo: Option<Part<Value>>,
}

/// A fact, or why it is not known.
#[derive(Serialize)]
#[serde(untagged)]
enum Part<T> {
    Known(T),
    Failed {
        error: Value,
        #[serde(skip)]
        text: String,
    },
}

impl<T> From<Result<T>> for Part<T> {
    fn from(result: Result<T>) -> Self {
        match result {
            Ok(fact) => Self::Known(fact),
            Err(error) => Self::Failed { error: error.json(), text: error.to_string() },
        }
    }
}

impl<T> Part<T> {
    fn text(&self, known: impl FnOnce(&T) -> String) -> String {
        match self {
            Self::Known(fact) => known(fact),
            Self::Failed { text, .. } => safe(text),
        }
    }
}

/// The account, as the service sees it.
#[derive(Serialize)]
struct Account {
    state: AccountState,
    username: Option<String>,
    message: String,
}

/// What the token itself says; its signature is left out, for the rest with it would be the token.
#[derive(Serialize)]
struct Inside {
    /// True for a token that says something.
    jwt: bool,
    header: Option<Value>,
    body: Option<Value>,
    seconds_left: Option<f64>,
}

/// Prints what can be found out.
///
/// # Errors
/// When nothing at all is there to print.
pub(super) fn run(options: &Options, host: Option<&str>) -> Result<()> {
    let hostname = host.map(real_name).transpose()?;
    let http = context::http(options, hostname.as_deref())?;
    let found = find(&http, options, hostname.as_deref())?;
    let mut findings = Findings::default();
    let token = match &found {
        Some((service, facts)) => {
            findings.endpoint = Some(service.endpoint().to_owned());
            findings.service = Some(facts.raw.clone());
            context::find_token(options, hostname.as_deref(), &Wishes::new(service, facts))
        }
        None => context::find_token(options, None, &NoService),
    };
    match token {
        Ok(token) => {
            let _asking = report::progress("asking the service and the provider");
            if let Some((service, _)) = &found {
                findings.authorisation = Some(service.authorisation(&token.secret).into());
                findings.account = Some(service.status(&token.secret).map(account).into());
            }
            findings.about_the_token(&Http::new(login::trust(options))?, &token.secret);
        }
        Err(error) if found.is_none() => return Err(nothing(error)),
        Err(error) if options.json => findings.token = Some(Err(error).into()),
        Err(error) => report::warning(&error.to_string()),
    }
    report::facts(&findings, || findings.text())?;
    Ok(())
}

/// A host would help as well, whatever became of the sources.
fn nothing(error: Error) -> Error {
    match error {
        Error::NoToken(text) if text.starts_with("No Access Token found") => {
            let reasons = text.lines().skip(1).filter(|line| line.starts_with(' '));
            let reasons: String = reasons.map(|line| format!("\n{line}")).collect();
            Error::NoToken(format!(
                "No information available: please provide a hostname and/or an Access Token. Try 'mccli info --help' for usage information.{reasons}"
            ))
        }
        other => other,
    }
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

fn account(standing: Standing) -> Account {
    Account { state: standing.state, username: standing.name, message: standing.message }
}

impl Findings {
    fn about_the_token(&mut self, http: &Http, token: &Secret) {
        let claims = Claims::of(token);
        let issuer = claims.as_ref().and_then(Claims::issuer);
        self.userinfo = Some(match issuer {
            Some(issuer) => userinfo(http, issuer, token).into(),
            None => {
                let reason = "The token does not name its provider.".to_owned();
                Part::Failed {
                    error: json!({"code": "no_issuer", "message": reason}),
                    text: reason,
                }
            }
        });
        self.token = Some(Part::Known(Inside {
            jwt: claims.is_some(),
            seconds_left: context::seconds_left(token),
            header: claims.as_ref().map(|claims| claims.header.clone()),
            body: claims.map(|claims| claims.payload),
        }));
    }

    fn text(&self) -> String {
        let blocks = [
            self.service.as_ref().map(|raw| block("Information about service", &json_text(raw))),
            self.authorisation.as_ref().map(|part| {
                let title = "Authorisation on service for provided token issuer (OP)";
                block(title, &part.text(json_text))
            }),
            self.account.as_ref().map(|part| {
                let title = "Information about your local account on service for provided token";
                block(title, &part.text(account_text))
            }),
            self.token.as_ref().map(|part| {
                let title = "Information stored inside the provided Access Token";
                block(title, &part.text(inside_text))
            }),
            self.userinfo.as_ref().map(|part| {
                let title = "Information retrieved from userinfo endpoint";
                block(title, &part.text(json_text))
            }),
            self.token.as_ref().and_then(time_left),
        ];
        blocks.into_iter().flatten().collect()
    }
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

fn account_text(account: &Account) -> String {
    let sentence = match account.state {
        AccountState::Deployed => "Your account is deployed and ready.",
        AccountState::NotDeployed => "You have no account yet; it is made at the first login.",
        AccountState::Pending => "Your account waits for approval.",
        AccountState::Suspended => "Your account is suspended.",
        AccountState::Limited => "Your account is limited.",
        AccountState::Rejected => "Your account was rejected.",
        AccountState::Unknown => "The state of your account is unknown.",
    };
    match &account.username {
        Some(name) => format!("{sentence}\nLocal username: {}", escape(name, 64)),
        None => format!("{sentence}\n{}", escape(&account.message, 500)),
    }
}

fn inside_text(inside: &Inside) -> String {
    if inside.jwt {
        json_text(&json!({"header": inside.header, "body": inside.body}))
    } else {
        "The token is not a JWT; only its provider can tell what it says.".to_owned()
    }
}

fn time_left(token: &Part<Inside>) -> Option<String> {
    let Part::Known(Inside { seconds_left: Some(left), .. }) = token else { return None };
    Some(if *left > 0.0 {
        format!("\nToken valid for {left:.1} more seconds.\n")
    } else {
        format!("\nToken already EXPIRED {:.1} seconds ago.\n", -left)
    })
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
    if check_scheme(endpoint, http.trust())?.scheme() == "http" && !login::is_plain(issuer.as_str())
    {
        return Err(bad(format!("{endpoint} is not encrypted")));
    }
    let answer = http.get(endpoint, Some(token))?;
    if answer.status != 200 {
        return Err(bad(format!("the provider answers HTTP {}", answer.status)));
    }
    answer.json().map_err(|error| bad(format!("not JSON: {error}")))
}
