//! Tasks: the only words that the root helper understands. Each is typed, none carries a command.

use crate::{
    identity::Identity,
    names::{GroupName, Uid, UserName, text_type},
    ssh_key::SshKey,
};
use serde::{Deserialize, Serialize};

/// Why a text is no path that an account may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Does not begin with `/`.
    #[error("is not an absolute path")]
    NotAbsolute,
    /// Longer than 256 bytes.
    #[error("is longer than 256 bytes")]
    TooLong,
    /// Has an empty, `.` or `..` component, or ends in a slash.
    #[error("has an empty component, `.` or `..`")]
    Component,
    /// Has a character other than letters, digits, `_ . - + @ /`: a colon would split the passwd line.
    #[error("has a character that is not allowed (allowed: A-Z a-z 0-9 _ . - + @ /)")]
    Character,
}

fn check_path(text: &str) -> Result<(), PathError> {
    let rest = text.strip_prefix('/').ok_or(PathError::NotAbsolute)?;
    if text.len() > 256 {
        return Err(PathError::TooLong);
    }
    if rest.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(PathError::Component);
    }
    let fits =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b'+' | b'@' | b'/');
    if text.bytes().all(fits) { Ok(()) } else { Err(PathError::Character) }
}

text_type! {
    /// Absolute path of a login shell or home, free of `..` and of anything that splits a passwd line.
    AccountPath, check_path, PathError
}

/// Expiry dates that [`Task::Unexpire`] takes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpiryMarks {
    /// Those that [`Task::Expire`] set.
    Own,
    /// These, and a date as another stack's suspension leaves it: the day on which it was done, while
    /// the ledger held the account. A local admin who expires an account leaves the same.
    OfSuspensions,
}

/// An account that shall exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewAccount {
    /// Whose it is; its text form becomes the gecos field.
    pub identity: Identity,
    /// Name, never used before by another identity.
    pub name: UserName,
    /// Uid, never used before by another identity.
    pub uid: Uid,
    /// Primary group; made if it does not exist.
    pub primary_group: GroupName,
    /// Supplementary groups; made if they do not exist.
    pub groups: Vec<GroupName>,
    /// Login shell.
    pub shell: AccountPath,
    /// Directory in which the home is made, as `HOME_BASE/NAME`.
    pub home_base: AccountPath,
}

/// What root shall do. Every kind but [`Task::Inspect`] names the identity that the account must
/// belong to, and is refused when the ledger says otherwise. None names a path or a group to remove:
/// what is taken away follows from the ledger and the account files alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Task {
    /// Says what is known about a name. Changes nothing.
    Inspect {
        /// The name.
        name: UserName,
    },
    /// Makes an account. Repeating it after a crash finishes what was begun.
    Create(NewAccount),
    /// Takes an existing account into the ledger if its gecos field names exactly this identity.
    Adopt {
        /// Whose account it is said to be.
        identity: Identity,
        /// Its name.
        name: UserName,
    },
    /// Joins and leaves managed supplementary groups; memberships that the local admin gave stay.
    SetGroups {
        /// Whose account it is.
        identity: Identity,
        /// Its name.
        name: UserName,
        /// Groups to be a member of; made if they do not exist.
        join: Vec<GroupName>,
        /// Groups to leave, if motley joined them.
        leave: Vec<GroupName>,
    },
    /// Replaces the primary group that motley gave the account; one that the local admin chose stays.
    SetPrimaryGroup {
        /// Whose account it is.
        identity: Identity,
        /// Its name.
        name: UserName,
        /// The group that takes its place; made if it does not exist.
        group: GroupName,
    },
    /// Sets the login shell.
    SetShell {
        /// Whose account it is.
        identity: Identity,
        /// Its name.
        name: UserName,
        /// The shell; must be one that the helper's own configuration or `/etc/shells` lists.
        shell: AccountPath,
    },
    /// Marks the account expired in shadow, so that no PAM login method works.
    Expire {
        /// Whose account it is.
        identity: Identity,
        /// Its name.
        name: UserName,
    },
    /// Takes that mark back and restores an expiry date that was there before. Dates that the local
    /// admin set ahead stay.
    Unexpire {
        /// Whose account it is.
        identity: Identity,
        /// Its name.
        name: UserName,
        /// Which dates are taken back.
        marks: ExpiryMarks,
    },
    /// Ends all sessions and processes of the account.
    EndSessions {
        /// Whose account it is.
        identity: Identity,
        /// Its name.
        name: UserName,
    },
    /// Holds what would start something for the account without a login: jobs of cron and at are put
    /// aside, and user services no longer outlive sessions. [`Task::EndSessions`] comes next, and holds
    /// what was made in between.
    Hold {
        /// Whose account it is.
        identity: Identity,
        /// Its name.
        name: UserName,
    },
    /// Puts back what [`Task::Hold`] held, as it was.
    Release {
        /// Whose account it is.
        identity: Identity,
        /// Its name.
        name: UserName,
    },
    /// Runs the site's script for new accounts, which root's configuration names, if it is due: once for
    /// each creation, though a crash came between.
    RunHook {
        /// Whose account it is.
        identity: Identity,
        /// Its name.
        name: UserName,
    },
    /// Makes these the keys that motley keeps in the account's `authorized_keys`; lines of its owner
    /// stay. Refused unless root's configuration asks for it.
    SetKeys {
        /// Whose account it is.
        identity: Identity,
        /// Its name.
        name: UserName,
        /// All of them; none takes away what motley wrote before.
        keys: Vec<SshKey>,
    },
    /// Lists sessions and processes of the account. Changes nothing.
    Sessions {
        /// Whose account it is.
        identity: Identity,
        /// Its name.
        name: UserName,
    },
    /// Takes a complete account away: sessions end, the home is put aside, name and uid stay bound to
    /// the identity for ever. Repeating it after a crash finishes what was begun.
    Remove {
        /// Whose account it is.
        identity: Identity,
        /// Its name.
        name: UserName,
    },
    /// Removes an account that a crash left half-made; refused once it was completed.
    RollBack {
        /// Whose account it was to be.
        identity: Identity,
        /// Its name.
        name: UserName,
    },
}

