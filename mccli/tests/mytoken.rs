//! Logins with a mytoken, against a double of its server.

mod double;

use double::{
    HOST, Stage,
    mytoken::{MytokenServer, PROVIDER},
    service::{Manner, Service},
    texts, wait_until,
};
use serde_json::json;
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Output,
};

const TOKEN: &str = "canary-41d7-access-token";

/// A service, a mytoken server for it, and a stage.
struct Setting {
    service: Service,
    server: MytokenServer,
    stage: Stage,
}

impl Setting {
    fn new() -> Self {
        Self {
            service: Service::start(Manner::accepting(TOKEN)),
            server: MytokenServer::start(TOKEN),
            stage: Stage::new(),
        }
    }

    /// Words of a login with these options.
    fn words(&self, own: &[&str]) -> Vec<String> {
        let url = self.service.url();
        let words = [&["--mc-endpoint", &url], own, &["ssh"], &HOST[..]].concat();
        words.into_iter().map(str::to_owned).collect()
    }

    fn log_in(&self, own: &[&str]) -> Output {
        self.stage.mccli(&self.words(own)).output().unwrap()
    }

    /// A file with this mytoken that only the user can read.
    fn file(&self, text: &str) -> PathBuf {
        let path = self.stage.path("mytoken");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }
}

fn at(path: &Path) -> String {
    format!("@{}", path.display())
}

fn assert_in(output: &Output) {
    assert!(output.status.success(), "{:?}", texts(output));
}

fn assert_said(output: &Output, said: &str) {
    let (_, errors) = texts(output);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains(said), "{said:?} is not in:\n{errors}");
}

#[test]
fn a_mytoken_in_an_option_a_variable_or_a_file_gives_the_access_token_for_the_login() {
    let setting = Setting::new();
    let mytoken = setting.server.mint(json!({}));
    assert_in(&setting.log_in(&["--mytoken", &mytoken]));
    assert_in(&setting.stage.mccli(&setting.words(&[])).env("MYTOKEN", &mytoken).output().unwrap());
    let file = setting.file(&mytoken);
    assert_in(&setting.log_in(&["--mytoken", &at(&file)]));
    assert_in(
        &setting.stage.mccli(&setting.words(&[])).env("MYTOKEN", at(&file)).output().unwrap(),
    );
    assert_eq!(setting.stage.answered(1).answer, TOKEN);
    let expected = json!({
        "grant_type": "mytoken", "mytoken": mytoken, "oidc_issuer": PROVIDER, "scope": "openid",
        "comment": "mccli ssh",
    });
    assert_eq!(setting.server.requests(), vec![expected; 4]);
}

