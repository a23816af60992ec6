//! The command line.

use clap::{Args, Parser, Subcommand};
use motley_daemon::check_config::CheckConfig;
use motley_proto::{
    GroupName, Identity, Issuer, NodeName, Subject, UserName,
    admin::{Reason, Target},
    approval::{ApprovalId, ApprovalRef, ApprovalRefError},
    rest::AccountState,
};
use std::path::PathBuf;

/// Looks after the accounts that motley-daemon gives to OpenID Connect identities.
///
/// Root and members of the admin group may use it.
#[derive(Parser)]
#[command(name = "motleyctl", version, after_help = EXIT_STATUS)]
pub(crate) struct Command {
    /// Socket of the daemon.
    #[arg(long, global = true, value_name = "PATH", default_value = "/run/motley_cue/admin.sock")]
    pub(crate) socket: PathBuf,
    /// Print the answer as JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

const EXIT_STATUS: &str = "Exit status: 0 done; 1 refused or failed; 2 wrong usage; 3 part of it is \
    still to be done and is tried again; 4 nobody of that name; 69 the daemon does not answer; 78 check-config found mistakes.";

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// How the daemon is: version, listeners, providers, accounts, root helper, store, audit trail.
    Status,
    /// Accounts: list, show, suspend, resume, limit, unlimit, undeploy. Alone it lists.
    Users(Users),
    /// The same as `users suspend`.
    Suspend(Order),
    /// The same as `users resume`.
    Resume(Order),
    /// Sessions and processes of one account, or of all.
    Sessions(Anybody),
    /// Why a person can, or can't, come in: each rule, account, state, and the verdict.
    Explain(Explain),
    /// What a token says and what it comes to here. The token itself is never shown.
    Token(Stdin),
    /// The OpenID providers: what they offer and how they fare.
    Ops(Ops),
    /// Give a person a code for one login, to be typed where ssh asks for the token.
    ///
    /// For whom the provider is down, or whose token can't be pasted. Make sure by other means that
    /// it is that person: you vouch for it, and the audit trail says so. Root only.
    Otp(Whom),
    /// Who tried to use this host with a valid identity that no rule lets in.
    Knocks(Knocks),
    /// Requests for accounts and groups: list, show, accept, reject, forget. Alone it lists.
    Approvals(Approvals),
    /// Mail to the admins.
    Notify(Notify),
    /// Login nodes that share the database: list, forget. Alone it lists.
    Nodes(Nodes),
    /// Local groups, and the groups of providers that they are made from: list, release. Alone it lists.
    ///
    /// Two groups of a provider may become one local name, by shortening or by characters that no
    /// group can have here. The first one has the local group; who asserts another is left out of it,
    /// and the log says so.
    Groups(Groups),
    /// The audit trail: tail, verify, rotate.
    Audit(Audit),
    /// Finish or take back whatever a crash left behind.
    Reconcile,
    /// Take over the accounts that another stack made: names, uids and locks.
    ///
    /// Such accounts are recognised without this when their owners come by. Once they are taken
    /// over, their names and uids go to nobody else, on no node of a cluster, and who is locked out
    /// stays so everywhere. With --requests it takes over what waited for an admin there. Without --apply
    /// it only tells what it would do.
    Import(Import),
    /// Read both configuration files, show what holds or everything that is wrong. Asks no daemon.
    CheckConfig(CheckConfig),
    /// Load the configuration anew without dropping a request; a broken one changes nothing.
    Reload,
    /// Write the completion script for a shell to standard output.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write the manual page to standard output.
    #[command(hide = true)]
    Man,
}

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Users {
    #[command(subcommand)]
    pub(crate) verb: Option<UsersVerb>,
    #[command(flatten)]
    pub(crate) list: List,
}

#[derive(Subcommand)]
pub(crate) enum UsersVerb {
    /// Identities that the daemon knows, with their local names and states.
    List(List),
    /// Everything about one account.
    Show(Whom),
    /// Refuse a person from now on and end the sessions, even without an account.
    Suspend(Order),
    /// Let a person in again.
    Resume(Order),
    /// Leave an account the shell of tier limited, whatever its owner earns.
    Limit(Order),
    /// Give it the shell of its tier again.
    Unlimit(Order),
    /// Take an account away: sessions end, the home is put aside, the name is nobody else's for ever.
    Undeploy(Undeploy),
}

#[derive(Args)]
pub(crate) struct List {
    /// Only accounts in this state: deployed, not_deployed, suspended, limited, ...
    #[arg(long, value_parser = state)]
    pub(crate) state: Option<AccountState>,
    /// Only people of this issuer.
    #[arg(long)]
    pub(crate) iss: Option<Issuer>,
    /// Only those with this text in name, subject or issuer.
    #[arg(long = "match", value_name = "TEXT")]
    pub(crate) matching: Option<String>,
}

