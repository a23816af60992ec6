//! Options through real libpam: the file, the older file, and what is refused.

mod support;

use std::{fs, os::unix::fs::PermissionsExt, path::Path};
use support::{
    ACCOUNT_IGNORED, GOOD, Machine,
    daemon::Daemon,
    ffi::{AUTH_ERR, AUTHINFO_UNAVAIL, PERM_DENIED, SUCCESS},
    prompts,
};

fn write(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_file_is_read_and_arguments_override_it() {
    let machine = Machine::enter();
    let _daemon = Daemon::honest(&machine);
    let path = machine.trusted_path("pam_oidc.toml");
    let text = format!(
        "# where the daemon is\nsocket = \"{}\"\nprompt = \"From the file: Access Token:\"\n",
        machine.socket().display()
    );
    write(&path, &text, 0o644);
    let stack = machine.bare_stack(&format!("config={}", path.display()));
    let (code, seen) = stack.authenticate("alice", &[GOOD]);
    assert_eq!((code, prompts(&seen)), (SUCCESS, vec!["From the file: Access Token:"]));
    let stack = machine.bare_stack(&format!("config={} socket=/nowhere", path.display()));
    assert_eq!(stack.authenticate("alice", &[GOOD]).0, AUTHINFO_UNAVAIL);
}

#[test]
fn r33_a_file_that_others_can_write_is_refused_with_the_command_that_mends_it() {
    let machine = Machine::enter();
    let _daemon = Daemon::honest(&machine);
    let path = machine.trusted_path("pam_oidc.toml");
    write(&path, "debug = yes\n", 0o666);
    let stack = machine.stack(&format!("config={}", path.display()));
    assert_eq!(stack.authenticate("alice", &[GOOD]), (AUTHINFO_UNAVAIL, vec![]));
    assert!(machine.log().contains("chmod go-w /mnt/pam_oidc.toml"));
    let open = machine.path("pam_oidc.toml");
    write(&open, "debug = yes\n", 0o600);
    let stack = machine.stack(&format!("config={}", open.display()));
    assert_eq!(stack.authenticate("alice", &[GOOD]).0, AUTHINFO_UNAVAIL);
    assert!(machine.log().contains("/tmp: mode 1777 lets others write"));
}

#[test]
fn r33_a_file_of_another_user_is_refused() {
    let machine = Machine::enter();
    let _daemon = Daemon::honest(&machine);
    let path = machine.trusted_path("pam_oidc.toml");
    write(&path, "debug = yes\n", 0o600);
    std::os::unix::fs::chown(&path, Some(2002), None).unwrap();
    let stack = machine.stack(&format!("config={}", path.display()));
    assert_eq!(stack.authenticate("alice", &[GOOD]).0, AUTHINFO_UNAVAIL);
    assert!(machine.log().contains("belongs to uid 2002; run: chown root"));
}

#[test]
fn r33_unknown_options_fail_closed_and_other_modules_go_on() {
    let machine = Machine::enter();
    let _daemon = Daemon::honest(&machine);
    for bad in ["sokcet=/x", "timeout=soon", "[prompt=Token: ]", "config=/mnt/missing"] {
        let stack = machine.stack(bad);
        assert_eq!(stack.authenticate("alice", &[GOOD]), (AUTHINFO_UNAVAIL, vec![]), "{bad}");
        assert!(!machine.log().is_empty(), "{bad}");
        assert_eq!(stack.check_account("alice").0, PERM_DENIED, "{bad}");
        assert_eq!(stack.check_account("bob").0, ACCOUNT_IGNORED, "{bad}");
        assert_eq!(stack.check_account("root").0, ACCOUNT_IGNORED, "{bad}");
    }
    let stack = machine.stack("sokcet=/x account_on_error=deny");
    assert_eq!(stack.check_account("bob").0, PERM_DENIED);
    assert_eq!(stack.check_account("root").0, ACCOUNT_IGNORED);
    assert!(machine.log().contains("PAM argument 3: unknown option \"sokcet\""));
}

#[test]
fn the_older_file_is_taken_with_a_warning() {
    let machine = Machine::enter();
    let _daemon = Daemon::honest(&machine);
    let path = machine.trusted_path("pam-ssh-oidc-config.ini");
    let text = "[config]\n\n[user_verification]\nlocal = false\n\
                verify_endpoint = http://localhost:8080/verify_user\n";
    write(&path, text, 0o644);
    let stack = machine.stack(&format!("config={}", path.display()));
    assert_eq!(stack.authenticate("alice", &[GOOD]).0, SUCCESS);
    let log = machine.log();
    assert!(log.contains("verify_endpoint = http://localhost:8080/verify_user"), "{log}");
    assert!(log.contains("is replaced by the option socket="), "{log}");
    let priority = log.lines().find(|it| it.contains("verify_endpoint")).unwrap();
    assert!(priority.starts_with("<84>"), "authpriv.warning: {priority}");
}

#[test]
fn an_account_below_min_uid_gets_no_success() {
    let machine = Machine::enter();
    let _daemon = Daemon::honest(&machine);
    assert_eq!(machine.stack("min_uid=2002").authenticate("alice", &[GOOD]).0, AUTH_ERR);
    assert_eq!(machine.stack("min_uid=2001").authenticate("alice", &[GOOD]).0, SUCCESS);
}
