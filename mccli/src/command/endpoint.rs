//! `mccli endpoint`: where the service of a host is, and what each candidate answered.

use crate::{
    cli::Options,
    context, endpoint,
    error::{Error, Result},
    http::Http,
    report,
    ssh_config::Settings,
};

/// Prints the endpoint on standard output and the report on standard error.
pub(super) fn run(options: &Options, host: Option<&str>) -> Result<()> {
    let http = Http::new(options.trust())?;
    if let (Some(host), None) = (host, &options.mc_endpoint) {
        let hostname = real_name(host)?;
        let probes = endpoint::probe(&http, endpoint::candidates(&hostname, http.trust()));
        for probe in &probes {
            report::always(&format!("{}: {}", probe.url, probe.remark));
        }
        if let Some(best) = probes.iter().find(|probe| probe.found) {
            return print(&best.url);
        }
        return print(&endpoint::find(&http, &hostname)?);
    }
    print(context::find_service(&http, options, host)?.endpoint())
}

fn print(url: &str) -> Result<()> {
    report::result(&format!("{url}\n"))?;
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
