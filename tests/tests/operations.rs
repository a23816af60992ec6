//! An admin's day: who is there, what runs, shutting people out and letting them in, and the audit trail.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use motley_proto::admin::{AdminAnswer, AdminRequest, Change, Target};
use motley_proto::client::Connection;
use motley_proto::frame::Cap;
use motley_proto::{Identity, Issuer, Subject};
use motley_tests::op::User;
use motley_tests::sandbox::{ADMIN_SOCKET, PamStack, Sandbox, Ssh, Terminal, World, built};
use motley_tests::sandbox_test;
use serde_json::Value;

const SOON: Duration = Duration::from_secs(20);
const TRAIL: &str = "/var/lib/motley_cue/audit.jsonl";

fn world(sb: &Sandbox) -> Result<World> {
    let pam = PamStack::token_only().argument("fail_floor_ms=300");
    World::with(sb, "authorise_all = yes", pam, |daemon| daemon)
}

/// What `motleyctl` did, run by root.
struct Done {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Done {
    fn of(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The value of a line that begins with this name.
    fn fact(&self, name: &str) -> Option<&str> {
        self.out.lines().find_map(|line| Some(line.strip_prefix(name)?.trim()))
    }
}

fn run(words: &[&str]) -> Result<Done> {
    let output = Command::new(built("motleyctl")?).args(words).stdin(Stdio::null()).output()?;
    Ok(Done::of(&output))
}

fn ctl(words: &[&str]) -> Result<Done> {
    let done = run(words)?;
    if done.code != Some(0) {
        bail!("{words:?}: {:?}\n{}{}", done.code, done.out, done.err);
    }
    Ok(done)
}

fn ctl_with_stdin(words: &[&str], stdin: &str) -> Result<Done> {
    use std::io::Write;
    let mut child = Command::new(built("motleyctl")?)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child.stdin.take().context("no input")?.write_all(stdin.as_bytes())?;
    Ok(Done::of(&child.wait_with_output()?))
}

/// An interactive session by key that runs until it is ended.
fn session(sb: &Sandbox, name: &str) -> Result<Terminal> {
    let key = sb.authorise_key(name)?;
    let mut terminal = Ssh::to(name).key(&key).keys_only().open_terminal(sb)?;
    terminal.type_line("echo I am $((40 + 2))")?;
    terminal.expect("I am 42", SOON)?;
    Ok(terminal)
}

/// Holds the lock of lckpwdf(3) until it is dropped.
fn lock_account_files() -> Result<fs::File> {
    let file = fs::File::create("/etc/.pwd.lock")?;
    let lock = nix::libc::flock {
        l_type: nix::libc::F_WRLCK as nix::libc::c_short,
        l_whence: nix::libc::SEEK_SET as nix::libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_SETLK(&lock))?;
    Ok(file)
}

fn shell_of(sb: &Sandbox, name: &str) -> Result<String> {
    let _ = sb;
    let user = nix::unistd::User::from_name(name)?.with_context(|| format!("no {name}"))?;
    Ok(user.shell.display().to_string())
}

sandbox_test! {
    fn people_accounts_and_sessions_are_shown_and_a_suspension_cuts_them(sb) {
        let world = world(sb)?;
        let token = world.op.token("alice").sign();
        let alice = world.deploy(&token)?;
        let list = ctl(&["users", "list"])?;
        let row = list.out.lines().find(|line| line.starts_with(&alice)).context("no row")?;
        assert!(row.contains("deployed") && row.contains(world.op.issuer()), "{row}");
        assert!(ctl(&["users", "list", "--state", "suspended"])?.out.lines().count() == 1);
        assert!(ctl(&["users", "list", "--match", &alice.to_uppercase()])?.out.contains(&alice));
        assert!(world.paste(sb, &alice, &token)?.is_success());
        let mut terminal = session(sb, &alice)?;
        let shown = ctl(&["users", "show", &alice])?;
        let uid = sb.user(&alice)?.context("no user")?.uid.to_string();
        assert_eq!(shown.fact("uid"), Some(uid.as_str()));
        assert_eq!((shown.fact("state"), shown.fact("tier")), (Some("deployed"), Some("full")));
        assert_eq!((shown.fact("shell"), shown.fact("sessions")), (Some("/bin/bash"), Some("1")));
        let login = shown.fact("last login").context("no login")?;
        assert!(login.contains("from 127.0.0.1 by token"), "{login}");
        let sessions = ctl(&["sessions", &alice])?;
        assert!(sessions.out.contains("pts/") && sessions.out.contains("bash"), "{}", sessions.out);
        assert!(ctl(&["sessions"])?.out.contains(&alice));
        let receipt = ctl(&["users", "suspend", &alice, "--reason", "ticket 7"])?;
        assert_eq!((receipt.fact("state"), receipt.fact("sessions")), (Some("suspended"), Some("1 ended")));
        assert!(!terminal.wait(SOON)?.is_success(), "the session is cut");
        assert!(!world.paste(sb, &alice, &token)?.is_success());
        let shown = ctl(&["users", "show", &alice])?;
        assert!(shown.fact("suspended since").is_some_and(|by| by.ends_with("uid 0: ticket 7")), "{}", shown.out);
        assert_eq!(ctl(&["users", "resume", &alice])?.fact("state"), Some("deployed"));
        assert!(world.paste(sb, &alice, &token)?.is_success());
        let status = ctl(&["status"])?;
        assert_eq!(status.fact("accounts"), Some("1: 1 deployed"), "{}", status.out);
        assert_eq!(run(&["users", "show", "nobody-here"])?.code, Some(4));
        Ok(())
    }
}

sandbox_test! {
    fn a_limit_keeps_people_out_of_a_shell_until_it_is_lifted(sb) {
        let world = world(sb)?;
        let token = world.op.token("alice").sign();
        let alice = world.deploy(&token)?;
        assert_eq!(ctl(&["users", "limit", &alice])?.fact("state"), Some("limited"));
        assert_eq!(shell_of(sb, &alice)?, "/sbin/nologin");
        assert!(!world.paste(sb, &alice, &token)?.is_success());
        let again = world.daemon.rest()?.get("/user/deploy", Some(&token))?.json();
        assert_eq!(again["state"], "limited", "{again}");
        assert_eq!(shell_of(sb, &alice)?, "/sbin/nologin", "a deployment does not lift it");
        let why = ctl_with_stdin(&["explain", "--token-stdin"], &token)?;
        assert!(why.code == Some(1) && why.out.contains("users unlimit"), "{}", why.out);
        assert_eq!(ctl(&["users", "unlimit", &alice])?.fact("state"), Some("deployed"));
        assert_eq!(shell_of(sb, &alice)?, "/bin/bash");
        assert!(world.paste(sb, &alice, &token)?.is_success());
        Ok(())
    }
}

sandbox_test! {
    fn with_a_working_shell_of_tier_limited_a_limited_person_logs_in_to_that_one(sb) {
        let adapter = "[ldf_adapter]\nbackend = local_unix\n[username_generator]\nmode = friendly\n\
            [login_info]\nssh_host = localhost\n\
            [backend.local_unix]\nhome_base = /home\nshell = /bin/bash\nshell_limited = /bin/sh\n";
        let pam = PamStack::token_only().argument("fail_floor_ms=300");
        let world = World::with(sb, "authorise_all = yes", pam, |daemon| daemon.adapter(adapter))?;
        let token = world.op.token("alice").sign();
        let alice = world.deploy(&token)?;
        ctl(&["users", "limit", &alice])?;
        assert_eq!(shell_of(sb, &alice)?, "/bin/sh");
        assert!(world.paste(sb, &alice, &token)?.is_success());
        Ok(())
    }
}

sandbox_test! {
    fn r23_an_undeployed_account_is_gone_its_home_put_aside_and_its_name_nobody_elses(sb) {
        let world = world(sb)?;
        let token = world.op.token("alice").sign();
        let alice = world.deploy(&token)?;
        let before = sb.user(&alice)?.context("no user")?;
        fs::write(before.home.join("thesis"), "years")?;
        let mut terminal = session(sb, &alice)?;
        let asked = run(&["users", "undeploy", &alice])?;
        assert!(asked.code == Some(2) && asked.err.contains("--yes"), "{}", asked.err);
        assert!(sb.user(&alice)?.is_some(), "nobody said yes");
        let receipt = ctl(&["users", "undeploy", &alice, "--yes", "--reason", "left"])?;
        assert_eq!(receipt.fact("state"), Some("not_deployed"));
        assert_eq!(receipt.fact("sessions"), Some("1 ended"));
        assert!(!terminal.wait(SOON)?.is_success(), "the session is cut");
        let aside = receipt.fact("home").and_then(|home| home.strip_prefix("put aside as ")).context("no home")?;
        assert!(aside.starts_with(&format!("/home/.removed/{alice}-{}-", before.uid)), "{aside}");
        assert_eq!(fs::read_to_string(Path::new(aside).join("thesis"))?, "years");
        let shelf = fs::metadata("/home/.removed")?;
        assert_eq!((shelf.uid(), shelf.mode() & 0o7777), (0, 0o700));
        assert!(sb.user(&alice)?.is_none() && !before.home.exists());
        assert!(!world.paste(sb, &alice, &token)?.is_success());
        let shown = ctl(&["users", "show", &alice])?;
        assert!(shown.fact("state") == Some("not_deployed") && shown.fact("removed last").is_some());
        world.op.add_user(User::new("mallory").claim("preferred_username", alice.as_str()));
        let other = world.deploy(&world.op.token("mallory").sign())?;
        assert_ne!(other, alice);
        assert_ne!(sb.user(&other)?.context("no user")?.uid, before.uid);
        assert_eq!(world.deploy(&token)?, alice, "the same person gets the same name");
        let after = sb.user(&alice)?.context("no user")?;
        assert_eq!((after.uid, after.home.join("thesis").exists()), (before.uid, false));
        assert!(world.paste(sb, &alice, &token)?.is_success());
        Ok(())
    }
}

sandbox_test! {
    fn r24_a_removal_that_the_root_helper_did_not_finish_is_finished_later(sb) {
        let mut world = world(sb)?;
        let token = world.op.token("alice").sign();
        let alice = world.deploy(&token)?;
        let held = lock_account_files()?;
        let receipt = run(&["users", "undeploy", &alice, "--yes"])?;
        assert_eq!(receipt.code, Some(3), "{}{}", receipt.out, receipt.err);
        assert!(receipt.fact("STILL TO BE DONE").is_some(), "{}", receipt.out);
        assert!(!world.paste(sb, &alice, &token)?.is_success(), "out already");
        world.daemon.kill();
        world.root.kill();
        drop(held);
        world.root.restart(sb)?;
        world.daemon.restart(sb)?;
        // The doors are open meanwhile.
        let until = Instant::now() + SOON;
        while sb.user(&alice)?.is_some() {
            ensure!(Instant::now() < until, "not finished after the start: {}", world.daemon.log(sb));
            thread::sleep(Duration::from_millis(20));
        }
        assert!(fs::read_dir("/home/.removed")?.count() == 1);
        Ok(())
    }
}

sandbox_test! {
    fn r39_the_audit_trail_is_read_verified_and_put_aside_and_a_tampered_line_is_found(sb) {
        let world = world(sb)?;
        let token = world.op.token("alice").sign();
        let alice = world.deploy(&token)?;
        assert!(world.paste(sb, &alice, &token)?.is_success());
        assert!(!world.paste(sb, &alice, &world.op.token("alice").lifetime(-60).sign())?.is_success());
        ctl(&["users", "suspend", &alice, "--reason", "ticket 7"])?;
        ctl(&["users", "resume", &alice])?;
        let tail = ctl(&["audit", "tail", "-n", "100", "--name", &alice])?;
        for event in ["deployed", "login_granted", "login_refused", "suspended", "resumed"] {
            assert!(tail.out.contains(&format!("Z  {event} ")), "{event}: {}", tail.out);
        }
        assert!(tail.out.contains("uid 0: ticket 7"), "{}", tail.out);
        let one = ctl(&["audit", "tail", "--event", "suspended", "--json"])?;
        let line: Value = serde_json::from_str(one.out.trim())?;
        assert_eq!(line["event"], "suspended");
        assert!(ctl(&["audit", "rotate"])?.out.contains("audit.jsonl.1"));
        assert!(world.paste(sb, &alice, &token)?.is_success());
        let good = ctl(&["audit", "verify"])?;
        assert!(good.out.contains("in 2 files"), "{}", good.out);
        let aside = format!("{TRAIL}.1");
        let text = fs::read_to_string(&aside)?;
        ensure!(!text.contains(&token), "r06: the trail holds a token");
        fs::write(&aside, text.replace("ticket 7", "ticket 8"))?;
        let bad = run(&["audit", "verify"])?;
        assert!(bad.code == Some(1) && bad.err.contains("audit.jsonl.1 line "), "{}", bad.err);
        Ok(())
    }
}

sandbox_test! {
    fn why_somebody_can_come_in_is_explained_with_and_without_his_token(sb) {
        let world = world(sb)?;
        let token = world.op.token("alice").claim("scope", "openid profile").sign();
        let why = ctl_with_stdin(&["explain", "--token-stdin"], &token)?;
        assert!(why.code == Some(0) && why.out.contains("would be let in as alice once"), "{}{}", why.out, why.err);
        assert!(sb.user("alice")?.is_none(), "asking makes no account");
        let alice = world.deploy(&token)?;
        let why = ctl_with_stdin(&["explain", "--token-stdin"], &token)?;
        assert!(why.out.contains(&format!("would be let in as {alice}\n")), "{}", why.out);
        assert!(ctl(&["explain", &alice])?.out.contains("would be let in with any good token"));
        let old = world.op.token("alice").lifetime(-60).sign();
        let why = ctl_with_stdin(&["explain", "--token-stdin"], &old)?;
        assert!(why.code == Some(1) && why.out.contains("would be refused because"), "{}", why.out);
        let stranger = run(&["explain", "--iss", "https://elsewhere.example", "--sub", "x"])?;
        assert!(stranger.code == Some(1) && stranger.out.contains("not configured"), "{}", stranger.out);
        let shown = ctl_with_stdin(&["token", "--stdin"], &token)?;
        assert_eq!(shown.code, Some(0), "{}{}", shown.out, shown.err);
        assert!(shown.out.contains("openid profile") && shown.out.contains("authorise_all: met"), "{}", shown.out);
        let signature = token.rsplit('.').next().context("no signature")?;
        assert!(!shown.out.contains(signature), "r06: the signature is not shown");
        let ops = ctl(&["ops", "--probe"])?;
        assert!(ops.out.contains(world.op.issuer()) && ops.out.contains("keys fetched"), "{}", ops.out);
        Ok(())
    }
}

fn suspend_in_advance(issuer: &str, numbers: std::ops::Range<u32>) -> Result<()> {
    for number in numbers {
        let subject = Subject::new(format!("person-{number:05}-{}", "x".repeat(150)))?;
        let target = Target::Identity(Identity::new(Issuer::new(issuer)?, subject));
        let request = AdminRequest::Change { change: Change::Suspend, target, reason: None };
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut connection = Connection::open(ADMIN_SOCKET.as_ref(), Cap::ADMIN, deadline)?;
        connection.send(&request)?;
        match connection.receive()? {
            AdminAnswer::Receipt(receipt) if receipt.pending.is_empty() => {}
            other => bail!("{other:?}"),
        }
    }
    Ok(())
}

sandbox_test! {
    fn r03_more_people_than_fit_into_one_answer_are_listed_all(sb) {
        let world = world(sb)?;
        let issuer = world.op.issuer().to_owned();
        let threads: Vec<_> = (0..4u32)
            .map(|part| {
                let issuer = issuer.clone();
                std::thread::spawn(move || suspend_in_advance(&issuer, part * 500..(part + 1) * 500))
            })
            .collect();
        for thread in threads {
            thread.join().expect("a thread")?;
        }
        let list = ctl(&["users", "list", "--state", "suspended"])?;
        assert_eq!(list.out.lines().count(), 2001, "a heading and all rows");
        let rows: Value = serde_json::from_str(&ctl(&["users", "--json"])?.out)?;
        assert_eq!(rows.as_array().context("no list")?.len(), 2000);
        assert_eq!(ctl(&["status"])?.fact("accounts"), Some("2000: 2000 suspended"));
        Ok(())
    }
}

sandbox_test! {
    fn r01_who_is_neither_root_nor_of_the_admin_group_gets_nothing(sb) {
        let mut world = world(sb)?;
        let local = sb.add_user("t_local")?;
        let program = built("motleyctl")?;
        let ask = |words: &[&str]| -> Result<Done> {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", &local.uid.to_string(), "--regid", &local.gid.to_string()]);
            command.args(["--clear-groups", "--"]).arg(&program).args(words);
            Ok(Done::of(&command.stdin(Stdio::null()).output()?))
        };
        for words in [&["status"][..], &["users"], &["users", "suspend", "alice"], &["audit", "rotate"], &["reload"]] {
            let refused = ask(words)?;
            assert_eq!((refused.code, refused.out.as_str()), (Some(1), ""), "{words:?}");
            assert!(refused.err.contains("become root"), "{}", refused.err);
        }
        assert_eq!(fs::metadata(ADMIN_SOCKET)?.mode() & 0o7777, 0o600);
        world.daemon.kill();
        let down = run(&["status"])?;
        assert!(down.code == Some(69) && down.err.contains("is the service running?"), "{}", down.err);
        Ok(())
    }
}
