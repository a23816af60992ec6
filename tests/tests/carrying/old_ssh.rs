//! OpenSSH before 8.4 and before 8.5, by a double: the ssh of this machine behind a script that takes
//! from it what those versions lack.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use anyhow::Result;
use motley_tests::sandbox::{Sandbox, until};
use motley_tests::sandbox_test;

use super::road::{Road, assert_success, sh, wait_for_the_brokers_end};

/// Reports the version in `$0.version`, knows no newer settings, ignores `SSH_ASKPASS_REQUIRE` and
/// writes no `(user@host) ` before prompts.
const SSH: &str = r#"#!/bin/bash
case "$1" in
-V) echo 'OpenSSH_8.0p1, OpenSSL 1.1.1k' >&2; exit 0 ;;
-G) /usr/bin/ssh "$@" | grep -v acceptedalgorithms; exit "${PIPESTATUS[0]}" ;;
esac
unset SSH_ASKPASS_REQUIRE
if test -n "$SSH_ASKPASS"; then
    export REAL_ASKPASS=$SSH_ASKPASS
    export SSH_ASKPASS=${0%/*}/without-prefix
fi
exec /usr/bin/ssh "$@"
"#;

/// Takes the prefix from a prompt before the real askpass sees it.
const WITHOUT_PREFIX: &str = r#"#!/bin/bash
if [[ $1 == \(*@*\)\ * ]]; then set -- "${1#*) }"; fi
exec "$REAL_ASKPASS" "$1"
"#;

/// The folder with the double, for the front of PATH.
fn double(sb: &Sandbox) -> Result<String> {
    let folder = sb.dir().join("old");
    fs::create_dir_all(&folder)?;
    for (name, text) in [("ssh", SSH), ("without-prefix", WITHOUT_PREFIX)] {
        let path = folder.join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default()))
}

sandbox_test! {
    fn an_ssh_that_can_not_be_told_to_ask_logs_in_by_a_connection_made_before(sb) {
        let road = Road::start(sb)?;
        let path = double(sb)?;
        let token = road.world.op.token("alice").sign();
        let ssh = |words: &[&str]| -> Result<_> {
            Ok(road.mccli(sb, &token, &[&["ssh"], words].concat())?.env("PATH", &path))
        };
        let outcome = ssh(&["one.test", "cat; echo e >&2; exit 7"])?.stdin("in\0put").run(sb)?;
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(7), "in\0put"), "{}", outcome.stderr);
        let terminal = ssh(&["-t", "-L", "18022:127.0.0.1:22", "one.test", "tty; exit 3"])?.on_terminal(&[])?;
        assert_eq!(terminal.code, Some(3), "{}", terminal.stdout);
        assert!(terminal.stdout.contains("/dev/pts/"), "{}", terminal.stdout);
        let shared = ssh(&["-MNf", "-S", "/tmp/shared", "one.test"])?.run(sb)?;
        assert_success(&shared);
        assert_eq!(sh("/usr/bin/ssh -S /tmp/shared one.test id -un")?, "alice\n");
        sh("/usr/bin/ssh -S /tmp/shared -O exit one.test")?;
        let jump = ssh(&["-J", "alice@two.test", "one.test", "true"])?.run(sb)?;
        assert_eq!(jump.code, Some(1));
        assert!(jump.stderr.contains("OpenSSH to 8.5"), "{}", jump.stderr);
        wait_for_the_brokers_end()?;
        until("no connection is left", std::time::Duration::from_secs(15), || {
            let left = sh("pgrep -f '[s]sh -MNf' || true").ok()?;
            left.trim().is_empty().then_some(())
        })?;
        Ok(())
    }
}

sandbox_test! {
    fn the_link_and_copying_work_with_an_old_ssh_too(sb) {
        let road = Road::start(sb)?;
        let path = double(sb)?;
        let token = road.world.op.token("alice").sign();
        let copy = road.mccli(sb, &token, &["scp", "/etc/hostname", "one.test:a b"])?;
        assert_success(&copy.env("PATH", &path).run(sb)?);
        assert!(fs::exists("/home/alice/a b")?);
        let link = road.program(sb, &token, road.link("mccli-ssh"), &["one.test", "id -un"])?;
        assert_eq!(link.env("PATH", &path).run(sb)?.stdout, "alice\n");
        Ok(())
    }
}
