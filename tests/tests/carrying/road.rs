//! Two names for one login node, each with its service behind TLS, as a client finds them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use motley_tests::sandbox::{Mccli, Outcome, Sandbox, TlsFront, World, built, until};

/// The names; each has a loopback address of its own.
pub(crate) const HOSTS: [&str; 2] = ["one.test", "two.test"];

/// A world that a client finds by the names of its hosts.
pub(crate) struct Road {
    pub(crate) world: World,
    _fronts: Vec<TlsFront>,
    links: PathBuf,
}

impl Road {
    /// Puts the names in front of a world, and tells ssh to take the keys of new hosts.
    pub(crate) fn to(sb: &Sandbox, world: World) -> Result<Self> {
        let mut hosts = fs::read_to_string("/etc/hosts").unwrap_or_default();
        let mut fronts = Vec::new();
        for (number, name) in HOSTS.iter().enumerate() {
            let address = format!("127.0.0.{}", number + 1);
            hosts.push_str(&format!("{address} {name}\n"));
            let place = format!("{address}:8443").parse()?;
            fronts.push(TlsFront::start(&world.ca, place, &HOSTS, "127.0.0.1:8080".parse()?)?);
        }
        fs::write("/etc/hosts", hosts)?;
        fs::create_dir_all("/root/.ssh")?;
        fs::write("/root/.ssh/config", "Host *\n  StrictHostKeyChecking accept-new\n")?;
        // As after `mccli ssh` to each: below other programs only named hosts get a token.
        fs::create_dir_all("/root/.local/state/mccli")?;
        let named = r#"{"one.test": "https://one.test:8443", "two.test": "https://two.test:8443"}"#;
        fs::write("/root/.local/state/mccli/hosts.json", named)?;
        let links = sb.dir().join("links");
        fs::create_dir_all(&links)?;
        for name in ["mccli-ssh", "mccli-scp", "mccli-sftp"] {
            std::os::unix::fs::symlink(built("mccli")?, links.join(name))?;
        }
        Ok(Self { world, _fronts: fronts, links })
    }

    /// The usual world.
    pub(crate) fn start(sb: &Sandbox) -> Result<Self> {
        Self::to(sb, World::start(sb)?)
    }

    /// A file with this token, which only its owner reads.
    pub(crate) fn token_file(&self, sb: &Sandbox, token: &str) -> Result<String> {
        use std::os::unix::fs::PermissionsExt;
        let path = sb.dir().join("token");
        fs::write(&path, token)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        Ok(path.to_string_lossy().into_owned())
    }

    /// `mccli --token-file FILE WORDS…`.
    pub(crate) fn mccli(&self, sb: &Sandbox, token: &str, words: &[&str]) -> Result<Mccli> {
        let file = self.token_file(sb, token)?;
        let words = [&["--token-file", file.as_str()], words].concat();
        Ok(Mccli::new(words)?.ca(self.world.ca.path()))
    }

    /// Any program, with a variable that names the file of the token.
    pub(crate) fn program(
        &self,
        sb: &Sandbox,
        token: &str,
        name: impl Into<PathBuf>,
        words: &[&str],
    ) -> Result<Mccli> {
        let file = self.token_file(sb, token)?;
        Ok(Mccli::program(name, words).ca(self.world.ca.path()).env("MCCLI_TOKEN_FILE", &file))
    }

    /// The name under which this program is ssh, scp or sftp.
    pub(crate) fn link(&self, name: &str) -> String {
        self.links.join(name).to_string_lossy().into_owned()
    }

    /// How many logins the daemon has granted so far.
    pub(crate) fn granted(&self, sb: &Sandbox) -> usize {
        self.world.daemon.log(sb).matches("login granted").count()
    }
}

/// Fails unless it ended with 0.
#[track_caller]
pub(crate) fn assert_success(outcome: &Outcome) {
    assert!(outcome.is_success(), "{:?}\n{}\n{}", outcome.code, outcome.stdout, outcome.stderr);
}

/// A file for copying, of so many bytes that no line discipline leaves alone.
pub(crate) fn binary_file(path: &Path, bytes: u32) -> Result<Vec<u8>> {
    let data: Vec<u8> =
        (0..bytes).map(|i| (i.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0]).collect();
    fs::write(path, &data).with_context(|| path.display().to_string())?;
    Ok(data)
}

/// True if a folder of a broker is left.
pub(crate) fn is_broker_left() -> bool {
    let bases = ["/root/.local/state/mccli", "/run/user/0"];
    bases
        .iter()
        .filter_map(|base| fs::read_dir(base).ok())
        .flatten()
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().starts_with("mccli-"))
}

/// Waits until no broker is left: it notices the end of its command, a moment after the command.
pub(crate) fn wait_for_the_brokers_end() -> Result<()> {
    until("the broker's end", Duration::from_secs(10), || (!is_broker_left()).then_some(()))
}

/// A shell line as root of the sandbox, for preparing things.
pub(crate) fn sh(line: &str) -> Result<String> {
    let output = Command::new("sh").args(["-ec", line]).output()?;
    anyhow::ensure!(output.status.success(), "{line}: {output:?}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
