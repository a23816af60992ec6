//! `mccli logout`: gives stored logins back to their providers and forgets them.

use crate::{
    cli::{LogoutLine, Options},
    error::{Error, Result},
    http::Http,
    login,
    logins::{Label, Logins},
    report,
};

/// Runs the command.
pub(super) fn run(options: &Options, line: &LogoutLine) -> Result<()> {
    let logins = Logins::of_user();
    let issuer = line.issuer.as_deref().or(options.iss.as_deref());
    let labels = match issuer {
        Some(issuer) => logins.at(issuer),
        None => logins.list(),
    };
    match (labels.as_slice(), issuer) {
        ([], Some(issuer)) => {
            return Err(Error::NoToken(format!("there is no stored login at {issuer}")));
        }
        ([], None) if !line.all => {
            return Err(Error::NoToken("there is no stored login".to_owned()));
        }
        ([_, _, ..], None) if !line.all => {
            let list: String = labels.iter().map(|l| format!("\n  {}", l.issuer)).collect();
            let text = format!("there are several logins; name an ISSUER, or use --all{list}");
            return Err(Error::Usage(text));
        }
        _ => {}
    }
    let http = Http::new(login::trust(options))?;
    let mut ended = Vec::new();
    let mut kept = None;
    for label in &labels {
        let revoked = match end(&http, &logins, label) {
            Ok(revoked) => revoked,
            // The others end all the same.
            Err(error) => {
                let said = format!("The login at {} stays: {error}", label.issuer);
                report::warning(&said);
                kept = Some(error);
                continue;
            }
        };
        ended.push(serde_json::json!({"issuer": label.issuer, "client_id": label.client_id, "revoked": revoked}));
        if !options.json && !options.quiet {
            report::always(&format!("Logged out at {}.", label.issuer));
        }
    }
    report::facts(&ended, String::new)?;
    kept.map_or(Ok(()), Err)
}

/// Revokes what can be revoked and forgets the rest; whether the provider took part. What is in a
/// store that can't be reached now stays: its tokens are still good.
fn end(http: &Http, logins: &Logins, label: &Label) -> Result<bool> {
    let _lock = logins.lock(&label.id())?;
    let opened = match logins.open(label) {
        Err(error) if !error.is_about_content() => return Err(error.into()),
        opened => opened.map_err(Error::from),
    };
    let revoked =
        opened.and_then(|login| login.map_or(Ok(true), |login| login::revoke(http, &login)));
    let reason = match &revoked {
        Ok(true) => None,
        Ok(false) => Some("the provider revokes no tokens".to_owned()),
        Err(error) => Some(error.to_string()),
    };
    if let Some(reason) = reason {
        report::warning(&format!(
            "{reason}\nThe login at {} is forgotten here, but its tokens were not revoked: they end by themselves.",
            label.issuer
        ));
    }
    logins.forget(label)?;
    Ok(revoked.unwrap_or_default())
}
