//! `import --requests`: requests that waited for an admin in the Python stack, read from its database.
//!
//! Its rows hold commands for a root shell. Two words of them are read, and none is ever run.

use super::{
    ask::{Daemon, Failure, unexpected},
    show::Output,
};
use motley_proto::{
    GroupName, Identity, Issuer, Subject, UserName,
    admin::{AdminAnswer, AdminRequest, LeftRequest, LeftState, RequestOutcome},
    approval::ApprovalKind,
    identity::UniqueId,
    text::escape,
};
use serde::Serialize;
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use std::{collections::BTreeMap, path::Path, process::ExitCode};

/// Most bytes of requests that are sent at once.
const BATCH_BYTES: usize = 32 * 1024;
/// Characters of a name or text of the file that are told.
const SHOWN: usize = 200;

/// What is read of `pending_users`. States and lists are blobs there.
const USERS: &str = "SELECT unique_id, sub, iss, email, full_name, username,
     CAST(state AS TEXT), CAST(cmd AS TEXT) FROM pending_users ORDER BY unique_id";
/// What is read of `pending_memberships`.
const MEMBERSHIPS: &str =
    "SELECT unique_id, CAST(supplementary_groups AS TEXT), CAST(state AS TEXT)
     FROM pending_memberships ORDER BY unique_id";

type UserRow = (
    String,
    String,
    String,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
);
type MembershipRow = (String, Option<String>, Option<String>);

/// One request, and what becomes of it.
#[derive(Debug, Serialize)]
struct Row {
    request: LeftRequest,
    outcome: RequestOutcome,
}

/// What came of all requests.
#[derive(Debug, Serialize)]
struct Report {
    applied: bool,
    rows: Vec<Row>,
    unreadable: Vec<String>,
}

/// What the file holds.
#[derive(Debug, Default)]
struct Left {
    requests: Vec<LeftRequest>,
    /// Rows that mean nothing, each with the reason.
    unreadable: Vec<String>,
}

/// Reads the file, asks the daemon about each request, and tells.
pub(crate) fn run(
    daemon: &Daemon,
    output: Output,
    file: &Path,
    apply: bool,
) -> Result<ExitCode, Failure> {
    let Left { requests, unreadable } = read(file)?;
    let mut rows = Vec::new();
    for batch in batches(requests) {
        let request = AdminRequest::ImportRequests { apply, requests: batch.clone() };
        let AdminAnswer::RequestsImported(outcomes) = daemon.ask(&request)? else {
            return unexpected();
        };
        let told = batch.into_iter().zip(outcomes);
        rows.extend(told.map(|(request, outcome)| Row { request, outcome }));
    }
    let report = Report { applied: apply, rows, unreadable };
    let is_conflict = |row: &&Row| matches!(row.outcome, RequestOutcome::Conflict { .. });
    let conflicts = report.rows.iter().filter(is_conflict).count() + report.unreadable.len();
    match output.json {
        true => output.write_json(&report)?,
        false => tell(output, &report, conflicts)?,
    }
    Ok(ExitCode::from(u8::from(conflicts > 0)))
}

fn batches(requests: Vec<LeftRequest>) -> Vec<Vec<LeftRequest>> {
    let mut batches: Vec<Vec<LeftRequest>> = Vec::new();
    let mut room = 0;
    for request in requests {
        let bytes = serde_json::to_vec(&request).map_or(BATCH_BYTES, |text| text.len());
        match batches.last_mut().filter(|_| bytes <= room) {
            Some(batch) => batch.push(request),
            None => {
                batches.push(vec![request]);
                room = BATCH_BYTES;
            }
        }
        room = room.saturating_sub(bytes);
    }
    batches
}

fn tell(output: Output, report: &Report, conflicts: usize) -> Result<(), Failure> {
    let count =
        |outcome: &RequestOutcome| report.rows.iter().filter(|row| row.outcome == *outcome).count();
    let (new, known) = (count(&RequestOutcome::New), count(&RequestOutcome::Known));
    if !report.rows.is_empty() {
        let cells: Vec<_> = report.rows.iter().map(cells).collect();
        let headings = ["SUBJECT", "ISSUER", "FOR", "GROUPS", "STATE", "WHAT"];
        output.write_table(&headings, &cells)?;
    }
    for why in &report.unreadable {
        output.write_line(&format!("NOT: {why}"))?;
    }
    output.write_line(&match report.applied {
        true => format!("{new} taken over, {known} were known, {conflicts} could not be"),
        false => format!("{new} to be taken over, {known} are known, {conflicts} can't be"),
    })?;
    if !report.applied && new > 0 {
        output.write_line("nothing was changed; the same with --apply does it")?;
    }
    Ok(())
}

