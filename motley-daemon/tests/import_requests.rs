//! The built `motleyctl import --requests` over a database that the Python stack wrote, against a
//! scripted daemon.

use motley_proto::{
    admin::{AdminAnswer, AdminRequest, LeftRequest, LeftState, RequestOutcome},
    approval::ApprovalKind,
    client::Connection,
    frame::Cap,
};
use sqlx::{Connection as _, Executor, SqliteConnection, sqlite::SqliteConnectOptions};
use std::{
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, Instant},
};

/// What the Python stack wrote; see the file's first lines.
const WRITTEN: &str = include_str!("../../tests/vectors/pending_users.sql");

async fn database(folder: &Path, more: &str) -> PathBuf {
    let file = folder.join("pending_users.db");
    let options = SqliteConnectOptions::new().filename(&file).create_if_missing(true);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    connection.execute(sqlx::raw_sql(WRITTEN)).await.unwrap();
    connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(more.to_owned()))).await.unwrap();
    connection.close().await.unwrap();
    file
}

/// Runs it against a daemon that says the same of each request. Yields what the daemon was asked, batch
/// by batch, and the outcome.
fn run(folder: &Path, words: &[&str], outcome: RequestOutcome) -> (Vec<Vec<LeftRequest>>, Output) {
    let socket = folder.join("admin.sock");
    let _ = std::fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_motleyctl"))
        .arg("--socket")
        .arg(&socket)
        .args(words)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let served = std::thread::spawn(move || {
        let mut asked = Vec::new();
        listener.set_nonblocking(false).unwrap();
        while let Ok((stream, _)) = listener.accept() {
            let deadline = Instant::now() + Duration::from_secs(30);
            let mut connection = Connection::from_stream(stream, Cap::ADMIN, deadline).unwrap();
            // The test knocks without a word when the program has ended.
            let Ok(request) = connection.receive::<AdminRequest>() else { break };
            let AdminRequest::ImportRequests { requests, .. } = request else {
                panic!("{request:?}")
            };
            let outcomes = vec![outcome.clone(); requests.len()];
            asked.push(requests);
            connection.send(&AdminAnswer::RequestsImported(outcomes)).unwrap();
        }
        asked
    });
    let output = child.wait_with_output().unwrap();
    drop(std::os::unix::net::UnixStream::connect(&socket));
    (served.join().unwrap(), output)
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn what_the_python_stack_wrote_is_read_as_requests_and_no_command_of_it_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let file = database(folder.path(), "").await;
    let words = ["import", "--requests", file.to_str().unwrap()];
    let (asked, output) = run(folder.path(), &words, RequestOutcome::New);
    let shown = text(&output);
    assert!(output.status.success(), "{output:?}");
    assert!(shown.contains("5 to be taken over, 0 are known, 0 can't be"), "{shown}");
    assert!(shown.contains("--apply does it"), "{shown}");
    let [requests] = asked.try_into().unwrap();
    let seen: Vec<_> = requests
        .iter()
        .map(|it| {
            let groups: Vec<_> = it.groups.iter().map(|group| group.as_str()).collect();
            (it.identity.subject.as_str(), it.kind, it.state, groups.join(","))
        })
        .collect();
    let row = |whose, kind, state, groups: &str| (whose, kind, state, groups.to_owned());
    let expected = [
        row("ann", ApprovalKind::Account, LeftState::Told, "wlcg,lab"),
        row("bob", ApprovalKind::Account, LeftState::Told, "wlcg---co"),
        row("cleo", ApprovalKind::Account, LeftState::Untold, "wlcg,lab"),
        row("dan", ApprovalKind::Account, LeftState::Rejected, ""),
        row("fay", ApprovalKind::Groups, LeftState::Told, "lab"),
    ];
    assert_eq!(seen, expected);
    let ann = &requests[0];
    assert_eq!(ann.identity.issuer.as_str(), "https://op.example/");
    assert_eq!(ann.name.as_ref().map(|name| name.as_str()), Some("ann"));
    assert_eq!(ann.primary_group.as_ref().map(|group| group.as_str()), Some("lab"));
    assert_eq!(ann.shell.as_deref(), Some("/bin/bash"));
    assert_eq!(ann.full_name.as_deref(), Some("John Döe"));
    let sent = serde_json::to_string(&requests).unwrap();
    assert!(!sent.contains("useradd") && !sent.contains("usermod"), "{sent}");
}

#[tokio::test]
async fn rows_that_mean_nothing_are_told_and_the_others_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let more = "UPDATE pending_users SET state = X'4F' WHERE sub = 'ann';
        UPDATE pending_users SET iss = 'nonsense' WHERE sub = 'bob';
        UPDATE pending_memberships SET supplementary_groups = '[\"a:b\"]' WHERE unique_id LIKE 'fay%';
        UPDATE pending_users SET cmd = 'dn: uid=cleo', username = 'NOT A NAME' WHERE sub = 'cleo';";
    let file = database(folder.path(), more).await;
    let words = ["import", "--apply", "--requests", file.to_str().unwrap()];
    let (asked, output) = run(folder.path(), &words, RequestOutcome::Known);
    let shown = text(&output);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(shown.contains("0 taken over, 2 were known, 3 could not be"), "{shown}");
    assert_eq!(shown.lines().filter(|line| line.starts_with("NOT: ")).count(), 3, "{shown}");
    let cleo = &asked[0][0];
    assert_eq!((cleo.name.as_ref(), cleo.primary_group.as_ref()), (None, None));
}

#[tokio::test]
async fn many_requests_are_sent_in_parts_that_the_socket_carries() {
    let folder = tempfile::tempdir().unwrap();
    let more = "INSERT INTO pending_users WITH RECURSIVE n(i) AS (SELECT 1 UNION SELECT i + 1 FROM n
          WHERE i < 1000) SELECT i || '@https%3A%2F%2Fop.example%2F', CAST(i AS TEXT),
          'https://op.example/', 'x@example.org', 'X', 'x' || i, X'4E4F544946494544', '', X'7B7D' FROM n;";
    let file = database(folder.path(), more).await;
    let words = ["--json", "import", "--requests", file.to_str().unwrap()];
    let (asked, output) = run(folder.path(), &words, RequestOutcome::New);
    assert!(output.status.success(), "{output:?}");
    assert!(asked.len() > 2, "{} parts", asked.len());
    assert_eq!(asked.iter().map(Vec::len).sum::<usize>(), 1005);
    let report: serde_json::Value = serde_json::from_str(&text(&output)).unwrap();
    assert_eq!(report["rows"].as_array().map(Vec::len), Some(1005));
}

#[tokio::test]
async fn a_file_that_is_none_is_named_with_what_it_should_be_and_none_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("missing.db");
    let words = ["import", "--requests", file.to_str().unwrap()];
    let (asked, output) = run(folder.path(), &words, RequestOutcome::New);
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && why.contains("user_db_location"), "{why}");
    assert!(asked.is_empty() && !file.exists());
}
