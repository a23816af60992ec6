//! The built `motleyctl` against a scripted daemon on a socket: what it asks, shows and exits with.

use motley_daemon::{
    audit::{Audit, Event},
    clock::SystemClock,
};
use motley_proto::{
    GroupName, Identity, Issuer, NodeName, Subject, UserName,
    admin::{
        AccountPage, AccountRow, AdminAnswer, AdminRequest, Change, GroupPage, GroupRow,
        NodeOutcome, NodeRow, Receipt, TrailCursor, TrailPage, TrailStart,
    },
    client::Connection,
    frame::Cap,
    rest::AccountState,
    task::{HomeFate, SessionsEnded},
};
use std::{
    fs::File,
    io::Write,
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// A daemon that gives its answers in turn and remembers what it was asked.
struct Scripted {
    folder: tempfile::TempDir,
    asked: Arc<Mutex<Vec<AdminRequest>>>,
}

impl Scripted {
    fn answering(answers: Vec<AdminAnswer>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("admin.sock")).unwrap();
        let asked = Arc::<Mutex<Vec<AdminRequest>>>::default();
        let noted = asked.clone();
        std::thread::spawn(move || {
            for answer in answers {
                let (stream, _) = listener.accept().unwrap();
                let deadline = Instant::now() + Duration::from_secs(30);
                let mut connection = Connection::from_stream(stream, Cap::ADMIN, deadline).unwrap();
                noted.lock().unwrap().push(connection.receive().unwrap());
                connection.send(&answer).unwrap();
            }
        });
        Self { folder, asked }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("admin.sock")
    }

    fn run(&self, words: &[&str]) -> Output {
        self.run_with(words, "")
    }

    fn run_with(&self, words: &[&str], stdin: &str) -> Output {
        run(&self.socket(), words, stdin)
    }

    fn asked(&self) -> Vec<AdminRequest> {
        self.asked.lock().unwrap().clone()
    }
}

