//! First deployments: one after the other beside `useradd` alone, and many at a time.

use crate::{
    newcomer,
    times::{Times, ms},
};
use anyhow::{Result, bail, ensure};
use motley_tests::sandbox::{Reply, Rest, World, check_run};
use std::{
    collections::BTreeSet,
    fs,
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

/// Uids for `useradd` alone, away from those that are handed out.
const BARE_UIDS: usize = 50_000;

/// An answer that must be that of an account which can be used.
pub(crate) fn expect(reply: &Reply) -> Result<()> {
    ensure!(reply.status == 200 && reply.json()["state"] == "deployed", "{}", reply.text);
    Ok(())
}

/// First deployments and `useradd` with the same wishes in turn, so that a machine that changes its
/// speed meets both alike.
pub(crate) fn beside_useradd(world: &World, circumstances: &str, pairs: usize) -> Result<()> {
    let rest = world.daemon.rest()?;
    let tag = if circumstances.is_empty() { "a" } else { "b" };
    let (mut bare, mut first) = (Times::default(), Times::default());
    for n in 0..pairs {
        let uid = (BARE_UIDS + n + if tag == "a" { 0 } else { 1000 }).to_string();
        let name = format!("bare{tag}{n}");
        let wishes = ["--shell", "/bin/bash", "--gid", "motleyusers", "-m", "--uid", &uid, &name];
        let token = newcomer(world, &format!("solo{tag}{n}"));
        // The group of the first one is made by both alike: before.
        if n == 0 {
            expect(&rest.get("/user/deploy", Some(&newcomer(world, &format!("eve{tag}"))))?)?;
        }
        bare.add(|| check_run("useradd", &wishes))?;
        // The provider's word about a new token is no matter of accounts.
        rest.get("/user/get_status", Some(&token))?;
        first.add(|| expect(&rest.get("/user/deploy", Some(&token))?))?;
    }
    let (bare, first) = (bare.median(), first.median());
    println!("{:<72} {}", format!("useradd alone{circumstances}, median"), ms(bare));
    println!("{:<72} {}", format!("first deployment over REST{circumstances}, median"), ms(first));
    let more = (first.as_secs_f64() - bare.as_secs_f64()) * 1000.0;
    println!("{:<72} {more:+.1} ms", format!("a first deployment takes longer by{circumstances}"));
    Ok(())
}

/// Many people at once who come for the first time.
pub(crate) fn crowd(world: &World, people: usize, at_a_time: usize) -> Result<()> {
    let tokens: Vec<String> = (0..people).map(|n| newcomer(world, &format!("crowd{n}"))).collect();
    let next = AtomicUsize::new(0);
    let begin = Instant::now();
    let work = || -> Result<Times> {
        let rest = Rest::new(world.daemon.url(), None)?;
        let mut times = Times::default();
        while let Some(token) = tokens.get(next.fetch_add(1, Ordering::Relaxed)) {
            times.add(|| expect(&rest.get("/user/deploy", Some(token))?))?;
        }
        Ok(times)
    };
    let mut times = Times::default();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..at_a_time).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            match worker.join() {
                Ok(done) => times.extend(done?),
                Err(_) => bail!("a worker panicked"),
            }
        }
        Ok(())
    })?;
    let took = begin.elapsed().as_secs_f64();
    let passwd = fs::read_to_string("/etc/passwd")?;
    let names = passwd.lines().filter_map(|line| line.split(':').next());
    let made: BTreeSet<&str> = names.filter(|name| name.starts_with("crowd")).collect();
    ensure!(made.len() == people, "{} of {people} accounts are there", made.len());
    let what = format!("{people} first deployments, {at_a_time} at a time");
    println!("{what:<72} {:.1} per s, all there", people as f64 / took);
    let (half, most) = (ms(times.quantile(0.5)), ms(times.quantile(0.99)));
    println!("{:<72} p50 {half}, p99 {most}", format!("{what}, each"));
    Ok(())
}
