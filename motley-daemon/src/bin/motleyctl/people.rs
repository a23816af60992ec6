//! `users`: who has an account, everything about one, and changes of it.

use super::{
    PENDING,
    ask::{Daemon, Failure, unexpected},
    cli::{List, Order, Undeploy, Whom},
    show::{Output, date, or_dash},
    stdin,
};
use motley_proto::{
    UserName,
    admin::{
        AccountDetails, AccountQuery, AccountRow, AdminAnswer, AdminRequest, Change, Mark,
        NodeOutcome, Receipt, Target,
    },
    task::HomeFate,
};
use std::process::ExitCode;

/// All accounts that are wanted, page by page.
pub(crate) fn list(daemon: &Daemon, output: Output, list: List) -> Result<ExitCode, Failure> {
    let mut query =
        AccountQuery { state: list.state, issuer: list.iss, matching: list.matching, after: None };
    let mut rows = Vec::new();
    loop {
        let AdminAnswer::Accounts(page) = daemon.ask(&AdminRequest::Accounts(query.clone()))?
        else {
            return unexpected();
        };
        rows.extend(page.rows);
        match page.next {
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    if output.json {
        output.write_json(&rows)?;
    } else {
        let cells: Vec<_> = rows.iter().map(row).collect();
        output.write_table(&["NAME", "STATE", "SUBJECT", "ISSUER"], &cells)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn row(row: &AccountRow) -> Vec<String> {
    vec![
        or_dash(row.name.as_ref().map(UserName::as_str)),
        row.state.to_string(),
        row.identity.subject.to_string(),
        row.identity.issuer.to_string(),
    ]
}

/// Everything about one account.
pub(crate) fn show(daemon: &Daemon, output: Output, whom: Whom) -> Result<ExitCode, Failure> {
    let details = details(daemon, whom.target()?)?;
    if output.json {
        output.write_json(&details)?;
    } else {
        output.write_facts(&facts(&details))?;
    }
    Ok(if details.unknown.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(PENDING) })
}

fn details(daemon: &Daemon, target: Target) -> Result<AccountDetails, Failure> {
    match daemon.ask(&AdminRequest::Account { target })? {
        AdminAnswer::Account(details) => Ok(*details),
        _ => unexpected(),
    }
}

/// The account in lines; also a part of what `explain` tells.
pub(crate) fn facts(details: &AccountDetails) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("subject", details.identity.subject.to_string()),
        ("issuer", details.identity.issuer.to_string()),
        ("name", or_dash(details.name.as_ref().map(UserName::as_str))),
        ("uid", details.uid.map_or("-".to_owned(), |uid| uid.to_string())),
        ("state", details.state.to_string()),
        ("tier", or_dash(details.tier.as_deref())),
        ("shell", or_dash(details.shell.as_deref())),
        ("home", or_dash(details.home.as_deref())),
        ("groups", list_or_dash(&details.groups)),
        ("groups by motley", list_or_dash(&details.managed_groups)),
    ];
    let mark = |mark: &Mark| format!("{} by {}", date(mark.at), mark.by);
    facts.extend(details.suspended.as_ref().map(|it| ("suspended since", mark(it))));
    facts.extend(details.limited.as_ref().map(|it| ("limited since", mark(it))));
    facts.extend(details.leaving.as_ref().map(|it| ("BEING REMOVED since", mark(it))));
    facts.extend(details.removed_at.map(|at| ("removed last", date(at))));
    facts.extend(details.known_since.map(|at| ("known since", date(at))));
    facts.extend(details.sessions.map(|count| ("sessions", count.to_string())));
    let login = details.last_login.as_ref().map(|login| {
        let from = login.from.as_deref().map(|from| format!(" from {from}")).unwrap_or_default();
        format!("{}{from} by {}", date(login.at), login.by)
    });
    facts.push(("last login", or_dash(login.as_deref())));
    if let Some(last) = &details.last_use {
        let what = last.acted.as_deref().map(|acted| format!(", since then {acted}"));
        let warned = last.warned_at.map(|at| format!(", warned {}", date(at)));
        let more = [warned, what].into_iter().flatten().collect::<String>();
        facts.push(("last use", format!("{} by {}{more}", date(last.at), last.how)));
    }
    facts.extend(details.unknown.iter().map(|what| ("NOT KNOWN", what.clone())));
    facts
}

fn list_or_dash(words: &[impl AsRef<str>]) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    if words.is_empty() { "-".to_owned() } else { words.join(" ") }
}

