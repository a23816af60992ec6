//! Further login nodes: sandboxes inside the sandbox of a test, which share its network alone.
//!
//! Each has files, processes and a host name of its own; its services listen on ports of their own. The
//! test talks to them over the network as anybody does, and has commands run inside.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio, exit};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Daemon, PamStack, Root, STAGE, Sandbox, Sshd, Stage, init, surroundings};

/// What a node is told before it starts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodePlan {
    /// Its host name.
    pub name: String,
    /// Where REST listens, e.g. `127.0.0.1:8081`.
    pub rest: String,
    /// The port of its sshd.
    pub ssh_port: u16,
    /// URL of the shared database.
    pub store: String,
    /// Further lines of `[store]`.
    pub store_options: Vec<String>,
    /// Text at the end of `motley_cue.conf`: the providers.
    pub providers: String,
    /// The whole `feudal_adapter.conf`.
    pub adapter: Option<String>,
    /// Whom the daemon trusts, as PEM text.
    pub authority: String,
}

/// What a command did inside a node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ran {
    /// Exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ran {
    /// Standard output of a command that succeeded.
    ///
    /// # Errors
    /// When it did not.
    pub fn success(self) -> Result<String> {
        ensure!(self.code == Some(0), "{:?}: {}{}", self.code, self.stdout, self.stderr);
        Ok(self.stdout)
    }
}

#[derive(Debug, Serialize, Deserialize)]
enum Ask {
    Run(Vec<String>),
    Logs,
}

/// What a line of a node's standard output begins with that is for the test.
const LINE: &str = "@node ";

/// A running node; dropping it ends all its processes.
#[derive(Debug)]
pub struct Node {
    plan: NodePlan,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Node {
    /// Starts one. `body` is the name, as libtest knows it, of an ignored test of the same program that
    /// calls [`Node::live`].
    ///
    /// # Errors
    /// When a part of it does not come up.
    pub fn start(body: &str, plan: NodePlan) -> Result<Self> {
        let mut child = init::unshared_but_network(&body_command(body)?)
            .env(STAGE, "init")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start unshare")?;
        let input = child.stdin.take().context("no input")?;
        let output = BufReader::new(child.stdout.take().context("no output")?);
        let mut node = Self { plan, child, input, output };
        let plan = serde_json::to_string(&node.plan)?;
        writeln!(node.input, "{plan}")?;
        let ready: Result<(), String> = node.receive()?;
        ready.map_err(|why| anyhow::anyhow!("node {}: {why}", node.plan.name))?;
        Ok(node)
    }

    /// Its plan.
    #[must_use]
    pub fn plan(&self) -> &NodePlan {
        &self.plan
    }

    /// Base URL of its REST interface.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.plan.rest)
    }

    /// Runs a command inside, as root.
    ///
    /// # Errors
    /// When the node is gone.
    pub fn run(&mut self, words: &[&str]) -> Result<Ran> {
        self.ask(&Ask::Run(words.iter().map(|word| (*word).to_owned()).collect()))
    }

    /// What its parts have logged.
    ///
    /// # Errors
    /// When the node is gone.
    pub fn logs(&mut self) -> Result<String> {
        Ok(self.ask::<Ran>(&Ask::Logs)?.stdout)
    }

    fn ask<T: DeserializeOwned>(&mut self, what: &Ask) -> Result<T> {
        writeln!(self.input, "{}", serde_json::to_string(what)?)?;
        self.receive()
    }

    fn receive<T: DeserializeOwned>(&mut self) -> Result<T> {
        let mut line = String::new();
        loop {
            line.clear();
            if self.output.read_line(&mut line)? == 0 {
                bail!("node {} ended", self.plan.name);
            }
            // libtest may have begun the line.
            if let Some((_, json)) = line.split_once(LINE) {
                return Ok(serde_json::from_str(json)?);
            }
        }
    }

    /// The life of a node, for the ignored test that [`Node::start`] names. Run by hand it does nothing.
    ///
    /// # Errors
    /// When the sandbox can't be made.
    pub fn live(body: &str) -> Result<()> {
        match Stage::current() {
            Stage::Outside => Ok(()),
            Stage::Init => exit(init::furnish_and_supervise(body_command(body)?, &surroundings())?),
            Stage::Inside => serve(&Sandbox::open()),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn body_command(body: &str) -> Result<Command> {
    let mut command = Command::new(env::current_exe().context("cannot name this test binary")?);
    command.args([body, "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
    Ok(command)
}

fn serve(sb: &Sandbox) -> Result<()> {
    let mut lines = std::io::stdin().lines();
    let Some(plan) = lines.next().transpose()? else { return Ok(()) };
    let parts = Parts::start(sb, &serde_json::from_str(&plan)?);
    let ready = parts.as_ref().map(|_| ()).map_err(|error| format!("{error:#}"));
    say(&ready)?;
    for line in lines {
        let answer = match serde_json::from_str(&line?)? {
            Ask::Run(words) => run(&words)?,
            Ask::Logs => logs(sb)?,
        };
        say(&answer)?;
    }
    drop(parts);
    Ok(())
}

fn say(what: &impl Serialize) -> Result<()> {
    println!("\n{LINE}{}", serde_json::to_string(what)?);
    Ok(std::io::stdout().flush()?)
}

fn run(words: &[String]) -> Result<Ran> {
    let (program, args) = words.split_first().context("no command")?;
    // A program of ours is named without its folder.
    let program = super::built(program).unwrap_or_else(|_| PathBuf::from(program));
    let output = Command::new(program).args(args).stdin(Stdio::null()).output()?;
    Ok(Ran {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

fn logs(sb: &Sandbox) -> Result<Ran> {
    let mut stdout = format!("---- syslog\n{}", sb.syslog());
    for log in fs::read_dir(sb.log_dir())?.flatten() {
        let text = super::service::read_lossy(&log.path());
        stdout += &format!("---- {}\n{text}", log.path().display());
    }
    Ok(Ran { code: Some(0), stdout, stderr: String::new() })
}

/// What runs on a node.
struct Parts {
    _root: Root,
    _daemon: Daemon,
    _sshd: Sshd,
}

impl Parts {
    fn start(sb: &Sandbox, plan: &NodePlan) -> Result<Self> {
        nix::unistd::sethostname(&plan.name)?;
        fs::write("/etc/hosts", format!("127.0.0.1 localhost {}\n", plan.name))?;
        let authority = sb.dir().join("authority.pem");
        fs::write(&authority, &plan.authority)?;
        let root = Root::start(sb)?;
        let mut daemon = Daemon::with_defaults().at(&plan.rest, &plan.store).ca(authority);
        for option in &plan.store_options {
            daemon = daemon.option("store", option);
        }
        if let Some(adapter) = &plan.adapter {
            daemon = daemon.adapter(adapter);
        }
        let daemon = daemon.section(&plan.providers).start(sb)?;
        let pam = PamStack::token_only().argument("fail_floor_ms=300");
        let sshd = Sshd::new(sb).port(plan.ssh_port).pam(pam).start()?;
        Ok(Self { _root: root, _daemon: daemon, _sshd: sshd })
    }
}
