//! What mccli remembers of services, and what its configuration file says about hosts.

mod double;

use double::{
    HOST, Stage,
    service::{CA_FILE, Manner, Service},
    texts,
};
use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, process::Output};

const TOKEN: &str = "opaque-token-of-alice";
/// Words for a host whose service is at the usual place of this address.
const NEAR: [&str; 3] = ["-F", "none", "127.45.1.9"];

fn ssh(stage: &Stage, options: &[&str], host: &[&str]) -> Output {
    let words = [&["ssh"][..], options, host].concat();
    let output = stage.mccli(&words).env("ACCESS_TOKEN", TOKEN).output().unwrap();
    assert!(output.status.success(), "{:?}", texts(&output));
    output
}

fn configure(stage: &Stage, text: &str) {
    let folder = stage.path(".config/mccli");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("config.toml"), text).unwrap();
}

fn rule(service: &Service) -> String {
    format!("[host.\"*.example.org\"]\nendpoint = \"{}\"\n", service.url())
}

/// What the service hears in the meantime.
fn heard_during(service: &Service, act: impl FnOnce()) -> Vec<String> {
    let before = service.heard().len();
    act();
    service.heard().split_off(before)
}

fn remembered(stage: &Stage) -> Vec<PathBuf> {
    let entries = fs::read_dir(stage.path(".cache/mccli")).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_second_login_asks_about_the_account_only() {
    let (stage, service) = (Stage::new(), Service::start(Manner::accepting(TOKEN)));
    configure(&stage, &rule(&service));
    let first = heard_during(&service, || drop(ssh(&stage, &[], &HOST)));
    assert_eq!(first, ["/", "/info", "/user/status", "POST /user/deploy"]);
    let second = heard_during(&service, || drop(ssh(&stage, &[], &HOST)));
    assert_eq!(second, ["/user/status", "POST /user/deploy"]);
    let without = heard_during(&service, || drop(ssh(&stage, &["--no-cache"], &HOST)));
    assert_eq!(without, first);
    let cleared = stage.mccli(&["cache", "clear"]).output().unwrap();
    assert!(cleared.status.success() && remembered(&stage).is_empty());
    assert_eq!(heard_during(&service, || drop(ssh(&stage, &[], &HOST))), first);
}

#[test]
fn r38_nothing_that_was_asked_with_a_token_is_kept_and_nobody_else_reads_the_rest() {
    let (stage, service) = (Stage::new(), Service::start(Manner::accepting(TOKEN)));
    configure(&stage, &rule(&service));
    ssh(&stage, &[], &HOST);
    let ask = ["info", "cue.example.org"];
    let info = stage.mccli(&ask).env("ACCESS_TOKEN", TOKEN).output().unwrap();
    assert!(info.status.success());
    let files = remembered(&stage);
    assert_eq!(files.len(), 2, "the endpoint and /info: {files:?}");
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains("/user/") && !text.contains("authorisation"), "{text}");
        assert!(!text.contains(TOKEN) && !text.contains("alice"), "{text}");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let folder = fs::metadata(stage.path(".cache/mccli")).unwrap();
    assert_eq!(folder.permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_service_that_has_moved_is_found_again_at_once() {
    let stage = Stage::new().prompts(&["(alice@127.45.1.9) Access Token:"]);
    let service = Service::start_at("127.45.1.9:8080", Manner::accepting(TOKEN));
    ssh(&stage, &["--allow-http"], &NEAR);
    let warm = heard_during(&service, || drop(ssh(&stage, &["--allow-http"], &NEAR)));
    assert_eq!(warm, ["/motley_cue/user/status", "POST /motley_cue/user/deploy"]);
    service.change(|manner| manner.moved = true);
    let moved = heard_during(&service, || drop(ssh(&stage, &["--allow-http"], &NEAR)));
    assert_eq!(moved.first().unwrap(), "/motley_cue/user/status");
    assert_eq!(&moved[moved.len() - 2..], ["/user/status", "POST /user/deploy"]);
    let warm = heard_during(&service, || drop(ssh(&stage, &["--allow-http"], &NEAR)));
    assert_eq!(warm.iter().filter(|path| path.contains("motley_cue")).count(), 0, "{warm:?}");
}

#[test]
fn damaged_files_are_named_and_asked_again() {
    let (stage, service) = (Stage::new(), Service::start(Manner::accepting(TOKEN)));
    configure(&stage, &rule(&service));
    ssh(&stage, &[], &HOST);
    remembered(&stage).iter().for_each(|file| fs::write(file, "{").unwrap());
    let (_, err) = texts(&ssh(&stage, &[], &HOST));
    assert!(err.contains("is ignored") && err.contains("mccli cache clear"), "{err}");
    let (_, err) = texts(&ssh(&stage, &[], &HOST));
    assert_eq!(err, "");
}

#[test]
fn a_rule_for_a_host_names_endpoint_and_authorities_and_options_win() {
    let (stage, service) = (Stage::new(), Service::start_with_tls(Manner::accepting(TOKEN)));
    configure(&stage, &format!("{}ca_file = \"{CA_FILE}\"\n", rule(&service)));
    ssh(&stage, &[], &HOST);
    let elsewhere =
        ["--config", "/dev/null", "--mc-endpoint", &service.url(), "--ca-file", CA_FILE];
    ssh(&stage, &elsewhere, &HOST);
    let other = Service::start(Manner::accepting(TOKEN));
    let url = other.url();
    assert!(
        !heard_during(&other, || drop(ssh(&stage, &["--mc-endpoint", &url], &HOST))).is_empty()
    );
}
