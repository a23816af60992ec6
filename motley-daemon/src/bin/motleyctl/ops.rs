//! `ops`: the OpenID providers, what they offer and how they fare.

use super::{
    PENDING,
    ask::{Daemon, Failure, unexpected},
    cli::Ops,
    show::{Output, span},
};
use motley_proto::{
    admin::{AdminAnswer, AdminRequest},
    facts::{KeyFact, ProviderStatus},
};
use std::process::ExitCode;

/// Facts about each provider. Fails with 3 when something went wrong last.
pub(crate) fn show(daemon: &Daemon, output: Output, ops: Ops) -> Result<ExitCode, Failure> {
    let AdminAnswer::Providers(all) = daemon.ask(&AdminRequest::Providers { probe: ops.probe })?
    else {
        return unexpected();
    };
    if output.json {
        output.write_json(&all)?;
    } else if all.is_empty() {
        output.write_line("no provider is configured: add a section [authorisation.NAME]")?;
    }
    for (number, provider) in all.iter().enumerate().filter(|_| !output.json) {
        if number > 0 {
            output.write_line("")?;
        }
        output.write_facts(&facts(provider))?;
    }
    let well = all.iter().all(|provider| provider.last_failure.is_none());
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::from(PENDING) })
}

fn facts(provider: &ProviderStatus) -> Vec<(&'static str, String)> {
    let age = |age: Option<u64>| age.map_or("never".to_owned(), |age| format!("{} ago", span(age)));
    let mut facts = vec![("provider", provider.issuer.to_string())];
    if let Some(own) = provider.discovered.as_ref().filter(|own| **own != provider.issuer) {
        facts.push(("calls itself", own.to_string()));
    }
    facts.push(("metadata fetched", age(provider.metadata_age)));
    let keys: Vec<String> = provider.keys.iter().map(key).collect();
    facts.push(("keys fetched", age(provider.keys_age)));
    facts.push(("keys", format!("{}: {}", provider.key_count, keys.join(", "))));
    if let Some(features) = &provider.features {
        let flow = features.device_flow.as_deref().unwrap_or("no");
        facts.push(("device flow", flow.to_owned()));
        facts.push(("userinfo", yes(features.userinfo).to_owned()));
        facts.push(("introspection", introspection(provider, features.introspection)));
        facts.push(("scopes", features.scopes.join(" ")));
        facts.push(("claims", features.claims.join(" ")));
    }
    let audience = if provider.audience_configured {
        "yes"
    } else {
        "no: tokens for other services are taken, too"
    };
    facts.push(("audience set", audience.to_owned()));
    facts.push((
        "RFC 9068 tokens",
        if provider.rfc9068_seen { "seen" } else { "none seen yet" }.to_owned(),
    ));
    if let Some(latency) = provider.latency {
        facts.push((
            "answers within",
            format!(
                "{} ms ({} ms on average of {})",
                latency.last_ms, latency.average_ms, latency.of
            ),
        ));
    }
    facts.push((
        "requests",
        format!(
            "{} sent, {} failed, {} under way",
            provider.requests, provider.failures, provider.under_way
        ),
    ));
    if let Some(failure) = &provider.last_failure {
        facts.push((
            "LAST FAILURE",
            format!("{} {} ago: {}", failure.place, span(failure.ago), failure.why),
        ));
    }
    for off in &provider.back_off {
        let when = span(off.next_ms.div_ceil(1000));
        facts.push((
            "LEFT ALONE",
            format!("{} after {} failures, asked again in {when}", off.place, off.failures),
        ));
    }
    facts
}

fn key(key: &KeyFact) -> String {
    let name = key.kid.as_deref().unwrap_or("without kid");
    format!("{name} ({})", key.algorithms.join(" "))
}

fn introspection(provider: &ProviderStatus, offered: bool) -> String {
    match (offered, provider.introspection_usable) {
        (_, true) => "yes, with the configured credentials",
        (true, false) => "offered, but no credentials are configured",
        (false, false) => "no",
    }
    .to_owned()
}

fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}
