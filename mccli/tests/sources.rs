//! Where the token comes from, from the outside: variables, profiles, grid tools, and their order.
//!
//! The names of the variables are the data's: the folder is `tests/vectors`, or `MOTLEY_VECTORS`.

mod double;

use double::{
    HOST, Stage,
    service::{Manner, Service},
    texts,
};
use serde_json::Value;
use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, process::Output};

const TOKEN: &str = "canary-77aa-token";

/// A service that accepts one token, and a stage.
struct Setting {
    service: Service,
    stage: Stage,
}

impl Setting {
    fn new() -> Self {
        Self { service: Service::start(Manner::accepting(TOKEN)), stage: Stage::new() }
    }

    /// `mccli ssh` with these options and variables.
    fn log_in(&self, own: &[&str], variables: &[(&str, &str)]) -> Output {
        let url = self.service.url();
        let words = [&["--mc-endpoint", &url], own, &["ssh"], &HOST[..]].concat();
        let variables = variables.iter().map(|(name, value)| (*name, *value));
        self.stage.mccli(&words).envs(variables).output().unwrap()
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.stage.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    }

    /// The configuration where mccli looks for it.
    fn configure(&self, text: &str) {
        self.file(".config/mccli/config.toml", text);
    }
}

fn assert_in(output: &Output) {
    assert!(output.status.success(), "{:?}", texts(output));
}

fn assert_said(output: &Output, said: &str) {
    let (_, errors) = texts(output);
    assert!(!output.status.success() && errors.contains(said), "{said:?} is not in:\n{errors}");
}

