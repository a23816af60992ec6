//! `status`, `reload` and `reconcile`: the daemon itself.

use super::{
    PENDING,
    approvals::status_facts,
    ask::{Daemon, Failure, unexpected},
    knocks::mail_facts,
    show::{Output, date, span},
};
use motley_proto::admin::{AdminAnswer, AdminRequest, DaemonStatus, ReloadReport};
use std::process::ExitCode;

/// How the daemon is. Fails with 3 when a part of it does not work.
pub(crate) fn status(daemon: &Daemon, output: Output) -> Result<ExitCode, Failure> {
    let AdminAnswer::Status(status) = daemon.ask(&AdminRequest::Status)? else {
        return unexpected();
    };
    if output.json {
        output.write_json(&status)?;
    } else {
        output.write_facts(&facts(&status))?;
    }
    let works = status.root_helper && status.store;
    Ok(if works { ExitCode::SUCCESS } else { ExitCode::from(PENDING) })
}

fn facts(status: &DaemonStatus) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("version", status.version.clone()),
        ("running for", span(status.uptime)),
        ("configured since", date(status.configured_at)),
    ];
    facts.extend(status.files.iter().map(|file| ("configuration", file.clone())));
    facts.extend(status.listening.iter().map(|place| ("listening", place.clone())));
    facts.extend(status.issuers.iter().map(|issuer| ("provider", issuer.clone())));
    let states: Vec<String> =
        status.states.iter().map(|(state, count)| format!("{count} {state}")).collect();
    let states = if states.is_empty() { String::new() } else { format!(": {}", states.join(", ")) };
    facts.push(("accounts", format!("{}{states}", status.accounts)));
    let problem = status.root_helper_problem.as_deref().unwrap_or_default();
    let helper = if status.root_helper {
        "answers".to_owned()
    } else {
        format!("DOES NOT ANSWER: {problem}")
    };
    facts.push(("root helper", helper));
    facts.push(("store", if status.store { "answers" } else { "DOES NOT ANSWER" }.to_owned()));
    facts.push(("audit trail", format!("{} ({} bytes)", status.audit, status.audit_bytes)));
    facts.extend(status_facts(status.approvals, &status.outbox));
    facts.extend(mail_facts(&status.notify));
    facts
}

/// Loads the configuration anew.
pub(crate) fn reload(daemon: &Daemon, output: Output) -> Result<ExitCode, Failure> {
    let AdminAnswer::Reloaded(report) = daemon.ask(&AdminRequest::Reload)? else {
        return unexpected();
    };
    if output.json {
        output.write_json(&report)?;
    } else {
        output.write_facts(&reloaded(&report))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn reloaded(report: &ReloadReport) -> Vec<(&'static str, String)> {
    let files = report.files.iter().map(|file| ("holds now", file.clone()));
    let warnings = report.warnings.iter().map(|warning| ("warning", warning.clone()));
    let restart = report.restart.iter().map(|option| ("NEEDS RESTART", option.clone()));
    files.chain(warnings).chain(restart).collect()
}

/// Finishes or takes back what a crash left.
pub(crate) fn reconcile(daemon: &Daemon, output: Output) -> Result<ExitCode, Failure> {
    let AdminAnswer::Reconciled(lines) = daemon.ask(&AdminRequest::Reconcile)? else {
        return unexpected();
    };
    match (output.json, lines.as_slice()) {
        (true, lines) => output.write_json(&lines)?,
        (false, []) => output.write_line("nothing was left to be done")?,
        (false, lines) => lines.iter().try_for_each(|line| output.write_line(line))?,
    }
    Ok(ExitCode::SUCCESS)
}
