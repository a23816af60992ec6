//! `mccli ops`: the providers that a service takes, and what their tokens need.

use super::endpoint::real_name;
use crate::{
    claims::audiences_of,
    cli::Options,
    context,
    error::Result,
    report,
    service::{Facts, Service},
};
use motley_proto::{Issuer, rest::OpInfo, text::escape};
use serde::Serialize;

/// What is printed as JSON.
#[derive(Serialize)]
struct Listed<'a> {
    endpoint: &'a str,
    providers: Vec<Provider>,
}

/// One provider, in the service's order.
#[derive(Serialize)]
struct Provider {
    issuer: String,
    scopes: Vec<String>,
    audiences: Vec<String>,
    client_id: Option<String>,
}

/// Prints each provider with scopes, audience and public client.
pub(super) fn run(options: &Options, host: Option<&str>) -> Result<()> {
    let hostname = match (host, &options.mc_endpoint) {
        (Some(host), None) => Some(real_name(host)?),
        _ => None,
    };
    let http = context::http(options, hostname.as_deref())?;
    let service = context::find_service(&http, options, hostname.as_deref())?;
    let facts = service.info()?;
    let providers: Result<Vec<Provider>> = facts
        .info
        .supported_ops
        .iter()
        .map(|issuer| Ok(provider(issuer, wishes(&service, &facts, issuer)?)))
        .collect();
    let listed = Listed { endpoint: service.endpoint(), providers: providers? };
    report::facts(&listed, || text(&listed))?;
    Ok(())
}

/// What `/info` says of the issuer, or else `/info/op`, where older services keep it.
fn wishes(service: &Service<'_>, facts: &Facts, issuer: &str) -> Result<OpInfo> {
    let wanted = Issuer::canonical(issuer);
    let listed = facts.info.ops_info.iter().find(|(key, _)| Issuer::canonical(key) == wanted);
    match listed {
        Some((_, op)) => Ok(op.clone()),
        None => Ok(service.op(issuer)?.unwrap_or_default()),
    }
}

fn provider(issuer: &str, op: OpInfo) -> Provider {
    Provider {
        issuer: issuer.to_owned(),
        audiences: audiences_of(&op),
        scopes: op.scopes,
        client_id: op.client_id,
    }
}

fn text(listed: &Listed<'_>) -> String {
    let one = |it: &Provider| {
        let line = |what: &str, value: String| match value.as_str() {
            "" => String::new(),
            text => format!("  {what}: {}\n", escape(text, 500)),
        };
        format!(
            "{}\n{}{}{}",
            escape(&it.issuer, 500),
            line("scopes", it.scopes.join(" ")),
            line("audience", it.audiences.join(" or ")),
            line("public client", it.client_id.clone().unwrap_or_default()),
        )
    };
    listed.providers.iter().map(one).collect()
}