#[test]
fn a_mytoken_that_is_replaced_is_rewritten_in_its_file_and_the_next_login_uses_the_new_one() {
    let setting = Setting::new();
    let first = setting.server.mint(json!({"rotation": {"on_AT": true}}));
    let file = setting.file(&format!("{first}\n"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
    let link = setting.stage.path("link");
    symlink(&file, &link).unwrap();
    for _ in 0..3 {
        let before = fs::read_to_string(&file).unwrap();
        assert_in(&setting.log_in(&["--mytoken", &at(&link)]));
        let after = fs::read_to_string(&file).unwrap();
        assert!(before != after && after.ends_with('\n') && setting.server.knows(after.trim_end()));
        assert!(!setting.server.knows(before.trim_end()));
    }
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o400, "the mode is kept");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink(), "the link is kept");
    let left = fs::read_dir(setting.stage.path("")).unwrap().flatten();
    let left: Vec<_> = left.filter(|e| e.file_name().to_string_lossy().ends_with(".new")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn five_logins_at_once_share_a_mytoken_that_is_replaced_at_every_use() {
    let setting = Setting::new();
    let file = setting.file(&setting.server.mint(json!({"rotation": {"on_AT": true}})));
    let url = setting.service.url();
    let words = ["--mytoken", &at(&file), "--mc-endpoint", &url, "status"];
    let running: Vec<_> = (0..5).map(|_| setting.stage.mccli(&words).spawn().unwrap()).collect();
    for child in running {
        assert_in(&child.wait_with_output().unwrap());
    }
    assert_eq!(setting.server.requests().len(), 5);
    assert!(setting.server.knows(&fs::read_to_string(&file).unwrap()));
}

#[test]
fn a_client_that_is_killed_before_it_used_the_access_token_has_kept_the_new_mytoken() {
    let setting = Setting::new();
    let first = setting.server.mint(json!({"rotation": {"on_AT": true}}));
    let file = setting.file(&first);
    setting.service.change(|manner| manner.hangs = true);
    let words = setting.words(&["--mytoken", &at(&file)]);
    let mut command = setting.stage.mccli(&words[..]);
    let mut child = command.spawn().unwrap();
    wait_until("the service is asked", || {
        setting.service.heard().iter().any(|path| path.starts_with("/user/"))
    });
    kill_group(&mut child);
    let second = fs::read_to_string(&file).unwrap();
    assert!(second != first && setting.server.knows(&second), "stored before use");
    setting.service.change(|manner| manner.hangs = false);
    assert_in(&setting.log_in(&["--mytoken", &at(&file)]));
}

/// mccli runs below setsid, in a session of its own.
fn kill_group(child: &mut std::process::Child) {
    let children = format!("/proc/{0}/task/{0}/children", child.id());
    let pids = fs::read_to_string(children).unwrap_or_default();
    let pids = pids.split_whitespace().map(|pid| pid.parse().unwrap()).chain([child.id()]);
    for pid in pids {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
    }
    child.wait().unwrap();
}

#[test]
fn a_mytoken_that_would_be_replaced_and_can_not_be_kept_is_not_used() {
    let setting = Setting::new();
    let mytoken = setting.server.mint(json!({"rotation": {"on_AT": true}}));
    assert_said(&setting.log_in(&["--mytoken", &mytoken]), "name it with @FILE");
    // A name that leaves no room for the one of its successor.
    let file = setting.stage.path(&"m".repeat(250));
    fs::rename(setting.file(&mytoken), &file).unwrap();
    assert_said(&setting.log_in(&["--mytoken", &at(&file)]), "can't be rewritten");
    assert!(setting.server.requests().is_empty() && setting.server.knows(&mytoken));
}

#[test]
fn a_short_mytoken_needs_its_server_and_if_it_is_replaced_unforeseen_that_is_said_loudly() {
    let setting = Setting::new();
    let (url, mytoken) = (setting.server.url(), setting.server.mint_short(json!({})));
    assert_said(&setting.log_in(&["--mytoken", &mytoken]), "give it with --mytoken-server");
    assert_in(&setting.log_in(&["--mytoken", &mytoken, "--mytoken-server", &url]));
    let mut by_variable = setting.stage.mccli(&setting.words(&["--mytoken", &mytoken]));
    assert_in(&by_variable.env("MYTOKEN_SERVER", &url).output().unwrap());

    let rotating = setting.server.mint_short(json!({"rotation": {"on_AT": true}}));
    let output = setting.log_in(&["-q", "--mytoken", &rotating, "--mytoken-server", &url]);
    assert_in(&output);
    assert!(texts(&output).1.contains("error: --mytoken: the server replaced the mytoken"));
    let rotating = setting.server.mint_short(json!({"rotation": {"on_AT": true}}));
    let file = setting.file(&rotating);
    assert_in(&setting.log_in(&["--mytoken", &at(&file), "--mytoken-server", &url]));
    assert!(setting.server.knows(&fs::read_to_string(&file).unwrap()));
}

#[test]
fn r38_insecure_is_about_the_service_and_a_mytoken_goes_to_no_unverified_server() {
    let setting = Setting::new();
    let unverified = Service::start_with_tls(Manner::accepting(TOKEN));
    let mytoken = setting.server.mint_short(json!({}));
    let words = ["--insecure", "--mytoken", &mytoken, "--mytoken-server", &unverified.url()];
    let output = setting.log_in(&words);
    assert!(!output.status.success());
    assert!(texts(&output).1.contains("certificate"), "{:?}", texts(&output));
}

#[test]
fn a_transfer_code_in_a_file_is_exchanged_once_and_its_mytoken_takes_its_place() {
    let setting = Setting::new();
    let (url, mytoken) = (setting.server.url(), setting.server.mint(json!({})));
    let code = setting.server.transfer_code(&mytoken);
    let server = ["--mytoken-server", url.as_str()];
    let refused = setting.log_in(&[&["--mytoken", &code], &server[..]].concat());
    assert_said(&refused, "this is a transfer code");
    assert!(setting.server.requests().is_empty(), "it was not used up");

    let file = setting.file(&format!("{code}\n"));
    assert_in(&setting.log_in(&[&["--mytoken", &at(&file)], &server[..]].concat()));
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("{mytoken}\n"));
    assert_in(&setting.log_in(&["--mytoken", &at(&file)]));

    let file = setting.file(&code);
    let again = setting.log_in(&[&["--mytoken", &at(&file)], &server[..]].concat());
    assert_said(&again, "does not take the transfer code: it works once");
    assert_eq!(fs::read_to_string(&file).unwrap(), code);
}

#[test]
fn every_refusal_of_the_server_comes_with_the_next_step() {
    for (status, error, said) in [
        (401, "invalid_token", "does not know the mytoken: it was revoked, or replaced"),
        (401, "expired_token", "the mytoken is expired; make a new one at http://127.0.0.1"),
        (401, "access_denied", "accept it"),
        (403, "insufficient_capabilities", "it has the capabilities AT, tokeninfo"),
        (403, "usage_restricted", "it may be used for the scopes openid email; make a wider one"),
        (428, "authorization_pending", "waits for your consent"),
        (400, "oidc_error", "refuses: no refresh token; make a new mytoken"),
        (400, "invalid_grant", "refuses: [HTTP 400] invalid_grant - no refresh token"),
        (500, "internal_server_error", "refuses: [HTTP 500] internal_server_error"),
    ] {
        let setting = Setting::new();
        let mytoken = setting.server.mint(json!({"restrictions": [{"scope": "openid email"}]}));
        setting.server.refuse(status, error, "no refresh token");
        assert_said(&setting.log_in(&["--mytoken", &mytoken]), said);
    }
}

#[test]
fn restrictions_hold_and_are_explained_when_they_are_used_up() {
    let setting = Setting::new();
    let mytoken =
        setting.server.mint(json!({"restrictions": [{"scope": "openid", "usages_AT": 1}]}));
    assert_in(&setting.log_in(&["--mytoken", &mytoken]));
    let said = "it may be used for the scopes openid, for 1 access tokens in all";
    assert_said(&setting.log_in(&["--mytoken", &mytoken]), said);
    let narrow = setting.server.mint(json!({"restrictions": [{"scope": "email"}]}));
    assert_said(&setting.log_in(&["--mytoken", &narrow]), "for the scopes email");
    let foreign = setting.server.mint(json!({"oidc_iss": "https://foreign.example"}));
    let asked = setting.server.requests().len();
    let said = "the service does not support the issuer https://foreign.example";
    assert_said(&setting.log_in(&["--mytoken", &foreign]), said);
    assert_eq!(setting.server.requests().len(), asked, "it is not asked for in vain");
}

#[test]
fn r38_a_mytoken_goes_to_its_own_server_only_and_never_in_plain_text_beyond_this_machine() {
    let setting = Setting::new();
    let mytoken = setting.server.mint(json!({}));
    let other = MytokenServer::start(TOKEN);
    let output = setting.log_in(&["--mytoken", &mytoken, "--mytoken-server", &other.url()]);
    assert_said(&output, "leave --mytoken-server out");
    let short = setting.server.mint_short(json!({}));
    for url in ["http://192.0.2.1", "http://mytoken.invalid/"] {
        let output = setting.log_in(&["--mytoken", &short, "--mytoken-server", url]);
        assert_said(&output, "is plain http");
    }
    let output = setting.log_in(&["--mytoken", &short, "--mytoken-server", &setting.service.url()]);
    assert_said(&output, "is no mytoken server");
    assert!(other.requests().is_empty() && setting.server.requests().is_empty());
    for output in [output, setting.log_in(&["--debug", "--mytoken", &mytoken])] {
        let (_, errors) = texts(&output);
        assert!(!errors.contains(&short) && !errors.contains(&mytoken), "r06: {errors}");
    }
}

#[test]
fn a_file_that_others_can_read_or_that_holds_no_mytoken_is_refused() {
    let setting = Setting::new();
    let file = setting.file(&setting.server.mint(json!({})));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    assert_said(&setting.log_in(&["--mytoken", &at(&file)]), "run: chmod 600");
    assert_said(
        &setting.log_in(&["--mytoken", &at(&setting.file(" \n"))]),
        "there is no mytoken in it",
    );
    assert_said(&setting.log_in(&["--mytoken", &at(&setting.file("a b"))]), "byte 2 can't be part");
    let missing = at(&setting.stage.path("missing"));
    assert_said(&setting.log_in(&["--mytoken", &missing]), "No such file");
    let pipe = setting.stage.path("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    assert_said(&setting.log_in(&["--mytoken", &at(&pipe)]), "not a file");
}
