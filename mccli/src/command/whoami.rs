//! `mccli whoami`: the stored logins, what your token says, and what its provider says about you.

use super::token;
use crate::{
    claims::Claims,
    cli::Options,
    context,
    error::{Error, Result},
    http::Http,
    login::{self, Provider, Wanted},
    logins::{Label, Login, Logins},
    report,
    source::now_s,
};
use motley_proto::{Secret, text::escape};
use serde_json::{Value, json};

/// Longest claim that is shown to people, in characters.
const SHOWN_CHARACTERS: usize = 300;

/// Runs the command.
pub(super) fn run(options: &Options, host: Option<&str>) -> Result<()> {
    let logins = Logins::of_user();
    let http = Http::new(login::trust(options))?;
    let labels = logins.list();
    let stored: Vec<Value> =
        labels.iter().map(|label| about_login(&http, &logins, label)).collect();
    let token = match host {
        Some(_) => Some(token::find(options, host, 0)?),
        // Without a host, other sources than the stored logins are a matter of luck.
        None => {
            context::find_token(options, None, &context::NoService).ok().map(|token| token.secret)
        }
    };
    if stored.is_empty() && token.is_none() {
        return Err(Error::NoToken(
            "you are nobody yet: there is no stored login and no token\nLog in with: mccli login ISSUER|HOST".to_owned(),
        ));
    }
    let token = token.map(|token| about_token(&http, &token, None));
    let words = || stored.iter().chain(token.as_ref()).map(in_words).collect();
    Ok(report::facts(&json!({"logins": stored, "token": token}), words)?)
}

fn about_login(http: &Http, logins: &Logins, label: &Label) -> Value {
    let mut facts = json!({
        "issuer": label.issuer,
        "client_id": label.client_id,
        "store": label.store,
        "scopes": label.scopes,
        "since": label.since_s,
    });
    let opened = logins.open(label).map_err(Error::from);
    let access = opened.and_then(|login| {
        let wanted = Wanted::default();
        login::access_token(http.trust(), logins, label, &wanted).map(|access| (login, access))
    });
    let more = match access {
        Ok((login, access)) => {
            let mut more = about_token(http, &access.token, login.as_ref());
            let left = (access.expires_at_s - now_s()).round();
            more["expires_in"] = json!(left);
            more
        }
        Err(error) => json!({"problem": error.to_string()}),
    };
    if let (Some(facts), Value::Object(more)) = (facts.as_object_mut(), more) {
        more.into_iter().for_each(|(name, value)| drop(facts.insert(name, value)));
    }
    facts
}

fn about_token(http: &Http, token: &Secret, login: Option<&Login>) -> Value {
    let claims = Claims::of(token);
    let issuer = claims.as_ref().and_then(Claims::issuer).map(str::to_owned);
    let endpoint = match login {
        Some(login) => login.endpoints.userinfo.clone(),
        None => issuer
            .as_deref()
            .and_then(|issuer| Provider::discover(http, issuer).ok())
            .and_then(|provider| provider.userinfo_endpoint),
    };
    let userinfo = endpoint.and_then(|endpoint| {
        let answer = http.get(&endpoint, Some(token)).ok()?;
        (answer.status == 200).then(|| answer.json::<Value>().ok()).flatten()
    });
    json!({
        "issuer": issuer.or_else(|| login.map(|login| login.issuer.clone())),
        "claims": claims.map(|claims| claims.payload),
        "userinfo": userinfo,
        "expires_in": context::seconds_left(token).map(f64::round),
    })
}

/// What people look for, a line each.
fn in_words(facts: &Value) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            text.push_str(&format!("{name:<9} {}\n", escape(&value, SHOWN_CHARACTERS)));
        }
    };
    let said = |name: &str| {
        let sources = [&facts["userinfo"], &facts["claims"]];
        sources.into_iter().find_map(|source| source.get(name)?.as_str()).map(str::to_owned)
    };
    let own = |name: &str| facts.get(name).and_then(Value::as_str).map(str::to_owned);
    line("issuer", own("issuer"));
    line("subject", said("sub"));
    line("name", said("name"));
    line("user", said("preferred_username"));
    line("email", said("email"));
    line("kept in", own("store"));
    let scopes = facts.get("scopes").and_then(Value::as_array);
    line(
        "scopes",
        scopes.map(|list| list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")),
    );
    line(
        "token",
        facts["expires_in"].as_f64().map(|left| match left > 0.0 {
            true => format!("valid for {left} s"),
            false => "expired".to_owned(),
        }),
    );
    line("problem", own("problem"));
    text.push('\n');
    text
}
