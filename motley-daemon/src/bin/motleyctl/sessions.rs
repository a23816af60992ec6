//! `sessions`: what runs on one account, or on all.

use super::{
    PENDING,
    ask::{Daemon, Failure, unexpected},
    cli::Anybody,
    show::{Output, date, or_dash},
};
use motley_proto::admin::{AdminAnswer, AdminRequest, SessionsPage, SessionsRow};
use std::process::ExitCode;

/// Lists sessions, and processes of one account.
pub(crate) fn list(daemon: &Daemon, output: Output, whom: Anybody) -> Result<ExitCode, Failure> {
    let target = whom.target();
    let is_one = target.is_some();
    let found = match target {
        Some(target) => page(daemon, &AdminRequest::Sessions { target })?,
        None => all(daemon)?,
    };
    if output.json {
        output.write_json(&found.rows)?;
    } else {
        output.write_table(&["NAME", "SESSION", "SINCE", "TTY", "FROM"], &sessions(&found.rows))?;
        if is_one {
            let headings = ["PID", "SINCE", "TTY", "COMMAND"];
            output.write_table(&headings, &processes(&found.rows))?;
        }
        let left_out: u32 = found.rows.iter().map(|row| row.running.left_out).sum();
        if left_out > 0 {
            output.write_line(&format!("{left_out} more are not shown"))?;
        }
    }
    for unknown in &found.unknown {
        eprintln!("motleyctl: not known: {}", motley_proto::text::escape(unknown, 500));
    }
    Ok(if found.unknown.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(PENDING) })
}

fn page(daemon: &Daemon, request: &AdminRequest) -> Result<SessionsPage, Failure> {
    match daemon.ask(request)? {
        AdminAnswer::Sessions(page) => Ok(page),
        _ => unexpected(),
    }
}

fn all(daemon: &Daemon) -> Result<SessionsPage, Failure> {
    let mut found = SessionsPage::default();
    let mut after = None;
    loop {
        let next = page(daemon, &AdminRequest::AllSessions { after })?;
        found.rows.extend(next.rows);
        found.unknown.extend(next.unknown);
        match next.next {
            None => return Ok(found),
            next => after = next,
        }
    }
}

/// An account with processes but without a session has a row of its own.
fn sessions(rows: &[SessionsRow]) -> Vec<Vec<String>> {
    let mut cells = Vec::new();
    for row in rows {
        for session in &row.running.sessions {
            cells.push(vec![
                row.name.to_string(),
                session.id.clone(),
                session.since.map_or("-".to_owned(), date),
                or_dash(session.tty.as_deref()),
                or_dash(session.remote_host.as_deref()),
            ]);
        }
        if row.running.sessions.is_empty() && !row.running.processes.is_empty() {
            let what = format!("none, {} processes", row.running.processes.len());
            cells.push(vec![
                row.name.to_string(),
                what,
                String::new(),
                String::new(),
                String::new(),
            ]);
        }
    }
    cells
}

fn processes(rows: &[SessionsRow]) -> Vec<Vec<String>> {
    let all = rows.iter().flat_map(|row| &row.running.processes);
    all.map(|process| {
        vec![
            process.pid.to_string(),
            process.since.map_or("-".to_owned(), date),
            or_dash(process.tty.as_deref()),
            process.command.clone(),
        ]
    })
    .collect()
}
