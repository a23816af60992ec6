//! What is said to the program and what it may answer: one JSON object each, version 1.

use crate::backend::{Account, BackendError, Intent, Naming};
use motley_proto::{
    GroupName, Identity, Uid, UserName, rest::AccountState, task::AccountPath, text::escape,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

/// Version of what is said here.
const VERSION: u32 = 1;
/// How much of the program's words is told in an error.
const SHOWN: usize = 300;

/// Whom and what an operation concerns.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "operation", rename_all = "snake_case")]
pub(super) enum Operation<'a> {
    Check {},
    PreparedName {
        identity: &'a Identity,
        person: PersonWords<'a>,
    },
    Find {
        identity: &'a Identity,
    },
    ByName {
        name: &'a UserName,
    },
    Accounts {
        after: Option<&'a UserName>,
    },
    IsTaken {
        name: &'a UserName,
    },
    IsUidTaken {
        uid: Uid,
    },
    Deploy {
        identity: &'a Identity,
        name: &'a UserName,
        uid: Option<Uid>,
        person: PersonWords<'a>,
        primary_group: &'a GroupName,
        groups: Vec<&'a GroupName>,
        shell: &'a AccountPath,
        home_base: &'a AccountPath,
    },
    SetGroups {
        identity: &'a Identity,
        name: &'a UserName,
        groups: &'a [GroupName],
    },
    SetShell {
        identity: &'a Identity,
        name: &'a UserName,
        shell: &'a AccountPath,
    },
    Suspend {
        identity: &'a Identity,
        name: &'a UserName,
    },
    Resume {
        identity: &'a Identity,
        name: &'a UserName,
    },
    Limit {
        identity: &'a Identity,
        name: &'a UserName,
    },
    Unlimit {
        identity: &'a Identity,
        name: &'a UserName,
        shell: &'a AccountPath,
    },
    ManagedGroups {
        name: &'a UserName,
    },
    Remove {
        identity: &'a Identity,
        name: &'a UserName,
    },
    RollBack {
        identity: &'a Identity,
        name: &'a UserName,
    },
}

/// What a provider says about a person.
#[derive(Debug, Clone, Serialize)]
pub(super) struct PersonWords<'a> {
    given_name: Option<&'a str>,
    family_name: Option<&'a str>,
    full_name: Option<&'a str>,
    preferred_username: Option<&'a str>,
    email: Option<&'a str>,
    email_verified: bool,
}

impl<'a> From<&'a crate::Person> for PersonWords<'a> {
    fn from(person: &'a crate::Person) -> Self {
        Self {
            given_name: person.given_name.as_deref(),
            family_name: person.family_name.as_deref(),
            full_name: person.full_name.as_deref(),
            preferred_username: person.preferred_username.as_deref(),
            email: person.email.as_deref(),
            email_verified: person.email_verified,
        }
    }
}

impl<'a> Operation<'a> {
    pub(super) fn deploy(intent: &'a Intent) -> Self {
        let primary = &intent.groups.primary;
        let groups = intent.groups.supplementary.iter().filter(|group| *group != primary);
        Self::Deploy {
            identity: &intent.identity,
            name: &intent.name,
            uid: intent.uid,
            person: PersonWords::from(&intent.person),
            primary_group: primary,
            groups: groups.collect(),
            shell: &intent.shell,
            home_base: &intent.home_base,
        }
    }
}

#[derive(Serialize)]
struct Request<'a> {
    version: u32,
    #[serde(flatten)]
    operation: &'a Operation<'a>,
}

/// The text that the program is given.
///
/// # Errors
/// Never for values that the types can hold.
pub(super) fn request(operation: &Operation<'_>) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&Request { version: VERSION, operation })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reply {
    version: u32,
    #[serde(default)]
    done: Option<Value>,
    #[serde(default)]
    error: Option<Refusal>,
}

/// Why the program did not do it.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum Refusal {
    NameTaken {},
    UidTaken {},
    HasAccount { name: UserName },
    NoAccount {},
    Busy {},
    GroupRefused { group: GroupName, why: String },
    Refused { why: String },
    Unsupported { why: String },
    Failed { step: String, why: String },
    Unavailable { why: String, cure: String },
}

/// Why an answer can't be used, or what it refuses.
pub(super) enum Unusable {
    /// It is no answer in the words of this page.
    Garbled(String),
    /// It is an answer: no.
    Refused(BackendError),
}

