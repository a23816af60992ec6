//! Options, sources, endpoints and the short commands, from the outside.

mod double;

use double::{
    HOST, Stage,
    service::{CA_FILE, Manner, Service},
    texts,
};
use std::{fs, io::Write, process::Stdio};

const TOKEN: &str = "canary-8c2f-token";

fn run(stage: &Stage, words: &[&str]) -> (Option<i32>, String, String) {
    let output = stage.mccli(words).output().unwrap();
    let (out, errors) = texts(&output);
    (output.status.code(), out, errors)
}

#[test]
fn usage_errors_end_with_2_and_questions_about_itself_with_0() {
    let stage = Stage::new();
    for words in [
        &[][..],
        &["nonsense"],
        &["--nonsense", "ssh", "h"],
        &["ssh", "--nonsense", "h"],
        &["ssh"],
        &["--token", "a", "--oidc", "b", "ssh", "h"],
        &["ssh", "--iss", "a", "h", "--oidc", "b"],
        &["--log-level", "chatty", "info"],
        &["status"],
    ] {
        let (code, out, errors) = run(&stage, words);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{words:?}");
        assert!(!errors.is_empty());
    }
    for words in [&["-V"][..], &["--version"], &["ssh", "-V"], &["ssh", "-V", "h"], &["info", "-V"]]
    {
        let (code, out, _) = run(&stage, words);
        assert_eq!((code, out), (Some(0), format!("mccli, {}\n", env!("CARGO_PKG_VERSION"))));
    }
    let (code, help, _) = run(&stage, &["ssh", "--help"]);
    assert!(code == Some(0) && help.contains("--set-remote-env") && help.contains("--oidc"));
}

#[test]
fn levels_are_taken_in_any_case_and_a_bad_variable_is_no_error() {
    let stage = Stage::new();
    for words in [&["--log-level", "debug", "completions", "bash"][..], &["--debug", "man"]] {
        assert_eq!(run(&stage, words).0, Some(0), "{words:?}");
    }
    let output = stage.mccli(&["man"]).env("LOG", "garbage").output().unwrap();
    assert!(output.status.success() && texts(&output).0.contains("mccli"));
}

#[test]
fn r06_no_level_shows_a_token() {
    let service = Service::start(Manner::accepting(TOKEN));
    let stage = Stage::new();
    let url = service.url();
    let words = [&["--debug", "--token", TOKEN, "--mc-endpoint", &url, "ssh"], &HOST[..]].concat();
    let (code, out, errors) = run(&stage, &words);
    assert_eq!(code, Some(0), "{errors}");
    assert!(errors.contains("fingerprint") && !errors.contains(TOKEN) && !out.contains(TOKEN));
}

#[test]
fn the_option_before_the_command_beats_the_same_one_after_it() {
    let service = Service::start(Manner::accepting("first"));
    let stage = Stage::new();
    let url = service.url();
    let words =
        [&["--token", "first", "ssh", "--token", "second", "--mc-endpoint", &url], &HOST[..]]
            .concat();
    assert_eq!(run(&stage, &words).0, Some(0));
    assert_eq!(stage.answered(1).answer, "first");
}

