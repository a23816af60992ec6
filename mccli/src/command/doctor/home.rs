//! The user's own side: the configuration file, and whether an agent's socket is handed on.

use super::{Check, Examination, ssh::Destination};
use crate::{
    cli::Options,
    config::Forwarding,
    context, folders,
    source::{behaves_as_0_7, environment},
};

/// Reads the configuration file.
pub(super) fn configuration(it: &mut Examination, options: &Options) {
    let usual = folders::config().join("config.toml");
    it.add(match context::configuration(options) {
        Ok(_) if options.config.is_none() && !usual.exists() => {
            Check::ok("configuration", format!("no {}; none is needed", usual.display()))
        }
        Ok(_) => {
            let path = options.config.clone().unwrap_or(usual);
            Check::ok("configuration", path.display().to_string())
        }
        Err(error) => Check::fail("configuration", &error),
    });
}

/// Everything that is no step of the login itself.
pub(super) fn rest(
    it: &mut Examination,
    options: &Options,
    destination: Option<&Destination>,
    _version: Option<(u32, u32)>,
) {
    it.add(forwarding(options, destination));
}

fn forwarding(options: &Options, destination: Option<&Destination>) -> Check {
    const NAME: &str = "forwarding";
    if environment("OIDC_SOCK").is_none() {
        return Check::ok(NAME, "there is no socket of oidc-agent to forward");
    }
    let rule = destination.and_then(|destination| {
        let config = context::configuration(options).ok()?;
        Some(config.host(&destination.settings.hostname).agent_forward)
    });
    let always =
        options.agent_forward || behaves_as_0_7(&environment) || rule == Some(Forwarding::Always);
    if always && !options.no_agent_forward {
        let hint = "--no-agent-forward, or agent_forward = \"never\" for the host, keeps it here.";
        Check::warn(
            NAME,
            "the socket of oidc-agent is forwarded: root there can use your accounts",
            hint,
        )
    } else {
        Check::ok(NAME, "the socket of oidc-agent stays here")
    }
}
