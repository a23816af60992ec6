//! What a suspension ends on a host without logind: sessions, channels of a master, what outlives them, jobs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use motley_tests::op::User;
use motley_tests::sandbox::{
    PamStack, Sandbox, Service, Ssh, SshKey, World, built, check_run, until,
};
use motley_tests::sandbox_test;

const SOON: Duration = Duration::from_secs(30);

fn world(sb: &Sandbox) -> Result<(World, String, SshKey)> {
    let pam = PamStack::token_only().argument("fail_floor_ms=300");
    let world = World::with(sb, "authorise_all = yes", pam, |daemon| daemon)?;
    let alice = world.deploy(&world.op.token("alice").sign())?;
    let key = sb.authorise_key(&alice)?;
    Ok((world, alice, key))
}

fn ctl(words: &[&str]) -> Result<String> {
    check_run(&built("motleyctl")?.to_string_lossy(), words)
}

/// The value of a line of motleyctl that begins with this name.
fn fact<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| Some(line.strip_prefix(name)?.trim()))
}

/// A connection that others share, as `ssh -M` leaves it open.
struct Master {
    service: Service,
    control: PathBuf,
    user: String,
}

impl Master {
    fn open(sb: &Sandbox, user: &str, key: &SshKey) -> Result<Self> {
        let control = sb.dir().join("master");
        let mut command = Command::new("ssh");
        command.args(["-F", "/dev/null", "-M", "-N", "-S"]).arg(&control);
        command.args(sb.host_key_options()).arg("-oBatchMode=yes").arg("-i").arg(&key.path);
        command.args(["-l", user, "127.0.0.1"]);
        let service = Service::start(sb, "ssh-master", command)?;
        let mut master = Self { service, control, user: user.to_owned() };
        let control = master.control.clone();
        master.service.wait_ready(SOON, || control.exists())?;
        Ok(master)
    }

    /// A command over the connection that is open.
    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("ssh");
        command.args(["-F", "/dev/null", "-oBatchMode=yes", "-S"]).arg(&self.control);
        command.args(["-l", &self.user, "127.0.0.1", line]).stdin(Stdio::null());
        command
    }

    fn run(&self, line: &str) -> Result<String> {
        let output = self.command(line).output()?;
        ensure!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// Processes of a uid, by their titles.
fn processes_of(uid: u32) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        let is_theirs = status
            .lines()
            .find_map(|line| line.strip_prefix("Uid:"))
            .is_some_and(|ids| ids.split_whitespace().any(|id| id.parse() == Ok(uid)));
        if is_theirs && !status.contains("State:\tZ") {
            let title = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            found.push(String::from_utf8_lossy(&title).replace('\0', " "));
        }
    }
    Ok(found)
}

/// Starts cron, which runs `@reboot` jobs at its start.
fn start_cron(sb: &Sandbox, name: &str) -> Result<Service> {
    let _ = fs::remove_file("/run/crond.reboot");
    let mut command = Command::new("/usr/sbin/cron");
    command.arg("-f");
    Service::start(sb, name, command)
}