/// What is known about a local account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountFacts {
    /// Name.
    pub name: UserName,
    /// Uid; may be one of the system when the name was not made by motley.
    pub uid: u32,
    /// Gid of the primary group.
    pub gid: u32,
    /// Name of the primary group, if the gid has one.
    pub primary_group: Option<String>,
    /// True if motley gave the account this primary group, by the ledger.
    #[serde(default, skip_serializing_if = "is_false")]
    pub managed_primary: bool,
    /// Supplementary groups, by name, sorted.
    pub groups: Vec<String>,
    /// Those of [`AccountFacts::groups`] that motley joined, by the ledger.
    pub managed_groups: Vec<GroupName>,
    /// Gecos field.
    pub gecos: String,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
    /// True when shadow says that the account has expired.
    pub expired: bool,
    /// Whose it is by the ledger; `None` when motley neither made nor adopted it.
    pub identity: Option<Identity>,
}

/// How many sessions and processes were ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionsEnded {
    /// Sessions that logind or the process table knew.
    pub sessions: u32,
    /// Processes that were sent a signal.
    pub processes: u32,
    /// Processes of the uid that still ran when the time was up.
    pub remaining: u32,
    /// Jobs of cron and at that were put aside.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub jobs_held: u32,
    /// True when user services outlived sessions before, and no longer do.
    #[serde(default, skip_serializing_if = "is_false")]
    pub linger_ended: bool,
}

// The signatures are those that serde asks for.
fn is_zero(number: &u32) -> bool {
    *number == 0
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

/// What is held of an account, or was put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// Jobs of cron and at that were put aside, or back. A crontab counts as one.
    pub jobs: u32,
    /// True when lingering of user services was switched off, or on again.
    pub linger: bool,
    /// Jobs that could not be put back, for others stand in their place. They stay where they are held.
    pub left: u32,
}

/// What became of the site's script for a new account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum HookRun {
    /// There is none, or it was run for this account already.
    NotDue,
    /// It ended, with this exit status; without one a signal ended it.
    Ended(Option<i32>),
    /// It was not started or had to be stopped, and why.
    Failed(String),
}

/// How many keys motley keeps in an account now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeysKept {
    /// Keys that stand in the file now.
    pub keys: u32,
    /// True if the file was changed.
    pub changed: bool,
}

/// One session of an account, by logind where it runs, else a connection of ssh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionFact {
    /// Number that `loginctl` knows, or `ssh:PID`.
    pub id: String,
    /// When it began, in seconds since 1970-01-01.
    pub since: Option<i64>,
    /// Terminal, without `/dev/`.
    pub tty: Option<String>,
    /// Whence it came, if logind knows.
    pub remote_host: Option<String>,
    /// PAM service that opened it.
    pub service: Option<String>,
}

/// One process of an account. Its arguments are nobody else's business and are not told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessFact {
    /// Process id.
    pub pid: u32,
    /// When it began, in seconds since 1970-01-01.
    pub since: Option<i64>,
    /// Name of the program; what is not plain ASCII shows as `?`.
    pub command: String,
    /// Controlling terminal, without `/dev/`.
    pub tty: Option<String>,
}

