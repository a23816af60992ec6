//! A login node with a name and an address of its own, where nothing listens but what the test puts there.

use std::fs;
use std::io::copy;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};

use anyhow::{Context, Result};
use motley_tests::op::TestCa;
use motley_tests::sandbox::{Mccli, Outcome, PamStack, Sandbox, TlsFront, World};
use serde_json::Value;

/// Its name.
pub(crate) const HOST: &str = "node.test";
/// Its address; the daemon listens at another.
pub(crate) const ADDRESS: &str = "127.0.0.9";
/// Where the daemon listens.
pub(crate) const DAEMON: &str = "127.0.0.1:8080";

/// The node, and the client of its users.
pub(crate) struct Place<'a> {
    pub(crate) sb: &'a Sandbox,
    pub(crate) world: World,
}

impl<'a> Place<'a> {
    /// Everybody of the provider may come; no service is found by the name yet.
    pub(crate) fn start(sb: &'a Sandbox) -> Result<Self> {
        Self::with(sb, "authorise_all = yes")
    }

    /// The same with other lines in the provider's section.
    pub(crate) fn with(sb: &'a Sandbox, rules: &str) -> Result<Self> {
        let world = World::with(sb, rules, PamStack::shipped(), |daemon| daemon)?;
        let hosts = fs::read_to_string("/etc/hosts")?;
        fs::write("/etc/hosts", format!("{hosts}{ADDRESS} {HOST}\n"))?;
        Ok(Self { sb, world })
    }

    /// TLS at a port of the node, with a certificate of this authority.
    pub(crate) fn front(&self, ca: &TestCa, port: u16) -> Result<TlsFront> {
        let place = format!("{ADDRESS}:{port}").parse()?;
        TlsFront::start(ca, place, &[HOST], DAEMON.parse()?)
    }

    /// The service where a client finds it.
    pub(crate) fn usual_front(&self) -> Result<TlsFront> {
        self.front(&self.world.ca, 8443)
    }

    pub(crate) fn mccli(&self, words: &[&str]) -> Result<Mccli> {
        Ok(Mccli::new(words)?.ca(self.world.ca.path()))
    }

    pub(crate) fn run(&self, words: &[&str]) -> Result<Outcome> {
        self.mccli(words)?.run(self.sb)
    }

    /// The same as somebody with this token.
    pub(crate) fn run_as(&self, token: &str, words: &[&str]) -> Result<Outcome> {
        self.mccli(words)?.env("ACCESS_TOKEN", token).run(self.sb)
    }

    pub(crate) fn token(&self, user: &str) -> String {
        self.world.op.token(user).sign()
    }
}

/// Standard output as JSON, of a run that ended with this code.
pub(crate) fn told(outcome: &Outcome, code: i32) -> Result<Value> {
    let shown = || format!("{}{}", outcome.stdout, outcome.stderr);
    assert_eq!(outcome.code, Some(code), "{}", shown());
    serde_json::from_str(&outcome.stdout).with_context(shown)
}

/// The names of an object's members, in alphabetical order.
pub(crate) fn names(value: &Value) -> Vec<&str> {
    let mut names: Vec<&str> =
        value.as_object().into_iter().flatten().map(|(name, _)| &**name).collect();
    names.sort_unstable();
    names
}

/// Passes connections on to where their first byte belongs.
pub(crate) fn relay(at: &str, to: fn(u8) -> &'static str) -> Result<()> {
    let listener = TcpListener::bind(at.parse::<SocketAddr>()?).context(at.to_owned())?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || pass_on(&stream, to));
        }
    });
    Ok(())
}

fn pass_on(outer: &TcpStream, to: fn(u8) -> &'static str) -> Option<()> {
    let mut first = [0];
    outer.peek(&mut first).ok()?;
    let inner = TcpStream::connect(to(first[0])).ok()?;
    std::thread::scope(|scope| {
        for (mut from, mut into) in [(outer, &inner), (&inner, outer)] {
            scope.spawn(move || {
                // Either side may hang up at any time.
                let _ = copy(&mut from, &mut into);
                let _ = into.shutdown(Shutdown::Write);
            });
        }
    });
    Some(())
}