/// Reads an answer as what the operation yields.
pub(super) fn read<T: DeserializeOwned>(
    operation: &Operation<'_>,
    text: &[u8],
) -> Result<T, Unusable> {
    let garbled = |error: serde_json::Error| Unusable::Garbled(error.to_string());
    let reply: Reply = serde_json::from_slice(text).map_err(garbled)?;
    if reply.version != VERSION {
        let what = format!("version {} is not {VERSION}", reply.version);
        return Err(Unusable::Garbled(what));
    }
    match (reply.done, reply.error) {
        (Some(done), None) => serde_json::from_value(done).map_err(garbled),
        (None, Some(refusal)) => Err(match refusal_of(operation, refusal) {
            Some(error) => Unusable::Refused(error),
            None => Unusable::Garbled("this refusal does not fit the operation".to_owned()),
        }),
        _ => Err(Unusable::Garbled("exactly one of `done` and `error` must be there".to_owned())),
    }
}

fn refusal_of(operation: &Operation<'_>, refusal: Refusal) -> Option<BackendError> {
    let shown = |text: String| escape(&text, SHOWN);
    Some(match (refusal, operation) {
        (Refusal::NameTaken {}, Operation::Deploy { name, .. }) => {
            BackendError::NameTaken((*name).clone())
        }
        (Refusal::UidTaken {}, Operation::Deploy { uid: Some(uid), .. }) => {
            BackendError::UidTaken(*uid)
        }
        (Refusal::HasAccount { name }, Operation::Deploy { .. }) => BackendError::HasAccount(name),
        (Refusal::NameTaken {} | Refusal::UidTaken {} | Refusal::HasAccount { .. }, _) => {
            return None;
        }
        (Refusal::NoAccount {}, _) => BackendError::NoAccount,
        (Refusal::Busy {}, _) => BackendError::Busy,
        (Refusal::GroupRefused { group, why }, _) => {
            BackendError::GroupRefused { group, why: shown(why) }
        }
        (Refusal::Refused { why }, _) => BackendError::Refused(shown(why)),
        (Refusal::Unsupported { why }, _) => BackendError::Unsupported(shown(why)),
        (Refusal::Failed { step, why }, _) => {
            BackendError::Failed { step: shown(step), detail: shown(why) }
        }
        (Refusal::Unavailable { why, cure }, _) => {
            BackendError::Unavailable { what: shown(why), cure: shown(cure) }
        }
    })
}

/// An account as the program tells it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AccountWords {
    identity: Option<Identity>,
    name: UserName,
    uid: Option<u32>,
    gid: Option<u32>,
    home: AccountPath,
    shell: AccountPath,
    state: StateWord,
    groups: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StateWord {
    Deployed,
    Suspended,
    Limited,
}

impl From<AccountWords> for Account {
    fn from(words: AccountWords) -> Self {
        let mut groups: Vec<String> =
            words.groups.iter().map(|group| escape(group, SHOWN)).collect();
        groups.sort();
        groups.dedup();
        Self {
            identity: words.identity,
            name: words.name,
            uid: words.uid,
            gid: words.gid,
            home: words.home.into(),
            shell: words.shell.into(),
            state: match words.state {
                StateWord::Deployed => AccountState::Deployed,
                StateWord::Suspended => AccountState::Suspended,
                StateWord::Limited => AccountState::Limited,
            },
            groups,
        }
    }
}

/// Answer of `find` and `by_name`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Found {
    pub(super) account: Option<AccountWords>,
}

/// Answer of `accounts`: some of them, in the order of their names.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    pub(super) accounts: Vec<AccountWords>,
    pub(super) more: bool,
}

/// Answer of `is_taken` and `is_uid_taken`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Taken {
    pub(super) taken: bool,
}

/// Answer of `deploy`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeployedWords {
    pub(super) account: AccountWords,
    pub(super) created: bool,
    pub(super) joined: Vec<GroupName>,
    pub(super) left: Vec<GroupName>,
}

/// Answer of `set_groups`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Regrouped {
    pub(super) joined: Vec<GroupName>,
    pub(super) left: Vec<GroupName>,
}

/// Answer of `managed_groups`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Managed {
    pub(super) groups: Vec<GroupName>,
}

/// Answer of `prepared_name`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Prepared {
    pub(super) name: Option<UserName>,
}

/// Answer of `check`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Checked {
    pub(super) naming: NamingWord,
}

/// Who decides what an account is called, in the program's words and the configuration's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum NamingWord {
    Offered,
    Numbered,
    Known,
}

impl From<NamingWord> for Naming {
    fn from(word: NamingWord) -> Self {
        match word {
            NamingWord::Offered => Self::Offered,
            NamingWord::Numbered => Self::Numbered,
            NamingWord::Known => Self::Known,
        }
    }
}

/// Answer of an operation that yields nothing.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}