fn cells(row: &Row) -> Vec<String> {
    let LeftRequest { identity, kind, state, groups, .. } = &row.request;
    let groups: Vec<&str> = groups.iter().map(GroupName::as_str).collect();
    let state = match state {
        LeftState::Untold | LeftState::Told => "pending",
        LeftState::Rejected => "rejected",
    };
    let what = match &row.outcome {
        RequestOutcome::New => "new".to_owned(),
        RequestOutcome::Known => "known".to_owned(),
        RequestOutcome::Conflict { why } => format!("NOT: {why}"),
    };
    vec![
        identity.subject.to_string(),
        identity.issuer.to_string(),
        kind.as_str().to_owned(),
        groups.join(","),
        state.to_owned(),
        what,
    ]
}

fn read(file: &Path) -> Result<Left, Failure> {
    let explain = |error: &dyn std::fmt::Display| {
        Failure::Failed(format!(
            "{} could not be read ({error}); is it user_db_location of the old \
             feudal_adapter.conf, and may you read it?",
            file.display()
        ))
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (users, memberships) =
        runtime.block_on(read_rows(file)).map_err(|error| explain(&error))?;
    let mut left = Left::default();
    let mut groups = BTreeMap::new();
    for (whose, list, state) in memberships {
        match group_names(list.as_deref().unwrap_or("[]")) {
            Ok(names) => {
                groups.insert(whose, (names, state));
            }
            Err(why) => left.unreadable.push(format!("{}: {why}", escape(&whose, SHOWN))),
        }
    }
    for row in users {
        let whose = row.0.clone();
        let (names, _) = groups.remove(&whose).unwrap_or_default();
        note(&mut left, &whose, account_request(row, names));
    }
    for (whose, (names, state)) in groups {
        let request = groups_request(&whose, names, state.as_deref());
        note(&mut left, &whose, request);
    }
    Ok(left)
}

fn note(left: &mut Left, whose: &str, request: Result<LeftRequest, String>) {
    match request {
        Ok(request) => left.requests.push(request),
        Err(why) => left.unreadable.push(format!("{}: {why}", escape(whose, SHOWN))),
    }
}

async fn read_rows(file: &Path) -> Result<(Vec<UserRow>, Vec<MembershipRow>), sqlx::Error> {
    let options = SqliteConnectOptions::new().filename(file).read_only(true);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let users = sqlx::query_as(USERS).fetch_all(&mut connection).await?;
    let memberships = sqlx::query_as(MEMBERSHIPS).fetch_all(&mut connection).await?;
    Ok((users, memberships))
}

fn account_request(row: UserRow, groups: Vec<GroupName>) -> Result<LeftRequest, String> {
    let (_, sub, iss, email, full_name, name, state, cmd) = row;
    let issuer = Issuer::new(iss).map_err(|error| format!("its issuer {error}"))?;
    let subject = Subject::new(sub).map_err(|error| format!("its subject {error}"))?;
    let cmd = cmd.unwrap_or_default();
    let short = |text: Option<String>| text.map(|text| text.chars().take(SHOWN).collect());
    Ok(LeftRequest {
        identity: Identity::new(issuer, subject),
        kind: ApprovalKind::Account,
        state: state_of(state.as_deref())?,
        full_name: short(full_name),
        email: short(email),
        name: name.and_then(|name| UserName::new(name).ok()),
        primary_group: word_after(&cmd, "-g").and_then(|name| GroupName::new(name).ok()),
        shell: word_after(&cmd, "--shell").map(str::to_owned),
        groups,
    })
}

fn groups_request(
    whose: &str,
    groups: Vec<GroupName>,
    state: Option<&str>,
) -> Result<LeftRequest, String> {
    let identity = UniqueId::parse(whose).map_err(|error| format!("this id {error}"))?;
    Ok(LeftRequest {
        identity,
        kind: ApprovalKind::Groups,
        state: state_of(state)?,
        full_name: None,
        email: None,
        name: None,
        primary_group: None,
        shell: None,
        groups,
    })
}

fn state_of(word: Option<&str>) -> Result<LeftState, String> {
    match word {
        Some("PENDING") => Ok(LeftState::Untold),
        Some("NOTIFIED") => Ok(LeftState::Told),
        Some("REJECTED") => Ok(LeftState::Rejected),
        other => Err(format!("its state is {}", escape(other.unwrap_or("missing"), SHOWN))),
    }
}

fn group_names(list: &str) -> Result<Vec<GroupName>, String> {
    let names: Vec<String> =
        serde_json::from_str(list).map_err(|error| format!("its groups: {error}"))?;
    let read = |name: String| {
        let shown = escape(&name, SHOWN);
        GroupName::new(name).map_err(|error| format!("its group {shown} {error}"))
    };
    names.into_iter().map(read).collect()
}

/// What a command for useradd(8) says behind an option.
fn word_after<'a>(command: &'a str, option: &str) -> Option<&'a str> {
    let mut words = command.strip_prefix("useradd ")?.split(' ');
    words.find(|word| *word == option)?;
    words.next()
}
