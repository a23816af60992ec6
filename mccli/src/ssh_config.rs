//! What ssh makes of its arguments and configuration files, asked of ssh itself (`ssh -G`).

use crate::{
    broker::Asker,
    error::{Error, Result},
    master::{self, Destination},
    programs, tty,
};
use serde::{Deserialize, Serialize};
use std::{
    ffi::OsString,
    path::PathBuf,
    process::{Command, Stdio},
};

/// A host and a port as known_hosts(5) writes them.
pub(crate) fn label(host: &str, port: u16) -> String {
    match port {
        SSH_PORT => host.to_owned(),
        port => format!("[{host}]:{port}"),
    }
}

/// Where sshd listens unless somebody says otherwise.
pub(crate) const SSH_PORT: u16 = 22;

/// The settings that decide where a login goes and how its prompts look.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// The host to connect to, aliases resolved.
    pub(crate) hostname: String,
    /// The port there.
    pub(crate) port: u16,
    /// The name that stands for the host in known_hosts and in prompts.
    host_key_alias: Option<String>,
    /// There is another host or a program on the way.
    pub(crate) jumps: bool,
    /// ssh would ask about unknown host keys.
    pub(crate) asks_about_host_keys: bool,
    /// ssh would ask nothing at all.
    pub(crate) batch: bool,
    /// Keyboard-interactive authentication is switched off.
    pub(crate) no_keyboard_interactive: bool,
    /// Methods in the user's order, if the user gave one.
    pub(crate) preferred_methods: Option<String>,
    /// ssh writes `(user@host) ` before prompts: OpenSSH 8.5 or later.
    pub(crate) prefixes_prompts: bool,
    /// ssh asks its askpass although it has a terminal, if it is told to: OpenSSH 8.4 or later.
    pub(crate) forces_askpass: bool,
    /// Where a shared connection would be.
    pub(crate) control_path: Option<PathBuf>,
}

impl Settings {
    /// Asks ssh, with the user's words as they are.
    ///
    /// # Errors
    /// [`Error::Ssh`] with what ssh said, for instance about a bad option.
    pub(crate) fn ask(words: &[OsString]) -> Result<Self> {
        let mut command = question();
        command.arg("-G").args(words);
        let output = command.output().map_err(|error| programs::not_started(&command, &error))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(Error::Ssh(format!("ssh does not understand this line: {said}")));
        }
        let mut settings = Self::parse(&String::from_utf8_lossy(&output.stdout));
        if settings.hostname.is_empty() {
            return Err(Error::Ssh("ssh -G names no host; give one".to_owned()));
        }
        // ssh takes words that would lead a URL elsewhere.
        Destination::new(&settings.hostname, 22)?;
        settings.forces_askpass = settings.prefixes_prompts || version_forces_askpass()?;
        Ok(settings)
    }

    fn parse(text: &str) -> Self {
        let mut it = Self { port: SSH_PORT, ..Self::default() };
        for line in text.lines() {
            let (key, value) = line.split_once(' ').unwrap_or((line, ""));
            let set = || (!value.is_empty() && value != "none").then(|| value.to_owned());
            match key {
                "hostname" if it.hostname.is_empty() => it.hostname = value.to_owned(),
                "port" => it.port = value.parse().unwrap_or(SSH_PORT),
                "hostkeyalias" => it.host_key_alias = set(),
                "proxyjump" | "proxycommand" => it.jumps |= set().is_some(),
                "stricthostkeychecking" => it.asks_about_host_keys = value == "ask",
                "batchmode" => it.batch = value == "yes",
                // Older names of the same setting appear in older versions.
                "kbdinteractiveauthentication" | "challengeresponseauthentication" => {
                    it.no_keyboard_interactive |= value == "no";
                }
                "controlpath" => it.control_path = set().map(PathBuf::from),
                "preferredauthentications" => it.preferred_methods = set(),
                // Came with 8.5, as did the prefix.
                "pubkeyacceptedalgorithms" | "hostbasedacceptedalgorithms" => {
                    it.prefixes_prompts = true;
                }
                _ => {}
            }
        }
        it
    }

    /// Which process will ask: an ssh that can't be made to ask its askpass logs in before the one
    /// that this process becomes.
    pub(crate) fn asker(&self) -> Asker {
        if self.forces_askpass { Asker::Itself } else { Asker::Child }
    }

    /// New hosts are accepted and changed keys refused where nobody can be asked; where somebody
    /// can, or where the user decided, nothing is touched.
    pub(crate) fn host_key_options(&self) -> Vec<OsString> {
        if self.asks_about_host_keys && !tty::is_there() {
            vec!["-o".into(), "StrictHostKeyChecking=accept-new".into()]
        } else {
            Vec::new()
        }
    }

    /// Host and port as known_hosts(5) writes them: who named a host named nobody's port but sshd's.
    pub(crate) fn label(&self) -> String {
        label(&self.hostname, self.port)
    }

    /// The host as ssh writes it before prompts.
    pub(crate) fn host_in_prompts(&self) -> &str {
        self.host_key_alias.as_deref().unwrap_or(&self.hostname)
    }

    /// Options that let ssh get as far as the prompt of a token, before the user's own (the first
    /// value wins). Keys and other methods keep their place before it.
    pub(crate) fn needed_options(&self) -> Vec<OsString> {
        let mut options = Vec::new();
        let mut set = |option: String| options.extend(["-o".into(), OsString::from(option)]);
        if self.batch {
            set("BatchMode=no".to_owned());
        }
        if self.no_keyboard_interactive {
            set("KbdInteractiveAuthentication=yes".to_owned());
        }
        if let Some(methods) = &self.preferred_methods
            && !methods.split(',').any(|method| method == "keyboard-interactive")
        {
            set(format!("PreferredAuthentications={methods},keyboard-interactive"));
        }
        options
    }
}

