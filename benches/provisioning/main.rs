//! Measures how accounts are made and looked up: `./run figures --provisioning`.
//!
//! Inside the sandbox only. Progress goes to standard error, the figures to standard output.

#[path = "../compare/accounts.rs"]
mod accounts;
mod cluster;
mod deploying;
mod times;

use accounts::{AccountFiles, Person};
use anyhow::{Context, Result};
use motley_tests::{
    op::{Alg, User},
    sandbox::{Node, PamStack, Sandbox, World},
};
use std::fs;
use times::{Times, ms};

/// First deployments and bare `useradd`s, in turn.
const PAIRS: usize = 60;
/// People who come for the first time, and how many of them at a time.
const CROWD: usize = 1000;
const AT_A_TIME: usize = 20;
/// Local accounts of the second half.
const MANY: usize = 100_000;
/// Requests of which the median counts.
const REQUESTS: usize = 200;

/// Nodes of a cluster: how many the next one adds to.
const NODES: [usize; 4] = [1, 2, 3, 4];

const ADAPTER: &str = "[ldf_adapter]\nbackend = local_unix\nfallback_group = motleyusers\n\
    [username_generator]\nmode = friendly\n\
    [backend.local_unix]\nhome_base = /home\nshell = /bin/bash\n";

fn main() -> Result<()> {
    // A node of the cluster is this program again, in a sandbox of its own.
    if std::env::args().nth(1).as_deref() == Some("node") {
        return Node::live("node");
    }
    let sb = Sandbox::current().context("run this with ./run figures --provisioning")?;
    let limits = "[limits]\nrequests_per_source = 1000000000\nrequests_per_identity = 1000000000\n\
        connections_per_source = 1000";
    // The many accounts have uids beyond those that useradd gives.
    fs::create_dir_all("/etc/motley_cue")?;
    fs::write("/etc/motley_cue/motley-root.conf", "uid_max = 999999\n")?;
    let before = AccountFiles::read()?;
    let world = World::with(&sb, "authorise_all = yes", PamStack::shipped(), |daemon| {
        daemon.section(limits).adapter(ADAPTER)
    })?;
    for nodes in NODES {
        eprintln!("==> {nodes} nodes at one PostgreSQL");
        cluster::measure(&sb, nodes)?;
    }
    measure(&world, &before).inspect_err(|_| {
        let log = world.daemon.log(&sb);
        let last = log.lines().rev().take(5);
        last.for_each(|line| eprintln!("{line}"));
    })
}

fn measure(world: &World, before: &AccountFiles) -> Result<()> {
    eprintln!("==> {PAIRS} first deployments beside useradd alone");
    deploying::beside_useradd(world, "", PAIRS)?;
    eprintln!("==> {CROWD} first deployments, {AT_A_TIME} at a time");
    deploying::crowd(world, CROWD, AT_A_TIME)?;
    eprintln!("==> the same with {MANY} local accounts");
    before.write(MANY, world.op.issuer())?;
    world.op.add_user(Person::MEASURED.user());
    let person = Person::MEASURED.name();
    let token = world.op.token(&person).alg(Alg::Es256).sign();
    for path in ["/user/deploy", "/user/get_status"] {
        let mut times = Times::default();
        let rest = world.daemon.rest()?;
        for _ in 0..REQUESTS {
            times.add(|| deploying::expect(&rest.get(path, Some(&token))?))?;
        }
        let what = format!("{path}, an account of {MANY} local ones, median");
        println!("{what:<72} {}", ms(times.median()));
    }
    deploying::beside_useradd(world, &format!(", {MANY} local accounts"), PAIRS / 3)
}

/// Somebody whom nobody knows yet, with a token.
fn newcomer(world: &World, name: &str) -> String {
    world.op.add_user(User::new(name));
    world.op.token(name).alg(Alg::Es256).sign()
}