sandbox_test! {
    fn r28_a_suspension_ends_sessions_channels_and_what_outlives_them_and_a_key_opens_no_more(sb) {
        let (_world, alice, key) = world(sb)?;
        let uid = sb.user(&alice)?.context("no user")?.uid;
        let mut terminal = Ssh::to(&alice).key(&key).keys_only().open_terminal(sb)?;
        terminal.type_line("echo I am $((40 + 2))")?;
        terminal.expect("I am 42", SOON)?;
        let mut master = Master::open(sb, &alice, &key)?;
        let mut channel = master.command("sleep 600").stderr(Stdio::null()).spawn()?;
        master.run("nohup setsid sleep 601 >/dev/null 2>&1 & echo begun")?;
        // Begins a new one whenever one is ended, and forgets its parents.
        let again = "while :; do setsid sleep 602 & sleep 0.01; done";
        master.run(&format!("nohup setsid sh -c '{again}' >/dev/null 2>&1 & echo begun"))?;
        until("all that runs", SOON, || {
            let running = processes_of(uid).ok()?;
            let all = ["sleep 600", "sleep 601", "sleep 602"];
            all.iter().all(|one| running.iter().any(|title| title.contains(one))).then_some(())
        })?;

        let begun = Instant::now();
        let receipt = ctl(&["users", "suspend", &alice])?;
        let took = begun.elapsed();
        let left = processes_of(uid)?;
        ensure!(left.is_empty(), "{left:?} still runs; receipt: {receipt}");
        println!("suspended and all sessions ended within {} ms", took.as_millis());
        ensure!(took < Duration::from_secs(10), "{took:?}");
        ensure!(fact(&receipt, "sessions") == Some("2 ended"), "{receipt}");
        ensure!(fact(&receipt, "STILL TO BE DONE").is_none(), "{receipt}");
        assert!(!terminal.wait(SOON)?.is_success());
        until("the end of the channel", SOON, || channel.try_wait().ok().flatten())?;
        master.service.wait(SOON)?;
        assert!(!master.command("true").stderr(Stdio::null()).status()?.success());
        let refused = Ssh::to(&alice).key(&key).keys_only().command("true").with_askpass(sb, &[])?;
        assert!(!refused.is_success(), "the key opens the account");
        assert_eq!(processes_of(uid)?, Vec::<String>::new(), "something began again");

        ctl(&["users", "resume", &alice])?;
        let again = Ssh::to(&alice).key(&key).keys_only().command("true").with_askpass(sb, &[])?;
        assert!(again.is_success(), "{}", again.stderr);
        Ok(())
    }
}

sandbox_test! {
    fn r28_jobs_of_a_suspended_person_wait_and_none_is_lost(sb) {
        let (_world, alice, key) = world(sb)?;
        let home = sb.user(&alice)?.context("no user")?.home;
        let run = |line: &str| -> Result<()> {
            let ssh = Ssh::to(&alice).key(&key).keys_only().command(line);
            let done = ssh.with_askpass(sb, &[])?;
            ensure!(done.is_success(), "{line}: {}", done.stderr);
            Ok(())
        };
        run("echo '@reboot echo ran >> ran-by-cron' | crontab -")?;
        run("echo 'echo ran >> ran-by-at' | at now")?;
        sb.add_user("bob")?;
        let crontabs = Path::new("/var/spool/cron/crontabs");
        fs::write(crontabs.join("bob"), "@reboot echo ran >> ran-by-cron\n")?;
        check_run("chown", &["bob:crontab", "/var/spool/cron/crontabs/bob"])?;
        check_run("chmod", &["600", "/var/spool/cron/crontabs/bob"])?;
        let receipt = ctl(&["users", "suspend", &alice])?;
        ensure!(fact(&receipt, "jobs") == Some("2 held"), "{receipt}");
        assert!(!crontabs.join(&alice).exists());

        let mut at = Command::new("/usr/sbin/atd");
        at.args(["-f", "-l", "100", "-b", "1"]);
        let _at = Service::start(sb, "atd", at)?;
        let cron = start_cron(sb, "cron-1")?;
        until("bob's job", SOON, || Path::new("/home/bob/ran-by-cron").exists().then_some(()))?;
        // Cron begins all jobs of a kind at once; a breath for one that should not have begun.
        std::thread::sleep(Duration::from_secs(1));
        let ran = |job: &str| home.join(format!("ran-by-{job}")).exists();
        assert!(!ran("cron") && !ran("at"), "a job of a suspended person ran");
        drop(cron);

        let receipt = ctl(&["users", "resume", &alice])?;
        ensure!(fact(&receipt, "STILL TO BE DONE").is_none(), "{receipt}");
        // The spool tells atd; its job was due long ago.
        until("the job of at", SOON, || ran("at").then_some(()))?;
        let _cron = start_cron(sb, "cron-2")?;
        until("the job of cron", SOON, || ran("cron").then_some(()))?;
        let owner = check_run("stat", &["-c", "%U:%G %a", &crontabs.join(&alice).to_string_lossy()])?;
        assert_eq!(owner.trim(), format!("{alice}:crontab 600"));
        Ok(())
    }
}

