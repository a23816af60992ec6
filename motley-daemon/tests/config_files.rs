//! What the files of a site may look like, and what stops the start with file, line and cure.

use motley_daemon::config::{
    Config, ConfigError, FindingKind, Listen, Owners, Source, Warning,
    options::{FEUDAL_ADAPTER, MOTLEY_CUE},
    render_man, render_reference, render_sample,
    report::{ConfigReport, Which},
    validate,
};
use motley_daemon::identity::UserinfoMode;
use motley_proto::Issuer;
use proptest::prelude::*;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn source(name: &str, text: &str) -> Source {
    Source { path: PathBuf::from(name), text: text.to_owned(), is_public: true }
}

fn read(config: &str, adapter: &str) -> Result<(Config, Vec<Warning>), ConfigError> {
    let files =
        (source("/etc/m/motley_cue.conf", config), source("/etc/m/feudal_adapter.conf", adapter));
    validate(files.0, files.1, Owners { service: 0 })
}

fn config(text: &str) -> Config {
    read(text, "").map(|(config, _)| config).unwrap()
}

/// All problems, as they are shown.
fn problems(config: &str, adapter: &str) -> Vec<String> {
    let error = read(config, adapter).map(|_| ()).unwrap_err();
    error.problems.iter().map(ToString::to_string).collect()
}

