//! What ssh says: its version, where it would go, and what the server takes.

use super::{Check, Examination};
use crate::{
    error::Error,
    ssh_config::{self, Settings},
};
use std::{
    ffi::OsString,
    io::Read,
    process::Stdio,
    time::{Duration, Instant},
};

/// Limit for the look at the server's methods.
const LOOK_LIMIT: Duration = Duration::from_secs(10);

/// Where ssh would connect to.
pub(super) struct Destination {
    /// As the user wrote it.
    pub(super) host: String,
    /// What ssh makes of it.
    pub(super) settings: Settings,
    /// Port of sshd.
    pub(super) port: u16,
}

/// Says which ssh there is; `None` without one that can be used.
pub(super) fn version(it: &mut Examination) -> Option<(u32, u32)> {
    it.about("ssh");
    match ssh_config::installed() {
        Ok((text, Some(version))) => {
            it.add(match version {
                (8, 5..) | (9.., _) => Check::ok("ssh", text),
                _ => Check::warn(
                    "ssh",
                    text,
                    "Update OpenSSH to 8.5 or later: before it, jump hosts and some ways of plain ssh do not work.",
                ),
            });
            Some(version)
        }
        Ok((text, None)) => {
            it.add(Check::warn("ssh", text, "This is no OpenSSH; only OpenSSH is known to work."));
            None
        }
        Err(error) => {
            it.add(Check::fail("ssh", &error));
            None
        }
    }
}

/// Asks ssh where the host is.
pub(super) fn destination(it: &mut Examination, host: Option<&str>) -> Option<Destination> {
    let Some(host) = host else {
        it.add(Check::skip("destination", "no HOST was given"));
        return None;
    };
    if host.starts_with('-') {
        it.add(Check::fail("destination", &Error::Usage(format!("{host} is no host name"))));
        return None;
    }
    let words = [OsString::from(host)];
    match (Settings::ask(&words), port(host)) {
        (Ok(settings), port) => {
            let way = if settings.jumps { ", by way of another host or program" } else { "" };
            let detail = format!("{}, port {port}{way}", settings.hostname);
            it.add(if settings.no_keyboard_interactive || settings.batch {
                Check::warn(
                    "destination",
                    detail,
                    "Your ssh configuration switches prompts off for this host (BatchMode or KbdInteractiveAuthentication); mccli ssh switches them on for itself, plain ssh does not.",
                )
            } else {
                Check::ok("destination", detail)
            });
            Some(Destination { host: host.to_owned(), settings, port })
        }
        (Err(error), _) => {
            it.add(Check::fail("destination", &error));
            None
        }
    }
}

fn port(host: &str) -> u16 {
    let output = ssh_config::question().args(["-G", host]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let lines = text.unwrap_or_default();
    let found = lines.lines().find_map(|line| line.strip_prefix("port ")?.parse().ok());
    found.unwrap_or(22)
}

/// Asks the server which methods it takes, without logging in: the method `none` gets the list and
/// nothing else (RFC 4252 §5.2).
pub(super) fn methods(
    it: &mut Examination,
    destination: Option<&Destination>,
    account: Option<&str>,
) {
    let Some(destination) = destination else {
        return it.add(Check::skip("prompt", "no HOST was given"));
    };
    it.about("what the server of ssh takes");
    let said = match look(destination, account) {
        Ok(said) => said,
        Err(error) => return it.add(Check::fail("prompt", &error)),
    };
    let offered = said
        .lines()
        .find_map(|line| line.split_once("Authentications that can continue: "))
        .map(|(_, methods)| methods.trim().to_owned());
    it.add(match offered {
        Some(list) if list.split(',').any(|method| method == "keyboard-interactive") => {
            Check::ok("prompt", format!("the server takes {list}"))
        }
        Some(list) => Check::fail(
            "prompt",
            &Error::Ssh(format!(
                "the server takes {list}, so it never asks for a token\nTell its operators: KbdInteractiveAuthentication yes in sshd_config, and pam-ssh-oidc in /etc/pam.d/sshd."
            )),
        ),
        None => {
            let last = said.lines().rev().find(|line| !line.starts_with("debug1:"));
            let last = last.unwrap_or("ssh said nothing");
            Check::fail("prompt", &Error::Ssh(format!("ssh can't reach the server: {last}")))
        }
    });
}

/// What ssh says on its way to the list. No key, host key or configuration of masters is touched.
fn look(destination: &Destination, account: Option<&str>) -> Result<String, Error> {
    let options = [
        "LogLevel=DEBUG1",
        "PreferredAuthentications=none",
        "BatchMode=yes",
        "ConnectTimeout=5",
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        "GlobalKnownHostsFile=/dev/null",
        "UpdateHostKeys=no",
        "ControlMaster=no",
        "ControlPath=none",
        "ClearAllForwardings=yes",
        "PermitLocalCommand=no",
    ];
    let mut command = ssh_config::question();
    command.args(options.iter().flat_map(|option| ["-o", option]));
    command.args(account.iter().flat_map(|name| ["-l", name]));
    let failed = |error: std::io::Error| Error::Ssh(format!("ssh can't be started: {error}"));
    let mut child = command
        .args(["-T", "--", &destination.host, "exit"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let pipe = child.stderr.take();
    let reader = std::thread::spawn(move || {
        let mut said = Vec::new();
        let read = pipe.map(|pipe| pipe.take(1024 * 1024).read_to_end(&mut said));
        read.map(|_| String::from_utf8_lossy(&said).into_owned()).unwrap_or_default()
    });
    let end = Instant::now() + LOOK_LIMIT;
    while child.try_wait().map_err(failed)?.is_none() {
        if Instant::now() > end {
            child.kill().map_err(failed)?;
            child.wait().map_err(failed)?;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(reader.join().unwrap_or_default())
}
