//! Where the token is not: command lines, environments, files, logs, and the answers to anybody else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use motley_tests::sandbox::{Mccli, built, until};
use motley_tests::sandbox_test;

use super::road::{Road, sh};

/// Everything below these folders that holds the text, and every process that shows it.
fn showing(text: &str, folders: &[&str], except: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut todo: Vec<PathBuf> = folders.iter().map(PathBuf::from).collect();
    while let Some(folder) = todo.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => todo.push(path),
                Ok(kind) if kind.is_file() && path != except => found.extend(holds(&path, text)),
                _ => {}
            }
        }
    }
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        for file in ["cmdline", "environ"] {
            found.extend(holds(&entry.path().join(file), text));
        }
    }
    found
}

fn holds(path: &Path, text: &str) -> Option<String> {
    let bytes = fs::read(path).ok()?;
    let shows = bytes.windows(text.len()).any(|window| window == text.as_bytes());
    shows.then(|| path.display().to_string())
}

sandbox_test! {
    fn r38_the_token_is_in_no_command_line_environment_file_or_log_while_programs_run(sb) {
        let road = Road::start(sb)?;
        let token = road.world.op.token("alice").sign();
        let line = "ssh one.test true; ssh -v two.test sleep 600 2>/tmp/verbose & scp -q /etc/hostname one.test:f; touch /tmp/ready; wait";
        let words = ["--debug", "exec", "--", "sh", "-c", line];
        let mut terminal = road.mccli(sb, &token, &words)?.open_terminal()?;
        until("all run", Duration::from_secs(30), || {
            let begun = sh("pgrep -xc sleep || true").ok()?.trim() != "0";
            (fs::exists("/tmp/ready").ok()? && begun).then_some(())
        })?;
        let except = sb.dir().join("token");
        let (work, logs) = (sb.dir().display().to_string(), sb.log_dir().display().to_string());
        let places = ["/tmp", "/run/user", "/home", "/var/log", "/var/tmp", &work, &logs];
        let homes = ["/root/.cache", "/root/.config", "/root/.local/state", "/root/.ssh"];
        let folders = [&places[..], &homes].concat();
        let found = showing(&token, &folders, &except);
        assert_eq!(found, Vec::<String>::new());
        assert!(!terminal.screen().contains(&token));
        sh("pkill -9 -x sleep || true")?;
        terminal.wait(Duration::from_secs(20))?;
        Ok(())
    }
}

/// Asks the broker of a running `mccli exec` as somebody who was not announced.
fn uninvited(prompt: &str) -> Result<String> {
    let folder =
        sh("ls -d /run/user/0/mccli-* /root/.local/state/mccli/mccli-* 2>/dev/null | head -n 1")?;
    let askpass = Path::new(folder.trim()).join("mccli-askpass");
    let output = Command::new("setsid").arg("--wait").arg(askpass).arg(prompt).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

sandbox_test! {
    fn r38_who_was_not_announced_gets_nothing_though_the_prompt_is_right(sb) {
        let road = Road::start(sb)?;
        let token = road.world.op.token("alice").sign();
        let line = "ssh one.test true; touch /tmp/ready; sleep 600";
        let mut terminal = road.mccli(sb, &token, &["exec", "--", "sh", "-c", line])?.open_terminal()?;
        until("the login is over", Duration::from_secs(30), || fs::exists("/tmp/ready").ok()?.then_some(()))?;
        for prompt in ["(alice@one.test) Access Token:", "Access Token:"] {
            assert_eq!(uninvited(prompt)?, "", "{prompt}");
        }
        // An ssh of the same tree that nobody announced: the program itself, by its full path.
        let direct = Mccli::program("/usr/bin/ssh", ["-oNumberOfPasswordPrompts=1", "alice@one.test", "true"]);
        let folder = sh("ls -d /run/user/0/mccli-* /root/.local/state/mccli/mccli-* 2>/dev/null | head -n 1")?;
        let askpass = format!("{}/mccli-askpass", folder.trim());
        let outcome = direct.env("SSH_ASKPASS", &askpass).env("SSH_ASKPASS_REQUIRE", "force").run(sb)?;
        assert!(!outcome.is_success(), "{}", outcome.stderr);
        assert_eq!(road.granted(sb), 1);
        sh("pkill -9 -x sleep")?;
        terminal.wait(Duration::from_secs(10))?;
        Ok(())
    }
}

sandbox_test! {
    fn r38_where_proc_hides_processes_from_each_other_a_login_goes_on(sb) {
        let road = Road::start(sb)?;
        let local = sb.add_user("t_local")?;
        let file = road.token_file(sb, &road.world.op.token("alice").sign())?;
        let line = format!(
            "chown {uid} {file} && mount -t proc -o hidepid=2 proc /proc
             exec setpriv --reuid {uid} --regid {gid} --clear-groups -- env -i HOME=/home/t_local \\
               PATH=/usr/bin:/bin SSL_CERT_FILE={ca} MCCLI_TOKEN_FILE={file} \\
               sh -c 'test ! -e /proc/1 && exec {mccli} ssh one.test id -un'",
            uid = local.uid,
            gid = local.gid,
            ca = road.world.ca.path().display(),
            mccli = built("mccli")?.display(),
        );
        let output = Command::new("unshare").args(["--mount", "sh", "-ec", &line]).output()?;
        let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!((output.status.code(), said.trim()), (Some(0), "alice"), "{errors}");
        assert_eq!(road.granted(sb), 1);
        Ok(())
    }
}