fn run(socket: &Path, words: &[&str], stdin: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_motleyctl"))
        .arg("--socket")
        .arg(socket)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that does not read its input closes the pipe early.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn identity(subject: &str) -> Identity {
    Identity::new(Issuer::new("https://op.example/").unwrap(), Subject::new(subject).unwrap())
}

fn row(subject: &str) -> AccountRow {
    let name = UserName::new(format!("u{subject}")).unwrap();
    AccountRow { identity: identity(subject), name: Some(name), state: AccountState::Deployed }
}

fn page(subjects: &[&str], next: Option<&str>) -> AdminAnswer {
    let rows = subjects.iter().map(|subject| row(subject)).collect();
    AdminAnswer::Accounts(AccountPage { rows, next: next.map(identity) })
}

fn receipt(pending: &[&str]) -> AdminAnswer {
    AdminAnswer::Receipt(Receipt {
        identity: identity("7"),
        name: Some(UserName::new("kim").unwrap()),
        state: AccountState::NotDeployed,
        one_time_passwords: 1,
        sessions: SessionsEnded {
            sessions: 2,
            processes: 5,
            remaining: 0,
            ..SessionsEnded::default()
        },
        home: Some(HomeFate::Archived("/home/.removed/kim-5001".to_owned())),
        pending: pending.iter().map(|text| (*text).to_owned()).collect(),
        not_done: Vec::new(),
        nodes: Vec::new(),
    })
}

#[test]
fn a_list_goes_on_until_the_last_page_even_over_an_empty_one() {
    let pages = || vec![page(&["1", "2"], Some("2")), page(&[], Some("5")), page(&["8"], None)];
    let daemon = Scripted::answering(pages());
    let shown = daemon.run(&["users", "list", "--state", "deployed"]);
    assert_eq!(shown.status.code(), Some(0), "{}", text(&shown.stderr));
    let lines: Vec<String> = text(&shown.stdout).lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 4, "a heading and three rows: {lines:?}");
    assert_eq!(lines[1], "u1    deployed  1        https://op.example/");
    let after: Vec<_> = daemon
        .asked()
        .into_iter()
        .map(|request| match request {
            AdminRequest::Accounts(query) => {
                assert_eq!(query.state, Some(AccountState::Deployed));
                query.after.map(|it| it.subject.to_string())
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(after, [None, Some("2".to_owned()), Some("5".to_owned())]);
    let daemon = Scripted::answering(pages());
    let json = daemon.run(&["users", "--json"]);
    let rows: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 3);
    assert_eq!(rows[2]["identity"]["subject"], "8");
}

#[test]
fn the_exit_status_tells_done_refused_pending_nobody_and_no_answer_apart() {
    let code = |answer, words: &[&str]| {
        let done = Scripted::answering(vec![answer]).run(words);
        (done.status.code(), text(&done.stderr))
    };
    let suspend = &["suspend", "kim", "--reason", "ticket 7"][..];
    assert_eq!(code(receipt(&[]), suspend).0, Some(0));
    assert_eq!(code(receipt(&["lock the account: busy"]), suspend).0, Some(3));
    let (status, said) = code(AdminAnswer::Refused("no\u{1b}[2J".to_owned()), suspend);
    assert_eq!((status, said.as_str()), (Some(1), "motleyctl: no\\u{1b}[2J\n"));
    assert_eq!(code(AdminAnswer::Nobody("nobody".to_owned()), suspend).0, Some(4));
    let folder = tempfile::tempdir().unwrap();
    let nowhere = run(&folder.path().join("none"), suspend, "");
    assert_eq!(nowhere.status.code(), Some(69));
    assert!(text(&nowhere.stderr).contains("is the service running?"), "{nowhere:?}");
    let answered_otherwise = code(AdminAnswer::Reconciled(Vec::new()), suspend);
    assert!(answered_otherwise.0 == Some(1), "{answered_otherwise:?}");
    assert_eq!(run(&folder.path().join("none"), &["users", "show"], "").status.code(), Some(2));
}

#[test]
fn a_receipt_tells_how_far_the_other_nodes_are() {
    let outcome = |name: &str, done, lives| NodeOutcome {
        node: NodeName::new(name).unwrap(),
        done,
        lives,
        sessions: SessionsEnded {
            sessions: 1,
            processes: 3,
            remaining: 0,
            ..SessionsEnded::default()
        },
    };
    let answer = |nodes: Vec<NodeOutcome>| match receipt(&[]) {
        AdminAnswer::Receipt(receipt) => AdminAnswer::Receipt(Receipt { nodes, ..receipt }),
        other => other,
    };
    let done = Scripted::answering(vec![answer(vec![outcome("two", true, true)])]);
    let done = done.run(&["suspend", "kim"]);
    assert_eq!(done.status.code(), Some(0));
    let shown = text(&done.stdout);
    assert!(shown.contains("two: done, 1 sessions and 3 processes ended"), "{shown}");
    for lives in [true, false] {
        let nodes = vec![outcome("two", true, true), outcome("three", false, lives)];
        let pending = Scripted::answering(vec![answer(nodes)]).run(&["suspend", "kim"]);
        assert_eq!(pending.status.code(), Some(3));
        assert!(text(&pending.stdout).contains("three: NOT YET DONE"), "{pending:?}");
    }
}

#[test]
fn nodes_are_listed_and_forgotten_by_name() {
    let row = |name: &str, is_this, lives| NodeRow {
        node: NodeName::new(name).unwrap(),
        is_this,
        lives,
        seen_at: 1_800_000_000,
        clock_ahead: if lives { 0 } else { -37 },
        behind: 2,
        accounts: 7,
    };
    let rows = || AdminAnswer::Nodes(vec![row("one", true, true), row("two", false, false)]);
    let daemon = Scripted::answering(vec![rows()]);
    let shown = text(&daemon.run(&["nodes"]).stdout);
    assert!(shown.contains("this one") && shown.contains("AWAY"), "{shown}");
    assert!(shown.contains("37 s BEHIND"), "{shown}");
    let daemon = Scripted::answering(vec![rows()]);
    assert_eq!(daemon.run(&["nodes", "forget", "two"]).status.code(), Some(0));
    let node = NodeName::new("two").unwrap();
    assert_eq!(daemon.asked(), [AdminRequest::ForgetNode { node }]);
    let daemon = Scripted::answering(vec![rows()]);
    assert_eq!(daemon.run(&["nodes", "forget", "../x"]).status.code(), Some(2));
}

#[test]
fn an_account_is_not_taken_away_where_nobody_can_be_asked_and_nobody_said_yes() {
    let details = AdminAnswer::Nobody("not asked for".to_owned());
    let daemon = Scripted::answering(vec![details]);
    // The account is looked at first, so a wrong name is found before the question.
    assert_eq!(daemon.run(&["users", "undeploy", "kim"]).status.code(), Some(4));
    assert!(matches!(daemon.asked()[..], [AdminRequest::Account { .. }]));
    let daemon = Scripted::answering(vec![receipt(&[])]);
    let done = daemon.run(&["users", "undeploy", "kim", "--yes"]);
    assert_eq!(done.status.code(), Some(0));
    let shown = text(&done.stdout);
    assert!(shown.contains("put aside as /home/.removed/kim-5001"), "{shown}");
    let asked = daemon.asked();
    assert!(matches!(asked[..], [AdminRequest::Change { change: Change::Undeploy, .. }]));
}

#[test]
fn r06_a_token_comes_by_standard_input_and_is_never_shown() {
    let refused = || AdminAnswer::Refused("expired".to_owned());
    for words in [&["token", "--stdin"][..], &["explain", "--token-stdin"]] {
        let daemon = Scripted::answering(vec![refused()]);
        let done = daemon.run_with(words, "canary-token\n");
        assert_eq!(done.status.code(), Some(1));
        assert!(!(text(&done.stdout) + &text(&done.stderr)).contains("canary"));
        let asked = daemon.asked();
        let token = match &asked[0] {
            AdminRequest::Token { token } | AdminRequest::WhyToken { token } => token,
            other => panic!("{other:?}"),
        };
        assert_eq!(token.0.expose(), "canary-token", "without the end of the line");
    }
    let nowhere = tempfile::tempdir().unwrap();
    let empty = run(&nowhere.path().join("none"), &["token", "--stdin"], "\n");
    assert_eq!(empty.status.code(), Some(2));
    let long = "x".repeat(70_000);
    let too_long = run(&nowhere.path().join("none"), &["token", "--stdin"], &long);
    assert_eq!(too_long.status.code(), Some(2));
}

#[test]
fn the_end_of_the_trail_is_asked_for_once_and_then_page_by_page() {
    let line = r#"{"time":1800000000,"event":"login_refused","user":"evil\u001b[2J","reason":"x","previous":"p"}"#;
    let cursor = |offset| TrailCursor { file: 3, offset };
    let trail = |lines: &[&str], offset, more| {
        let lines = lines.iter().map(|line| (*line).to_owned()).collect();
        AdminAnswer::Trail(TrailPage { lines, next: cursor(offset), more })
    };
    let daemon = Scripted::answering(vec![trail(&[line], 10, true), trail(&[line], 20, false)]);
    let done = daemon.run(&["audit", "tail", "-n", "2", "--event", "login_refused"]);
    let shown = text(&done.stdout);
    assert_eq!(shown.lines().count(), 2, "{shown}");
    assert!(shown.starts_with("2027-01-15T08:00:00Z  login_refused"), "{shown}");
    assert!(!shown.contains('\u{1b}'), "r31: {shown:?}");
    let starts: Vec<TrailStart> = daemon
        .asked()
        .into_iter()
        .map(|request| match request {
            AdminRequest::Trail { filter, start } => {
                assert_eq!(filter.event.as_deref(), Some("login_refused"));
                start
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(starts, [TrailStart::Last(2), TrailStart::After(cursor(10))]);
}

#[test]
fn r39_a_trail_is_verified_without_the_daemon_and_a_tampered_line_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let audit = Audit::open(&path, Arc::new(SystemClock)).unwrap();
    for version in ["1", "2", "3"] {
        audit.record(Event::Started { version: version.to_owned() }).unwrap();
    }
    audit.rotate().unwrap();
    let verify = || {
        let file = path.to_str().unwrap();
        run(&folder.path().join("none"), &["audit", "verify", "--file", file], "")
    };
    let good = verify();
    assert_eq!(good.status.code(), Some(0), "{good:?}");
    assert!(text(&good.stdout).starts_with("4 lines in 2 files"), "{good:?}");
    let first = folder.path().join("audit.jsonl.1");
    let tampered = std::fs::read_to_string(&first).unwrap().replacen("\"2\"", "\"9\"", 1);
    File::create(&first).unwrap().write_all(tampered.as_bytes()).unwrap();
    let bad = verify();
    assert_eq!(bad.status.code(), Some(1));
    assert!(text(&bad.stderr).contains("audit.jsonl.1 line 3"), "{}", text(&bad.stderr));
}

#[test]
fn groups_are_listed_with_what_they_are_made_from_and_released_by_name() {
    let row = |name: &str| GroupRow {
        name: GroupName::new(name).unwrap(),
        text: format!("x.org:group:{name}"),
        issuer: identity("7").issuer,
        noted_at: 1_700_000_000,
    };
    let pages = || {
        vec![
            AdminAnswer::Groups(GroupPage { rows: vec![row("alpha")], more: true }),
            AdminAnswer::Groups(GroupPage { rows: vec![row("beta")], more: false }),
        ]
    };
    let daemon = Scripted::answering(pages());
    let shown = daemon.run(&["groups", "list"]);
    assert_eq!(shown.status.code(), Some(0), "{}", text(&shown.stderr));
    let lines: Vec<String> = text(&shown.stdout).lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    for part in ["alpha", "x.org:group:alpha", "2023-11-14", "https://op.example/"] {
        assert!(lines[1].contains(part), "{part}: {lines:?}");
    }
    let after = Some(GroupName::new("alpha").unwrap());
    let asked = [AdminRequest::Groups { after: None }, AdminRequest::Groups { after }];
    assert_eq!(daemon.asked(), asked);
    let json = Scripted::answering(pages()).run(&["--json", "groups"]);
    let rows: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(rows[1]["text"], "x.org:group:beta");
    let release = &["groups", "release", "alpha"][..];
    let daemon = Scripted::answering(vec![AdminAnswer::GroupReleased(row("alpha"))]);
    let released = daemon.run(release);
    assert_eq!(released.status.code(), Some(0));
    assert!(text(&released.stdout).contains("x.org:group:alpha"), "{released:?}");
    let name = GroupName::new("alpha").unwrap();
    assert_eq!(daemon.asked(), [AdminRequest::ReleaseGroup { name }]);
    let refused = Scripted::answering(vec![AdminAnswer::Refused("no".to_owned())]).run(release);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(run(&daemon.socket(), &["groups", "release", "sudo"], "").status.code(), Some(2));
}

#[test]
fn completions_and_the_manual_page_need_no_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("none");
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&nowhere, &["completions", shell], "");
        assert!(script.status.success() && text(&script.stdout).contains("undeploy"), "{shell}");
        assert!(text(&script.stdout).contains("release"), "{shell}");
    }
    let page = run(&nowhere, &["man"], "");
    assert!(text(&page.stdout).contains(".SH EXIT STATUS"));
}

#[test]
fn check_config_tells_which_texts_of_mails_are_not_used_and_why() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let write = |name: &str, text: &str| std::fs::write(at(name), text).unwrap();
    write(
        "motley_cue.conf",
        "[authorisation.a]\nop_url = https://op.example\nauthorise_all = yes\n",
    );
    let templates = format!("[notifier.email]\ntemplates_dir = {}\n", folder.path().display());
    write("feudal_adapter.conf", &templates);
    write("user.accepted.template", "Welcome, ${nickname}\n");
    let output = Command::new(env!("CARGO_BIN_EXE_motleyctl"))
        .args(["--json", "check-config", "--config"])
        .arg(at("motley_cue.conf"))
        .arg("--adapter-config")
        .arg(at("feudal_adapter.conf"))
        .output()
        .unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["valid"], true, "{report}");
    let warnings = report["warnings"].to_string();
    assert!(warnings.contains("${nickname}") && warnings.contains("user.accepted"), "{warnings}");
}