fn state(word: &str) -> Result<AccountState, String> {
    serde_json::from_value(serde_json::Value::from(word))
        .map_err(|_| "is no state; they are deployed, not_deployed, pending, suspended, limited, rejected, unknown".to_owned())
}

/// One person.
#[derive(Args)]
pub(crate) struct Whom {
    /// Local user name.
    #[arg(required_unless_present = "sub", conflicts_with_all = ["sub", "iss"])]
    pub(crate) name: Option<UserName>,
    /// Subject of the identity.
    #[arg(long, requires = "iss")]
    pub(crate) sub: Option<Subject>,
    /// Issuer of the identity, as in its tokens.
    #[arg(long, requires = "sub")]
    pub(crate) iss: Option<Issuer>,
}

/// One person, or nobody in particular.
#[derive(Args)]
pub(crate) struct Anybody {
    /// Local user name.
    #[arg(conflicts_with_all = ["sub", "iss"])]
    pub(crate) name: Option<UserName>,
    /// Subject of the identity.
    #[arg(long, requires = "iss")]
    pub(crate) sub: Option<Subject>,
    /// Issuer of the identity, as in its tokens.
    #[arg(long, requires = "sub")]
    pub(crate) iss: Option<Issuer>,
}

fn target(name: Option<UserName>, iss: Option<Issuer>, sub: Option<Subject>) -> Option<Target> {
    match (name, iss, sub) {
        (Some(name), _, _) => Some(Target::Name(name)),
        (None, Some(issuer), Some(subject)) => {
            Some(Target::Identity(Identity::new(issuer, subject)))
        }
        _ => None,
    }
}

impl Whom {
    /// The person; the parser lets nobody through who names none.
    pub(crate) fn target(self) -> Result<Target, super::Failure> {
        target(self.name, self.iss, self.sub).ok_or_else(|| {
            super::Failure::Usage("name a local user, or --sub and --iss".to_owned())
        })
    }
}

impl Anybody {
    /// The person, if one is named.
    pub(crate) fn target(self) -> Option<Target> {
        target(self.name, self.iss, self.sub)
    }
}

#[derive(Args)]
pub(crate) struct Order {
    #[command(flatten)]
    pub(crate) whom: Whom,
    /// Why; it is shown by `users show` and kept in the audit trail.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<Reason>,
}

#[derive(Args)]
pub(crate) struct Undeploy {
    #[command(flatten)]
    pub(crate) order: Order,
    /// Do not ask; needed where nobody can be asked.
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Args)]
pub(crate) struct Explain {
    #[command(flatten)]
    pub(crate) whom: Anybody,
    /// Read the person's access token from standard input and take its claims into account.
    #[arg(long, conflicts_with_all = ["name", "sub", "iss"])]
    pub(crate) token_stdin: bool,
}

#[derive(Args)]
pub(crate) struct Stdin {
    /// Read the token from standard input; it never goes on a command line.
    #[arg(long = "stdin", required = true)]
    pub(crate) _stdin: bool,
}

#[derive(Args)]
pub(crate) struct Ops {
    /// Ask all providers for their metadata and keys now.
    #[arg(long)]
    pub(crate) probe: bool,
}

/// What to do with what another stack left.
#[derive(Args)]
pub(crate) struct Import {
    /// Instead of accounts, take over requests that wait for an admin, from the database of the Python
    /// stack (user_db_location).
    #[arg(long, value_name = "FILE", num_args = 0..=1,
          default_missing_value = "/var/lib/feudal/pending_users.db")]
    pub(crate) requests: Option<PathBuf>,
    /// Do it.
    #[arg(long)]
    pub(crate) apply: bool,
}

/// What to do with the list.
#[derive(Args)]
pub(crate) struct Knocks {
    /// Forget everybody on it.
    #[arg(long)]
    pub(crate) clear: bool,
}

#[derive(Args)]
pub(crate) struct Approvals {
    #[command(subcommand)]
    pub(crate) verb: Option<ApprovalsVerb>,
}

#[derive(Subcommand)]
pub(crate) enum ApprovalsVerb {
    /// Requests that wait, and those that were rejected.
    List,
    /// Everything about one request.
    Show {
        /// Name of the request; its revision may follow after a dot.
        #[arg(value_name = "ID", value_parser = approval_id)]
        id: ApprovalId,
    },
    /// Check everything again and make the account, or join the groups.
    Accept(Decide),
    /// Say no; the person is told so until that ends or is lifted.
    Reject(Decide),
    /// Forget a request, or lift its rejection: the person may ask again.
    Forget(Decide),
}

