//! Measures what `docs/performance.md` reports; run it inside the sandbox: `./run figures`.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use motley_tests::op::Alg;
use motley_tests::sandbox::{Answer, PamStack, Sandbox, Ssh, SshKey, World, built, library};

/// Logins of each kind, in turn, so that a change of the machine's speed meets all kinds alike.
const LOGINS: usize = 40;
/// The stack of sshd.
const PAM_STACK: &str = "/etc/pam.d/sshd";
/// What a distribution ships there, in essence.
const WITHOUT_MODULE: &str = "@include common-auth\n@include common-account\n@include common-session\n@include common-password\n";
/// Distinct tokens of the second load.
const TOKENS: usize = 1000;

fn main() -> Result<()> {
    let sb = Sandbox::current().context("run this with ./run figures")?;
    sizes()?;
    // All requests come from one person, which the limits are there to stop.
    let limits = "[limits]\nrequests_per_source = 1000000000\nrequests_per_identity = 1000000000";
    let rules = "authorise_all = yes";
    let world = World::with(&sb, rules, PamStack::shipped(), |daemon| daemon.section(limits))?;
    // A signature by elliptic curve keeps the token below what ssh's prompt takes.
    let token = world.op.token("alice").alg(Alg::Es256).sign();
    let alice = world.deploy(&token)?;
    rest(&world)?;
    logins(&sb, &alice, &token)?;
    load(&sb, &world, &alice)?;
    start_up(&sb, world)
}

fn print(what: &str, value: &str) {
    println!("{what:<64} {value}");
}

fn sizes() -> Result<()> {
    let so = fs::metadata(library("pam_oidc_token")?)?.len();
    print("size of pam_oidc_token.so", &format!("{} kB", so / 1000));
    for program in ["motley-daemon", "motley-root", "mccli", "motleyctl"] {
        let size = fs::metadata(built(program)?)?.len();
        print(&format!("size of {program}"), &format!("{:.1} MB", size as f64 / 1e6));
    }
    Ok(())
}

/// Resident memory of a process, in kB.
fn resident(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
    line.split_whitespace().nth(1).context("no number")?.parse().context("no number")
}

fn rest(world: &World) -> Result<()> {
    std::thread::sleep(Duration::from_secs(2));
    for (name, service) in
        [("motley-daemon", world.daemon.service()), ("motley-root", world.root.service())]
    {
        let pid = service.context("not running")?.pid();
        print(
            &format!("resident memory of {name} at rest"),
            &format!("{:.1} MB", resident(pid)? as f64 / 1000.0),
        );
    }
    Ok(())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn logins(sb: &Sandbox, alice: &str, token: &str) -> Result<()> {
    // sshd reads its PAM stack anew at each login, so one sshd serves with and without the module.
    let with_module = fs::read_to_string(PAM_STACK)?;
    let key = sb.authorise_key(alice)?;
    let by_key = |key: &SshKey| Ssh::to(alice).key(key).keys_only().command("true");
    let by_token =
        Ssh::to(alice).option("-oPreferredAuthentications=keyboard-interactive").command("true");
    let answer = [Answer::line("Access Token:", token)];
    let mut times: [Vec<Duration>; 3] = Default::default();
    for _ in 0..LOGINS {
        fs::write(PAM_STACK, WITHOUT_MODULE)?;
        let without = by_key(&key).with_askpass(sb, &[])?;
        fs::write(PAM_STACK, &with_module)?;
        let runs =
            [without, by_key(&key).with_askpass(sb, &[])?, by_token.with_askpass(sb, &answer)?];
        for (kind, run) in runs.into_iter().enumerate() {
            if !run.is_success() {
                bail!("login {kind} failed: {}", run.stderr);
            }
            times[kind].push(run.took);
        }
    }
    let [plain, account, pasted] = times.map(median);
    print("ssh by key, without our module, median", &format!("{:.1} ms", ms(plain)));
    print("ssh by key, with our account phase, median", &format!("{:.1} ms", ms(account)));
    print("ssh by token, warm, median", &format!("{:.1} ms", ms(pasted)));
    print(
        "the account phase adds to a login by key",
        &format!("{:+.1} ms", ms(account) - ms(plain)),
    );
    print(
        "a login by token takes longer than one by key by",
        &format!("{:+.1} ms", ms(pasted) - ms(plain)),
    );
    Ok(())
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Requests per second by wrk, with one token or with many in turn.
fn load(sb: &Sandbox, world: &World, alice: &str) -> Result<()> {
    let tokens: Vec<String> =
        (0..TOKENS).map(|n| world.op.token("alice").claim("n", n).sign()).collect();
    let url = format!("{}/verify_user?username={alice}", world.daemon.url());
    let script = sb.dir().join("tokens.lua");
    for (what, count) in [("one warm token", 1), ("1000 distinct tokens in turn", TOKENS)] {
        let list: Vec<String> =
            tokens.iter().take(count).map(|token| format!("{token:?}")).collect();
        fs::write(
            &script,
            format!(
                "local t = {{{}}}\nlocal i = 0\nrequest = function()\n  i = i % #t + 1\n  \
                 return wrk.format('GET', nil, {{Authorization = 'Bearer ' .. t[i]}})\nend\n",
                list.join(",")
            ),
        )?;
        // The first pass asks the provider about each token and is not counted.
        let _ = wrk(&script, &url, 1, 3)?;
        for connections in [1, 16] {
            let line = wrk(&script, &url, connections, 5)?;
            print(&format!("/verify_user, {what}, {connections} connections"), &line);
        }
    }
    print("/info, 16 connections", &{
        fs::write(&script, "")?;
        wrk(&script, &format!("{}/info", world.daemon.url()), 16, 5)?
    });
    Ok(())
}

fn wrk(script: &Path, url: &str, connections: u32, seconds: u32) -> Result<String> {
    let output = Command::new("wrk")
        .args(["--threads", "1", "--latency", "--duration", &format!("{seconds}s")])
        .args(["--connections", &connections.to_string(), "--script"])
        .arg(script)
        .arg(url)
        .output()
        .context("wrk is missing")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if text.contains("Non-2xx") || !output.status.success() {
        bail!("wrk: {text}");
    }
    let pick = |label: &str| {
        let line = text.lines().find(|line| line.trim_start().starts_with(label));
        line.and_then(|line| line.split_whitespace().nth(1)).unwrap_or("?").to_owned()
    };
    Ok(format!("{} per s, p50 {}, p99 {}", pick("Requests/sec:"), pick("50%"), pick("99%")))
}

fn start_up(sb: &Sandbox, mut world: World) -> Result<()> {
    let mut times = Vec::new();
    for _ in 0..9 {
        world.daemon.kill();
        let start = Instant::now();
        world.daemon.launch(sb)?;
        let rest = world.daemon.rest()?;
        while rest.get("/info", None).is_err() {
            std::thread::sleep(Duration::from_millis(1));
        }
        times.push(start.elapsed());
    }
    print(
        "start of the daemon to its first answer, median",
        &format!("{:.0} ms", ms(median(times))),
    );
    Ok(())
}