fn vectors() -> Value {
    let usual = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors");
    let folder = std::env::var_os("MOTLEY_VECTORS").map_or_else(|| usual.into(), PathBuf::from);
    let text = fs::read_to_string(folder.join("mccli-cli.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn names(data: &Value) -> Vec<&str> {
    data.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect()
}

#[test]
fn every_variable_of_the_data_names_a_source_and_the_first_that_is_not_empty_wins() {
    let data = vectors();
    let tokens = names(&data["legacy"]["env"]["token"]);
    assert_eq!(tokens.len(), 6);
    for (at, name) in tokens.iter().enumerate() {
        let setting = Setting::new();
        let mut variables = vec![(*name, TOKEN)];
        variables.extend(tokens.iter().take(at).map(|earlier| (*earlier, "")));
        variables.extend(tokens.iter().skip(at + 1).map(|later| (*later, "other")));
        assert_in(&setting.log_in(&[], &variables));
    }
    let setting = Setting::new();
    for (kind, value) in [("oa_account", "work"), ("iss", "https://op.example.org")] {
        for name in names(&data["legacy"]["env"][kind]) {
            let output = setting.log_in(&[], &[(name, value)]);
            assert_said(&output, &format!("{name} {value}: OIDC_SOCK env var not set"));
        }
    }
}

#[test]
fn the_texts_of_the_data_about_missing_tokens_are_said() {
    let data = vectors();
    let texts = names(&data["legacy"]["error_texts"]);
    let about = |word: &str| *texts.iter().find(|text| text.contains(word)).unwrap();
    let setting = Setting::new();
    assert_said(&setting.log_in(&[], &[]), about("No Access Token found"));
    assert_said(&setting.log_in(&["--oidc", "work"], &[]), about("OIDC_SOCK"));
}

#[test]
fn the_command_line_beats_the_environment_and_compat_0_7_turns_that_round() {
    let setting = Setting::new();
    let file = setting.file("token", TOKEN);
    let variables = [("ACCESS_TOKEN", "other"), ("MCCLI_COMPAT", "")];
    assert_in(&setting.log_in(&["--token-file", &file], &variables));
    let compat = [("ACCESS_TOKEN", TOKEN), ("MCCLI_COMPAT", "0.7")];
    assert_in(&setting.log_in(&["--oidc", "work"], &compat));
    assert_said(
        &setting.log_in(&["--token-file", &file], &[("ACCESS_TOKEN", "other"), compat[1]]),
        "[HTTP 401]",
    );
}

#[test]
fn the_source_that_won_is_named_with_the_fingerprint_of_its_token_only() {
    let setting = Setting::new();
    let output = setting.log_in(&["--log-level", "info"], &[("OIDC_ISS", "op"), ("OIDC", TOKEN)]);
    assert_in(&output);
    let (_, errors) = texts(&output);
    assert!(errors.contains("info: using the token of OIDC, fingerprint "), "{errors}");
    assert!(!errors.contains(TOKEN), "r06: {errors}");
}

#[test]
fn a_profile_is_chosen_by_option_by_variable_or_by_the_rule_for_the_host() {
    let setting = Setting::new();
    let file = setting.file("token", TOKEN);
    let rule = "[host.\"cue.example.org\"]\nprofile = \"here\"\n";
    let profiles = format!(
        "[profile.here]\ntoken_file = \"{file}\"\n[profile.there]\ntoken_cmd = \"echo other\"\n"
    );
    setting.configure(&profiles);
    assert_in(&setting.log_in(&["--profile", "here"], &[("ACCESS_TOKEN", "other")]));
    assert_in(&setting.log_in(&[], &[("MCCLI_PROFILE", "here"), ("BEARER_TOKEN", "other")]));
    assert_said(&setting.log_in(&["--profile", "there"], &[]), "[HTTP 401]");
    assert_said(&setting.log_in(&[], &[]), "No Access Token found.");
    setting.configure(&format!("{profiles}{rule}"));
    assert_in(&setting.log_in(&[], &[]));
    assert_said(&setting.log_in(&[], &[("MCCLI_PROFILE", "there")]), "[HTTP 401]");
    assert_in(&setting.log_in(&[], &[("MCCLI_PROFILE", "there"), ("OIDC", TOKEN)]));
    let output = setting.log_in(&["--profile", "nowhere"], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert_said(&output, "there is no profile nowhere; there are: here, there");
}

#[test]
fn a_token_that_grid_tools_left_is_picked_up_where_nothing_else_is_named() {
    let uid = nix::unistd::geteuid();
    let setting = Setting::new();
    assert_in(&setting.log_in(&[], &[("BEARER_TOKEN", TOKEN)]));
    let file = setting.file("grid", &format!("{{\"access_token\": \"{TOKEN}\"}}"));
    assert_in(&setting.log_in(&["--wlcg"], &[("BEARER_TOKEN_FILE", &file), ("OIDC", "other")]));
    setting.file(&format!("run/bt_u{uid}"), TOKEN);
    assert_in(&setting.log_in(&[], &[]));
    assert_in(&setting.log_in(&["--wlcg"], &[]));
    let missing = setting.log_in(&["--oidc", "work"], &[]);
    assert_said(&missing, "OIDC_SOCK env var not set");
    assert!(
        !texts(&missing).1.contains("WLCG"),
        "an account was named: nobody else's token is tried"
    );

    fs::set_permissions(
        setting.stage.path(&format!("run/bt_u{uid}")),
        fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    assert_said(&setting.log_in(&[], &[]), "run: chmod 600");
    let setting = Setting::new();
    assert_said(
        &setting.log_in(&["--wlcg"], &[]),
        "nothing in BEARER_TOKEN, BEARER_TOKEN_FILE and",
    );
}

#[test]
fn options_that_name_a_source_exclude_each_other() {
    let setting = Setting::new();
    for (one, other) in [
        (["--wlcg", ""], ["--token", "t"]),
        (["--mytoken", "m"], ["--oidc", "work"]),
        (["--token-file", "f"], ["--iss", "op"]),
    ] {
        let words: Vec<&str> = one.into_iter().chain(other).filter(|w| !w.is_empty()).collect();
        assert_eq!(setting.log_in(&words, &[]).status.code(), Some(2), "{words:?}");
    }
}