#[derive(Args)]
pub(crate) struct Decide {
    /// Name and revision of the request, as `list` and mails show it. A request that has changed
    /// since is not touched.
    #[arg(value_name = "ID")]
    pub(crate) reference: ApprovalRef,
    /// Why; it is kept in the audit trail.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<Reason>,
}

fn approval_id(text: &str) -> Result<ApprovalId, ApprovalRefError> {
    ApprovalId::new(text.split('.').next().unwrap_or_default())
}

/// What to do about mail.
#[derive(Args)]
pub(crate) struct Notify {
    /// Send a test mail now, and say what the mail server answered.
    #[arg(long = "test", required = true)]
    pub(crate) _test: bool,
}

#[derive(Args)]
pub(crate) struct Nodes {
    #[command(subcommand)]
    pub(crate) verb: Option<NodesVerb>,
}

#[derive(Subcommand)]
pub(crate) enum NodesVerb {
    /// When each was seen, and what it has still to carry out.
    List,
    /// Wait no longer for a node that does not come back, as for the removal of accounts there.
    Forget {
        /// Its name.
        node: NodeName,
    },
}

#[derive(Args)]
pub(crate) struct Groups {
    #[command(subcommand)]
    pub(crate) verb: Option<GroupsVerb>,
}

#[derive(Subcommand)]
pub(crate) enum GroupsVerb {
    /// Each local group with the group that it is made from, and whose provider named it first.
    List,
    /// Forget what a local group is made from, as when that group was renamed at the provider: the
    /// next one that becomes this name has it. Who is in the group stays in it until then.
    Release {
        /// Name of the local group.
        name: GroupName,
    },
}

#[derive(Args)]
pub(crate) struct Audit {
    #[command(subcommand)]
    pub(crate) verb: AuditVerb,
}

#[derive(Subcommand)]
pub(crate) enum AuditVerb {
    /// The last lines, and those that come.
    Tail(Tail),
    /// Read the whole trail through, over all its files, and find the first line that does not fit.
    Verify {
        /// Read this file, and those put aside beside it, without the daemon.
        #[arg(long, value_name = "PATH")]
        file: Option<PathBuf>,
    },
    /// Put the file aside under the next number and begin a new one.
    Rotate,
}

#[derive(Args)]
pub(crate) struct Tail {
    /// So many lines from the end.
    #[arg(short = 'n', long = "lines", value_name = "N", default_value_t = 20)]
    pub(crate) lines: u32,
    /// Go on with lines that come, until interrupted.
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Only events of this kind: login_granted, login_refused, deployed, suspended, ...
    #[arg(long)]
    pub(crate) event: Option<String>,
    /// Only what is about the person of this local name.
    #[arg(long, conflicts_with_all = ["sub", "iss"])]
    pub(crate) name: Option<UserName>,
    /// Only what is about this subject.
    #[arg(long, requires = "iss")]
    pub(crate) sub: Option<Subject>,
    /// Issuer of that subject.
    #[arg(long, requires = "sub")]
    pub(crate) iss: Option<Issuer>,
}

impl Tail {
    /// The person, if one is named.
    pub(crate) fn target(&self) -> Option<Target> {
        target(self.name.clone(), self.iss.clone(), self.sub.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Command::command().debug_assert();
    }

    #[test]
    fn the_verbs_of_earlier_releases_go_on_to_work() {
        for words in [
            &["motleyctl", "users"][..],
            &["motleyctl", "users", "--json"],
            &["motleyctl", "suspend", "kim"],
            &["motleyctl", "resume", "--iss", "https://op.example", "--sub", "1"],
            &["motleyctl", "status"],
            &["motleyctl", "reconcile"],
            &["motleyctl", "--json", "reload"],
        ] {
            assert!(Command::try_parse_from(words).is_ok(), "{words:?}");
        }
    }

    #[test]
    fn r20_hostile_names_and_half_an_identity_do_not_get_past_the_command_line() {
        for words in [
            &["users", "show", "root"][..],
            &["users", "show", "-rf"],
            &["users", "show", "a b"],
            &["users", "show"],
            &["users", "suspend", "--sub", "1"],
            &["users", "suspend", "kim", "--iss", "https://op.example", "--sub", "1"],
            &["users", "suspend", "kim", "--reason", "two\nlines"],
            &["users", "list", "--state", "happy"],
            &["token"],
            &["explain", "kim", "--token-stdin"],
            &["approvals", "accept", "k7dm3xqp"],
            &["approvals", "accept", "k7dm3xqp.1; reboot"],
            &["approvals", "show", "../../etc"],
        ] {
            let all = std::iter::once("motleyctl").chain(words.iter().copied());
            assert!(Command::try_parse_from(all).is_err(), "{words:?}");
        }
    }
}
