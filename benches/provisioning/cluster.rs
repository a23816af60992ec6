//! Several login nodes at one PostgreSQL, all on the processors of this one machine.

use crate::deploying::expect;
use anyhow::{Context, Result, bail, ensure};
use motley_tests::{
    op::{Alg, TestCa, TestOp, User, one_time_password},
    postgres::Postgres,
    sandbox::{Answer, Node, NodePlan, Rest, Sandbox, Ssh},
};
use serde_json::Value;
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Who asks at the same time.
const CLIENTS: usize = 8;
/// How long each kind is done.
const SPAN: Duration = Duration::from_secs(8);
/// The limits are there to stop what this does.
const LIMITS: &str = "[limits]\nrequests_per_source = 1000000000\n\
    requests_per_identity = 1000000000\nconnections_per_source = 1000\n";

/// A person with a token, and the name that all nodes know.
struct Person {
    token: String,
    name: String,
}

struct Cluster {
    nodes: Vec<Node>,
    people: Vec<Person>,
    _postgres: Postgres,
    _op: TestOp,
    _ca: TestCa,
}

/// Logins per second on so many nodes.
pub(crate) fn measure(sb: &Sandbox, nodes: usize) -> Result<()> {
    let cluster = Cluster::start(nodes)?;
    let at = |what: &str| format!("{what}, {nodes} nodes, {CLIENTS} clients");
    let rate = cluster.repeat(|node, person| {
        let reply =
            node.get(&format!("/verify_user?username={}", person.name), Some(&person.token))?;
        ensure!(reply.json()["verified"] == true, "{}", reply.text);
        Ok(())
    })?;
    println!("{:<72} {rate:.0} per s", at("/verify_user with a token"));
    let rate = cluster.repeat_across(|here, there, person| {
        let reply = here.post("/user/generate_otp", Some(&person.token), &Value::Null)?;
        ensure!(reply.status == 200, "{}", reply.text);
        let password = one_time_password(&person.token);
        let path = format!("/verify_user?username={}", person.name);
        let reply = there.get(&path, Some(&password))?;
        ensure!(reply.json()["verified"] == true, "{}", reply.text);
        Ok(())
    })?;
    let what = "one-time password issued on one node and redeemed on another";
    println!("{:<72} {rate:.0} per s", at(what));
    let rate = cluster.logins(sb)?;
    println!("{:<72} {rate:.1} per s", at("ssh by token"));
    Ok(())
}

impl Cluster {
    fn start(count: usize) -> Result<Self> {
        let ca = TestCa::new()?;
        let op = TestOp::builder(&ca).start()?;
        let postgres = Postgres::start()?;
        let issuer = op.issuer();
        let providers =
            format!("{LIMITS}[authorisation.demo]\nop_url = {issuer}\nauthorise_all = yes\n");
        let mut nodes = Vec::new();
        let count = u16::try_from(count)?;
        for number in 1..=count {
            let plan = NodePlan {
                name: format!("node{number}"),
                rest: format!("127.0.0.1:{}", 8080 + number),
                // The keys of another cluster's hosts are others.
                ssh_port: 2200 + 10 * count + number,
                store: postgres.url(),
                store_options: Vec::new(),
                providers: providers.clone(),
                adapter: None,
                authority: ca.pem().to_owned(),
            };
            nodes.push(Node::start("node", plan)?);
        }
        let mut people = Vec::new();
        for number in 0..CLIENTS {
            let user = format!("client{number}");
            op.add_user(User::new(&user));
            let token = op.token(&user).alg(Alg::Es256).sign();
            let mut name = None;
            for node in &nodes {
                let reply = Rest::new(&node.url(), None)?.get("/user/deploy", Some(&token))?;
                expect(&reply)?;
                name = reply.json()["credentials"]["ssh_user"].as_str().map(str::to_owned);
            }
            people.push(Person { token, name: name.context("no name")? });
        }
        Ok(Self { nodes, people, _postgres: postgres, _op: op, _ca: ca })
    }

    /// Each client asks one node after the other.
    fn repeat(&self, act: impl Fn(&Rest, &Person) -> Result<()> + Sync) -> Result<f64> {
        self.repeat_across(|here, _, person| act(here, person))
    }

    /// Each client asks one node, then the next one, and so on round.
    fn repeat_across(
        &self,
        act: impl Fn(&Rest, &Rest, &Person) -> Result<()> + Sync,
    ) -> Result<f64> {
        let urls: Vec<String> = self.nodes.iter().map(Node::url).collect();
        self.clients(|client, person, done| {
            let rests: Vec<Rest> =
                urls.iter().map(|url| Rest::new(url, None)).collect::<Result<_>>()?;
            let end = Instant::now() + SPAN;
            for at in client.. {
                if Instant::now() >= end {
                    break;
                }
                let (here, there) = (&rests[at % rests.len()], &rests[(at + 1) % rests.len()]);
                act(here, there, person)?;
                done.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        })
    }

    fn logins(&self, sb: &Sandbox) -> Result<f64> {
        let ports: Vec<u16> = self.nodes.iter().map(|node| node.plan().ssh_port).collect();
        self.clients(|client, person, done| {
            let answer = [Answer::line("Access Token:", &person.token)];
            let end = Instant::now() + SPAN;
            for at in client.. {
                if Instant::now() >= end {
                    break;
                }
                let run = Ssh::to(&person.name)
                    .port(ports[at % ports.len()])
                    .option("-oPreferredAuthentications=keyboard-interactive")
                    .command("true")
                    .with_askpass(sb, &answer)?;
                ensure!(run.is_success(), "{}", run.stderr);
                done.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        })
    }

    fn clients(
        &self,
        act: impl Fn(usize, &Person, &AtomicUsize) -> Result<()> + Sync,
    ) -> Result<f64> {
        let done = AtomicUsize::new(0);
        let begin = Instant::now();
        thread::scope(|scope| {
            let (act, done) = (&act, &done);
            let start = |(client, person)| scope.spawn(move || act(client, person, done));
            let clients: Vec<_> = self.people.iter().enumerate().map(start).collect();
            for client in clients {
                match client.join() {
                    Ok(outcome) => outcome?,
                    Err(_) => bail!("a client panicked"),
                }
            }
            Ok(())
        })?;
        Ok(done.load(Ordering::Relaxed) as f64 / begin.elapsed().as_secs_f64())
    }
}
