//! The offer to log in, where a token is wanted and there is none.

use super::{Flow, LoginError, Order, Wanted, access_token, log_in, provider_of_host, trust};
use crate::{
    claims::audiences_of,
    cli::Options,
    context,
    error::{Error, Result},
    logins::Logins,
    source::{Needs, Requirements, Token},
    tty,
};
use motley_proto::text::escape;

/// Offers to log in at a provider of the service, where somebody is there to say yes.
///
/// # Errors
/// When the user wants to and it fails; `None` when nobody can be asked or the answer is no.
pub(crate) fn offer(options: &Options, needs: &dyn Requirements) -> Result<Option<Token>> {
    let issuers = needs.issuers();
    if options.no_input || issuers.is_empty() || !tty::is_there() {
        return Ok(None);
    }
    let question = match issuers.as_slice() {
        [only] => {
            format!("There is no access token. Log in at {} now? [Y/n] ", escape(only, 200))
        }
        _ => "There is no access token. Log in now? [Y/n] ".to_owned(),
    };
    let Ok(answer) = tty::ask(&question) else { return Ok(None) };
    if !matches!(answer.trim().to_lowercase().as_str(), "" | "y" | "yes") {
        return Ok(None);
    }
    let logins = Logins::of_user();
    let issuer = provider_of_host(&issuers, options.iss.as_deref(), &logins, true)?;
    let order = order_for(&issuer, needs)?;
    let rule = context::configuration(options)?.op(&issuer);
    let (label, _) = log_in(options, &rule, &order)?;
    let wanted = Wanted { scopes: order.scopes, audience: order.audience, min_valid_s: 0 };
    let access = access_token(&trust(options), &logins, &label, &wanted)?;
    Ok(Some(Token { secret: access.token, recipe: None }))
}

/// What a login for this service asks for.
///
/// # Errors
/// When the service does not take the issuer.
pub(crate) fn order_for(issuer: &str, needs: &dyn Requirements) -> Result<Order> {
    let op = match needs.of(issuer) {
        Needs::Op(op) => op,
        Needs::Unknown => Default::default(),
        Needs::Unsupported => {
            return Err(Error::from(LoginError::Provider {
                issuer: issuer.to_owned(),
                reason: "the service does not take its tokens".to_owned(),
            }));
        }
    };
    Ok(Order {
        issuer: issuer.to_owned(),
        audience: audiences_of(&op).into_iter().next(),
        suggested_client: op.client_id.filter(|id| !id.is_empty()),
        scopes: op.scopes,
        client_id: None,
        client_secret: None,
        flow: Flow::Fitting,
        store: None,
        qr: true,
    })
}
