//! The processes that hold or pass the token, from the side of other programs of the same user.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use motley_tests::sandbox::{LocalUser, Mccli, Sandbox, built, until};
use motley_tests::sandbox_test;

use super::road::Road;

const LIMIT: Duration = Duration::from_secs(30);

/// The process of this user whose command line holds the text.
fn process(user: &LocalUser, text: &str) -> Option<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter(|entry| {
            let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
            let uid = status.lines().find_map(|line| line.strip_prefix("Uid:\t"));
            uid.and_then(|ids| ids.split('\t').next()?.parse().ok()) == Some(user.uid)
        })
        .filter(|entry| {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(text)
        })
        .find_map(|entry| entry.file_name().to_string_lossy().parse().ok())
}

/// A shell line as another program of the user's; true if it succeeds.
fn can(user: &LocalUser, line: &str) -> Result<bool> {
    let ids = [user.uid.to_string(), user.gid.to_string()];
    let words = ["--reuid", &ids[0], "--regid", &ids[1], "--clear-groups", "sh", "-c", line];
    Ok(Command::new("setpriv").args(words).output()?.status.success())
}

/// Nobody but root reads its memory or environment, and it leaves no core behind.
fn assert_closed(user: &LocalUser, what: &str, pid: u32) -> Result<()> {
    let place = format!("/proc/{pid}");
    for file in ["environ", "mem", "maps", "fd", "exe"] {
        let owner = fs::symlink_metadata(format!("{place}/{file}"))?.uid();
        assert_eq!(owner, 0, "{what}: {file} belongs to root");
    }
    for line in [
        format!("cat {place}/environ"),
        format!("exec 3<{place}/mem"),
        format!("cat {place}/maps"),
        format!("ls {place}/fd"),
    ] {
        assert!(!can(user, &line)?, "{what}: {line}");
    }
    let limits = fs::read_to_string(format!("{place}/limits"))?;
    let core = limits.lines().find(|line| line.starts_with("Max core file size"));
    let core: Vec<&str> = core.context("a limit")?.split_whitespace().skip(4).take(2).collect();
    assert_eq!(core, ["0", "0"], "{what}");
    Ok(())
}

/// `mccli ssh` as a user of this machine, with cores allowed as far as the user can.
fn ssh_of(road: &Road, sb: &Sandbox, user: &LocalUser) -> Result<Mccli> {
    let file = user.home.join("token");
    fs::write(&file, road.world.op.token("alice").sign())?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
    chown(&file, Some(user.uid), Some(user.gid))?;
    let (uid, gid) = (user.uid.to_string(), user.gid.to_string());
    let (file, mccli) = (file.to_string_lossy().into_owned(), built("mccli")?);
    let mccli = mccli.to_string_lossy().into_owned();
    let ca = sb.dir().join("ca.pem");
    fs::copy(road.world.ca.path(), &ca)?;
    let words = [
        "--core=unlimited",
        "setpriv",
        "--reuid",
        &uid,
        "--regid",
        &gid,
        "--clear-groups",
        &mccli,
        "--token-file",
        &file,
        "ssh",
        "one.test",
        "sleep 500",
    ];
    Ok(Mccli::program("prlimit", words)
        .ca(&ca)
        .env("HOME", &user.home.to_string_lossy())
        .env("XDG_RUNTIME_DIR", ""))
}

sandbox_test! {
    fn r37_other_programs_of_the_user_look_neither_into_the_broker_nor_into_askpass(sb) {
        let road = Road::start(sb)?;
        let user = sb.add_user("t_local")?;
        let mut terminal = ssh_of(&road, sb, &user)?.open_terminal()?;
        // The new host's key is asked about through askpass, which waits for the person.
        terminal.expect("(yes/no/[fingerprint])?", LIMIT)?;
        let askpass = process(&user, "mccli-askpass").context("askpass waits")?;
        assert_closed(&user, "askpass", askpass)?;
        let broker = process(&user, "__broker").context("the broker is there")?;
        assert_closed(&user, "broker", broker)?;
        terminal.type_line("yes")?;
        until("the login", LIMIT, || (road.granted(sb) == 1).then_some(()))?;
        assert_closed(&user, "broker after the login", broker)?;

        // The same looks do find something in a process that holds nothing.
        let mut open = Command::new("setpriv")
            .args(["--reuid", &user.uid.to_string(), "--regid", &user.gid.to_string()])
            .args(["--clear-groups", "sleep", "501"])
            .spawn()?;
        let pid = until("the sleep", LIMIT, || process(&user, "sleep\u{0}501"))?;
        assert!(can(&user, &format!("cat /proc/{pid}/environ && exec 3</proc/{pid}/mem"))?);
        open.kill()?;
        open.wait()?;
        Ok(())
    }
}
