//! Dry runs of scp in the words of version 0.7, and what the configuration says of forwarding.

mod double;

use double::{
    HOST, Stage,
    service::{Manner, Service},
    texts,
};
use std::fs;

const TOKEN: &str = "canary-77d2-token";
/// Addresses of this machine that no other test serves.
const ONE: &str = "127.0.91.1";
const TWO: &str = "127.0.91.2";

/// What `mccli --token … WORDS…` prints, and its exit code.
fn printed(stage: &Stage, words: &[&str]) -> (Option<i32>, String, String) {
    let words = [&["--token", TOKEN, "--allow-http"], words].concat();
    let output = stage.mccli(&words).env("MCCLI_COMPAT", "").output().unwrap();
    let (out, errors) = texts(&output);
    (output.status.code(), out, errors)
}

#[test]
fn a_dry_run_of_scp_prints_what_version_0_7_prints() {
    let stage = Stage::new();
    let _one = Service::start_at(&format!("{ONE}:8080"), Manner::accepting(TOKEN));
    let bob = Manner { name: "bob".to_owned(), ..Manner::accepting(TOKEN) };
    let _two = Service::start_at(&format!("{TWO}:8080"), bob);
    let sshpass = format!("SSHPASS='{TOKEN}' sshpass -P 'Access Token' -e");
    let echo = format!("echo '{TOKEN}'");
    let in_order = "# you'll need to input the tokens below when prompted, in this order:";
    for (words, expected) in [
        (format!("-F none f {ONE}:x"), format!("{sshpass} scp -o User=alice -F none f {ONE}:x\n")),
        (
            format!("-F none scp://{ONE}:22/x ."),
            format!("{sshpass} scp -o User=alice -F none scp://{ONE}:22/x .\n"),
        ),
        (
            format!("-F none -r {ONE}:x {ONE}:y ."),
            format!(
                "# you'll need to input the token below 2 times:\n{echo}\nscp -o User=alice -F none -r {ONE}:x {ONE}:y .\n"
            ),
        ),
        (
            format!("-F none -3 {ONE}:x scp://{TWO}/y"),
            format!("{in_order}\n{echo}\n{echo}\nscp -F none -3 alice@{ONE}:x scp://bob@{TWO}/y\n"),
        ),
        (
            format!("-F none {ONE}:x me@other:y ."),
            format!("{in_order}\n{echo}\nscp -F none alice@{ONE}:x me@other:y .\n"),
        ),
        ("-F none me@other:x .".to_owned(), "scp -F none me@other:x .\n".to_owned()),
        ("a b".to_owned(), "scp a b\n".to_owned()),
    ] {
        let line: Vec<&str> =
            ["scp", "--dry-run"].into_iter().chain(words.split_whitespace()).collect();
        let (code, out, errors) = printed(&stage, &line);
        assert_eq!((code, out), (Some(0), expected), "{words}: {errors}");
    }
    assert!(!stage.ssh_ran() && stage.no_broker_left());
}

#[test]
fn a_dry_run_of_scp_with_an_endpoint_has_one_prompt() {
    let stage = Stage::new();
    let service = Service::start(Manner::accepting(TOKEN));
    let words = ["--mc-endpoint", &service.url(), "scp", "a", "cue:b", "--dry-run"];
    let (code, out, errors) = printed(&stage, &words);
    let expected =
        format!("SSHPASS='{TOKEN}' sshpass -P 'Access Token' -e scp -o User=alice a cue:b\n");
    assert_eq!((code, out), (Some(0), expected), "{errors}");
}

#[test]
fn the_configuration_says_for_each_host_whether_the_agents_socket_goes_along() {
    let service = Service::start(Manner::accepting(TOKEN));
    for (rule, own, expected) in [
        ("always", &[][..], true),
        ("never", &[], false),
        // Nobody is there to say yes.
        ("ask", &[], false),
        ("always", &["--no-agent-forward"], false),
        ("never", &["--agent-forward"], true),
    ] {
        let stage = Stage::new();
        let folder = stage.path(".config/mccli");
        fs::create_dir_all(&folder).unwrap();
        let text = format!("[host.\"*.example.org\"]\nagent_forward = \"{rule}\"\n");
        fs::write(folder.join("config.toml"), text).unwrap();
        let url = service.url();
        let words = [&["--token", TOKEN, "--mc-endpoint", &url, "ssh"], own, &HOST[..]].concat();
        let output = stage.mccli(&words).env("OIDC_SOCK", "/run/agent.sock").output().unwrap();
        assert!(output.status.success(), "{:?}", texts(&output));
        let is_forwarded = stage.argv().iter().any(|word| word.starts_with("/tmp/oidc-agent-"));
        assert_eq!(is_forwarded, expected, "{rule} {own:?}");
    }
}