#[test]
fn a_token_comes_from_a_variable_a_file_a_command_or_the_first_line_of_input() {
    let service = Service::start(Manner::accepting(TOKEN));
    let url = service.url();
    let line = |own: &[&'static str]| {
        [&["--mc-endpoint", &url], own, &["ssh"], &HOST[..]]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    for (variable, value) in [
        ("ACCESS_TOKEN", TOKEN.to_owned()),
        ("WATTSON_TOKEN", format!(" {TOKEN}\n")),
        ("MCCLI_TOKEN_CMD", format!("echo {TOKEN}")),
    ] {
        let stage = Stage::new();
        assert!(stage.mccli(&line(&[])).env(variable, value).status().unwrap().success());
        assert_eq!(stage.answered(1).answer, TOKEN, "{variable}");
    }
    let stage = Stage::new();
    fs::write(stage.path("token"), TOKEN).unwrap();
    let file = stage.path("token");
    assert!(stage.mccli(&line(&[])).env("MCCLI_TOKEN_FILE", file).status().unwrap().success());
    assert_eq!(stage.answered(1).answer, TOKEN);

    let stage = Stage::new().then("exec cat");
    let mut child = stage
        .mccli(&line(&["--token-file", "-"]))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(format!("{TOKEN}\nthe rest\n").as_bytes()).unwrap();
    drop(input);
    assert_eq!(texts(&child.wait_with_output().unwrap()).0, "the rest\n");
    assert_eq!(stage.answered(1).answer, TOKEN);
}

#[test]
fn an_opaque_token_may_begin_with_a_dash() {
    let stage = Stage::new();
    let (code, _, stderr) =
        run(&stage, &["ssh", "--token", "-lopaque-token", "no-such-host.invalid"]);
    assert_ne!(code, Some(2), "no usage error: {stderr}");
    assert!(!stderr.contains("lopaque"), "r06: {stderr}");
}

#[test]
fn without_a_token_the_sources_and_their_cures_are_named() {
    let service = Service::start(Manner::accepting(TOKEN));
    let stage = Stage::new();
    let url = service.url();
    let words = [&["--mc-endpoint", &url, "ssh"], &HOST[..]].concat();
    let (code, _, errors) = run(&stage, &words);
    assert_eq!(code, Some(1));
    assert!(errors.contains("error: No Access Token found."), "{errors}");
    assert!(errors.contains("https://other.example.org"), "{errors}");
    let words = [&["--mc-endpoint", &url, "--oidc", "work", "ssh"], &HOST[..]].concat();
    let (code, _, errors) = run(&stage, &words);
    assert_eq!(code, Some(1));
    assert!(errors.contains("OIDC_SOCK env var not set"), "{errors}");
    let words = [&["--mc-endpoint", &url, "--token", "two words", "ssh"], &HOST[..]].concat();
    let (_, _, errors) = run(&stage, &words);
    assert!(errors.contains("byte 4 can't be part of a token"), "{errors}");
    assert!(!stage.ssh_ran());
}

#[test]
fn r38_at_the_end_of_a_tunnel_plain_http_is_somebody_elses() {
    let service = Service::start_at("127.77.0.6:8080", Manner::accepting(TOKEN));
    let words = ["--token", TOKEN, "ssh", "-F", "none", "-p", "2222", "127.77.0.6"];
    let stage = Stage::new();
    let (code, _, errors) = run(&stage, &words);
    assert_eq!(code, Some(1), "{errors}");
    assert!(!stage.ssh_ran() && service.heard().is_empty(), "{errors}");
    let (code, _, errors) = run(&stage, &[&["--allow-http"], &words[..]].concat());
    assert_eq!(code, Some(0), "{errors}");
}

#[test]
fn what_can_not_be_shown_beforehand_is_not_done_by_a_dry_run() {
    let service = Service::start(Manner { state: "deployed", ..Manner::accepting(TOKEN) });
    let url = service.url();
    for words in [
        &["sftp", "cue"][..],
        &["rsync", "-a", "f", "cue:"],
        &["exec", "--", "touch", "done"],
        &["suspend", "--yes"],
        &["deploy"],
        &["admin", "suspend", "--sub", "s", "--iss", "https://op.example", "--yes"],
        &["otp"],
    ] {
        let stage = Stage::new();
        let own = ["--dry-run", "--token", TOKEN, "--mc-endpoint", &url];
        let (code, _, errors) = run(&stage, &[&own, words].concat());
        assert_eq!(code, Some(2), "{words:?}: {errors}");
        assert!(errors.contains("--dry-run is for ssh and scp"), "{words:?}: {errors}");
        assert!(!stage.ssh_ran() && !stage.path("done").exists(), "{words:?}");
    }
    assert!(service.heard().is_empty(), "{:?}", service.heard());
}

#[test]
fn r38_a_token_that_others_could_have_put_there_is_none() {
    use std::os::unix::fs::PermissionsExt;
    let service = Service::start(Manner::accepting(TOKEN));
    let stage = Stage::new();
    let path = stage.path("token");
    std::fs::write(&path, TOKEN).unwrap();
    let (url, file) = (service.url(), path.display().to_string());
    let words = [&["--mc-endpoint", &url, "--token-file", &file, "ssh"], &HOST[..]].concat();
    for (mode, expected) in [(0o622, 1), (0o620, 1), (0o644, 0), (0o600, 0)] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let (code, _, errors) = run(&stage, &words);
        assert_eq!(code, Some(expected), "{mode:o}: {errors}");
        assert_eq!(errors.contains("others could have written it"), expected == 1, "{errors}");
    }
}