/// Changes an account and shows what was done.
pub(crate) fn change(
    daemon: &Daemon,
    output: Output,
    change: Change,
    order: Order,
) -> Result<ExitCode, Failure> {
    let Order { whom, reason } = order;
    let request = AdminRequest::Change { change, target: whom.target()?, reason };
    let AdminAnswer::Receipt(receipt) = daemon.ask(&request)? else { return unexpected() };
    if output.json {
        output.write_json(&receipt)?;
    } else {
        output.write_facts(&receipt_facts(&receipt))?;
    }
    let complete = receipt.pending.is_empty() && receipt.nodes.iter().all(|node| node.done);
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::from(PENDING) })
}

/// As [`change`], after somebody said that he means it.
pub(crate) fn undeploy(
    daemon: &Daemon,
    output: Output,
    undeploy: Undeploy,
) -> Result<ExitCode, Failure> {
    let Undeploy { order, yes } = undeploy;
    let Order { whom, reason } = order;
    let target = whom.target()?;
    if !yes {
        let details = details(daemon, target.clone())?;
        let name = or_dash(details.name.as_ref().map(UserName::as_str));
        let whose = motley_proto::text::escape(&details.identity.to_string(), 400);
        stdin::consent(&format!(
            "Take away the account {name} of {whose}? Its sessions end and its home is put aside."
        ))?;
    }
    let whom = match target {
        Target::Name(name) => Whom { name: Some(name), sub: None, iss: None },
        Target::Identity(it) => Whom { name: None, sub: Some(it.subject), iss: Some(it.issuer) },
    };
    change(daemon, output, Change::Undeploy, Order { whom, reason })
}

fn receipt_facts(receipt: &Receipt) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("subject", receipt.identity.subject.to_string()),
        ("issuer", receipt.identity.issuer.to_string()),
        ("name", or_dash(receipt.name.as_ref().map(UserName::as_str))),
        ("state", receipt.state.to_string()),
        ("one-time passwords", format!("{} dropped", receipt.one_time_passwords)),
        ("sessions", format!("{} ended", receipt.sessions.sessions)),
        ("processes", format!("{} ended", receipt.sessions.processes)),
    ];
    if receipt.sessions.jobs_held > 0 {
        facts.push(("jobs", format!("{} held", receipt.sessions.jobs_held)));
    }
    if receipt.sessions.linger_ended {
        facts.push(("user services", "linger no more".to_owned()));
    }
    match &receipt.home {
        None => {}
        Some(HomeFate::Nothing) => facts.push(("home", "there was none".to_owned())),
        Some(HomeFate::Archived(path)) => facts.push(("home", format!("put aside as {path}"))),
        Some(HomeFate::Deleting(path)) => facts.push(("home", format!("being deleted in {path}"))),
        Some(HomeFate::Left(path)) => facts.push(("home", format!("LEFT at {path}"))),
    }
    facts.extend(receipt.nodes.iter().map(|outcome| ("node", node(outcome))));
    facts.extend(receipt.pending.iter().map(|what| ("STILL TO BE DONE", what.clone())));
    facts.extend(receipt.not_done.iter().map(|what| ("NOT DONE", what.clone())));
    facts
}

fn node(outcome: &NodeOutcome) -> String {
    let NodeOutcome { node, done, lives, sessions } = outcome;
    match (done, lives) {
        (true, _) => format!(
            "{node}: done, {} sessions and {} processes ended",
            sessions.sessions, sessions.processes
        ),
        (false, true) => format!("{node}: NOT YET DONE; it is being tried"),
        (false, false) => {
            format!("{node}: NOT YET DONE; the node is away and does it when it is back")
        }
    }
}
