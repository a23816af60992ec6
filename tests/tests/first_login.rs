//! First logins at once, and processes killed in the middle: every person one account, none half-made.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use motley_tests::op::User;
use motley_tests::sandbox::{PamStack, Rest, Sandbox, World};
use motley_tests::sandbox_test;

const POOLED: &str = "[ldf_adapter]\nbackend = local_unix\nfallback_group = motleyusers\n\
    [username_generator]\nmode = pooled\npool_prefix = pool\npool_digits = 3\n\
    [login_info]\nssh_host = localhost\n\
    [backend.local_unix]\nhome_base = /home\nshell = /bin/bash\n";

fn pooled(sb: &Sandbox) -> Result<World> {
    World::with(sb, "authorise_all = yes", PamStack::shipped(), |daemon| daemon.adapter(POOLED))
}

fn tokens(world: &World, count: usize) -> Vec<String> {
    (0..count)
        .map(|n| {
            let name = format!("person{n}");
            world.op.add_user(User::new(&name));
            world.op.token(&name).sign()
        })
        .collect()
}

fn deploy_all(world: &World, tokens: &[String]) -> Vec<Result<String>> {
    let url = world.daemon.url().to_owned();
    let threads: Vec<_> = tokens
        .iter()
        .map(|token| {
            let (url, token) = (url.clone(), token.clone());
            std::thread::spawn(move || -> Result<String> {
                let reply = Rest::with_timeout(&url, None, Duration::from_secs(60))?
                    .get("/user/deploy", Some(&token))?;
                let answer = reply.json();
                let name = answer["credentials"]["ssh_user"].as_str().map(str::to_owned);
                if reply.status != 200 || answer["state"] != "deployed" {
                    bail!("{}: {}", reply.status, reply.text);
                }
                name.context("no ssh_user")
            })
        })
        .collect();
    threads.into_iter().map(|thread| thread.join().expect("a thread")).collect()
}

/// Every account of the pool is whole: one passwd line, its own uid, a home that belongs to it.
fn check_whole(names: &BTreeSet<String>) -> Result<()> {
    let passwd = fs::read_to_string("/etc/passwd")?;
    let mut uids = BTreeSet::new();
    for name in names {
        let lines: Vec<&str> =
            passwd.lines().filter(|line| line.starts_with(&format!("{name}:"))).collect();
        let [line] = lines.as_slice() else { bail!("{name}: {} passwd lines", lines.len()) };
        let fields: Vec<&str> = line.split(':').collect();
        let uid: u32 = fields[2].parse()?;
        assert!(uids.insert(uid), "{name}: uid {uid} twice");
        let home = fs::metadata(fields[5]).with_context(|| format!("{name}: no home"))?;
        assert_eq!(home.uid(), uid, "{name}: the home belongs to somebody else");
        assert!(fs::exists(format!("{}/.bashrc", fields[5]))?, "{name}: no skeleton");
    }
    let half_made: Vec<&str> = passwd
        .lines()
        .filter(|l| l.starts_with("pool") && !names.contains(l.split(':').next().unwrap_or("")))
        .collect();
    assert!(half_made.is_empty(), "accounts of nobody: {half_made:?}");
    let homes: BTreeSet<String> = fs::read_dir("/home")?
        .filter_map(|entry| {
            entry.ok().map(|entry| entry.file_name().to_string_lossy().into_owned())
        })
        .filter(|name| name.starts_with("pool"))
        .collect();
    assert_eq!(homes, *names, "homes of nobody");
    Ok(())
}

sandbox_test! {
    fn r24_first_logins_of_20_people_at_once_give_20_names_and_uids(sb) {
        let world = pooled(sb)?;
        let names: Vec<String> = deploy_all(&world, &tokens(&world, 20)).into_iter().collect::<Result<_>>()?;
        let distinct: BTreeSet<String> = names.into_iter().collect();
        assert_eq!(distinct.len(), 20);
        check_whole(&distinct)
    }
}

sandbox_test! {
    fn r23_20_first_logins_of_one_person_give_one_account(sb) {
        let world = pooled(sb)?;
        let token = tokens(&world, 1).remove(0);
        let names: Vec<String> = deploy_all(&world, &vec![token; 20]).into_iter().collect::<Result<_>>()?;
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), 1);
        check_whole(&names.into_iter().collect())
    }
}

/// Kills one process again and again while people arrive, then lets everybody in again.
fn survive(sb: &Sandbox, mut kill: impl FnMut(&mut World, &Sandbox) -> Result<()>) -> Result<()> {
    let mut world = pooled(sb)?;
    let tokens = tokens(&world, 24);
    for (round, chunk) in tokens.chunks(4).enumerate() {
        let url = world.daemon.url().to_owned();
        let arriving: Vec<_> = chunk
            .iter()
            .map(|token| {
                let (url, token) = (url.clone(), token.clone());
                // What these first attempts answer is not the question: many are cut off on purpose.
                std::thread::spawn(move || {
                    let rest = Rest::with_timeout(&url, None, Duration::from_secs(20));
                    rest.and_then(|rest| rest.get("/user/deploy", Some(&token))).is_ok()
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(7 * (round as u64) + 11));
        kill(&mut world, sb)?;
        for thread in arriving {
            thread.join().expect("a thread");
        }
    }
    let names: BTreeSet<String> = deploy_all(&world, &tokens).into_iter().collect::<Result<_>>()?;
    assert_eq!(names.len(), tokens.len());
    check_whole(&names)
}

sandbox_test! {
    fn r24_kill_9_of_the_root_helper_leaves_nothing_half_made(sb) {
        survive(sb, |world, sb| {
            world.root.kill();
            world.root.restart(sb)
        })
    }
}

sandbox_test! {
    fn r24_kill_9_of_the_daemon_leaves_nothing_half_made(sb) {
        survive(sb, |world, sb| {
            world.daemon.kill();
            world.daemon.restart(sb)
        })
    }
}
