//! Measures the client: `./run figures --client`, beside ssh alone and the Python client.
//!
//! Inside the sandbox only. Progress goes to standard error, the figures to standard output.

#[path = "../provisioning/times.rs"]
mod times;

use anyhow::{Context, Result, ensure};
use motley_tests::sandbox::{Sandbox, World, built};
use nix::sys::resource::{UsageWho, getrusage};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use times::{Times, ms};

/// Starts of which the median counts.
const STARTS: usize = 200;
/// Logins of which the median counts.
const LOGINS: usize = 40;
/// The same of the Python client, which takes long.
const PYTHON_RUNS: usize = 10;

/// One client, as the others see it.
struct Client {
    name: &'static str,
    program: PathBuf,
    runs: usize,
}

/// Where clients log in, and with what.
struct Stage<'a> {
    sb: &'a Sandbox,
    world: &'a World,
    token: String,
    key: PathBuf,
}

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    // The largest child of this process tells how much memory one command took.
    if let [mode, program, arguments @ ..] = words.as_slice()
        && mode == "peak"
    {
        return peak(program, arguments);
    }
    let sb = Sandbox::current().context("run this with ./run figures --client")?;
    let ours = Client { name: "mccli", program: built("mccli")?, runs: STARTS };
    let python = words.first().map(|venv| Client {
        name: "mccli 0.7.6 (Python)",
        program: Path::new(venv).join("bin/mccli"),
        runs: PYTHON_RUNS,
    });
    let size = fs::metadata(&ours.program)?.len();
    println!("{:<72} {:.1} MiB", "mccli, size of the program", size as f64 / 1_048_576.0);
    let clients: Vec<&Client> = std::iter::once(&ours).chain(&python).collect();
    for client in &clients {
        starts(client)?;
    }
    let world = World::start(&sb)?;
    let token = world.op.token("alice").sign();
    let user = world.deploy(&token)?;
    let key = sb.authorise_key(&user)?.path.clone();
    let stage = Stage { sb: &sb, world: &world, token, key };
    eprintln!("==> logins");
    stage.in_turn(&user, &ours)?;
    if let Some(python) = &python {
        stage.by_python(python)?;
    }
    stage.memory(&clients)
}

fn say(what: &str, times: &Times) {
    let text = format!("{} (fastest {})", ms(times.median()), ms(times.quantile(0.0)));
    println!("{what:<72} {text}");
}

fn starts(client: &Client) -> Result<()> {
    eprintln!("==> starts of {}", client.name);
    for option in ["--version", "--help"] {
        let mut times = Times::default();
        for _ in 0..client.runs {
            let mut command = Command::new(&client.program);
            times.add(|| finish(command.arg(option)))?;
        }
        say(&format!("{} {option}, median", client.name), &times);
    }
    Ok(())
}

fn finish(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    Ok(())
}

fn peak(program: &str, arguments: &[String]) -> Result<()> {
    finish(Command::new(program).args(arguments).stdout(Stdio::null()))?;
    println!("{}", getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss());
    Ok(())
}

impl Stage<'_> {
    /// ssh's words for the host, with its key when that is the way in.
    fn host(&self, with_key: bool) -> Vec<String> {
        let mut words = vec!["-F".to_owned(), "/dev/null".to_owned()];
        words.extend(self.sb.host_key_options());
        if with_key {
            words.extend(["-i".to_owned(), self.key.display().to_string()]);
        }
        words.extend(["127.0.0.1", "true"].map(str::to_owned));
        words
    }

    fn home(&self) -> PathBuf {
        self.sb.dir().join("client-home")
    }

    /// A command at home in a folder of its own.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env("HOME", self.home())
            .env("XDG_RUNTIME_DIR", self.home().join("run"))
            .env("SSL_CERT_FILE", self.world.ca.path())
            .env("REQUESTS_CA_BUNDLE", self.world.ca.path())
            .env_remove("OIDC_SOCK");
        command
    }

    /// ssh alone and with mccli, in turn, so that a machine that changes its speed meets all alike.
    fn in_turn(&self, user: &str, client: &Client) -> Result<()> {
        fs::create_dir_all(self.home().join("run"))?;
        let askpass = self.askpass()?;
        let alone = |with_key| {
            let mut command = self.command("ssh");
            command.args(["-l", user]).args(self.host(with_key));
            command.env("SSH_ASKPASS", &askpass).env("SSH_ASKPASS_REQUIRE", "force");
            command
        };
        let with_mccli = |own: &[&str], with_key| {
            let mut command = self.command(&client.program);
            command.args(own).arg("ssh").args(self.host(with_key));
            command.env("ACCESS_TOKEN", &self.token);
            command
        };
        let cold = ["--no-cache"];
        let ways = [
            ("ssh host true with a key", alone(true)),
            ("mccli ssh host true with a key, cold", with_mccli(&cold, true)),
            ("mccli ssh host true with a key, warm", with_mccli(&[], true)),
            ("ssh host true with a token, pasted by a script", alone(false)),
            ("mccli ssh host true with a token, cold", with_mccli(&cold, false)),
            ("mccli ssh host true with a token, warm", with_mccli(&[], false)),
        ];
        let mut kinds: Vec<_> = ways.into_iter().map(|way| (way, Times::default())).collect();
        for _ in 0..LOGINS {
            for ((_, command), times) in &mut kinds {
                times.add(|| finish(command))?;
            }
        }
        kinds.iter().for_each(|((what, _), times)| say(&format!("{what}, median"), times));
        Ok(())
    }

    fn askpass(&self) -> Result<PathBuf> {
        let path = self.sb.dir().join("askpass.sh");
        fs::write(&path, format!("#!/bin/sh\necho '{}'\n", self.token))?;
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        Ok(path)
    }

    /// It ends with 0 whatever happens, and looks for a prompt, so only the token's way is measured.
    fn by_python(&self, client: &Client) -> Result<()> {
        for (what, own) in [("cold", &["--no-cache"][..]), ("warm", &[])] {
            let mut times = Times::default();
            for _ in 0..client.runs {
                let mut command = self.command(&client.program);
                let keys = self.sb.host_key_options();
                let keys = keys.iter().filter_map(|key| key.strip_prefix("-o"));
                command
                    .arg("ssh")
                    .args(own)
                    .args(["--mc-endpoint", self.world.daemon.url()])
                    .args(keys.flat_map(|key| ["-o", key]))
                    .args(["127.0.0.1", "true"])
                    .env("ACCESS_TOKEN", &self.token);
                times.add(|| finish(&mut command))?;
            }
            say(&format!("{} ssh host true with a token, {what}, median", client.name), &times);
        }
        Ok(())
    }

    fn memory(&self, clients: &[&Client]) -> Result<()> {
        for client in clients {
            let url = self.world.daemon.url();
            let dry = vec!["ssh", "--dry-run", "--mc-endpoint", url, "127.0.0.1"];
            for (what, line) in [("--version", vec!["--version"]), ("ssh --dry-run", dry)] {
                let mut command = self.command(std::env::current_exe()?);
                command.arg("peak").arg(&client.program).args(&line);
                let output = command.env("ACCESS_TOKEN", &self.token).output()?;
                let said = String::from_utf8_lossy(&output.stderr);
                ensure!(output.status.success(), "{}: {said}", client.name);
                let kib: f64 = String::from_utf8_lossy(&output.stdout).trim().parse()?;
                let what = format!("{} {what}, most memory", client.name);
                println!("{what:<72} {:.1} MiB", kib / 1024.0);
            }
        }
        Ok(())
    }
}
