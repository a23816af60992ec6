//! Whether the socket of oidc-agent goes along to a host: whoever is root there can use the agent.

use crate::{
    cli::Options,
    config::Forwarding,
    context,
    error::Result,
    report,
    source::{behaves_as_0_7, environment},
    tty,
};
use std::ffi::OsString;

/// The options of ssh that forward it, where the command line or the configuration wants that.
///
/// # Errors
/// When the configuration can't be used.
pub(crate) fn options(
    options: &Options,
    host: &str,
    set_remote_env: bool,
) -> Result<Vec<OsString>> {
    let Some(socket) = environment("OIDC_SOCK") else { return Ok(Vec::new()) };
    if !is_wanted(options, host, set_remote_env)? {
        return Ok(Vec::new());
    }
    // A name that nobody can guess: the folder is everybody's there.
    let remote = format!("/tmp/oidc-agent-{:016x}", rand::random::<u64>());
    let mut words = vec!["-R".into(), format!("{remote}:{socket}").into()];
    if set_remote_env {
        words.extend(["-o".into(), format!("SetEnv=OIDC_SOCK={remote}").into()]);
    }
    Ok(words)
}

/// Tells people who might expect the socket on the other side how to get it there, unless somebody
/// has decided.
///
/// # Errors
/// When the configuration can't be used.
pub(crate) fn hint(options: &Options, host: &str) -> Result<()> {
    let is_unsaid = environment("OIDC_SOCK").is_some()
        && !options.agent_forward
        && !options.no_agent_forward
        && !behaves_as_0_7(&environment)
        && context::configuration(options)?.host(host).agent_forward.is_none();
    if is_unsaid {
        report::hint(
            "the socket of oidc-agent stays here; --agent-forward takes it along, agent_forward in config.toml decides for good",
        );
    }
    Ok(())
}

fn is_wanted(options: &Options, host: &str, set_remote_env: bool) -> Result<bool> {
    if options.agent_forward || options.no_agent_forward {
        return Ok(options.agent_forward);
    }
    if set_remote_env || behaves_as_0_7(&environment) {
        return Ok(true);
    }
    Ok(match context::configuration(options)?.host(host).agent_forward {
        Some(Forwarding::Always) => true,
        Some(Forwarding::Never) => false,
        Some(Forwarding::Ask) => !options.no_input && agrees(host),
        None => false,
    })
}

fn agrees(host: &str) -> bool {
    let question = format!(
        "Forward the socket of oidc-agent to {host}? Whoever is root there can use your accounts meanwhile. (y/n) "
    );
    tty::ask(&question).is_ok_and(|text| matches!(text.trim(), "y" | "Y" | "yes"))
}
