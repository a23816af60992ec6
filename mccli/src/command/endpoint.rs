//! `mccli endpoint`: where the service of a host is, and what each candidate answered.

use crate::{
    cli::Options,
    context, endpoint,
    error::{Error, Result},
    report,
    ssh_config::Settings,
};

/// Prints the endpoint on standard output and the report on standard error.
pub(super) fn run(options: &Options, host: Option<&str>) -> Result<()> {
    let hostname = host.map(real_name).transpose()?;
    let http = context::http(options, hostname.as_deref())?;
    let ruled = context::host_rule(options, hostname.as_deref())?.endpoint;
    if let (Some(hostname), None) = (&hostname, options.mc_endpoint.as_ref().or(ruled.as_ref())) {
        let probes = endpoint::probe(&http, endpoint::candidates(hostname, http.trust()));
        for probe in &probes {
            report::always(&format!("{}: {}", probe.url, probe.remark));
        }
        if let Some(best) = probes.iter().find(|probe| probe.found) {
            return print(&best.url);
        }
        return print(&endpoint::find(&http, hostname)?);
    }
    print(context::find_service(&http, options, hostname.as_deref())?.endpoint())
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
