//! `knocks` and `notify`: who tried without being authorised, and how admins learn of it.

use super::{
    ask::{Daemon, Failure, unexpected},
    show::{Output, date},
};
use motley_proto::{
    admin::{AdminAnswer, AdminRequest},
    knock::{Knock, KnockPage, NotifyStatus},
};
use std::process::ExitCode;

/// Everybody who knocked, the last one first.
pub(crate) fn list(daemon: &Daemon, output: Output) -> Result<ExitCode, Failure> {
    let rows = all(daemon)?;
    match (output.json, rows.is_empty()) {
        (true, _) => output.write_json(&rows)?,
        (false, true) => output.write_line("nobody knocked")?,
        (false, false) => rows.iter().try_for_each(|row| output.write_facts(&facts(row)))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn all(daemon: &Daemon) -> Result<Vec<Knock>, Failure> {
    let mut rows: Vec<Knock> = Vec::new();
    loop {
        let after = rows.last().map(|row| row.identity.clone());
        let answer = daemon.ask(&AdminRequest::Knocks { after })?;
        let AdminAnswer::Knocks(KnockPage { rows: page, more }) = answer else {
            return unexpected();
        };
        let is_last = !more || page.is_empty();
        rows.extend(page);
        if is_last {
            break;
        }
    }
    rows.sort_by(|a, b| b.last_at.cmp(&a.last_at).then_with(|| a.identity.cmp(&b.identity)));
    Ok(rows)
}

fn facts(row: &Knock) -> Vec<(&'static str, String)> {
    let names = [&row.name, &row.preferred_username, &row.email];
    let names: Vec<&str> = names.into_iter().flatten().map(String::as_str).collect();
    let missing: Vec<&str> = row.missing.iter().map(|it| it.sentence()).collect();
    vec![
        ("subject", row.identity.subject.to_string()),
        ("issuer", row.identity.issuer.to_string()),
        ("calls itself", if names.is_empty() { "-".to_owned() } else { names.join(", ") }),
        ("missing", missing.join("; ")),
        ("tried", format!("{} times", row.count)),
        ("first", date(row.first_at)),
        ("last", date(row.last_at)),
        ("mailed", if row.mailed { "yes" } else { "no" }.to_owned()),
    ]
}

/// Forgets everybody who knocked.
pub(crate) fn clear(daemon: &Daemon, output: Output) -> Result<ExitCode, Failure> {
    let AdminAnswer::KnocksCleared(count) = daemon.ask(&AdminRequest::ClearKnocks)? else {
        return unexpected();
    };
    if output.json {
        output.write_json(&count)?;
    } else {
        output.write_line(&format!("{count} forgotten"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Sends a mail now and tells what the mail server said.
pub(crate) fn test_mail(daemon: &Daemon, output: Output) -> Result<ExitCode, Failure> {
    let AdminAnswer::Notified(said) = daemon.ask(&AdminRequest::TestNotify)? else {
        return unexpected();
    };
    if output.json {
        output.write_json(&said)?;
    } else {
        output.write_line(&said)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// How mail to the admins goes; a part of what `status` tells.
pub(crate) fn mail_facts(status: &NotifyStatus) -> Vec<(&'static str, String)> {
    let sent = status.sent_at.map_or_else(|| "never".to_owned(), date);
    let mut facts = vec![("digest", format!("{}, last sent {sent}", status.unauthorised))];
    if let Some(why) = &status.last_error {
        facts.push(("DIGEST FAILS", format!("{} times: {why}", status.failures)));
    }
    facts.extend(status.retry_at.map(|at| ("next try", date(at))));
    facts
}
