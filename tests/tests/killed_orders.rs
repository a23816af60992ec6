//! Orders of an admin in the middle of which the daemon is killed: after its restart each one is complete
//! or has not begun, never half.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use motley_tests::op::User;
use motley_tests::sandbox::{PamStack, Sandbox, World, built, until};
use motley_tests::sandbox_test;
use serde_json::Value;

/// Orders that are cut off, each some milliseconds later than the one before. The last are given more
/// time than an order takes.
const ORDERS: u64 = 14;
const LATER: u64 = 9;
/// How long a restarted daemon may take to put things in order.
const SOON: Duration = Duration::from_secs(30);

const APPROVAL: &str = "[ldf_adapter]\nbackend = local_unix\nfallback_group = motleyusers\n\
    [backend.local_unix]\nhome_base = /home\nshell = /bin/bash\n\
    [login_info]\nssh_host = ssh.example\n\
    [approval]\nenabled = yes\n\
    [notifier.email]\nsmtp_port = 2525\nsent_from = node@example.org\nadmin_email = admin@example.org\n";

/// What became of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Complete,
    NotBegun,
}

fn ctl(words: &[&str]) -> Result<Value> {
    let output = Command::new(built("motleyctl")?).arg("--json").args(words).output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    serde_json::from_str(&said)
        .with_context(|| format!("{words:?}: {said}{}", String::from_utf8_lossy(&output.stderr)))
}

/// Gives an order, kills the daemon after a while, and starts it again. True when the order was answered.
fn cut_off(world: &mut World, sb: &Sandbox, words: &[&str], after: Duration) -> Result<bool> {
    let mut command = Command::new(built("motleyctl")?);
    command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut ordering = command.spawn()?;
    thread::sleep(after);
    world.daemon.kill();
    let answered = ordering.wait()?.success();
    world.daemon.restart(sb)?;
    Ok(answered)
}

/// Cuts off one order after the other, asks each time what became of it, and tells.
fn cut_off_all(
    sb: &Sandbox,
    world: &mut World,
    what: &str,
    mut order: impl FnMut(u64) -> Result<Vec<String>>,
    mut fate: impl FnMut(&World, u64) -> Result<Option<Fate>>,
) -> Result<()> {
    let (mut complete, mut answered) = (0, 0);
    for number in 0..ORDERS {
        let words = order(number)?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let late = if number + 2 >= ORDERS { 3000 } else { 0 };
        let after = Duration::from_millis(2 + number * LATER + late);
        let was_answered = cut_off(world, sb, &words, after)?;
        let mut last = Ok(None);
        let settled = until(&format!("an end of {what} number {number}"), SOON, || {
            last = fate(world, number);
            last.as_ref().ok().copied().flatten()
        });
        let fate = settled.with_context(|| format!("{last:?}\n{}", world.daemon.log(sb)))?;
        complete += u64::from(fate == Fate::Complete);
        answered += u64::from(was_answered);
        // Who was told that it is done must find it done.
        ensure!(
            fate == Fate::Complete || !was_answered,
            "{what} {number} was told, and is not done"
        );
    }
    println!("{what}: of {ORDERS} cut off {complete} are complete, {answered} had been answered");
    ensure!(complete >= 2, "even the orders that had time are not complete");
    Ok(())
}

fn passwd(name: &str) -> Result<Option<Vec<String>>> {
    let text = fs::read_to_string("/etc/passwd")?;
    let line = text.lines().find(|line| line.starts_with(&format!("{name}:")));
    Ok(line.map(|line| line.split(':').map(str::to_owned).collect()))
}

/// True when the account has a date of expiry.
fn expires(name: &str) -> Result<bool> {
    let text = fs::read_to_string("/etc/shadow")?;
    let line = text.lines().find(|line| line.starts_with(&format!("{name}:")));
    let date = line.context("no line in shadow")?.split(':').nth(7).context("no date")?;
    Ok(!date.is_empty())
}

fn state(name: &str) -> Result<String> {
    let shown = ctl(&["users", "show", name])?;
    shown["state"].as_str().map(str::to_owned).with_context(|| format!("no state in {shown}"))
}

/// An account with something that runs on it.
struct Person {
    name: String,
    process: Child,
}

impl Person {
    fn new(world: &World, number: u64) -> Result<Self> {
        let user = format!("person{number}");
        world.op.add_user(User::new(&user));
        let name = world.deploy(&world.op.token(&user).sign())?;
        let line = passwd(&name)?.context("no account")?;
        let process = Command::new("setpriv")
            .args(["--reuid", &line[2], "--regid", &line[3], "--clear-groups", "sleep", "600"])
            .stdin(Stdio::null())
            .spawn()?;
        Ok(Self { name, process })
    }

