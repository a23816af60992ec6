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

#[test]
fn r38_who_named_a_host_named_no_other_port_of_it() {
    let host = "127.45.7.4";
    let service = service_at(host);
    let mccli = env!("CARGO_BIN_EXE_mccli");
    let stage = stage(host);
    let elsewhere = ["mccli-ssh", "-F", "none", "-p", "2222", host];
    let below_exec = [&[mccli, "--allow-http", "exec", "--"], &elsewhere[..]].concat();
    let name_it = |port: &str| {
        let words = [mccli, "--allow-http", "ssh", "-F", "none", "-p", port, host];
        let output = run(&stage, &words);
        assert!(output.status.success(), "{:?}", texts(&output));
    };
    name_it("22");
    let before = service.heard().iter().filter(|path| path.contains("/user/")).count();
    let (_, errors) = texts(&run(&stage, &below_exec));
    assert!(!has_token(&stage), "{errors}");
    assert!(errors.contains(&format!("mccli ssh -p 2222 {host}")), "{errors}");
    assert!(!stage.argv().iter().any(|word| word.contains("accept-new")), "{:?}", stage.argv());
    let after = service.heard().iter().filter(|path| path.contains("/user/")).count();
    assert_eq!(before, after, "the token went nowhere");
    name_it("2222");
    let (_, errors) = texts(&run(&stage, &below_exec));
    assert!(has_token(&stage), "{errors}");
}

#[test]
fn r38_a_line_of_git_does_not_name_the_host_that_it_goes_to() {
    let host = "127.45.7.5";
    let service = service_at(host);
    let mccli = env!("CARGO_BIN_EXE_mccli");
    for (command, gets_one) in [("git-upload-pack '/x'", false), ("id", true)] {
        let stage = stage(host);
        let (_, errors) = texts(&run(&stage, &[mccli, "ssh", "-F", "none", host, command]));
        assert_eq!(has_token(&stage), gets_one, "{command}: {errors}");
        assert_eq!(errors.contains("never named"), !gets_one, "{command}: {errors}");
        let asked = service.heard().iter().any(|path| path.contains("/user/"));
        assert_eq!(asked, gets_one, "{command}");
    }
}

#[test]
fn r38_a_folder_that_an_environment_still_names_is_used_only_while_it_is_ours_alone() {
    use std::os::unix::{fs::PermissionsExt, net::UnixListener};
    let host = "127.45.7.6";
    let _service = service_at(host);
    let stage = stage(host);
    let link = stage.path("bin").join("mccli-scp");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_mccli"), link).unwrap();
    let scp = stage.path("bin").join("scp");
    fs::write(&scp, "#!/bin/sh\necho \"$2\" > \"$DOUBLE/program\"\n").unwrap();
    fs::set_permissions(&scp, fs::Permissions::from_mode(0o755)).unwrap();
    let left = stage.path("left");
    fs::create_dir(&left).unwrap();
    let _listener = UnixListener::bind(left.join("broker")).unwrap();
    for (mode, is_used) in [(0o755, false), (0o770, false), (0o700, true)] {
        fs::set_permissions(&left, fs::Permissions::from_mode(mode)).unwrap();
        let socket = format!("MCCLI_ASKPASS_SOCK={}", left.join("broker").display());
        let output = run(&stage, &["env", &socket, "mccli-scp", "f", &format!("{host}:f")]);
        let program = fs::read_to_string(stage.path("program")).unwrap();
        assert_eq!(program.starts_with(left.to_str().unwrap()), is_used, "{:?}", texts(&output));
    }
}

#[test]
fn r38_without_a_runtime_directory_the_broker_lives_in_the_users_own_state() {
    let host = "127.45.7.7";
    let _service = service_at(host);
    let stage = stage(host).then("ls -ld \"$(dirname \"$SSH_ASKPASS\")\" > $DOUBLE/where; exit 0");
    fs::remove_dir(stage.path("run")).unwrap();
    // The usual one of this user, where there is one, would do as well.
    let words =
        ["env", "-u", "XDG_RUNTIME_DIR", env!("CARGO_BIN_EXE_mccli"), "ssh", "-F", "none", host];
    let output = run(&stage, &words);
    assert!(has_token(&stage), "{:?}", texts(&output));
    let place = fs::read_to_string(stage.path("where")).unwrap();
    let own = [stage.path(".local/state/mccli").display().to_string(), "/run/user/".to_owned()];
    assert!(place.starts_with("drwx------"), "{place}");
    assert!(own.iter().any(|folder| place.contains(folder.as_str())), "{place}");
}

#[test]
fn folders_that_the_broker_makes_can_be_entered() {
    use std::os::unix::fs::MetadataExt;
    let host = "127.45.7.8";
    let _service = service_at(host);
    let stage = stage(host);
    let mccli = env!("CARGO_BIN_EXE_mccli");
    let folder = stage.path(".config/mccli");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("config.toml"), "[host.\"127.45.7.*\"]\n").unwrap();
    let output = run(&stage, &[mccli, "exec", "--", "mccli-ssh", "-F", "none", host]);
    assert!(has_token(&stage), "{:?}", texts(&output));
    for made in [".cache", ".cache/mccli"] {
        assert_eq!(fs::metadata(stage.path(made)).unwrap().mode() & 0o700, 0o700, "{made}");
    }
}
