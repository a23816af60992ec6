//! `groups`: local groups, and the groups of providers that they are made from.

use super::{
    ask::{Daemon, Failure, unexpected},
    cli::{Groups, GroupsVerb},
    show::{Output, date},
};
use motley_proto::{
    GroupName,
    admin::{AdminAnswer, AdminRequest, GroupPage, GroupRow},
};
use std::process::ExitCode;

/// Does what was asked.
pub(crate) fn run(daemon: &Daemon, output: Output, groups: Groups) -> Result<ExitCode, Failure> {
    match groups.verb {
        None | Some(GroupsVerb::List) => list(daemon, output),
        Some(GroupsVerb::Release { name }) => release(daemon, output, name),
    }
}

fn list(daemon: &Daemon, output: Output) -> Result<ExitCode, Failure> {
    let rows = all(daemon)?;
    if output.json {
        output.write_json(&rows)?;
    } else if rows.is_empty() {
        output.write_line("no group of a provider was made into a local one yet")?;
    } else {
        let cells: Vec<_> = rows.iter().map(cells).collect();
        output.write_table(&["GROUP", "MADE FROM", "SINCE", "FIRST BY"], &cells)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn all(daemon: &Daemon) -> Result<Vec<GroupRow>, Failure> {
    let mut rows: Vec<GroupRow> = Vec::new();
    loop {
        let after = rows.last().map(|row| row.name.clone());
        let answer = daemon.ask(&AdminRequest::Groups { after })?;
        let AdminAnswer::Groups(GroupPage { rows: page, more }) = answer else {
            return unexpected();
        };
        let is_last = !more || page.is_empty();
        rows.extend(page);
        if is_last {
            return Ok(rows);
        }
    }
}

fn cells(row: &GroupRow) -> Vec<String> {
    vec![row.name.to_string(), row.text.clone(), date(row.noted_at), row.issuer.to_string()]
}

fn release(daemon: &Daemon, output: Output, name: GroupName) -> Result<ExitCode, Failure> {
    let answer = daemon.ask(&AdminRequest::ReleaseGroup { name })?;
    let AdminAnswer::GroupReleased(row) = answer else { return unexpected() };
    if output.json {
        output.write_json(&row)?;
    } else {
        output.write_line(&format!(
            "{} was made from {}; the next group that becomes that name counts from now on",
            row.name, row.text
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
