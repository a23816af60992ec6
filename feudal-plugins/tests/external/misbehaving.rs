//! Programs that hang, chatter, lie and leave children behind.

use super::{behaviour::Someone, external};
use feudal_plugins::{Backend, BackendError, external::External};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A program that is this text, called with its own folder.
fn program(text: &str, timeout: Duration) -> (External, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("program");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let backend = external(&path, &[folder.path().to_str().unwrap()], timeout);
    (backend, folder)
}

const PATIENCE: Duration = Duration::from_secs(60);

/// A program that gives this answer to everything.
fn answering(answer: &str) -> (External, TempDir) {
    program(&format!("#!/bin/sh\ncat >/dev/null\ncat <<'END'\n{answer}\nEND\n"), PATIENCE)
}

fn someone() -> Someone {
    Someone::named("", "asked")
}

async fn find(backend: &External, who: &Someone) -> String {
    match backend.find(&who.identity).await {
        Err(error @ BackendError::Unavailable { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

fn account(who: &Someone, more: &str) -> String {
    let identity = serde_json::to_string(&who.identity).unwrap();
    format!(
        r#"{{"identity": {identity}, "name": "{}", "uid": 30000, "gid": 30000, "home": "/home/x",
            "shell": "/bin/sh", "state": "deployed", "groups": []{more}}}"#,
        who.name
    )
}

fn found(account: &str) -> String {
    format!(r#"{{"version": 1, "done": {{"account": {account}}}}}"#)
}

#[tokio::test]
async fn an_answer_counts_only_if_every_word_of_it_is_known_and_valid() {
    let (ada, bob) = (someone(), someone());
    let good = account(&ada, "");
    let (backend, _folder) = answering(&found(&good));
    assert_eq!(backend.find(&ada.identity).await.unwrap().unwrap().name, ada.name);
    let nasty = |from: &str, to: &str| found(&good.replace(from, to));
    for answer in [
        String::new(),
        "yes".to_owned(),
        "{}".to_owned(),
        found(&good).replace("\"version\": 1", "\"version\": 2"),
        found(&good) + "{}",
        found(&account(&ada, ", \"admin\": true")),
        found(&good).replace("\"done\"", "\"also\": 1, \"done\""),
        nasty(ada.name.as_str(), "root"),
        nasty(ada.name.as_str(), "a:b"),
        nasty("/bin/sh", "sh"),
        nasty("/home/x", "/home/../etc"),
        nasty("deployed", "pending"),
        nasty("30000", "-1"),
        // Somebody else's account.
        found(&account(&bob, "")),
        r#"{"version": 1, "error": {"kind": "name_taken"}}"#.to_owned(),
        r#"{"version": 1, "error": {"kind": "nonsense"}}"#.to_owned(),
    ] {
        let (backend, _folder) = answering(&answer);
        let said = find(&backend, &ada).await;
        assert!(said.contains("can't be used"), "{answer}: {said}");
    }
}

#[tokio::test]
async fn a_refusal_keeps_its_meaning_and_its_words_are_escaped() {
    let ada = someone();
    let refuse = |words: &str| answering(&format!(r#"{{"version": 1, "error": {words}}}"#));
    let (backend, _folder) = refuse(r#"{"kind": "unsupported", "why": "no \u001b[31mlocks"}"#);
    let error = backend.suspend(&ada.identity, &ada.name).await.unwrap_err();
    assert_eq!(error, BackendError::Unsupported("no \\u{1b}[31mlocks".to_owned()));
    let (backend, _folder) = refuse(r#"{"kind": "busy"}"#);
    let error = backend.suspend(&ada.identity, &ada.name).await.unwrap_err();
    assert_eq!(error, BackendError::Busy);
    let (backend, _folder) = refuse(r#"{"kind": "no_account"}"#);
    let removal = backend.remove(&ada.identity, &ada.name).await.unwrap();
    assert_eq!(removal, motley_proto::task::Removal::default());
}

#[tokio::test]
async fn a_program_that_fails_or_is_not_there_is_unavailable() {
    let ada = someone();
    let good = found("null");
    let (backend, _folder) =
        program(&format!("#!/bin/sh\necho '{good}'\necho no disk >&2\nexit 7\n"), PATIENCE);
    assert!(find(&backend, &ada).await.contains("exit status: 7"));
    let backend = external(Path::new("/nonexistent/program"), &[], PATIENCE);
    assert!(find(&backend, &ada).await.contains("can't be started"));
}

#[tokio::test]
async fn r26_a_program_that_hangs_is_killed_with_everything_that_it_started() {
    let text = "#!/bin/sh\nsleep 300 &\necho $! >\"$1/child\"\nwait\n";
    let (backend, folder) = program(text, Duration::from_secs(2));
    let begun = Instant::now();
    assert!(find(&backend, &someone()).await.contains("has not ended"));
    assert!(begun.elapsed() < Duration::from_secs(60));
    let child = fs::read_to_string(folder.path().join("child")).unwrap();
    let status = PathBuf::from(format!("/proc/{}/stat", child.trim()));
    let gone = || match fs::read_to_string(&status) {
        Ok(text) => text.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z')),
        Err(_) => true,
    };
    for _ in 0..200 {
        if gone() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("a child of the program still runs");
}

#[tokio::test]
async fn r03_an_answer_has_an_end() {
    let (backend, _folder) = program("#!/bin/sh\nexec cat /dev/zero\n", PATIENCE);
    assert!(find(&backend, &someone()).await.contains("65536 bytes"));
    // What it says beside is cut, and the answer counts.
    let null = found("null");
    let chatty =
        format!("#!/bin/sh\ncat >/dev/null\nhead -c 1000000 /dev/zero >&2\necho '{null}'\n");
    let (backend, _folder) = program(&chatty, PATIENCE);
    assert_eq!(backend.find(&someone().identity).await.unwrap(), None);
}

#[tokio::test]
async fn r26_the_program_gets_neither_environment_nor_descriptors_nor_a_shell() {
    let text = format!(
        "#!/bin/sh\ncat >\"$1/request\"\ncat /proc/$$/environ >\"$1/environ\"\n\
         ls -l /proc/$$/fd >\"$1/descriptors\"\npwd >\"$1/place\"\necho '{}'\n",
        found("null")
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("program; touch injected");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    // Somebody forgot to mark it: `dup` does not.
    let _open = nix::unistd::dup(fs::File::open("/etc/passwd").unwrap()).unwrap();
    let backend = external(&path, &[folder.path().to_str().unwrap()], PATIENCE);
    let ada = someone();
    assert_eq!(backend.find(&ada.identity).await.unwrap(), None);
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(read("environ").trim_end_matches('\0'), "PATH=/usr/sbin:/usr/bin:/sbin:/bin");
    let descriptors = read("descriptors");
    let targets = descriptors.lines().filter_map(|line| line.split_once(" -> "));
    for (line, target) in targets {
        let is_standard = ["0", "1", "2"].iter().any(|fd| line.ends_with(&format!(" {fd}")));
        // The shell has the script open, and where it writes to.
        let is_its_own = target.starts_with(folder.path().to_str().unwrap());
        let saved = target.starts_with("pipe:");
        assert!(is_standard || is_its_own || saved, "{line} -> {target}");
    }
    assert_eq!(read("place").trim(), "/");
    let request: serde_json::Value = serde_json::from_str(&read("request")).unwrap();
    assert_eq!(request["version"], 1);
    assert_eq!(request["operation"], "find");
    assert_eq!(request["identity"]["subject"], ada.identity.subject.as_str());
}