/// Whether `NAME` has a crontab that cron finds.
fn has_crontab(name: &str) -> bool {
    Path::new("/var/spool/cron/crontabs").join(name).exists()
}

sandbox_test! {
    fn r28_jobs_of_a_limited_person_wait_also_through_a_suspension(sb) {
        let (world, alice, key) = world(sb)?;
        let home = sb.user(&alice)?.context("no user")?.home;
        for line in ["echo '@reboot echo ran >> ran-by-cron' | crontab -", "echo 'echo ran >> ran-by-at' | at now"] {
            let done = Ssh::to(&alice).key(&key).keys_only().command(line).with_askpass(sb, &[])?;
            ensure!(done.is_success(), "{line}: {}", done.stderr);
        }
        let receipt = ctl(&["users", "limit", &alice])?;
        ensure!(fact(&receipt, "jobs") == Some("2 held"), "{receipt}");
        ensure!(fact(&receipt, "STILL TO BE DONE").is_none() && !has_crontab(&alice), "{receipt}");
        // Neither a deployment nor the end of a suspension is the end of the limit.
        world.daemon.rest()?.get("/user/deploy", Some(&world.op.token("alice").sign()))?;
        ctl(&["users", "suspend", &alice])?;
        ctl(&["users", "resume", &alice])?;
        let mut at = Command::new("/usr/sbin/atd");
        at.args(["-f", "-l", "100", "-b", "1"]);
        let _at = Service::start(sb, "atd", at)?;
        let cron = start_cron(sb, "cron-1")?;
        std::thread::sleep(Duration::from_secs(2));
        assert!(!home.join("ran-by-cron").exists() && !home.join("ran-by-at").exists());
        drop(cron);

        // The limit ends while the person is suspended: nothing is put back before that ends too.
        ctl(&["users", "suspend", &alice])?;
        ctl(&["users", "unlimit", &alice])?;
        assert!(!has_crontab(&alice), "released while suspended");
        let receipt = ctl(&["users", "resume", &alice])?;
        ensure!(fact(&receipt, "STILL TO BE DONE").is_none() && has_crontab(&alice), "{receipt}");
        until("the job of at", SOON, || home.join("ran-by-at").exists().then_some(()))
    }
}

sandbox_test! {
    fn r28_jobs_wait_while_somebody_has_the_shell_of_a_lower_tier(sb) {
        let pam = PamStack::token_only().argument("fail_floor_ms=300");
        let rules = "authorise_all = yes\nassurance_based_shell_tier_full = high";
        let world = World::with(sb, rules, pam, |daemon| daemon)?;
        let deploy = |assurance: &str| {
            let ada = User::new("ada").claim("preferred_username", "ada");
            world.op.add_user(ada.claim("eduperson_assurance", assurance));
            world.daemon.rest()?.get("/user/deploy", Some(&world.op.token("ada").sign()))
        };
        let shell = || check_run("getent", &["passwd", "ada"]).map(|line| line.trim().to_owned());
        let high = "https://refeds.org/high";
        deploy(high)?;
        ensure!(!shell()?.ends_with("nologin"), "{}", shell()?);
        fs::write("/var/spool/cron/crontabs/ada", "@reboot echo ran >> ran-by-cron\n")?;
        check_run("chown", &["ada:crontab", "/var/spool/cron/crontabs/ada"])?;
        check_run("chmod", &["600", "/var/spool/cron/crontabs/ada"])?;
        for _ in 0..2 {
            deploy("https://refeds.org/low")?;
            ensure!(shell()?.ends_with("nologin") && !has_crontab("ada"), "{}", shell()?);
        }
        for _ in 0..2 {
            deploy(high)?;
            ensure!(!shell()?.ends_with("nologin") && has_crontab("ada"), "{}", shell()?);
        }
        Ok(())
    }
}
