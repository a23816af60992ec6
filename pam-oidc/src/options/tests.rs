//! Tests of the options.

use super::*;

fn load_args(args: &[&str]) -> Result<Loaded, BadOptions> {
    load_with_file(args, "")
}

fn load_with_file(args: &[&str], file: &str) -> Result<Loaded, BadOptions> {
    let args: Vec<String> = args.iter().map(|&it| it.to_owned()).collect();
    load(&args, |_| Ok(file.to_owned()))
}

#[test]
fn without_arguments_the_defaults_hold() {
    let loaded = load_args(&[]).unwrap();
    assert_eq!(loaded.options, Options::default());
    assert_eq!(loaded.options.socket, Path::new("/run/motley_cue/login.sock"));
    assert!(loaded.warnings.is_empty());
    assert!(loaded.options.skips("root"));
}

#[test]
fn arguments_set_what_they_name() {
    let options = load_args(&[
        "socket=/run/x.sock",
        "daemon_user=cue",
        "prompt=(OTP or) Access Token:",
        "timeout=5",
        "fail_floor_ms=100",
        "min_uid=500",
        "require_identity",
        "skip_users=root,admin",
        "account_on_error=deny",
        "pass_non_token",
        "try_first_pass",
        "contact=https://host.example/ssh",
        "debug",
    ])
    .unwrap()
    .options;
    let expected = Options {
        socket: "/run/x.sock".into(),
        daemon_user: "cue".into(),
        prompt: "(OTP or) Access Token:".into(),
        timeout: Duration::from_secs(5),
        fail_floor: Duration::from_millis(100),
        min_uid: 500,
        require_identity: true,
        skip_users: vec!["root".into(), "admin".into()],
        account_on_error: OnError::Deny,
        pass_non_token: true,
        earlier_password: EarlierPassword::Try,
        contact: Some("https://host.example/ssh".into()),
        debug: true,
    };
    assert_eq!(options, expected);
}

#[test]
fn arguments_override_the_file() {
    let file = "# ours\n\nsocket = \"/run/file.sock\" # where\ntimeout = 7\n\
                prompt = 'My Access Token:'\ndebug = true\nskip_users = root, admin\n";
    let loaded = load_with_file(&["config=/etc/pam_oidc.toml", "timeout=9"], file).unwrap();
    assert_eq!(loaded.options.socket, Path::new("/run/file.sock"));
    assert_eq!(loaded.options.timeout, Duration::from_secs(9));
    assert_eq!(loaded.options.prompt, "My Access Token:");
    assert_eq!(loaded.options.skip_users, ["root", "admin"]);
    assert!(loaded.options.debug);
}

#[test]
fn r33_unknown_options_are_refused_with_place_and_cure() {
    let said = load_args(&["debug", "sokcet=/run/x"]).unwrap_err().problem.to_string();
    assert!(said.starts_with("PAM argument 2: unknown option \"sokcet\"; known are"), "{said}");
    let said = load_with_file(&["config=/etc/o"], "\nsokcet = /x\n").unwrap_err().problem;
    assert!(said.to_string().starts_with("/etc/o line 2: unknown option"), "{said}");
    let said = load_with_file(&["config=/etc/o"], "config = /x\n").unwrap_err().problem;
    assert!(said.to_string().contains("unknown option"), "{said}");
}

#[test]
fn bad_values_are_refused() {
    for arg in [
        "socket=run/x",
        "socket=",
        "prompt=Access Token: ",
        "prompt=Token:",
        "prompt=a\nAccess Token:",
        "timeout=0",
        "timeout=101",
        "timeout=+5",
        "timeout=5s",
        "timeout=",
        "fail_floor_ms=10001",
        "fail_floor_ms=-1",
        "min_uid=0",
        "min_uid=4294967296",
        "skip_users=a b",
        "daemon_user=",
        "account_on_error=allow",
        "account_on_error",
        "debug=maybe",
        "contact=javascript:x",
        "contact=https://a b",
        "config",
        "timeout",
    ] {
        let args = [arg.to_owned()];
        let relative = |path: &Path| Err(FileError::Relative(path.to_owned()));
        assert!(load(&args, relative).is_err(), "{arg:?}");
    }
    let long = format!("socket=/{}", "x".repeat(107));
    assert!(load_args(&[&long]).is_err());
}

#[test]
fn an_option_that_is_there_twice_is_refused() {
    let said = load_args(&["timeout=5", "timeout=6"]).unwrap_err().problem.to_string();
    assert_eq!(said, "PAM argument 2: timeout is set a second time; keep one of the two");
    assert!(load_with_file(&["config=/etc/o"], "debug = yes\ndebug = no\n").is_err());
}

#[test]
fn lines_that_are_no_options_are_refused() {
    for line in ["debug", "[login]", "socket = \"/run", "socket = \"/run\" x", "contact = \"a\\n\""]
    {
        let problem = load_with_file(&["config=/etc/o"], line).unwrap_err().problem;
        assert!(matches!(problem, OptionProblem::Line { .. }), "{line}: {problem}");
    }
}

#[test]
fn the_older_file_is_taken_with_a_warning_that_says_what_replaces_it() {
    let file = "[config]\nlocal = false\n[user_verification]\n\
                verify_endpoint = http://localhost:8080/verify_user\n";
    let loaded = load_with_file(&["config=/etc/pam.d/old.ini", "timeout=3"], file).unwrap();
    let expected = Options { timeout: Duration::from_secs(3), ..Options::default() };
    assert_eq!(loaded.options, expected);
    let [warning] = loaded.warnings.as_slice() else { panic!("one warning") };
    assert!(warning.contains("/etc/pam.d/old.ini"), "{warning}");
    assert!(warning.contains("verify_endpoint = http://localhost:8080/verify_user"), "{warning}");
    assert!(warning.contains("socket="), "{warning}");
}

#[test]
fn r08_bad_options_still_say_what_the_account_phase_shall_do() {
    for (args, expected) in [
        (&["nonsense=1"][..], OnError::DenyManaged),
        (&["nonsense=1", "account_on_error=deny"], OnError::Deny),
        (&["nonsense=1", "account_on_error=ignore"], OnError::Ignore),
        (&["account_on_error=perhaps"], OnError::DenyManaged),
    ] {
        assert_eq!(load_args(args).unwrap_err().account_on_error, expected, "{args:?}");
    }
    let file = "nonsense = 1\naccount_on_error = deny\n";
    let bad = load_with_file(&["config=/etc/o"], file).unwrap_err();
    assert_eq!(bad.account_on_error, OnError::Deny);
}

#[test]
fn every_option_is_in_the_readme() {
    let readme = include_str!("../../README.md");
    for name in NAMES.split(", ") {
        assert!(readme.contains(&format!("| `{name}")), "{name} is missing in README.md");
    }
}

proptest::proptest! {
    #[test]
    fn r45_no_file_and_no_argument_makes_the_parser_panic(
        file in "\\PC{0,40}|(\\[[a-z_]{0,9}\\]|[a-z_]{1,9} = ['\"a-z#\\\\ ]{0,9}|\n){0,6}",
        arg in "[a-z_]{0,16}=?\\PC{0,20}",
    ) {
        let _ = load(&[arg, "config=/x".to_owned()], |_| Ok(file.clone()));
    }
}
