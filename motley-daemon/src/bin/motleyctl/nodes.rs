//! `nodes`: the login nodes that share the database.

use super::{
    ask::{Daemon, Failure, unexpected},
    show::{Output, date},
};
use motley_proto::{
    NodeName,
    admin::{AdminAnswer, AdminRequest, NodeRow},
};
use std::process::ExitCode;

/// All nodes.
pub(crate) fn list(daemon: &Daemon, output: Output) -> Result<ExitCode, Failure> {
    show(daemon, output, &AdminRequest::Nodes)
}

/// Forgets one, and shows the others.
pub(crate) fn forget(daemon: &Daemon, output: Output, node: NodeName) -> Result<ExitCode, Failure> {
    show(daemon, output, &AdminRequest::ForgetNode { node })
}

fn show(daemon: &Daemon, output: Output, request: &AdminRequest) -> Result<ExitCode, Failure> {
    let AdminAnswer::Nodes(rows) = daemon.ask(request)? else { return unexpected() };
    if output.json {
        output.write_json(&rows)?;
    } else {
        let cells: Vec<_> = rows.iter().map(row).collect();
        output.write_table(&["NODE", "IS", "SEEN", "CLOCK", "ACCOUNTS", "TO CARRY OUT"], &cells)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn row(row: &NodeRow) -> Vec<String> {
    let is = match (row.is_this, row.lives) {
        (true, _) => "this one",
        (false, true) => "alive",
        (false, false) => "AWAY",
    };
    vec![
        row.node.to_string(),
        is.to_owned(),
        date(row.seen_at),
        clock(row.clock_ahead),
        row.accounts.to_string(),
        row.behind.to_string(),
    ]
}

/// Seconds that clocks may be off, as the daemon has it.
const MAX_OFF: i64 = 5;

fn clock(ahead: i64) -> String {
    match ahead {
        _ if ahead.saturating_abs() <= MAX_OFF => "ok".to_owned(),
        1.. => format!("{ahead} s AHEAD"),
        _ => format!("{} s BEHIND", ahead.saturating_neg()),
    }
}
