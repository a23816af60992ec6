//! Which hosts get a token below other programs: those that the user named, and no other.

mod double;

use double::{
    Stage,
    service::{Manner, Service},
    texts,
};
use std::{
    fs,
    process::{Command, Output, Stdio},
};

const TOKEN: &str = "canary-41aa-token";

/// A service at an address of this machine that no other test serves.
fn service_at(host: &str) -> Service {
    Service::start_at(&format!("{host}:8080"), Manner::accepting(TOKEN))
}

/// An ssh that is asked for a token by this host.
fn stage(host: &str) -> Stage {
    let stage = Stage::new().prompts(&[&format!("(alice@{host}) Access Token:")]);
    let link = stage.path("bin").join("mccli-ssh");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_mccli"), link).unwrap();
    stage
}

/// A line of words with a token in the environment and no terminal.
fn run(stage: &Stage, words: &[&str]) -> Output {
    let _ = fs::remove_file(stage.path("answer.1"));
    let mut command = Command::new("setsid");
    command.arg("--wait").args(words);
    stage.furnish(&mut command);
    command.env("ACCESS_TOKEN", TOKEN).stderr(Stdio::piped()).output().unwrap()
}

fn by_link(stage: &Stage, host: &str) -> Output {
    run(stage, &["mccli-ssh", "-F", "none", host])
}

fn below_exec(stage: &Stage, host: &str) -> Output {
    let mccli = env!("CARGO_BIN_EXE_mccli");
    run(stage, &[mccli, "exec", "--", "mccli-ssh", "-F", "none", host])
}

fn has_token(stage: &Stage) -> bool {
    fs::read_to_string(stage.path("answer.1")).is_ok_and(|answer| answer.contains(TOKEN))
}

#[test]
fn r38_a_host_that_nobody_named_gets_no_token_though_its_service_asks_for_one() {
    let host = "127.45.7.1";
    let service = service_at(host);
    for way in [by_link, below_exec] {
        let stage = stage(host);
        let (_, errors) = texts(&way(&stage, host));
        assert!(stage.ssh_ran(), "{errors}");
        assert!(!has_token(&stage), "{errors}");
        assert!(errors.contains("never named") && errors.contains("mccli ssh"), "{errors}");
        assert!(service.heard().iter().all(|path| !path.contains("/user/")));
    }
}

#[test]
fn r38_a_host_that_was_named_to_a_command_or_by_a_rule_gets_one() {
    let host = "127.45.7.2";
    let _service = service_at(host);
    let name_it = |stage: &Stage| {
        let output = run(stage, &[env!("CARGO_BIN_EXE_mccli"), "ssh", "-F", "none", host]);
        assert!(output.status.success(), "{:?}", texts(&output));
    };
    let add_rule = |stage: &Stage| {
        let folder = stage.path(".config/mccli");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("config.toml"), "[host.\"127.45.7.*\"]\n").unwrap();
    };
    for name in [&name_it as &dyn Fn(&Stage), &add_rule] {
        for way in [by_link, below_exec] {
            let stage = stage(host);
            name(&stage);
            let (_, errors) = texts(&way(&stage, host));
            assert!(has_token(&stage), "{errors}");
        }
    }
}

#[test]
fn the_hosts_on_the_line_of_rsync_are_named() {
    let host = "127.45.7.3";
    let _service = service_at(host);
    let stage = stage(host);
    let rsync = stage.path("bin").join("rsync");
    fs::write(&rsync, "#!/bin/sh\nexec $RSYNC_RSH -F none \"${2%%:*}\"\n").unwrap();
    fs::set_permissions(&rsync, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mccli = env!("CARGO_BIN_EXE_mccli");
    let (_, errors) = texts(&run(&stage, &[mccli, "rsync", "f", &format!("{host}:f")]));
    assert!(has_token(&stage), "{errors}");
}
