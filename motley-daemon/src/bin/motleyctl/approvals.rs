//! `approvals`: who waits for an account or for groups, and what becomes of it.

use super::{
    ask::{Daemon, Failure, unexpected},
    cli::{Approvals, ApprovalsVerb, Decide},
    show::{Output, date, or_dash},
};
use motley_proto::{
    UserName,
    admin::{AdminAnswer, AdminRequest},
    approval::{
        ApprovalDecision, ApprovalId, ApprovalKind, ApprovalPage, ApprovalReceipt, ApprovalRow,
        OutboxStatus,
    },
};
use std::process::ExitCode;

/// Does what was asked.
pub(crate) fn run(
    daemon: &Daemon,
    output: Output,
    approvals: Approvals,
) -> Result<ExitCode, Failure> {
    match approvals.verb {
        None | Some(ApprovalsVerb::List) => list(daemon, output),
        Some(ApprovalsVerb::Show { id }) => show(daemon, output, id),
        Some(ApprovalsVerb::Accept(it)) => decide(daemon, output, ApprovalDecision::Accept, it),
        Some(ApprovalsVerb::Reject(it)) => decide(daemon, output, ApprovalDecision::Reject, it),
        Some(ApprovalsVerb::Forget(it)) => decide(daemon, output, ApprovalDecision::Forget, it),
    }
}

fn list(daemon: &Daemon, output: Output) -> Result<ExitCode, Failure> {
    let rows = all(daemon)?;
    if output.json {
        output.write_json(&rows)?;
    } else if rows.is_empty() {
        output.write_line("nothing waits")?;
    } else {
        let cells: Vec<_> = rows.iter().map(row).collect();
        let headings = ["ID", "STATUS", "FOR", "NAME", "E-MAIL", "GROUPS", "SINCE", "ISSUER"];
        output.write_table(&headings, &cells)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn all(daemon: &Daemon) -> Result<Vec<ApprovalRow>, Failure> {
    let mut rows: Vec<ApprovalRow> = Vec::new();
    loop {
        let after = rows.last().map(|row| row.identity.clone());
        let answer = daemon.ask(&AdminRequest::Approvals { after })?;
        let AdminAnswer::Approvals(ApprovalPage { rows: page, more }) = answer else {
            return unexpected();
        };
        let is_last = !more || page.is_empty();
        rows.extend(page);
        if is_last {
            return Ok(rows);
        }
    }
}

fn row(row: &ApprovalRow) -> Vec<String> {
    let called = row.full_name.as_deref().or(row.preferred_username.as_deref());
    let mail = match row.email_verified {
        true => or_dash(row.email.as_deref()),
        false => row.email.as_ref().map_or("-".to_owned(), |mail| format!("{mail} (not verified)")),
    };
    vec![
        row.reference.to_string(),
        row.status.as_str().to_owned(),
        row.kind.as_str().to_owned(),
        or_dash(called),
        mail,
        groups(row),
        date(row.requested_at),
        row.identity.issuer.to_string(),
    ]
}

fn groups(row: &ApprovalRow) -> String {
    row.groups.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn show(daemon: &Daemon, output: Output, id: ApprovalId) -> Result<ExitCode, Failure> {
    let AdminAnswer::Approval(row) = daemon.ask(&AdminRequest::Approval { id })? else {
        return unexpected();
    };
    if output.json {
        output.write_json(&row)?;
    } else {
        output.write_facts(&facts(&row))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn facts(row: &ApprovalRow) -> Vec<(&'static str, String)> {
    let account = match row.kind {
        ApprovalKind::Account => "a first account",
        ApprovalKind::Groups => "further groups of an account",
    };
    let verified = if row.email_verified { "verified" } else { "not verified" };
    let email = row.email.as_ref().map(|mail| format!("{mail} ({verified})"));
    let mut facts = vec![
        ("id", row.reference.to_string()),
        ("status", row.status.as_str().to_owned()),
        ("asks for", account.to_owned()),
        ("subject", row.identity.subject.to_string()),
        ("issuer", row.identity.issuer.to_string()),
        ("calls itself", or_dash(row.full_name.as_deref())),
        ("e-mail", or_dash(email.as_deref())),
        ("preferred username", or_dash(row.preferred_username.as_deref())),
        ("account", or_dash(row.name.as_ref().map(UserName::as_str))),
        ("primary group", row.primary_group.to_string()),
        ("groups", groups(row)),
        ("tier", row.tier.clone()),
        ("asked", date(row.requested_at)),
        ("as it is", format!("since {}", date(row.updated_at))),
        ("ends", date(row.expires_at)),
    ];
    facts.extend(
        row.decided.as_ref().map(|it| ("decided", format!("{} by {}", date(it.at), it.by))),
    );
    facts.extend(row.last_error.as_ref().map(|why| ("LAST ATTEMPT FAILED", why.clone())));
    facts
}

fn decide(
    daemon: &Daemon,
    output: Output,
    decision: ApprovalDecision,
    Decide { reference, reason }: Decide,
) -> Result<ExitCode, Failure> {
    let request = AdminRequest::Decide { decision, reference, reason };
    let AdminAnswer::Decided(receipt) = daemon.ask(&request)? else { return unexpected() };
    if output.json {
        output.write_json(&receipt)?;
    } else {
        output.write_facts(&receipt_facts(&receipt))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn receipt_facts(receipt: &ApprovalReceipt) -> Vec<(&'static str, String)> {
    vec![
        ("subject", receipt.identity.subject.to_string()),
        ("issuer", receipt.identity.issuer.to_string()),
        ("name", or_dash(receipt.name.as_ref().map(UserName::as_str))),
        ("state", receipt.state.to_string()),
        ("done", receipt.message.clone()),
    ]
}

/// What waits; a part of what `status` tells.
pub(crate) fn status_facts(
    waiting: Option<u64>,
    outbox: &OutboxStatus,
) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    facts.extend(waiting.map(|count| ("approvals", format!("{count} wait"))));
    if outbox.waiting > 0 {
        facts.push(("mails", format!("{} wait", outbox.waiting)));
    }
    if let Some(why) = &outbox.last_error {
        facts.push(("MAIL FAILS", format!("{} times: {why}", outbox.failures)));
        facts.extend(outbox.retry_at.map(|at| ("next mail", date(at))));
    }
    facts
}
