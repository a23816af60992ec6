//! `mccli status`, `deploy`, `suspend` and `admin`: an account, asked about or changed.

use super::{endpoint::real_name, modern};
use crate::{
    cli::{AdminCommand, Options, Person},
    context::{self, Wishes},
    duration,
    error::{Error, Result},
    http::Http,
    report,
    service::{Service, Standing},
    source, tty,
};
use motley_proto::{
    Issuer, Secret,
    rest::{AccountState, Ended, OwnRequest, StateReceipt},
    text::escape,
};
use serde::Serialize;
use std::process::ExitCode;

/// One call at a service, with a token that it accepts.
pub(super) struct Visit {
    http: Http,
    hostname: Option<String>,
}

impl Visit {
    /// Opens nothing yet.
    pub(super) fn new(options: &Options, host: Option<&str>) -> Result<Self> {
        let hostname = host.map(real_name).transpose()?;
        Ok(Self { http: context::http(options, hostname.as_deref())?, hostname })
    }

    /// Finds the service and a token, and calls.
    pub(super) fn with_token<T>(
        &self,
        options: &Options,
        call: impl FnOnce(&Service<'_>, &Secret) -> Result<T>,
    ) -> Result<T> {
        let service = context::find_named_service(&self.http, options, self.hostname.as_deref())?;
        let facts = service.info()?;
        let wishes = Wishes::new(&service, &facts);
        let token = context::find_token(options, self.hostname.as_deref(), &wishes)?;
        call(&service, &token.secret)
    }
}

/// Prints state and name; exit codes 6 and 7 say pending and locked.
pub(super) fn status(options: &Options, host: Option<&str>) -> Result<()> {
    let standing =
        Visit::new(options, host)?.with_token(options, |service, token| service.status(token))?;
    show(&standing)
}

/// Makes the account, unless it is suspended: the service could answer as if it were not.
pub(super) fn deploy(options: &Options, host: Option<&str>) -> Result<()> {
    let standing = Visit::new(options, host)?.with_token(options, |service, token| {
        let before = service.status(token)?;
        match before.state {
            AccountState::Suspended | AccountState::Limited | AccountState::Rejected => Ok(before),
            _ => service.deploy(token),
        }
    })?;
    show(&standing)
}

/// Locks the user's own account.
pub(super) fn suspend(options: &Options, host: Option<&str>, yes: bool) -> Result<()> {
    confirm(yes, "Lock your own account? Only an admin can unlock it.")?;
    let standing =
        Visit::new(options, host)?.with_token(options, |service, token| service.suspend(token))?;
    print(&standing)
}

/// Locks or unlocks somebody's account.
pub(super) fn administer(outer: Options, command: AdminCommand) -> ExitCode {
    let (verb, person) = match command {
        AdminCommand::Suspend(person) => ("suspend", person),
        AdminCommand::Resume(person) => ("resume", person),
    };
    let Person { confirmed, sub } = person;
    let mut target = confirmed.target;
    let issuer = target.options.iss.take();
    modern(outer.over(target.options), |options| {
        let issuer = issuer
            .ok_or_else(|| Error::Usage("name the identity's issuer with --iss".to_owned()))?;
        let issuer = Issuer::new(issuer.as_str())
            .map_err(|why| Error::Usage(format!("--iss {issuer} {why}")))?;
        let question = format!("{verb} the account of {} at {issuer}?", escape(&sub, 255));
        confirm(confirmed.yes, &question)?;
        let standing = Visit::new(&options, target.host.as_deref())?
            .with_token(&options, |service, token| {
                service.administer(verb, &sub, &issuer, token)
            })?;
        print(&standing)
    })
}

fn confirm(yes: bool, question: &str) -> Result<()> {
    if yes { Ok(()) } else { tty::confirm(question, "Confirm with --yes.") }
}

/// What is printed as JSON.
#[derive(Serialize)]
struct Told<'a> {
    state: AccountState,
    username: Option<&'a str>,
    message: &'a str,
    /// What admins were asked for, as long as they have not decided.
    request: Option<&'a OwnRequest>,
    /// What a suspension or its end did.
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<&'a StateReceipt>,
}