    fn is_over(&mut self) -> Result<bool> {
        Ok(self.process.try_wait()?.is_some())
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn people(world: &World) -> Result<Vec<Person>> {
    (0..ORDERS).map(|number| Person::new(world, number)).collect()
}

fn index(number: u64) -> usize {
    usize::try_from(number).expect("a small number")
}

sandbox_test! {
    fn r24_a_suspension_in_which_the_daemon_is_killed_is_complete_or_has_not_begun(sb) {
        let mut world = World::start(sb)?;
        let mut people = people(&world)?;
        let names: Vec<String> = people.iter().map(|it| it.name.clone()).collect();
        cut_off_all(
            sb,
            &mut world,
            "suspensions",
            |number| Ok(vec!["suspend".to_owned(), names[index(number)].clone()]),
            |_, number| {
                let person = &mut people[index(number)];
                let seen = (state(&person.name)?, expires(&person.name)?, person.is_over()?);
                match (seen.0.as_str(), seen.1, seen.2) {
                    ("suspended", true, true) => Ok(Some(Fate::Complete)),
                    ("deployed", false, false) => Ok(Some(Fate::NotBegun)),
                    _ => bail!("{seen:?}"),
                }
            },
        )?;
        // What has not begun does not begin later either, and what is complete stays.
        ctl(&["reconcile"])?;
        for person in &mut people {
            let is_out = state(&person.name)? == "suspended";
            ensure!(is_out == expires(&person.name)? && is_out == person.is_over()?, "{}", person.name);
        }
        Ok(())
    }
}

sandbox_test! {
    fn r24_a_removal_in_which_the_daemon_is_killed_is_complete_or_has_not_begun(sb) {
        let mut world = World::start(sb)?;
        let mut people = people(&world)?;
        let names: Vec<String> = people.iter().map(|it| it.name.clone()).collect();
        let put_aside = |name: &str| -> Result<usize> {
            let Ok(entries) = fs::read_dir("/home/.removed") else { return Ok(0) };
            let names = entries.map(|it| Ok(it?.file_name().to_string_lossy().into_owned()));
            let names: Vec<String> = names.collect::<Result<_>>()?;
            Ok(names.iter().filter(|it| it.starts_with(&format!("{name}-"))).count())
        };
        cut_off_all(
            sb,
            &mut world,
            "removals",
            |number| {
                let name = names[index(number)].clone();
                Ok(vec!["users".to_owned(), "undeploy".to_owned(), name, "--yes".to_owned()])
            },
            |world, number| {
                let person = &mut people[index(number)];
                let token = world.op.token(&format!("person{number}")).sign();
                let reply = world.daemon.rest()?.get("/user/get_status", Some(&token))?;
                let state = reply.json()["state"].as_str().unwrap_or_default().to_owned();
                let has_account = passwd(&person.name)?.is_some();
                let has_home = fs::exists(format!("/home/{}", person.name))?;
                let seen = (state, has_account, has_home, put_aside(&person.name)?, person.is_over()?);
                match (seen.0.as_str(), seen.1, seen.2, seen.3, seen.4) {
                    ("not_deployed", false, false, 1, true) => Ok(Some(Fate::Complete)),
                    ("deployed", true, true, 0, false) => Ok(Some(Fate::NotBegun)),
                    _ => bail!("{seen:?}"),
                }
            },
        )
    }
}

sandbox_test! {
    fn r24_an_acceptance_in_which_the_daemon_is_killed_is_complete_or_waits_again(sb) {
        let rules = "authorise_all = yes";
        let pam = PamStack::token_only();
        let mut world = World::with(sb, rules, pam, |daemon| daemon.adapter(APPROVAL))?;
        let mut tokens = Vec::new();
        for number in 0..ORDERS {
            let user = format!("person{number}");
            world.op.add_user(User::new(&user));
            tokens.push(world.op.token(&user).sign());
            world.daemon.rest()?.get("/user/deploy", tokens.last().map(String::as_str))?;
        }
        // The list is in the order of the subjects; who is who is told by the row itself.
        let rows = ctl(&["approvals"])?;
        let rows = rows.as_array().context("no list")?.clone();
        ensure!(rows.len() == index(ORDERS), "{rows:?}");
        let id = |row: &Value| row["reference"].as_str().map(str::to_owned).context("no id");
        let homes = || -> Result<usize> {
            let text = fs::read_to_string("/etc/passwd")?;
            Ok(text.lines().filter(|line| line.contains("@http")).count())
        };
        let before = std::cell::Cell::new(homes()?);
        cut_off_all(
            sb,
            &mut world,
            "acceptances",
            |number| {
                before.set(homes()?);
                Ok(vec!["approvals".to_owned(), "accept".to_owned(), id(&rows[index(number)])?])
            },
            |_, number| {
                let identity = &rows[index(number)]["identity"];
                let (Some(sub), Some(iss)) = (identity["subject"].as_str(), identity["issuer"].as_str())
                else {
                    bail!("no identity: {}", rows[index(number)]);
                };
                let waits = ctl(&["approvals"])?;
                let row = waits.as_array().into_iter().flatten().find(|row| row["identity"] == *identity);
                let status = row.and_then(|row| row["status"].as_str()).unwrap_or("none").to_owned();
                let made = homes()? - before.get();
                // Somebody without an account and without marks may be unknown altogether.
                let shown = ctl(&["users", "show", "--sub", sub, "--iss", iss]);
                let state = shown.map_or("nobody".to_owned(), |it| it["state"].as_str().unwrap_or_default().to_owned());
                match (state.as_str(), status.as_str(), made) {
                    ("deployed", "none", 1) => Ok(Some(Fate::Complete)),
                    ("pending" | "nobody", "pending", 0) => Ok(Some(Fate::NotBegun)),
                    other => bail!("{other:?}"),
                }
            },
        )?;
        // What waits again can be accepted again.
        for row in ctl(&["approvals"])?.as_array().into_iter().flatten() {
            let receipt = ctl(&["approvals", "accept", &id(row)?])?;
            ensure!(receipt["state"] == "deployed", "{receipt}");
        }
        for token in &tokens {
            let reply = world.daemon.rest()?.get("/user/get_status", Some(token))?;
            ensure!(reply.json()["state"] == "deployed", "{}", reply.text);
        }
        Ok(())
    }
}
