//! The user's own side: configuration, plain ssh, what is stored and remembered, what is handed on.

use super::{Check, Examination, ssh::Destination};
use crate::{
    cli::Options,
    config::Forwarding,
    context,
    error::Error,
    folders,
    logins::Logins,
    source::{behaves_as_0_7, environment},
    ssh_block,
};
use std::path::Path;

/// Reads the configuration file.
pub(super) fn configuration(it: &mut Examination, options: &Options) {
    let named = context::named_configuration(options);
    let usual = folders::config().join("config.toml");
    it.add(match context::configuration(options) {
        Ok(_) if named.is_none() && !usual.exists() => {
            Check::ok("configuration", format!("no {}; none is needed", usual.display()))
        }
        Ok(_) => {
            let path = named.unwrap_or(usual);
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
    version: Option<(u32, u32)>,
) {
    it.add(plain_ssh(version));
    it.add(logins());
    it.add(cache(options));
    it.add(forwarding(options, destination));
}

/// Whether plain ssh logs in by mccli.
fn plain_ssh(version: Option<(u32, u32)>) -> Check {
    const NAME: &str = "plain-ssh";
    let path = folders::ssh().join("config");
    let text = std::fs::read(&path).unwrap_or_default();
    let present = match ssh_block::without_block(&text) {
        Ok(rest) => rest.len() < text.len(),
        Err(why) => {
            let hint = "Mend it, then run mccli ssh-config --install again.";
            return Check::warn(NAME, format!("{}: {why}", path.display()), hint);
        }
    };
    match (present, version) {
        (false, _) => Check::skip(NAME, "not set up; mccli ssh-config --install does so"),
        (true, Some(old)) if old < (8, 4) => Check::warn(
            NAME,
            format!("{} has the block of mccli", path.display()),
            "This ssh is older than 8.4 and can't ask mccli for a token: use the mode mux.",
        ),
        (true, _) => Check::ok(NAME, format!("{} has the block of mccli", path.display())),
    }
}

/// Logins that are stored: where, and whether they open.
fn logins() -> Check {
    const NAME: &str = "logins";
    let logins = Logins::of_user();
    let labels = logins.list();
    if labels.is_empty() {
        return Check::ok(NAME, "none is stored");
    }
    let broken = labels.iter().find_map(|label| logins.open(label).err());
    if let Some(error) = broken.map(Error::from) {
        return Check::warn(NAME, error.message(), error.hint().unwrap_or_default());
    }
    let places = labels.iter().map(|label| format!("{} in {}", label.issuer, label.store.words()));
    Check::ok(NAME, places.collect::<Vec<_>>().join("; "))
}

/// What is remembered of services.
fn cache(options: &Options) -> Check {
    const NAME: &str = "cache";
    if options.no_cache {
        return Check::skip(NAME, "--no-cache");
    }
    let folder = folders::cache();
    match files_below(&folder) {
        0 => Check::ok(NAME, "empty"),
        count => Check::ok(NAME, format!("{count} answers in {}", folder.display())),
    }
}

fn files_below(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.path().extension().is_some_and(|end| end == "json")).count()
}

fn forwarding(options: &Options, destination: Option<&Destination>) -> Check {
    const NAME: &str = "forwarding";
    if environment("OIDC_SOCK").is_none() {
        return Check::ok(NAME, "there is no socket of oidc-agent to forward");
    }
    let rule = destination.and_then(|destination| {
        let config = context::configuration(options).ok()?;
        config.host(&destination.settings.hostname).agent_forward
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