fn print(standing: &Standing) -> Result<()> {
    let told = Told {
        state: standing.state,
        username: standing.name.as_deref(),
        message: &standing.message,
        request: standing.request.as_ref(),
        receipt: standing.receipt.as_ref(),
    };
    report::facts(&told, || text(standing, source::now_s()))?;
    Ok(())
}

fn text(standing: &Standing, now_s: f64) -> String {
    let name = standing.name.iter().map(|name| format!("username: {}\n", escape(name, 64)));
    let request = standing.request.iter().map(|request| request_text(request, now_s));
    let receipt = standing.receipt.as_ref().map(receipt_text).unwrap_or_default();
    format!(
        "state: {}\n{}{}message: {}\n{receipt}",
        standing.state,
        name.collect::<String>(),
        request.collect::<String>(),
        escape(&standing.message, 500)
    )
}

/// One line about what ended on all nodes, and one about what is still to be done.
fn receipt_text(receipt: &StateReceipt) -> String {
    let all = || std::iter::once(&receipt.ended).chain(receipt.nodes.iter().map(|it| &it.ended));
    let sum = |count: fn(&Ended) -> u32| all().map(|it| u64::from(count(it))).sum::<u64>();
    let (sessions, processes) = (sum(|it| it.sessions), sum(|it| it.processes));
    let remaining = match sum(|it| it.remaining) {
        0 => String::new(),
        remaining => format!(", {remaining} STILL RUN"),
    };
    let mut text = format!("ended: {sessions} sessions, {processes} processes{remaining}\n");
    let behind = receipt.nodes.iter().filter(|it| !it.done).map(|it| format!("node {}", it.node));
    let pending: Vec<String> = receipt.pending.iter().cloned().chain(behind).collect();
    for (word, notes) in [("PENDING", pending), ("NOT DONE", receipt.not_done.clone())] {
        if !notes.is_empty() {
            text.push_str(&format!("{word}: {}\n", escape(&notes.join(", "), 500)));
        }
    }
    text
}

fn request_text(request: &OwnRequest, now_s: f64) -> String {
    let groups = match request.groups.as_slice() {
        [] => String::new(),
        groups => format!(", groups {}", escape(&groups.join(", "), 500)),
    };
    #[allow(clippy::cast_precision_loss)] // Times of this age are exact.
    let ago = duration::words(now_s - request.requested_at as f64);
    #[allow(clippy::cast_precision_loss)]
    let left = duration::words(request.expires_at as f64 - now_s);
    format!(
        "request: {}{groups}\nasked: {ago} ago\nends by itself: in {left}\n",
        escape(&request.kind, 64)
    )
}

fn show(standing: &Standing) -> Result<()> {
    print(standing)?;
    let message = || escape(&standing.message, 500);
    match standing.state {
        AccountState::Pending => Err(Error::Pending(message(), String::new())),
        AccountState::Suspended | AccountState::Limited | AccountState::Rejected => {
            Err(Error::Locked(standing.state, message()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use motley_proto::rest::NodeReceipt;

    #[test]
    fn what_ended_on_all_nodes_is_one_line_and_what_is_pending_another() {
        let ended = Ended { sessions: 1, processes: 3, ..Ended::default() };
        let mut receipt = StateReceipt { ended, ..StateReceipt::default() };
        assert_eq!(receipt_text(&receipt), "ended: 1 sessions, 3 processes\n");
        receipt.pending = vec!["lock the account\u{1b}[2J".to_owned()];
        receipt.nodes = vec![NodeReceipt {
            node: "login2".to_owned(),
            done: false,
            lives: true,
            ended: Ended { remaining: 2, ..ended },
        }];
        assert_eq!(
            receipt_text(&receipt),
            "ended: 2 sessions, 6 processes, 2 STILL RUN\n\
             PENDING: lock the account\\u{1b}[2J, node login2\n"
        );
    }
}