#[test]
fn the_service_is_found_on_the_host_that_ssh_would_connect_to() {
    let _service = Service::start_at("127.77.0.5:8080", Manner::accepting(TOKEN));
    let stage = Stage::new().prompts(&["(alice@127.77.0.5) Access Token:"]);
    let words = ["--token", TOKEN, "ssh", "-F", "none", "-o", "HostName=127.77.0.5", "alias"];
    let (code, _, errors) = run(&stage, &words);
    assert_eq!(code, Some(0), "{errors}");
    // What goes to this machine passes no proxy.
    let run = |stage: &Stage, words: &[&str]| {
        let mut mccli = stage.mccli(&[&["--allow-http"], words].concat());
        let output = mccli.env("http_proxy", "http://127.77.0.5:1").output().unwrap();
        let (out, errors) = texts(&output);
        (output.status.code(), out, errors)
    };
    let (code, _, errors) = run(&stage, &words);
    assert_eq!(code, Some(0), "{errors}");
    assert_eq!(stage.answered(1).answer, TOKEN);
    let (code, out, errors) = run(&stage, &["endpoint", "127.77.0.5"]);
    assert_eq!((code, out.as_str()), (Some(0), "http://127.77.0.5:8080/motley_cue\n"));
    assert!(errors.contains("https://127.77.0.5/motley_cue: "), "{errors}");
}

#[test]
fn a_host_without_service_is_reported_candidate_by_candidate() {
    let stage = Stage::new();
    let words = ["--token", TOKEN, "ssh", "-F", "none", "127.77.0.6"];
    let (code, _, errors) = run(&stage, &words);
    assert_eq!(code, Some(1));
    assert!(
        errors.contains("No motley_cue service found on host '127.77.0.6' on port 443, 8443 or 8080. Please specify motley_cue endpoint via --mc-endpoint."),
        "{errors}"
    );
    assert!(errors.contains("https://127.77.0.6:8443/motley_cue: "), "{errors}");
    let (code, _, errors) = run(&stage, &["--token", TOKEN, "status", "no-such-host.invalid"]);
    assert_eq!(code, Some(8));
    assert!(errors.contains("Could not resolve hostname."), "{errors}");
    assert!(!stage.ssh_ran());
}

#[test]
fn r38_plain_http_beyond_this_machine_is_refused() {
    let stage = Stage::new();
    let words =
        [&["--token", TOKEN, "--mc-endpoint", "http://192.0.2.1", "ssh"], &HOST[..]].concat();
    let (code, _, errors) = run(&stage, &words);
    assert_eq!(code, Some(1));
    assert!(errors.contains("plain http") && errors.contains("--allow-http"), "{errors}");
}

#[test]
fn r38_an_unknown_certificate_is_refused_unless_its_authority_is_given_or_nothing_is_checked() {
    let service = Service::start_with_tls(Manner::accepting(TOKEN));
    let url = service.url();
    let line = |own: &[&'static str]| {
        [&["--token", TOKEN, "--mc-endpoint", &url], own, &["status"]]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let stage = Stage::new();
    let output = stage.mccli(&line(&[])).output().unwrap();
    let (_, errors) = texts(&output);
    assert_eq!(output.status.code(), Some(9), "{errors}");
    assert!(errors.contains("SSL certificate verification failed"), "{errors}");
    assert!(errors.contains("Use --ca-file") && errors.contains("--insecure"), "{errors}");
    assert_eq!(service.heard(), Vec::<String>::new());
    for own in [&["--ca-file", CA_FILE][..], &["--insecure"]] {
        let output = stage.mccli(&line(own)).output().unwrap();
        assert!(output.status.success(), "{own:?} {:?}", texts(&output));
    }
    for variable in ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"] {
        let output = stage.mccli(&line(&[])).env(variable, CA_FILE).output().unwrap();
        assert!(output.status.success(), "{variable} {:?}", texts(&output));
    }
}

#[test]
fn what_is_no_service_is_not_trusted_with_a_token() {
    let service = Service::start(Manner::accepting(TOKEN));
    let stage = Stage::new();
    let url = format!("{}/elsewhere", service.url());
    let (code, _, errors) = run(&stage, &["--token", TOKEN, "--mc-endpoint", &url, "status"]);
    assert_eq!(code, Some(8));
    assert!(errors.contains(&format!("No motley_cue service found at '{url}'.")), "{errors}");
    assert_eq!(service.heard(), ["/elsewhere"]);
}

