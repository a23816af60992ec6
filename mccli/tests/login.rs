//! `mccli ssh` from the command line to ssh: what ssh is given, and what comes back through it.

mod double;

use double::{
    HOST, PROMPT, Stage, broker_of, processes_that_show,
    service::{Manner, Service},
    texts, wait_until,
};
use std::{
    fs,
    io::{Read, Write},
    process::{Command, Stdio},
};

const TOKEN: &str = "canary-1b6f0c7e-token";

/// `mccli --token … --mc-endpoint … ssh HOST… rest`.
fn login(stage: &Stage, service: &Service, rest: &[&str]) -> Command {
    let url = service.url();
    let mut words = vec!["--mc-endpoint", &url, "ssh", "--token", TOKEN];
    words.extend(HOST);
    words.extend(rest);
    stage.mccli(&words)
}

#[test]
fn a_token_logs_in_and_the_account_is_made_first() {
    let (stage, service) = (Stage::new(), Service::start(Manner::accepting(TOKEN)));
    let output = login(&stage, &service, &["id"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{:?}", texts(&output));
    assert_eq!(stage.answered(1).answer, TOKEN);
    assert_eq!(service.heard(), ["/", "/info", "/user/status", "POST /user/deploy"]);
    assert_eq!(stage.argv()[..2], ["-l", "alice"]);
}

#[test]
fn the_exit_code_of_ssh_is_the_exit_code() {
    let service = Service::start(Manner::accepting(TOKEN));
    for code in [0, 7, 255] {
        let stage = Stage::new().then(&format!("exit {code}"));
        let status = login(&stage, &service, &[]).status().unwrap();
        assert_eq!(status.code(), Some(code));
    }
}

#[test]
fn words_reach_ssh_one_by_one_as_they_were_given() {
    let (stage, service) = (Stage::new(), Service::start(Manner::accepting(TOKEN)));
    let rest =
        ["-o", "ProxyCommand=nc %h %p", "--", "ls", "f 2", "a   \"b\"", "*", "--debug", "-h", ""];
    let output = login(&stage, &service, &rest).output().unwrap();
    assert!(output.status.success(), "{:?}", texts(&output));
    let argv = stage.argv();
    let at = argv.iter().position(|word| word == "cue").unwrap();
    assert_eq!(argv[2..=at], HOST);
    assert_eq!(argv[at + 1..at + 3], rest[..2]);
    assert!(argv.ends_with(&rest[2..].iter().map(|w| (*w).to_owned()).collect::<Vec<_>>()));
}

#[test]
fn binary_input_and_output_pass_unchanged_and_errors_stay_apart() {
    let service = Service::start(Manner::accepting(TOKEN));
    let stage = Stage::new().then("echo on error >&2; exec cat");
    let data: Vec<u8> =
        (0..3_000_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut child = login(&stage, &service, &[])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let sent = data.clone();
    let writer = std::thread::spawn(move || input.write_all(&sent).unwrap());
    let mut out = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut out).unwrap();
    writer.join().unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(out == data, "{} bytes came back", out.len());
    let (_, errors) = texts(&output);
    assert!(errors.ends_with("on error\n") && !errors.contains(TOKEN), "{errors}");
}

#[test]
fn a_command_substitution_ends_with_ssh() {
    let service = Service::start(Manner::accepting(TOKEN));
    let stage = Stage::new().then("echo done; exit 3");
    let mut shell = Command::new("sh");
    let line = format!(
        "x=$({} --token {TOKEN} --mc-endpoint {} ssh {}); echo \"$? [$x]\"",
        env!("CARGO_BIN_EXE_mccli"),
        service.url(),
        HOST.join(" ")
    );
    shell.args(["-c", &line]);
    stage.furnish(&mut shell);
    let (out, _) = texts(&shell.output().unwrap());
    assert_eq!(out, "3 [done]\n");
}

#[test]
fn r38_the_token_goes_to_no_other_prompt() {
    let stage = Stage::new().prompts(&[
        "(alice@jump.example.org) Access Token:",
        "(root@cue.example.org) Access Token:",
        "Access Token:",
        "(alice@cue.example.org) Password:",
        "(alice@cue.example.org) Access Token (part 2):",
        "Are you sure you want to continue connecting (yes/no/[fingerprint])? ",
        PROMPT,
    ]);
    let service = Service::start(Manner::accepting(TOKEN));
    let output = login(&stage, &service, &[]).output().unwrap();
    assert!(output.status.success(), "{:?}", texts(&output));
    for number in 1..=6 {
        let it = stage.answered(number);
        assert_eq!((it.answer.as_str(), it.code.as_str()), ("", "1"), "prompt {number}");
    }
    assert_eq!(stage.answered(7).answer, TOKEN);
}

#[test]
fn r38_another_ssh_on_the_way_to_the_host_gets_nothing_even_for_the_same_prompt() {
    // A child of ssh, as the ssh of a jump host is, with the prompt of the target.
    let stage = Stage::new().prompts(&[]).then(
        "sh -c '\"$SSH_ASKPASS\" \"(alice@cue.example.org) Access Token:\" > $DOUBLE/answer.1; true'\n\"$SSH_ASKPASS\" \"(alice@cue.example.org) Access Token:\" > $DOUBLE/answer.2\nexit 0",
    );
    let service = Service::start(Manner::accepting(TOKEN));
    let output = login(&stage, &service, &["-J", "jump"]).output().unwrap();
    assert!(output.status.success(), "{:?}", texts(&output));
    assert_eq!(fs::read_to_string(stage.path("answer.1")).unwrap(), "");
    assert_eq!(fs::read_to_string(stage.path("answer.2")).unwrap().trim_end(), TOKEN);
}

#[test]
fn the_prompt_names_the_host_key_alias_when_there_is_one() {
    let stage = Stage::new().prompts(&["(alice@alias) Access Token:", PROMPT]);
    let service = Service::start(Manner::accepting(TOKEN));
    login(&stage, &service, &["-o", "HostKeyAlias=alias"]).output().unwrap();
    assert_eq!(stage.answered(1).answer, TOKEN);
    assert_eq!(stage.answered(2).answer, "");
}

#[test]
fn r38_hostile_names_from_the_service_start_no_ssh() {
    for name in ["-oProxyCommand=touch x", "alice\nbob", "alice bob", "$(id)", "root", ""] {
        for state in ["not_deployed", "deployed"] {
            let stage = Stage::new();
            let manner = Manner { name: name.to_owned(), state, ..Manner::accepting(TOKEN) };
            let output = login(&stage, &Service::start(manner), &[]).output().unwrap();
            let (_, errors) = texts(&output);
            assert_eq!(output.status.code(), Some(1), "{name:?}: {errors}");
            assert!(!stage.ssh_ran() && errors.contains("user name"), "{errors}");
        }
    }
}

#[test]
fn tokens_of_all_lengths_get_through_in_pieces_where_the_service_takes_them() {
    for length in [1023usize, 1024, 2289, 16_384] {
        let token = format!("{:x>length$}", "t");
        let parts = length.div_ceil(1006);
        let more: Vec<String> = (2..=parts)
            .map(|part| format!("(alice@cue.example.org) Access Token (part {part}):"))
            .collect();
        let mut prompts = vec![PROMPT];
        prompts.extend(more.iter().map(String::as_str));
        let stage = if length < 1024 { Stage::new() } else { Stage::new().prompts(&prompts) };
        let service = Service::start(Manner { chunks: true, ..Manner::accepting(&token) });
        assert!(with_token_file(&stage, &service, &token, &[]).status.success());
        if length < 1024 {
            assert!(stage.answered(1).answer == token);
            continue;
        }
        let joined: String = (1..=prompts.len() as u32)
            .map(|number| {
                let answer = stage.answered(number).answer;
                assert!(answer.len() <= 1023);
                motley_proto::login::split_chunk(&answer).unwrap().2.to_owned()
            })
            .collect();
        assert!(joined == token, "{length}");
        assert!(!service.heard().contains(&"POST /user/generate_otp".to_owned()));
    }
}

fn with_token_file(
    stage: &Stage,
    service: &Service,
    token: &str,
    own: &[&str],
) -> std::process::Output {
    let file = stage.path("token");
    fs::write(&file, format!("{token}\n")).unwrap();
    let (url, file) = (service.url(), file.display().to_string());
    let mut words = vec!["--mc-endpoint", &url, "--token-file", &file];
    words.extend(own);
    words.push("ssh");
    words.extend(HOST);
    stage.mccli(&words).output().unwrap()
}

#[test]
fn a_long_token_becomes_a_one_time_password_where_pieces_are_unknown() {
    let token = "t".repeat(2289);
    let stage = Stage::new();
    let service = Service::start(Manner::accepting(&token));
    assert!(with_token_file(&stage, &service, &token, &[]).status.success());
    let answer = stage.answered(1).answer;
    assert!(answer.len() == 128 && answer.bytes().all(|b| b.is_ascii_hexdigit()));
    assert_eq!(service.heard().last().unwrap(), "POST /user/generate_otp");
}

#[test]
fn a_one_time_password_can_be_forced_or_forbidden() {
    let stage = Stage::new();
    let service = Service::start(Manner::accepting(TOKEN));
    assert!(with_token_file(&stage, &service, TOKEN, &["--otp", "always"]).status.success());
    assert_eq!(stage.answered(1).answer.len(), 128);

    let token = "t".repeat(1024);
    let stage = Stage::new();
    let service = Service::start(Manner::accepting(&token));
    let output = with_token_file(&stage, &service, &token, &["--otp", "never"]);
    let (_, errors) = texts(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(errors.contains("your token is too long (1024 >= 1024)"), "{errors}");
    assert!(!stage.ssh_ran());
}

#[test]
fn a_service_without_one_time_passwords_is_told_at_the_prompt_and_a_key_needs_none() {
    let token = "t".repeat(1024);
    let service = Service::start(Manner { otp: false, ..Manner::accepting(&token) });
    let stage = Stage::new().prompts(&[PROMPT, PROMPT]).then("exit 255");
    assert_eq!(with_token_file(&stage, &service, &token, &[]).status.code(), Some(255));
    let first = stage.answered(1);
    assert_eq!((first.answer.as_str(), first.code.as_str()), ("", "1"));
    assert!(first.said.contains("your token is too long (1024 >= 1024)"), "{}", first.said);
    assert_eq!(stage.answered(2).said, "");
    let with_key = Stage::new().prompts(&[]);
    assert!(with_token_file(&with_key, &service, &token, &[]).status.success());
}

#[test]
fn each_ssh_gets_its_own_one_time_password_and_one_that_lost_a_race_gets_another() {
    // Two ssh processes, both announced: the second takes its password before the first has used its own.
    let token = "t".repeat(2000);
    let service = Service::start(Manner::accepting(&token));
    let url = service.url();
    let stage = Stage::new().prompts(&[PROMPT]).then(
        "if test -e $DOUBLE/second; then exit 0; fi\ntouch $DOUBLE/second\nmv $DOUBLE/answer.1 $DOUBLE/first\n$MCCLI_SSH -F none -oHostName=cue.example.org cue || exit 9\n\"$SSH_ASKPASS\" \"(alice@cue.example.org) Access Token:\" > $DOUBLE/again\n\"$SSH_ASKPASS\" \"(alice@cue.example.org) Access Token:\" > $DOUBLE/more 2>&1\nexit 0",
    );
    let file = stage.path("token");
    fs::write(&file, &token).unwrap();
    let config = stage.path("config.toml");
    fs::write(&config, "[host.\"cue.example.org\"]\n").unwrap();
    let config = config.display().to_string();
    let path = file.display().to_string();
    let own = ["--config", &config, "--token-file", &path, "--mc-endpoint", &url, "exec", "--"];
    let words = [
        &own[..],
        &[
            "sh",
            "-c",
            "export MCCLI_SSH=$(command -v ssh); exec ssh -F none -oHostName=cue.example.org cue",
        ],
    ]
    .concat();
    let output = stage.mccli(&words).output().unwrap();
    assert!(output.status.success(), "{:?}", texts(&output));
    let read = |name: &str| fs::read_to_string(stage.path(name)).unwrap_or_default();
    assert_eq!(read("again").trim_end().len(), 128);
    assert!(read("more").contains("did not accept the token"), "{}", read("more"));
    let minted = service.heard().iter().filter(|path| path.contains("generate_otp")).count();
    assert_eq!(minted, 3);
}

#[test]
fn a_refused_token_is_given_once_and_the_reason_is_told() {
    let stage = Stage::new().prompts(&[PROMPT, PROMPT, PROMPT]).then("exit 255");
    let service = Service::start(Manner { refuses_later: true, ..Manner::accepting(TOKEN) });
    let output = login(&stage, &service, &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(255));
    assert_eq!(stage.answered(1).answer, TOKEN);
    let second = stage.answered(2);
    assert_eq!((second.answer.as_str(), second.code.as_str()), ("", "1"));
    assert!(second.said.contains("did not accept the token"), "{}", second.said);
    assert!(second.said.contains("User identity could not be determined"), "{}", second.said);
    let third = stage.answered(3);
    assert_eq!((third.answer.as_str(), third.said.as_str(), third.code.as_str()), ("", "", "1"));
}

#[test]
fn r38_nothing_secret_is_in_any_command_line_environment_or_file_and_the_broker_goes_with_ssh() {
    // Its own token: the tests beside this one put theirs on the command line.
    let token = "canary-of-this-test-only-5e0c";
    let service = Service::start(Manner::accepting(token));
    let stage = Stage::new()
        .then("touch $DOUBLE/ready; while test -e $DOUBLE/ready -a ! -e $DOUBLE/go; do sleep 0.02; done; exit 0");
    let file = stage.path("token");
    fs::write(&file, token).unwrap();
    let (url, path) = (service.url(), file.display().to_string());
    let words = [&["--token-file", &path, "--mc-endpoint", &url, "ssh"], &HOST[..]].concat();
    let mut child = stage.mccli(&words).spawn().unwrap();
    wait_until("ssh is ready", || stage.path("ready").exists());

    let ssh = fs::read_to_string(stage.path("pid")).unwrap();
    let broker = broker_of(&ssh).expect("no broker beside ssh");
    assert_eq!(processes_that_show(token), Vec::<String>::new());
    let environ = fs::read(stage.path("environ")).unwrap();
    assert!(!environ.windows(token.len()).any(|window| window == token.as_bytes()));
    let mode = |path: &std::path::Path| {
        use std::os::unix::fs::PermissionsExt;
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
    };
    let folder = fs::read_dir(stage.path("run")).unwrap().next().unwrap().unwrap().path();
    assert_eq!((mode(&folder), mode(&folder.join("broker"))), (0o700, 0o600));
    let limits = fs::read_to_string(format!("/proc/{broker}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");

    fs::write(stage.path("go"), "").unwrap();
    assert!(child.wait().unwrap().success());
    wait_until("the broker is gone", || {
        stage.no_broker_left() && !std::path::Path::new(&format!("/proc/{broker}")).exists()
    });
}

#[test]
fn the_broker_is_gone_after_ssh_was_killed() {
    let service = Service::start(Manner::accepting(TOKEN));
    let stage = Stage::new().then("touch $DOUBLE/ready; exec sleep 60");
    let mut child = login(&stage, &service, &[]).spawn().unwrap();
    wait_until("ssh is ready", || stage.path("ready").exists());
    assert!(!stage.no_broker_left());
    let ssh = fs::read_to_string(stage.path("pid")).unwrap();
    assert!(Command::new("kill").args(["-KILL", ssh.trim()]).status().unwrap().success());
    wait_until("the broker is gone", || stage.no_broker_left());
    child.wait().unwrap();
}

#[test]
fn without_a_terminal_new_host_keys_are_accepted_unless_the_user_decides() {
    let service = Service::start(Manner::accepting(TOKEN));
    let accepts = "StrictHostKeyChecking=accept-new".to_owned();
    let stage = Stage::new();
    login(&stage, &service, &["id", "-u"]).output().unwrap();
    let argv = stage.argv();
    assert_eq!(argv[argv.len() - 3..], [accepts.clone(), "id".to_owned(), "-u".to_owned()]);
    for decision in ["yes", "no", "accept-new"] {
        let stage = Stage::new();
        let word = format!("-oStrictHostKeyChecking={decision}");
        login(&stage, &service, &[&word]).output().unwrap();
        assert!(!stage.argv().contains(&accepts));
    }
}

#[test]
fn r38_a_shared_connection_for_plain_ssh_accepts_no_new_host_key() {
    let service = Service::start(Manner::accepting(TOKEN));
    let stage = Stage::new();
    // As the hook starts it for an ssh in batch mode.
    let mut mccli = login(&stage, &service, &["-o", "BatchMode=yes"]);
    mccli.env("MCCLI_SSH_GUARD", "cue:22").output().unwrap();
    let argv = stage.argv();
    assert!(!argv.iter().any(|word| word.contains("StrictHostKeyChecking")), "{argv:?}");
}

#[test]
fn batch_mode_and_ansible_options_do_not_keep_the_prompt_away_and_ask_nobody() {
    let service = Service::start(Manner::accepting(TOKEN));
    let stage = Stage::new();
    let rest = [
        "-oBatchMode=yes",
        "-oKbdInteractiveAuthentication=no",
        "-oPreferredAuthentications=publickey",
        "true",
    ];
    login(&stage, &service, &rest).output().unwrap();
    assert_eq!(
        stage.argv()[2..8],
        [
            "-o",
            "BatchMode=no",
            "-o",
            "KbdInteractiveAuthentication=yes",
            "-o",
            "PreferredAuthentications=publickey,keyboard-interactive"
        ]
    );
}

#[test]
fn an_ssh_without_prefixes_is_answered_for_one_target_only_and_what_is_no_openssh_refused() {
    let service = Service::start(Manner::accepting(TOKEN));
    let stage = Stage::new().version("OpenSSH_8.4p1 Debian").prompts(&["Access Token:"]);
    assert!(login(&stage, &service, &[]).status().unwrap().success());
    assert_eq!(stage.answered(1).answer, TOKEN);
    for (version, rest, expected) in [
        ("OpenSSH_8.4p1", &["-J", "jump"][..], "which host asks"),
        ("OpenSSH_8.0p1", &["-J", "jump"][..], "which host asks"),
        ("Dropbear v2022.83", &[], "the OpenSSH client is needed"),
    ] {
        let stage = Stage::new().version(version);
        let output = login(&stage, &service, rest).output().unwrap();
        let (_, errors) = texts(&output);
        assert_eq!(output.status.code(), Some(1));
        assert!(errors.contains(expected) && !stage.ssh_ran(), "{errors}");
    }
}

#[test]
fn queries_of_ssh_itself_need_no_service() {
    let stage = Stage::new().prompts(&[]).then("echo $#; exit 4");
    let output = stage.mccli(&["ssh", "-O", "check", "host"]).output().unwrap();
    assert_eq!((output.status.code(), texts(&output).0.as_str()), (Some(4), "3\n"));
}

#[test]
fn states_decide_whether_ssh_is_started() {
    for (state, deploys_to, code, heard) in [
        ("deployed", "deployed", 0, "POST /user/deploy"),
        ("unknown", "deployed", 0, "POST /user/deploy"),
        ("pending", "pending", 1, "POST /user/deploy"),
        ("not_deployed", "pending", 1, "POST /user/deploy"),
        ("suspended", "deployed", 1, "/user/status"),
        ("rejected", "deployed", 1, "/user/status"),
        ("limited", "deployed", 0, "/user/status"),
    ] {
        let stage = Stage::new();
        let service = Service::start(Manner { state, deploys_to, ..Manner::accepting(TOKEN) });
        let output = login(&stage, &service, &[]).output().unwrap();
        let (_, errors) = texts(&output);
        assert_eq!(output.status.code(), Some(code), "{state}: {errors}");
        assert_eq!(stage.ssh_ran(), code == 0, "{state}");
        assert_eq!(service.heard().last().unwrap(), heard, "{state}");
        assert_eq!(errors.contains("help@example.org"), code == 1, "{state}: {errors}");
    }
}

#[test]
fn an_older_service_without_status_is_asked_by_get_status() {
    let stage = Stage::new();
    let manner = Manner { status: false, state: "deployed", ..Manner::accepting(TOKEN) };
    let service = Service::start(manner);
    assert!(login(&stage, &service, &["--no-deploy"]).status().unwrap().success());
    assert_eq!(service.heard().last().unwrap(), "/user/get_status");
    assert_eq!(stage.argv()[..2], ["-l", "alice"]);
}

#[test]
fn an_older_service_without_post_is_asked_by_get() {
    let (stage, token) = (Stage::new(), "t".repeat(2000));
    let service = Service::start(Manner { posts: false, ..Manner::accepting(&token) });
    assert!(with_token_file(&stage, &service, &token, &[]).status.success());
    let changes: Vec<String> = service.heard().into_iter().skip(3).collect();
    assert_eq!(
        changes,
        ["POST /user/deploy", "/user/deploy", "POST /user/generate_otp", "/user/generate_otp"]
    );
}

#[test]
fn a_dry_run_prints_the_command_and_starts_nothing() {
    let stage = Stage::new();
    let service = Service::start(Manner::accepting(TOKEN));
    let output = login(&stage, &service, &["--dry-run", "id"]).output().unwrap();
    assert_eq!(
        texts(&output).0,
        format!(
            "SSHPASS='{TOKEN}' sshpass -P 'Access Token' -e ssh -l alice {} id\n",
            HOST.join(" ")
        )
    );
    assert!(!stage.ssh_ran() && stage.no_broker_left());
}

#[test]
fn the_agents_socket_is_forwarded_only_when_wanted() {
    let service = Service::start(Manner::accepting(TOKEN));
    for (own, compat, expected) in [
        (vec![], "", 0),
        (vec!["--agent-forward"], "", 1),
        (vec!["--set-remote-env"], "", 2),
        (vec![], "0.7", 1),
        (vec!["--no-agent-forward"], "0.7", 0),
    ] {
        let stage = Stage::new();
        login(&stage, &service, &own)
            .env("OIDC_SOCK", "/run/agent.sock")
            .env("MCCLI_COMPAT", compat)
            .output()
            .unwrap();
        let argv = stage.argv();
        let found: Vec<&String> =
            argv.iter().filter(|word| word.contains("/tmp/oidc-agent-")).collect();
        assert_eq!(found.len(), expected, "{own:?}");
        assert!(found.iter().all(|word| word.starts_with("/tmp/") || word.starts_with("SetEnv=")));
    }
}
