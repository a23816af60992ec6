//! Sections of back ends outside the host: what they take, and what stops the start.

use feudal_plugins::Naming;
use motley_daemon::config::{
    BackendConfig, Config, ConfigError, Owners, Source, Warning, validate,
};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

fn read(config: &str, adapter: &str) -> Result<(Config, Vec<Warning>), ConfigError> {
    let source = |name: &str, text: &str| Source {
        path: PathBuf::from(name),
        text: text.to_owned(),
        is_public: false,
    };
    let owners = Owners { service: nix::unistd::geteuid().as_raw() };
    validate(source("motley_cue.conf", config), source("feudal_adapter.conf", adapter), owners)
}

fn backend(adapter: &str) -> BackendConfig {
    read("", adapter).map(|(config, _)| config.adapter.backend).unwrap()
}

fn problems(config: &str, adapter: &str) -> Vec<String> {
    let error = read(config, adapter).map(|_| ()).unwrap_err();
    error.problems.iter().map(ToString::to_string).collect()
}

fn file(text: &str, mode: u32) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    write(&path, text, mode);
    (folder, path)
}

fn write(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

const BWIDM: &str =
    "[ldf_adapter]\nbackend = bwidm\n[backend.bwidm]\nurl = https://reg.example/rest\n";

#[test]
fn names_of_bwidm_begin_with_the_organisation() {
    let (config, _) = read("", &format!("{BWIDM}org_id = kit\nservice_name = hpc\n")).unwrap();
    assert_eq!(config.adapter.names.prefix, "kit_");
    let BackendConfig::BwIdm(bwidm) = &config.adapter.backend else { panic!() };
    assert_eq!(bwidm.config.service.as_str(), "hpc");
    assert!(read("", "").unwrap().0.adapter.names.prefix.is_empty());
}

#[test]
fn what_bwidm_can_not_work_with_stops_the_start() {
    for line in ["url = http://reg.example/rest", "org_id = a_b", "service_name = a/b"] {
        let adapter = format!("[ldf_adapter]\nbackend = bwidm\n[backend.bwidm]\n{line}\n");
        let shown = problems("", &adapter);
        assert_eq!(shown.len(), 1, "{shown:?}");
        assert!(shown[0].starts_with("feudal_adapter.conf:4: [backend.bwidm]"), "{shown:?}");
    }
}

#[test]
fn the_password_of_bwidm_is_not_shown() {
    let (config, _) = read("", &format!("{BWIDM}http_pass = canary-17\n")).unwrap();
    assert!(!format!("{:?}", config.adapter).contains("canary-17"));
    let shown = config.effective().iter().any(|setting| setting.value.contains("canary-17"));
    assert!(!shown);
}

#[test]
fn who_earned_a_lesser_shell_is_not_given_another_by_a_back_end_without_shells() {
    let op = |line: &str| {
        format!("[authorisation.a]\nop_url = https://op.example\nauthorise_all = yes\n{line}\n")
    };
    for line in [
        "assurance_based_shell_max_tier = limited",
        "assurance_based_shell_default_tier = restricted",
        "assurance_based_shell_tier_limited = low",
    ] {
        let shown = problems(&op(line), BWIDM);
        assert!(shown[0].contains("backend = bwidm can't give"), "{line}: {shown:?}");
        assert!(read(&op(line), "").is_ok(), "{line}");
    }
    assert!(read(&op("assurance_based_shell_max_tier = full"), BWIDM).is_ok());
}

#[test]
fn r33_a_program_that_others_can_change_keeps_no_accounts() {
    let (_folder, program) = file("#!/bin/sh\n", 0o755);
    let adapter = |more: &str| {
        let program = program.display();
        format!(
            "[ldf_adapter]\nbackend = external\n[backend.external]\ncommand = {program}{more}\n"
        )
    };
    let BackendConfig::External(external) = backend(&adapter(" --file  /x\nnaming = known")) else {
        panic!()
    };
    assert_eq!(external.config.arguments, ["--file", "/x"]);
    assert_eq!(external.config.naming, Naming::Known);
    for (mode, what) in [(0o777, "can be changed by others"), (0o644, "can't be executed")] {
        write(&program, "#!/bin/sh\n", mode);
        let shown = problems("", &adapter(""));
        assert!(shown[0].contains(what), "{shown:?}");
    }
}

#[test]
fn a_program_is_named_by_its_absolute_path() {
    for command in ["", "command = program", "command = /nonexistent/program"] {
        let adapter = format!("[ldf_adapter]\nbackend = external\n[backend.external]\n{command}\n");
        assert_eq!(problems("", &adapter).len(), 1, "{command}");
    }
}

#[test]
fn r33_a_map_names_what_is_wrong_by_line_and_is_for_us_alone_to_write() {
    let (_folder, path) = file("https://op.example ada ada\n", 0o644);
    let shown_path = path.display();
    let adapter = format!("[ldf_adapter]\nbackend = map\n[backend.map]\nfile = {shown_path}\n");
    let BackendConfig::Map(map) = backend(&adapter) else { panic!() };
    assert_eq!(map.config.open().map(|file| file.map().len()).unwrap_or_default(), 1);
    write(&path, "# all\nhttps://op.example ada ada\nhttps://op.example bob ada\nx\n", 0o644);
    let shown = problems("", &adapter);
    assert!(shown[0].starts_with(&format!("{shown_path}:3: line 2 gives the account ada")));
    assert!(shown[1].starts_with(&format!("{shown_path}:4: must be three words")), "{shown:?}");
    write(&path, "", 0o666);
    assert!(problems("", &adapter)[0].contains("can be changed by others"));
    assert_eq!(problems("", "[ldf_adapter]\nbackend = map\n").len(), 1);
}

#[test]
fn r08_where_comments_do_not_name_people_the_site_is_told_what_the_pam_module_needs() {
    let (_folder, path) = file("https://op.example ada ada\n", 0o644);
    let map = format!("[ldf_adapter]\nbackend = map\n[backend.map]\nfile = {}\n", path.display());
    let ldap = "[ldf_adapter]\nbackend = ldap\nfallback_group = people\n[backend.ldap]\n\
                host = localhost\nuser_base = ou=p\ngroup_base = ou=g\n";
    let elsewhere = format!("{ldap}attribute_oidc_uid = employeeNumber\n");
    for (adapter, told) in [(map.as_str(), true), (&elsewhere, true), (ldap, false), ("", false)] {
        let (_, warnings) = read("", adapter).unwrap();
        let is_told = warnings
            .iter()
            .any(|it| it.cure.contains("account_on_error = deny into /etc/pam_oidc.toml"));
        assert_eq!(is_told, told, "{adapter}: {warnings:?}");
    }
}

#[test]
fn where_several_providers_can_share_groups_the_site_is_told() {
    let two = "[authorisation.a]\nop_url = https://a.example\nauthorise_all = yes\n\
               [authorisation.b]\nop_url = https://b.example\nauthorise_all = yes\n";
    let told = |config: &str, adapter: &str| {
        let (_, warnings) = read(config, adapter).unwrap();
        warnings.iter().any(|warning| warning.what.contains("into the same groups"))
    };
    assert!(told(two, ""));
    assert!(!told("[authorisation.a]\nop_url = https://a.example\n", ""));
    assert!(!told(two, "[groups]\npolicy = listed\nsupported_entitlements = #a.example$\n"));
}

#[test]
fn where_a_list_of_groups_is_open_at_one_end_the_site_is_told() {
    let one = "[authorisation.a]\nop_url = https://a.example\nauthorise_all = yes\n";
    let told = |adapter: &str| {
        let (_, warnings) = read(one, adapter).unwrap();
        let about = |warning: &&Warning| warning.what.contains("policy = listed without");
        warnings.iter().find(about).map(ToString::to_string)
    };
    let listed = "[groups]\npolicy = listed\n";
    let entitled = format!("{listed}supported_entitlements = #a.example$\n");
    let open = told(&entitled).unwrap();
    assert!(open.contains("supported_groups = ^$"), "{open}");
    assert!(told(listed).is_some());
    let plain = told(&format!("{listed}supported_groups = ^lab$\n")).unwrap();
    assert!(plain.contains("supported_entitlements = ^$"), "{plain}");
    assert_eq!(told(&format!("{entitled}supported_groups = ^$\n")), None);
    assert_eq!(told("[groups]\nsupported_entitlements = #a.example$\n"), None, "not policy listed");
}
