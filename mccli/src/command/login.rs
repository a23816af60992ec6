//! `mccli login`: logs in at a provider and keeps the login.

use super::endpoint::real_name;
use crate::{
    cli::{LoginLine, Options},
    context::{self, NoService, Wishes},
    error::{Error, Result},
    login::{self, Flow, Order, Place},
    logins::{Label, Login, Logins},
    report,
    source::now_s,
};

/// Runs the command.
pub(super) fn run(options: &Options, line: &LoginLine) -> Result<()> {
    let config = context::configuration(options)?;
    let mut order = order(options, line)?;
    order.flow = match (line.device, line.browser) {
        (true, _) => Flow::Device,
        (_, true) => Flow::Browser,
        _ => Flow::Fitting,
    };
    if !line.scope.is_empty() {
        order.scopes = line.scope.clone();
    }
    if let Some(audience) = &line.audience {
        order.audience = Some(audience.clone()).filter(|audience| !audience.is_empty());
    }
    order.client_id = line.client_id.clone();
    order.client_secret =
        line.client_secret_file.as_deref().map(login::client_secret_in).transpose()?;
    order.store = line.store;
    order.qr = !line.no_qr;
    let (label, login) = login::log_in(options, &config.op(&order.issuer), &order)?;
    tell(options, &label, &login)
}

fn order(options: &Options, line: &LoginLine) -> Result<Order> {
    let logins = Logins::of_user();
    let place = line.place.as_deref().map(|text| Place::of(text, &logins));
    let host = match (place, &options.iss, &options.mc_endpoint) {
        (Some(Place::Issuer(issuer)), ..) => return login::order_for(&issuer, &NoService),
        (Some(Place::Host(host)), ..) => Some(host),
        (None, _, Some(_)) => None,
        (None, Some(issuer), None) => return login::order_for(issuer, &NoService),
        (None, None, None) => {
            return Err(Error::Usage(
                "give the ISSUER of your home organisation, or a HOST whose service names it"
                    .to_owned(),
            ));
        }
    };
    let hostname = host.as_deref().map(real_name).transpose()?;
    let http = context::http(options, hostname.as_deref())?;
    let service = context::find_named_service(&http, options, hostname.as_deref())?;
    let facts = service.info()?;
    let needs = Wishes::new(&service, &facts);
    let issuers = &facts.info.supported_ops;
    let issuer =
        login::provider_of_host(issuers, options.iss.as_deref(), &logins, !options.no_input)?;
    login::order_for(&issuer, &needs)
}

fn tell(options: &Options, label: &Label, login: &Login) -> Result<()> {
    if !options.json {
        if !options.quiet {
            if let Some(who) = who(login) {
                report::always(&format!("You are {who} there."));
            }
            let place = label.store.words();
            report::always(&format!("Logged in at {}; kept in {place}.", label.issuer));
        }
        return Ok(());
    }
    let left = login.access.last().map(|access| access.expires_at_s - now_s());
    let facts = serde_json::json!({
        "issuer": label.issuer,
        "client_id": label.client_id,
        "subject": login.subject,
        "preferred_username": login.name,
        "scopes": label.scopes,
        "store": label.store,
        "refreshable": login.refresh_token.is_some(),
        "access_token_expires_in": left.map(|left| left.max(0.0).round()),
    });
    Ok(report::facts(&facts, String::new)?)
}

/// As whom the login was made: somebody else may have confirmed it in the browser.
fn who(login: &Login) -> Option<String> {
    match (&login.name, &login.subject) {
        (Some(name), Some(subject)) => Some(format!("{name} ({subject})")),
        (name, subject) => name.clone().or_else(|| subject.clone()),
    }
}