fn warnings(config: &str, adapter: &str) -> Vec<String> {
    let warnings = read(config, adapter).map(|(_, warnings)| warnings).unwrap();
    warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn a_sites_file_with_roles_in_long_lists_and_remarks_starts() {
    let text = "\
# Site X
[mapper]
log_level = INFO
log_file = /dev/stderr

[mapper.otp]
use_otp = True

[DEFAULT]
scopes = [\"openid\", \"profile\"]
authorised_vos = [
    # the administrators
    urn:geant:x.example:group:admins:role=manager#x.example,
    \"urn:geant:x.example:group:users:role=member#x.example\",

    ]

[authorisation.x]
op_url = https://op.x.example/realms/x/
vo_match = one
audience = [\"ssh\", \"https://host.x.example\"]

[authorisation.unused]
";
    let config = config(text);
    let op = &config.ops[0];
    assert_eq!(config.ops.len(), 1);
    assert_eq!(op.scopes, ["openid", "profile"]);
    assert_eq!(op.policy.vos.as_ref().unwrap().required().count(), 2);
    assert_eq!(op.audience_text, "[\"ssh\", \"https://host.x.example\"]");
    let audiences: Vec<&str> = op.policy.audience.accepted.iter().map(|a| a.as_str()).collect();
    assert_eq!(audiences, ["ssh", "https://host.x.example"]);
    assert_eq!(op.timeout, Duration::from_secs(10));
    assert!(config.op(&Issuer::new("https://op.x.example/realms/x").unwrap()).is_some());
    assert!(config.op(&Issuer::new("https://op.x.example/realms/X").unwrap()).is_none());
    assert!(config.op_by_name("OP.x.example/realms/x").is_some());
}

#[test]
fn r33_an_unknown_option_stops_the_start_and_names_the_one_that_was_meant() {
    assert_eq!(
        problems("[authorisation.egi]\nop_url = https://op\n\nauthorise_al = yes\n", ""),
        ["/etc/m/motley_cue.conf:4: [authorisation.egi] authorise_al: unknown option; \
          did you mean authorise_all?"]
    );
    assert_eq!(
        problems("[mapper]\nuse_otp = yes\n", ""),
        ["/etc/m/motley_cue.conf:2: [mapper] use_otp: unknown option; \
          it belongs into [mapper.otp]"]
    );
    assert_eq!(
        problems("", "[ldf_adapter]\nfallbackgroup = x\n"),
        ["/etc/m/feudal_adapter.conf:2: [ldf_adapter] fallbackgroup: unknown option; \
          did you mean fallback_group?"]
    );
}

#[test]
fn r33_an_unknown_section_stops_the_start() {
    for (text, meant) in [
        ("[Authorisation.x]\n", "did you mean [authorisation.x]?"),
        ("[authorisation]\n", "did you mean [authorisation.NAME]?"),
        ("[ authorisation.x ]\n", "did you mean [authorisation.x]?"),
        ("[mapper.opt]\n", "did you mean [mapper.otp]?"),
    ] {
        let shown = problems(text, "");
        assert_eq!(shown.len(), 1);
        assert!(shown[0].ends_with(meant), "{shown:?}");
    }
    assert!(problems("", "[LDF_ADAPTER]\n")[0].ends_with("did you mean [ldf_adapter]?"));
}

#[test]
fn an_option_that_was_indented_by_accident_stops_the_start() {
    let shown = problems(
        "[authorisation.x]\nop_url = https://op\nvo_claim = groups\n  authorise_all = yes\n",
        "",
    );
    assert_eq!(
        shown,
        ["/etc/m/motley_cue.conf:4: [authorisation.x] authorise_all: the line is indented, so it \
          continues vo_claim of line 3 instead of setting authorise_all; \
          remove the blanks at its start"]
    );
    let shown = problems("[DEFAULT]\nvo_claim = groups\n  scopes = [a]\n", "");
    assert!(shown[0].starts_with("/etc/m/motley_cue.conf:3: [DEFAULT] scopes: "), "{shown:?}");
    // Texts and patterns may hold `=`.
    let adapter = "[login_info]\ndescription = a\n  b = c\n[groups]\nmapping =\n  x=y -> z\n";
    assert!(read("", adapter).is_ok());
}

#[test]
fn two_sections_for_one_provider_stop_the_start() {
    let text = "[authorisation.a]\nop_url = https://op.example\n\
                [authorisation.b]\nop_url = https://www.OP.example/\n";
    assert_eq!(
        problems(text, ""),
        ["/etc/m/motley_cue.conf:4: [authorisation.b] op_url: the provider `op.example` is \
          configured by [authorisation.a] in line 1 already; keep one of both sections"]
    );
}

#[test]
fn all_problems_of_both_files_are_shown_at_once_in_order() {
    let shown = problems(
        "[mapper]\nlog_level = LOUD\n[authorisation.a]\nop_url = op.example\nvo_match = 0\n\
         assurance_based_shell_tier_full = (a\nscopes = a\n[store]\nurl = postgres://x\n",
        "[ldf_adapter]\nbackend = nis\nprimary_group = docker\n\
         [username_generator]\npool_digits = 12\n",
    );
    let places: Vec<&str> = shown.iter().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(
        places,
        [
            "/etc/m/feudal_adapter.conf:2",
            "/etc/m/feudal_adapter.conf:3",
            "/etc/m/feudal_adapter.conf:5",
            "/etc/m/motley_cue.conf:2",
            "/etc/m/motley_cue.conf:4",
            "/etc/m/motley_cue.conf:5",
            "/etc/m/motley_cue.conf:6",
            "/etc/m/motley_cue.conf:7",
            "/etc/m/motley_cue.conf:9",
        ],
        "{shown:#?}"
    );
    assert!(shown.iter().all(|line| line.contains("; ")), "each has a cure: {shown:#?}");
}

#[test]
fn options_of_default_reach_providers_only() {
    let shown = problems("[DEFAULT]\nlog_level = DEBUG\n[mapper]\n", "");
    assert!(shown[0].ends_with("move it to [mapper]"), "{shown:?}");
    let shown = problems("[DEFAULT]\nop_url = https://op\n[authorisation.a]\n", "");
    assert!(shown[0].contains("may not hold for all providers"), "{shown:?}");
    let shown = problems("[DEFAULT]\nintrospection_client_secret = s\n[authorisation.a]\n", "");
    assert!(shown[0].contains("may not hold for all providers"), "{shown:?}");
    // A variable for interpolation is no option.
    let text = "[DEFAULT]\nhost = op.example\n[authorisation.a]\nop_url = https://%(host)s/x\n";
    assert_eq!(config(text).ops[0].issuer.as_str(), "https://op.example/x");
    // In the other file it holds for every section, and each must know it.
    let adapter = "[DEFAULT]\nshell = /bin/zsh\n[backend.local_unix]\nhome_base = /h/\n";
    let config = read("", adapter).map(|(config, _)| config).unwrap();
    let (shells, home_base) = (config.adapter.shells(), config.adapter.home_base());
    assert_eq!((shells.full.as_str(), home_base.as_str()), ("/bin/zsh", "/h"));
    let shown = problems("", &format!("{adapter}[groups]\n"));
    assert!(shown[0].contains("[groups], which has no such option"), "{shown:?}");
}

#[test]
fn a_provider_without_tls_is_taken_on_loopback_and_only_when_that_is_allowed() {
    let text = "[authorisation.a]\nop_url = http://127.0.0.1:9000\n";
    assert!(problems(text, "")[0].contains("set allow_http_loopback = yes"));
    assert!(read(&format!("{text}allow_http_loopback = yes\n"), "").is_ok());
    for url in ["http://op.example", "op.example", "https://op.example?x=1", "ftp://op.example"] {
        let text = format!("[authorisation.a]\nop_url = {url}\nallow_http_loopback = yes\n");
        let error = read(&text, "").map(|_| ()).unwrap_err();
        assert_eq!(error.problems[0].kind, FindingKind::Issuer, "{url}");
    }
}

#[test]
fn no_provider_starts_and_lets_nobody_in() {
    let (config, warnings) = read("", "").unwrap();
    assert!(config.ops.is_empty());
    assert!(warnings.iter().any(|w| w.what.contains("nobody is let in")), "{warnings:?}");
}

#[test]
fn options_that_do_not_act_any_more_are_taken_with_a_warning_that_says_what_replaces_them() {
    let shown = warnings(
        "[mapper]\nlog_file = /var/log/x.log\n[mapper.otp]\nbackend = memory\n",
        "[messages]\nlog_level = DEBUG\n[backend.local_unix]\nuse_sudo = yes\n\
         [assurance]\nrequire = *\n",
    );
    for (line, replacement) in [
        ("/etc/m/motley_cue.conf:2: [mapper] log_file: ", "journal"),
        ("/etc/m/motley_cue.conf:4: [mapper.otp] backend: ", "[store] url"),
        ("/etc/m/feudal_adapter.conf:2: [messages] log_level: ", "[mapper] log_level"),
        ("/etc/m/feudal_adapter.conf:4: [backend.local_unix] use_sudo: ", "motley-root"),
        ("/etc/m/feudal_adapter.conf:5: [assurance] ", "assurance_based_shell_"),
    ] {
        let found =
            shown.iter().find(|w| w.starts_with(line)).unwrap_or_else(|| panic!("{shown:#?}"));
        assert!(found.contains(replacement), "{found}");
    }
    // Those that only repeat the default say nothing.
    let shown =
        warnings("[mapper.otp]\nbackend = sqlite\n", "[messages]\nlog_name_changes = yes\n");
    assert!(shown.iter().all(|w| !w.contains("any more")), "{shown:?}");
}

#[test]
fn what_is_dangerous_is_warned_about() {
    let shown = warnings(
        "[DEFAULT]\nauthorised_admins = [root-sub]\n[authorisation.a]\nop_url = https://op\n\
         introspection_client_id = c\nintrospection_client_secret = s\n",
        "[ldf_adapter]\nadditional_groups = docker staff-x\n",
    );
    for part in [
        "count at every provider",
        "audience is not set in [authorisation.a]",
        "others can read this secret",
        "nobody will join `docker`",
    ] {
        assert!(shown.iter().any(|w| w.contains(part)), "{part}: {shown:#?}");
    }
}

#[test]
fn the_new_sections_have_their_defaults_and_take_values() {
    let plain = config("");
    assert_eq!(plain.server.listen, [Listen::Tcp("127.0.0.1:8080".parse().unwrap())]);
    assert!(plain.server.get_mutations && plain.otp.enabled);
    assert_eq!(plain.otp.lifetime, Duration::from_secs(600));
    assert_eq!(plain.login.socket, Path::new("/run/motley_cue/login.sock"));
    assert_eq!(plain.root.socket, Path::new("/run/motley_cue/task.sock"));
    assert_eq!(plain.store.url.to_string(), "sqlite:/var/lib/motley_cue/motley.db");
    assert_eq!(plain.audit.file, Path::new("/var/lib/motley_cue/audit.jsonl"));
    let elsewhere = config("[store]\nurl = sqlite:/srv/motley/db\n");
    assert_eq!(elsewhere.audit.file, Path::new("/srv/motley/audit.jsonl"), "beside the store");
    let set = config(
        "[server]\nlisten = [::1]:80, unix:/run/x.sock\n  127.0.0.1:81\nget_mutations = no\n\
         [admin]\ngroup = ops\n[audit]\nfile = /srv/audit.jsonl\n[limits]\nconnections = 7\n\
         [authorisation.a]\nop_url = https://op\nuserinfo = when_needed\n\
         opaque_tokens = yes\ntimeout = 3\n",
    );
    assert_eq!(
        set.server.listen,
        [
            Listen::Tcp("[::1]:80".parse().unwrap()),
            Listen::Unix("/run/x.sock".into()),
            Listen::Tcp("127.0.0.1:81".parse().unwrap()),
        ]
    );
    assert_eq!(set.admin.group.as_deref(), Some("ops"));
    assert_eq!(set.audit.file, Path::new("/srv/audit.jsonl"));
    assert_eq!(set.limits.connections, 7);
    let op = &set.ops[0];
    assert_eq!((op.userinfo, op.opaque_tokens), (UserinfoMode::WhenNeeded, true));
    assert_eq!(op.timeout, Duration::from_secs(3));
}

#[test]
fn effective_values_say_where_they_come_from_and_hide_secrets() {
    let config = config(
        "[DEFAULT]\nscopes = [a]\n[authorisation.a]\nop_url = https://op\n\
         introspection_client_id = c\nintrospection_client_secret = hush\n",
    );
    let of = |option: &str| {
        let mut all = config.effective().iter();
        let setting = all.find(|s| s.section == "authorisation.a" && s.option == option).unwrap();
        (setting.value.clone(), setting.line)
    };
    assert_eq!(of("scopes"), ("[a]".to_owned(), Some(2)));
    assert_eq!(of("op_url"), ("https://op".to_owned(), Some(4)));
    assert_eq!(of("vo_match"), ("one".to_owned(), None));
    assert_eq!(of("introspection_client_secret"), ("(secret)".to_owned(), Some(6)));
}

#[test]
fn login_info_takes_further_texts_in_order() {
    let adapter =
        "[login_info]\nssh_host = h\nwebsite = https://x\ndescription = at %(ssh_host)s\n";
    let info = read("", adapter).map(|(config, _)| config).unwrap().adapter.login_info;
    assert_eq!(info.ssh_host(), "h");
    assert_eq!(info.texts()["description"], "at h");
    assert_eq!(info.texts()["website"], "https://x");
}

#[test]
fn the_shipped_files_start_and_trust_nobody_until_a_provider_is_filled_in() {
    let etc = Path::new(env!("CARGO_MANIFEST_DIR")).join("../etc/motley_cue");
    let file = |name: &str| std::fs::read_to_string(etc.join(name)).unwrap();
    let (daemon, adapter) = (file("motley_cue.conf"), file("feudal_adapter.conf"));
    let (config, warnings) = read(&daemon, &adapter).unwrap();
    assert!(config.ops.is_empty());
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let filled = format!("{daemon}\n[authorisation.a]\nop_url = https://op\naudience = a\n");
    let (config, warnings) = read(&filled, &adapter).unwrap();
    assert_eq!((config.ops.len(), warnings.len()), (1, 0), "{warnings:?}");
}

/// Files made of lines that the tables know, in any order and with anything behind them.
fn files() -> impl Strategy<Value = String> {
    let mut words: Vec<String> = vec!["[DEFAULT]".into(), "[authorisation.x]".into()];
    for section in [MOTLEY_CUE, FEUDAL_ADAPTER].iter().flat_map(|file| file.sections) {
        words.push(format!("[{}]", section.name.shown()));
        words.extend(section.options.iter().map(|option| format!("{} = ", option.name)));
    }
    let values = prop_oneof![
        "[a-z0-9%()/:., -]{0,12}",
        "(yes|no|all|one|0|1|-1|99999999999999999999|%\\(a\\)s|https://op|\\[a,b\\]|\\(|regex|listed)",
        "\\PC{0,12}",
    ];
    let line =
        (proptest::sample::select(words), values, "[ ]{0,1}").prop_map(|(word, value, indent)| {
            match word.starts_with('[') {
                true => word,
                false => format!("{indent}{word}{value}"),
            }
        });
    proptest::collection::vec(line, 0..24).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #[test]
    fn r45_any_file_is_taken_or_refused_with_reasons(text in files()) {
        for (config, adapter) in [(text.as_str(), ""), ("", text.as_str())] {
            if let Err(error) = read(config, adapter) {
                prop_assert!(!error.problems.is_empty());
                prop_assert!(error.problems.iter().all(|problem| !problem.what.is_empty()));
            }
        }
    }
}

#[test]
fn r33_a_header_limit_with_which_no_request_can_be_read_stops_the_start() {
    let found = problems("[limits]\nheader = 8191\n", "");
    assert!(found.len() == 1 && found[0].contains("header"), "{found:?}");
    assert_eq!(config("[limits]\nheader = 8192\n").limits.header, 8192);
}

/// A committed file that is made from the option table; `MOTLEY_UPDATE_SAMPLES=1` writes it anew.
fn assert_is_made_from_the_table(path: &Path, made: &str) {
    if std::env::var_os("MOTLEY_UPDATE_SAMPLES").is_some() {
        std::fs::write(path, made).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(kept == made, "{}: run this test with MOTLEY_UPDATE_SAMPLES=1", path.display());
}

#[test]
fn the_manual_pages_and_the_reference_are_those_of_the_option_table() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for spec in [&MOTLEY_CUE, &FEUDAL_ADAPTER] {
        let page = project.join("etc/man").join(format!("{}.5", spec.name));
        assert_is_made_from_the_table(&page, &render_man(spec));
    }
    let reference = render_reference(&[MOTLEY_CUE, FEUDAL_ADAPTER]);
    assert_is_made_from_the_table(&project.join("docs/configuration-reference.md"), &reference);
}

#[test]
fn the_report_tells_each_value_with_its_origin_and_no_secret() {
    let text = "[mapper]\nlog_level = INFO\n[DEFAULT]\nvo_claim = groups\n[authorisation.a]\n\
                op_url = https://op.example\nintrospection_client_id = c\n\
                introspection_client_secret = canary\n";
    let report = ConfigReport::of(&read(text, ""));
    assert!(report.valid);
    let all = report.settings_text(Which::All);
    let line = |start: &str| all.lines().find(|line| line.starts_with(start)).unwrap();
    assert!(line("log_level = INFO").ends_with("# line 2"), "{all}");
    assert!(line("vo_claim = groups").ends_with("# [DEFAULT], line 4"), "{all}");
    assert!(line("vo_match = one").ends_with("# default"), "{all}");
    assert!(line("backend = sqlite").contains("does not act: "), "{all}");
    let json = serde_json::to_string(&report).unwrap();
    assert!(!all.contains("canary") && !json.contains("canary"));
    let set = report.settings_text(Which::Set);
    assert_eq!(set.lines().filter(|line| line.contains(" = ")).count(), 5, "{set}");
    let broken = ConfigReport::of(&read("[mapper]\nlog_levle = INFO\n", ""));
    assert!(!broken.valid && broken.files.is_empty());
    assert_eq!(broken.problems[0].option.as_deref(), Some("log_levle"));
    assert_eq!(broken.problems[0].line, Some(2));
}

#[test]
fn options_that_count_at_the_next_start_only_are_named_when_they_change() {
    let before = config("[server]\nlisten = 127.0.0.1:1\n[mapper]\nlog_level = INFO\n");
    let after = config("[server]\nlisten = 127.0.0.1:2\n[mapper]\nlog_level = DEBUG\n");
    assert_eq!(before.needs_restart_for(&after), ["[server] listen"]);
    assert!(before.needs_restart_for(&before).is_empty());
}

#[test]
fn the_sample_files_are_those_of_the_option_table_and_mean_the_defaults() {
    let etc = Path::new(env!("CARGO_MANIFEST_DIR")).join("../etc");
    let samples = [&MOTLEY_CUE, &FEUDAL_ADAPTER].map(|spec| {
        let sample = render_sample(spec);
        assert_is_made_from_the_table(&etc.join(format!("{}.sample", spec.name)), &sample);
        sample
    });
    let (config, _) = read(&samples[0], &samples[1]).unwrap();
    assert!(config.effective().iter().all(|setting| setting.line.is_none()));
    // With every remark sign taken away it is still a file without problems, but for the issuer.
    let active = |text: &str| -> String {
        text.lines()
            .map(|l| l.strip_prefix('#').filter(|l| !l.starts_with(' ')).unwrap_or(l))
            .map(|line| format!("{line}\n"))
            .collect()
    };
    let daemon = active(&samples[0])
        .replace("op_url =", "op_url = https://op.example")
        .replace("introspection_client_secret_file =\n", "");
    let adapter = active(&samples[1]).replace("\nport =\n", "\n");
    let (config, _) = read(&daemon, &adapter).unwrap();
    assert_eq!(config.ops.len(), 1);
    assert!(config.effective().iter().filter(|s| s.line.is_some()).count() > 60);
}
