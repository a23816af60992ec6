//! `motleyctl`: the admin's command on the host, over the daemon's admin socket.

mod approvals;
mod ask;
mod audit;
mod cli;
mod groups;
mod import;
mod knocks;
mod manual;
mod nodes;
mod ops;
mod otp;
mod people;
mod requests;
mod service;
mod sessions;
mod show;
mod stdin;
mod why;

use ask::{Daemon, Failure};
use clap::Parser;
use cli::{Command, Import, NodesVerb, UsersVerb, Verb};
use motley_daemon::check_config::Form;
use motley_proto::admin::Change;
use show::Output;
use std::process::ExitCode;

/// Something that was asked for is still to be done, and is tried again by the daemon.
const PENDING: u8 = 3;

fn main() -> ExitCode {
    let command = Command::parse();
    match run(command) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("motleyctl: {failure}");
            ExitCode::from(failure.code())
        }
    }
}

fn run(command: Command) -> Result<ExitCode, Failure> {
    let daemon = Daemon::new(&command.socket);
    let output = Output::new(command.json);
    match command.verb {
        Verb::Status => service::status(&daemon, output),
        Verb::Reload => service::reload(&daemon, output),
        Verb::Import(Import { requests: Some(file), apply }) => {
            requests::run(&daemon, output, &file, apply)
        }
        Verb::Import(import) => import::run(&daemon, output, import),
        Verb::Reconcile => service::reconcile(&daemon, output),
        Verb::CheckConfig(check) => {
            Ok(check.run(if output.json { Form::Json } else { Form::Text }))
        }
        Verb::Users(users) => match users.verb {
            None => people::list(&daemon, output, users.list),
            Some(UsersVerb::List(list)) => people::list(&daemon, output, list),
            Some(UsersVerb::Show(whom)) => people::show(&daemon, output, whom),
            Some(UsersVerb::Suspend(order)) => {
                people::change(&daemon, output, Change::Suspend, order)
            }
            Some(UsersVerb::Resume(order)) => {
                people::change(&daemon, output, Change::Resume, order)
            }
            Some(UsersVerb::Limit(order)) => people::change(&daemon, output, Change::Limit, order),
            Some(UsersVerb::Unlimit(order)) => {
                people::change(&daemon, output, Change::Unlimit, order)
            }
            Some(UsersVerb::Undeploy(undeploy)) => people::undeploy(&daemon, output, undeploy),
        },
        Verb::Suspend(order) => people::change(&daemon, output, Change::Suspend, order),
        Verb::Resume(order) => people::change(&daemon, output, Change::Resume, order),
        Verb::Sessions(whom) => sessions::list(&daemon, output, whom),
        Verb::Explain(explain) => why::explain(&daemon, output, explain),
        Verb::Token(_) => why::token(&daemon, output),
        Verb::Ops(ops) => ops::show(&daemon, output, ops),
        Verb::Otp(whom) => otp::issue(&daemon, output, whom),
        Verb::Knocks(knocks) if knocks.clear => knocks::clear(&daemon, output),
        Verb::Knocks(_) => knocks::list(&daemon, output),
        Verb::Approvals(approvals) => approvals::run(&daemon, output, approvals),
        Verb::Notify(_) => knocks::test_mail(&daemon, output),
        Verb::Nodes(nodes) => match nodes.verb {
            None | Some(NodesVerb::List) => nodes::list(&daemon, output),
            Some(NodesVerb::Forget { node }) => nodes::forget(&daemon, output, node),
        },
        Verb::Groups(groups) => groups::run(&daemon, output, groups),
        Verb::Audit(audit) => audit::run(&daemon, output, audit),
        Verb::Completions { shell } => manual::completions(shell),
        Verb::Man => manual::page(),
    }
}