#[test]
fn the_account_commands_tell_states_apart_by_exit_code() {
    for (state, code) in
        [("deployed", 0), ("not_deployed", 0), ("pending", 6), ("suspended", 7), ("limited", 7)]
    {
        let service = Service::start(Manner { state, ..Manner::accepting(TOKEN) });
        let url = service.url();
        let (found, out, errors) =
            run(&Stage::new(), &["--token", TOKEN, "--mc-endpoint", &url, "status"]);
        assert_eq!(found, Some(code), "{state}: {errors}");
        assert!(out.starts_with(&format!("state: {state}\n")), "{out}");
    }
    let service = Service::start(Manner::accepting(TOKEN));
    let url = service.url();
    let stage = Stage::new();
    let (code, _, errors) = run(&stage, &["--token", "other", "--mc-endpoint", &url, "status"]);
    assert_eq!(code, Some(4), "{errors}");
    assert!(errors.contains("[HTTP 401]"), "{errors}");
    let (code, out, _) = run(&stage, &["--token", TOKEN, "--mc-endpoint", &url, "deploy"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("username: alice\n"), "{out}");
}

#[test]
fn a_suspended_account_is_never_deployed() {
    let service = Service::start(Manner { state: "suspended", ..Manner::accepting(TOKEN) });
    let url = service.url();
    let (code, _, _) = run(&Stage::new(), &["--token", TOKEN, "--mc-endpoint", &url, "deploy"]);
    assert_eq!(code, Some(7));
    assert!(!service.heard().contains(&"POST /user/deploy".to_owned()));
}

#[test]
fn suspending_wants_a_yes() {
    let service = Service::start(Manner { state: "deployed", ..Manner::accepting(TOKEN) });
    let url = service.url();
    let stage = Stage::new();
    let common = ["--token", TOKEN, "--mc-endpoint", &url];
    let (code, _, errors) = run(&stage, &[&common[..], &["suspend"]].concat());
    assert_eq!(code, Some(2));
    assert!(errors.contains("--yes"), "{errors}");
    assert_eq!(service.heard(), Vec::<String>::new());
    let (code, out, _) = run(&stage, &[&common[..], &["suspend", "--yes"]].concat());
    assert_eq!((code, out.lines().next()), (Some(0), Some("state: suspended")));
    let person = ["admin", "suspend", "--yes", "--sub", "a b", "--iss", "https://op.example.org"];
    assert_eq!(run(&stage, &[&common[..], &person].concat()).0, Some(0));
    assert_eq!(run(&stage, &[&common[..], &person[..5]].concat()).0, Some(2));
    assert_eq!(
        service.heard().last().unwrap(),
        "POST /admin/suspend?sub=a%20b&iss=https%3A%2F%2Fop.example.org"
    );
}

#[test]
fn a_one_time_password_is_printed_alone() {
    let service = Service::start(Manner::accepting("abc"));
    let url = service.url();
    let (code, out, _) = run(&Stage::new(), &["--token", "abc", "--mc-endpoint", &url, "otp"]);
    assert_eq!(code, Some(0));
    assert!(out.len() == 129 && out.starts_with("ddaf35a193617aba"), "{out}");
    let service = Service::start(Manner { otp: false, ..Manner::accepting("abc") });
    let url = service.url();
    let (code, ..) = run(&Stage::new(), &["--token", "abc", "--mc-endpoint", &url, "otp"]);
    assert_eq!(code, Some(10));
}

#[test]
fn info_shows_its_blocks_and_never_the_token() {
    let service = Service::start(Manner { state: "deployed", ..Manner::accepting(TOKEN) });
    let url = service.url();
    let stage = Stage::new();
    let (code, out, errors) = run(&stage, &["--token", TOKEN, "--mc-endpoint", &url, "info"]);
    assert_eq!(code, Some(0), "{errors}");
    let titles: Vec<&str> = out.lines().filter(|line| line.starts_with("====")).collect();
    assert_eq!(
        titles,
        [
            "==== Information about service ====",
            "==== Authorisation on service for provided token issuer (OP) ====",
            "==== Information about your local account on service for provided token ====",
            "==== Information stored inside the provided Access Token ====",
            "==== Information retrieved from userinfo endpoint ====",
        ]
    );
    assert!(out.contains("\n    \"login_info\": {\n") && out.contains("Local username: alice\n"));
    assert!(!out.contains(TOKEN));
    let (code, out, _) = run(&stage, &["--mc-endpoint", &url, "info"]);
    assert!(code == Some(0) && out.matches("====").count() == 2, "{out}");
    assert_eq!(run(&stage, &["info"]).0, Some(1));
}
