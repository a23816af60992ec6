//! `motleyctl`: the admin's command on the host, over the daemon's admin socket.

#[path = "motleyctl/knocks.rs"]
mod knocks;
#[path = "motleyctl/otp.rs"]
mod otp;

use clap::{Args, Parser, Subcommand};
use motley_daemon::check_config::{CheckConfig, Form};
use motley_proto::{
    Identity, Issuer, Subject, UserName,
    admin::{AdminAnswer, AdminRequest, DaemonStatus, Receipt, ReloadReport, Target},
    client::Connection,
    frame::Cap,
    text::escape,
};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

/// Looks after the accounts that motley-daemon gives to OpenID Connect identities.
#[derive(Parser)]
#[command(name = "motleyctl", version, about)]
struct Command {
    /// Socket of the daemon.
    #[arg(long, global = true, value_name = "PATH", default_value = "/run/motley_cue/admin.sock")]
    socket: PathBuf,
    /// Print the answer as JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// How the daemon is: version, listeners, providers, number of accounts, root helper.
    Status,
    /// All identities that the daemon knows, with their local names and states.
    Users,
    /// Refuse a person from now on and end the sessions, even without an account.
    Suspend(Whom),
    /// Let a person in again.
    Resume(Whom),
    /// Finish or take back whatever a crash left behind.
    Reconcile,
    /// Read both configuration files, show what holds or everything that is wrong. Asks no daemon.
    CheckConfig(CheckConfig),
    /// Load the configuration anew without dropping a request; a broken one changes nothing.
    Reload,
    /// Give a person a code for one login, to be typed where ssh asks for the token.
    ///
    /// For whom the provider is down, or whose token can't be pasted. Make sure by other means that
    /// it is that person: you vouch for it, and the audit trail says so.
    Otp(Whom),
    /// Who tried to use this host with a valid identity that no rule lets in.
    Knocks(knocks::Which),
    /// Mail to the admins.
    Notify(knocks::Notify),
}

#[derive(Args)]
struct Whom {
    /// Local user name.
    #[arg(required_unless_present = "sub", conflicts_with_all = ["sub", "iss"])]
    name: Option<UserName>,
    /// Subject of the identity.
    #[arg(long, requires = "iss")]
    sub: Option<Subject>,
    /// Issuer of the identity, exactly as in its tokens.
    #[arg(long, requires = "sub")]
    iss: Option<Issuer>,
}

impl Whom {
    fn target(self) -> Result<Target, String> {
        match (self.name, self.iss, self.sub) {
            (Some(name), _, _) => Ok(Target::Name(name)),
            (None, Some(issuer), Some(subject)) => {
                Ok(Target::Identity(Identity::new(issuer, subject)))
            }
            _ => Err("name a local user, or --sub and --iss".to_owned()),
        }
    }
}

fn main() -> ExitCode {
    let command = Command::parse();
    match run(command) {
        Ok(code) => code,
        Err(message) => {
            eprintln!("motleyctl: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode, String> {
    let request = match command.verb {
        Verb::CheckConfig(check) => {
            return Ok(check.run(if command.json { Form::Json } else { Form::Text }));
        }
        Verb::Status => AdminRequest::Status,
        Verb::Users => AdminRequest::Accounts,
        Verb::Suspend(whom) => AdminRequest::Suspend { target: whom.target()? },
        Verb::Resume(whom) => AdminRequest::Resume { target: whom.target()? },
        Verb::Reconcile => AdminRequest::Reconcile,
        Verb::Reload => AdminRequest::Reload,
        Verb::Otp(whom) => AdminRequest::IssueCode { target: whom.target()? },
        Verb::Knocks(which) => which.request(),
        Verb::Notify(_) => AdminRequest::TestNotify,
    };
    let answer = match ask(&command.socket, &request)? {
        AdminAnswer::Knocks(page) => knocks::complete(page, |next| ask(&command.socket, next))?,
        answer => answer,
    };
    if command.json {
        let text = serde_json::to_string_pretty(&answer).map_err(|error| error.to_string())?;
        println!("{text}");
    } else {
        show(&answer);
    }
    Ok(if is_complete(&answer) { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

/// One question and its answer.
fn ask(socket: &Path, request: &AdminRequest) -> Result<AdminAnswer, String> {
    let deadline = Instant::now() + Duration::from_secs(35);
    let answer = Connection::open(socket, Cap::ADMIN, deadline)
        .and_then(|mut connection| {
            connection.send(request)?;
            connection.receive()
        })
        .map_err(|error| error.to_string())?;
    match answer {
        AdminAnswer::Refused(why) => Err(escape(&why, 1000)),
        answer => Ok(answer),
    }
}

/// False when something that was asked for is still to be done.
fn is_complete(answer: &AdminAnswer) -> bool {
    !matches!(answer, AdminAnswer::Receipt(receipt) if !receipt.pending.is_empty())
}

fn show(answer: &AdminAnswer) {
    match answer {
        AdminAnswer::Status(status) => show_status(status),
        AdminAnswer::Accounts(rows) => {
            println!("{:<32} {:<12} IDENTITY", "NAME", "STATE");
            for row in rows {
                let name = row.name.as_ref().map(UserName::as_str).unwrap_or("-");
                println!(
                    "{name:<32} {:<12} {}",
                    row.state.as_str(),
                    escape(&row.identity.to_string(), 500)
                );
            }
        }
        AdminAnswer::Receipt(receipt) => show_receipt(receipt),
        AdminAnswer::Reconciled(lines) if lines.is_empty() => {
            println!("nothing was left to be done")
        }
        AdminAnswer::Reconciled(lines) => {
            lines.iter().for_each(|line| println!("{}", escape(line, 500)))
        }
        AdminAnswer::Reloaded(report) => show_reload(report),
        AdminAnswer::Code(issued) => otp::show(issued),
        AdminAnswer::Knocks(page) => knocks::show(&page.rows),
        AdminAnswer::KnocksCleared(count) => println!("{count} forgotten"),
        AdminAnswer::Notified(said) => println!("{}", escape(said, 1000)),
        AdminAnswer::Refused(why) => println!("{}", escape(why, 1000)),
    }
}

fn show_status(status: &DaemonStatus) {
    println!("version      {}", status.version);
    for place in &status.listening {
        println!("listening    {place}");
    }
    for issuer in &status.issuers {
        println!("provider     {}", escape(issuer, 500));
    }
    println!("accounts     {}", status.accounts);
    println!("root helper  {}", if status.root_helper { "answers" } else { "DOES NOT ANSWER" });
    knocks::show_status(&status.notify);
}

fn show_reload(report: &ReloadReport) {
    for file in &report.files {
        println!("holds now      {}", escape(file, 500));
    }
    for warning in &report.warnings {
        println!("warning        {}", escape(warning, 1000));
    }
    for option in &report.restart {
        println!("NEEDS RESTART  {}", escape(option, 200));
    }
}

fn show_receipt(receipt: &Receipt) {
    println!("identity             {}", escape(&receipt.identity.to_string(), 500));
    println!("local name           {}", receipt.name.as_ref().map(UserName::as_str).unwrap_or("-"));
    println!("state                {}", receipt.state);
    println!("one-time passwords   {} dropped", receipt.one_time_passwords);
    println!("sessions             {} ended", receipt.sessions.sessions);
    println!("processes            {} ended", receipt.sessions.processes);
    for pending in &receipt.pending {
        println!("STILL TO BE DONE     {}", escape(pending, 500));
    }
}
