//! `mccli endpoint`: where the service of a host is, and what each candidate answered.

use crate::{
    cli::Options,
    context,
    endpoint::{self, Probe},
    error::{Error, Result},
    report,
    ssh_config::Settings,
};
use serde::Serialize;

/// What is printed as JSON.
#[derive(Serialize)]
struct Found<'a> {
    endpoint: &'a str,
    candidates: &'a [Probe],
}

/// Prints the endpoint on standard output and, for people, the report on standard error.
pub(super) fn run(options: &Options, host: Option<&str>) -> Result<()> {
    let hostname = host.map(real_name).transpose()?;
    let http = context::http(options, hostname.as_deref())?;
    let ruled = context::host_rule(options, hostname.as_deref())?.endpoint;
    if let (Some(hostname), None) = (&hostname, options.mc_endpoint.as_ref().or(ruled.as_ref())) {
        let searching = report::progress(format!("looking for the service of {hostname}"));
        let probes = endpoint::probe(&http, endpoint::candidates(hostname, http.trust()));
        drop(searching);
        let best = endpoint::best_of(hostname, probes.clone())?;
        if !options.json {
            probes.iter().for_each(|it| report::always(&format!("{}: {}", it.url, it.remark)));
        }
        return print(&best, &probes);
    }
    print(context::find_service(&http, options, hostname.as_deref())?.endpoint(), &[])
}

fn print(endpoint: &str, candidates: &[Probe]) -> Result<()> {
    report::facts(&Found { endpoint, candidates }, || format!("{endpoint}\n"))?;
    Ok(())
}

/// The host name behind an alias of the user's ssh configuration.
///
/// # Errors
/// When it is an option in disguise, or ssh does not understand it.
pub(super) fn real_name(host: &str) -> Result<String> {
    if host.starts_with('-') {
        return Err(Error::Usage(format!("{host} is no host name")));
    }
    Ok(Settings::ask(&[host.into()])?.hostname)
}