/// Sessions and processes of one account, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountSessions {
    /// Sessions.
    pub sessions: Vec<SessionFact>,
    /// Processes.
    pub processes: Vec<ProcessFact>,
    /// Sessions and processes that found no room in this answer.
    pub left_out: u32,
}

/// What became of the home of a removed account.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum HomeFate {
    /// There was none.
    #[default]
    Nothing,
    /// It lies at this path now, in a directory of root's.
    Archived(String),
    /// The site wants homes deleted: it lies at this path until all of it is gone.
    Deleting(String),
    /// It stays at this path: it is not of the account alone, a file system of its own, or outside
    /// the directories of homes, or the site wants homes kept.
    Left(String),
}

/// What [`Task::Remove`] did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Removal {
    /// Sessions ended before.
    pub ended: SessionsEnded,
    /// What became of the home.
    pub home: HomeFate,
    /// Primary group that was removed too: motley had made it, and nobody else is in it.
    pub group: Option<GroupName>,
}

/// What root did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TaskDone {
    /// Answer to [`Task::Inspect`]; `None` when no such name exists.
    Inspected(Option<AccountFacts>),
    /// The account exists as asked, and how it looks now.
    Account(AccountFacts),
    /// Groups joined and left by [`Task::SetGroups`], and how the account looks now.
    Groups {
        /// Newly joined.
        joined: Vec<GroupName>,
        /// Left.
        left: Vec<GroupName>,
        /// The account.
        account: AccountFacts,
    },
    /// Sessions ended.
    Sessions(SessionsEnded),
    /// Answer to [`Task::Hold`].
    Held(Held),
    /// Answer to [`Task::Release`].
    Released(Held),
    /// Answer to [`Task::RunHook`].
    Hook(HookRun),
    /// Answer to [`Task::SetKeys`].
    Keys(KeysKept),
    /// Answer to [`Task::Sessions`].
    SessionList(AccountSessions),
    /// The account is gone.
    Removed(Removal),
    /// A half-made account was removed, or was not there.
    RolledBack,
}

/// Why root did not do it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TaskRefusal {
    /// The name belongs to somebody else, now or in the past.
    #[error("the name {0} is taken")]
    NameTaken(UserName),
    /// The uid belongs to somebody else, now or in the past.
    #[error("the uid {0} is taken")]
    UidTaken(Uid),
    /// This identity already has an account of another name.
    #[error("the identity already owns the account {0}")]
    IdentityHasAccount(UserName),
    /// The account is not in the ledger, or belongs to another identity.
    #[error("the account {0} was not made or adopted for this identity")]
    NotManaged(UserName),
    /// No such account.
    #[error("no account {0}")]
    NoSuchAccount(UserName),
    /// A guard forbids it: protected group, shell or home outside what is configured.
    #[error("not allowed: {0}")]
    Forbidden(String),
    /// A group may not be joined or be primary here; everything else about the task may be fine.
    #[error("group {group} is not allowed: {why}")]
    GroupForbidden {
        /// The group.
        group: GroupName,
        /// What stands against it, and what to configure.
        why: String,
    },
    /// Another program holds the lock of the account files; try again.
    #[error("the account files are locked; try again")]
    Busy,
    /// A command or file operation failed.
    #[error("{step} failed: {detail}")]
    Failed {
        /// What was being done.
        step: String,
        /// What the system said, escaped.
        detail: String,
    },
}

/// Answer to a task.
pub type TaskAnswer = Result<TaskDone, TaskRefusal>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r25_paths_that_leave_their_base_or_split_a_line_are_refused() {
        for path in [
            "",
            "home",
            "/home/../etc",
            "/home//x",
            "/home/",
            "/",
            "/a:b",
            "/a\nb",
            "/a b",
            "/./a",
            "/a,b",
        ] {
            assert!(AccountPath::new(path).is_err(), "{path:?}");
        }
        for path in ["/bin/bash", "/home", "/srv/home-1/a.b", "/usr/sbin/nologin"] {
            assert!(AccountPath::new(path).is_ok(), "{path:?}");
        }
    }

    #[test]
    fn r27_a_task_with_an_unknown_field_or_kind_is_no_task() {
        let good = r#"{"inspect":{"name":"jdoe"}}"#;
        assert!(serde_json::from_str::<Task>(good).is_ok());
        for bad in [
            r#"{"inspect":{"name":"jdoe","command":"id"}}"#,
            r#"{"run":{"name":"jdoe"}}"#,
            r#"{"inspect":{"name":"root"}}"#,
            r#"{"inspect":{"name":"jdoe"},"expire":{}}"#,
        ] {
            assert!(serde_json::from_str::<Task>(bad).is_err(), "{bad}");
        }
    }
}
