//! `import`: accounts that another stack made are noted, or it is told what would be noted.

use super::{
    ask::{Daemon, Failure, unexpected},
    cli::Import,
    show::Output,
};
use motley_proto::{
    Identity,
    admin::{AdminAnswer, AdminRequest, ImportOutcome, ImportPage, ImportRow},
};
use serde::Serialize;
use std::{
    io::{IsTerminal, stderr},
    process::ExitCode,
};

/// What came of all accounts.
#[derive(Debug, Default, Serialize)]
struct Report {
    applied: bool,
    known: u64,
    rows: Vec<ImportRow>,
    oddities: Vec<String>,
}

/// All pages, then the report.
pub(crate) fn run(daemon: &Daemon, output: Output, import: Import) -> Result<ExitCode, Failure> {
    let report = collect(daemon, import.apply)?;
    let conflicts = report.rows.iter().filter(|row| is_conflict(row)).count();
    if output.json {
        output.write_json(&report)?;
    } else {
        tell(output, &report, conflicts)?;
    }
    Ok(ExitCode::from(u8::from(conflicts > 0)))
}

fn collect(daemon: &Daemon, apply: bool) -> Result<Report, Failure> {
    let mut report = Report { applied: apply, ..Report::default() };
    let mut after: Option<Identity> = None;
    loop {
        let request = AdminRequest::Import { apply, after };
        let AdminAnswer::Imported(ImportPage { rows, known, oddities, next }) =
            daemon.ask(&request)?
        else {
            return unexpected();
        };
        report.rows.extend(rows);
        report.known = report.known.saturating_add(u64::from(known));
        report.oddities.extend(oddities);
        if next.is_none() {
            return Ok(report);
        }
        if stderr().is_terminal() {
            let seen = report.rows.len() as u64 + report.known;
            eprint!("\r{seen} accounts");
        }
        after = next;
    }
}

fn is_conflict(row: &ImportRow) -> bool {
    matches!(row.outcome, ImportOutcome::Conflict { .. })
}

fn tell(output: Output, report: &Report, conflicts: usize) -> Result<(), Failure> {
    if !report.rows.is_empty() {
        let cells: Vec<_> = report.rows.iter().map(cells).collect();
        let headings = ["NAME", "UID", "STATE", "SUBJECT", "ISSUER", "WHAT"];
        output.write_table(&headings, &cells)?;
    }
    for oddity in &report.oddities {
        output.write_line(&format!("look at this: {oddity}"))?;
    }
    let taken = report.rows.len().saturating_sub(conflicts);
    let (known, done) = (report.known, report.applied);
    output.write_line(&match done {
        true => format!("{taken} taken over, {known} were known, {conflicts} could not be"),
        false => format!("{taken} to be taken over, {known} are known, {conflicts} can't be"),
    })?;
    if !done && taken > 0 {
        output.write_line("nothing was changed; motleyctl import --apply does it")?;
    }
    Ok(())
}

fn cells(row: &ImportRow) -> Vec<String> {
    let what = match &row.outcome {
        ImportOutcome::New => "new".to_owned(),
        ImportOutcome::Changed { before } => format!("before: {before}"),
        ImportOutcome::Conflict { why } => format!("NOT: {why}"),
    };
    vec![
        row.name.to_string(),
        row.uid.map_or_else(|| "-".to_owned(), |uid| uid.to_string()),
        row.state.to_string(),
        row.identity.subject.to_string(),
        row.identity.issuer.to_string(),
        what,
    ]
}
