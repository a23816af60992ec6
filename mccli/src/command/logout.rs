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
    for label in &labels {
        let revoked = end(&http, &logins, label)?;
        ended.push(serde_json::json!({"issuer": label.issuer, "client_id": label.client_id, "revoked": revoked}));
        if !options.json && !options.quiet {
            report::always(&format!("Logged out at {}.", label.issuer));
        }
    }
    if options.json {
        report::result(&format!("{:#}\n", serde_json::Value::from(ended)))?;
    }
    Ok(())
}

/// Revokes what can be revoked and forgets the rest; whether the provider took part.
fn end(http: &Http, logins: &Logins, label: &Label) -> Result<bool> {
    let _lock = logins.lock(&label.id())?;
    let revoked = logins
        .open(label)
        .map_err(Error::from)
        .and_then(|login| login.map_or(Ok(()), |login| login::revoke(http, &login)));
    if let Err(error) = &revoked {
        report::warning(&format!(
            "{error}\nThe login at {} is forgotten here, but its tokens were not revoked: they end by themselves.",
            label.issuer
        ));
    }
    logins.forget(label)?;
    Ok(revoked.is_ok())
}
