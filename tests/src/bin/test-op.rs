//! Runs test OpenID providers and tells where they are, until it is ended.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;
use motley_tests::op::{Control, TestCa, TestOp, User};
use tokio::signal::unix::{SignalKind, signal};

/// Serves one or several OpenID providers on loopback with TLS from a test authority.
///
/// Prints one `ISSUER NAME URL` line per provider, `CA PATH` and `CONTROL URL`, then `READY`.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// A provider as NAME, NAME=PORT or NAME=PORT/PATH (repeatable).
    #[arg(long = "op", value_name = "NAME[=PORT[/PATH]]", default_value = "demo=9443")]
    ops: Vec<String>,
    /// A person whom all providers know (repeatable); others are made up when asked for.
    #[arg(long = "user", value_name = "NAME")]
    users: Vec<String>,
    /// Host name in the issuers.
    #[arg(long, default_value = "localhost")]
    host: String,
    /// Port of the control server.
    #[arg(long, default_value_t = 9400)]
    control_port: u16,
    /// Where to put the authority's certificate besides its own place.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let ca = TestCa::new()?;
    let mut ops = BTreeMap::new();
    for word in &arguments.ops {
        let (name, place) = word.split_once('=').unwrap_or((word, "0"));
        let (port, path) = match place.split_once('/') {
            Some((port, path)) => (port, format!("/{path}")),
            None => (place, String::new()),
        };
        let port = port.parse().with_context(|| format!("--op {word}: the port"))?;
        let mut builder = TestOp::builder(&ca).host(&arguments.host).port(port).path(&path);
        for user in &arguments.users {
            builder = builder.user(User::new(user));
        }
        ops.insert(name.to_owned(), builder.start()?);
    }
    for (name, op) in &ops {
        println!("ISSUER {name} {}", op.issuer());
    }
    let file = match &arguments.ca_file {
        Some(file) => {
            std::fs::write(file, ca.pem())
                .with_context(|| format!("cannot write {}", file.display()))?;
            file.as_path()
        }
        None => ca.path(),
    };
    println!("CA {}", file.display());
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, arguments.control_port));
    let control = Control::start(address, ops)?;
    println!("CONTROL {}", control.url());
    say_ready_and_wait()
}

/// Waits for SIGTERM or SIGINT, so that the authority's directory is removed.
fn say_ready_and_wait() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminated = signal(SignalKind::terminate())?;
        println!("READY");
        tokio::select! {
            _ = terminated.recv() => Ok(()),
            result = tokio::signal::ctrl_c() => Ok(result?),
        }
    })
}
