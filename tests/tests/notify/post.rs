//! A real mail server in the sandbox, in the manners that mail servers have.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use motley_tests::sandbox::{Sandbox, Service, check_run, until};
use serde_json::Value;

use super::cache;

const REQUIREMENTS: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/partners/mail-server-requirements.txt");
const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/partners/mail_server.py");
/// Where it listens.
pub(super) const PORT: u16 = 2525;

/// Makes the virtual environment of the server.
pub(super) fn install() -> Result<PathBuf> {
    let system = "/usr/bin/python3";
    let python = if Path::new(system).exists() { system } else { "python3" };
    let version = cache::version_of(python, "python3")?;
    let recipe = format!("{version}\n{}", fs::read_to_string(REQUIREMENTS)?);
    cache::installed("mail-server", &recipe, |folder| {
        check_run(python, &["-m", "venv", &folder.to_string_lossy()])?;
        let pip = folder.join("bin/pip");
        let quiet = ["--quiet", "--no-input", "--disable-pip-version-check"];
        let words = [&["install"], &quiet[..], &["-r", REQUIREMENTS]].concat();
        check_run(&pip.to_string_lossy(), &words)?;
        Ok(())
    })
}

/// A mail that arrived.
#[derive(Debug)]
pub(super) struct Arrived {
    /// Envelope, and whether there was TLS and a login.
    pub(super) about: Value,
    /// The whole mail as it was sent.
    pub(super) raw: String,
}

/// The running server.
#[derive(Debug)]
pub(super) struct Post {
    _service: Service,
    folder: PathBuf,
}

impl Post {
    /// Starts it with these arguments and an empty folder.
    pub(super) fn start(sb: &Sandbox, partner: &Path, words: &[&str]) -> Result<Self> {
        let folder = sb.dir().join("mails");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let mut command = Command::new(partner.join("bin/python"));
        command.arg(PROGRAM).arg(PORT.to_string()).arg(&folder).args(words);
        let mut service = Service::start(sb, "mail-server", command)?;
        service.wait_ready(Duration::from_secs(20), || {
            TcpStream::connect(("127.0.0.1", PORT)).is_ok()
        })?;
        Ok(Self { _service: service, folder })
    }

    /// The mail with this number, once it is there.
    pub(super) fn mail(&self, number: usize) -> Result<Arrived> {
        let path = |ending: &str| self.folder.join(format!("{number}.{ending}"));
        until("a mail", Duration::from_secs(40), || path("eml").exists().then_some(()))?;
        let about = serde_json::from_str(&fs::read_to_string(path("json"))?)?;
        Ok(Arrived { about, raw: fs::read_to_string(path("eml"))? })
    }

    /// How many have arrived.
    pub(super) fn count(&self) -> Result<usize> {
        let all = fs::read_dir(&self.folder)?.filter_map(Result::ok);
        Ok(all.filter(|entry| entry.path().extension().is_some_and(|it| it == "eml")).count())
    }
}