/// True for OpenSSH 8.4 and later.
fn version_forces_askpass() -> Result<bool> {
    let (text, found) = installed()?;
    found.map(|found| found >= (8, 4)).ok_or_else(|| {
        Error::Ssh(format!(
            "the OpenSSH client is needed, this is: {text}\nInstall it, or log in with this one and paste a token at its prompt."
        ))
    })
}

/// What ssh calls itself, and the version of OpenSSH in that.
///
/// # Errors
/// [`Error::Ssh`] when there is none.
pub(crate) fn installed() -> Result<(String, Option<(u32, u32)>)> {
    let mut command = question();
    command.arg("-V");
    let output = command.output().map_err(|error| programs::not_started(&command, &error))?;
    let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let found = version(&text);
    Ok((text, found))
}

/// An ssh that is asked something, with nothing to read. It starts no shared connection, whatever
/// the user's configuration has it run.
pub(crate) fn question() -> Command {
    let mut ssh = programs::command("ssh");
    ssh.stdin(Stdio::null());
    master::keep_out_of(&mut ssh);
    ssh
}

fn version(text: &str) -> Option<(u32, u32)> {
    let (major, rest) = text.strip_prefix("OpenSSH_")?.split_once('.')?;
    let minor: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_are_read_from_what_ssh_prints() {
        let text = "user me\nhostname cue.example.org\nport 22\nbatchmode yes\nkbdinteractiveauthentication no\nstricthostkeychecking ask\nhostkeyalias cue\nproxyjump j\npreferredauthentications publickey\npubkeyacceptedalgorithms x\n";
        let it = Settings::parse(text);
        assert_eq!(it.host_in_prompts(), "cue");
        assert!(it.jumps && it.batch && it.asks_about_host_keys && it.prefixes_prompts);
        assert_eq!(
            it.needed_options(),
            [
                "-o",
                "BatchMode=no",
                "-o",
                "KbdInteractiveAuthentication=yes",
                "-o",
                "PreferredAuthentications=publickey,keyboard-interactive"
            ]
        );
        let plain = Settings::parse("hostname h\nproxycommand none\nstricthostkeychecking true\n");
        assert_eq!(plain.host_in_prompts(), "h");
        assert!(!plain.jumps && !plain.asks_about_host_keys && !plain.prefixes_prompts);
        assert!(plain.needed_options().is_empty());
    }

    #[test]
    fn the_ssh_of_this_machine_resolves_aliases_and_keeps_words_apart() {
        let words = |text: &[&str]| text.iter().map(OsString::from).collect::<Vec<_>>();
        let it = Settings::ask(&words(&[
            "-F",
            "none",
            "-o",
            "ProxyCommand=nc %h %p",
            "-o",
            "HostName=cue.example.org",
            "h",
            "'f 2'",
        ]))
        .unwrap();
        assert_eq!(it.hostname, "cue.example.org");
        assert!(it.jumps && it.asks_about_host_keys && it.prefixes_prompts);
        assert!(Settings::ask(&words(&["-o", "Nonsense=1", "h"])).is_err());
    }

    #[test]
    fn r38_a_host_that_would_lead_a_url_elsewhere_is_none() {
        for host in ["evil.com#.trusted.org", "evil.com?.trusted.org", "evil.com/.trusted.org"] {
            let words = ["-F", "none", host].map(OsString::from);
            assert!(Settings::ask(&words).is_err(), "{host}");
        }
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(version("OpenSSH_8.0p1, OpenSSL 1.1.1k"), Some((8, 0)));
        assert_eq!(version("OpenSSH_10.2p1 Debian-1, OpenSSL 3"), Some((10, 2)));
        assert_eq!(version("dropbear"), None);
    }
}
