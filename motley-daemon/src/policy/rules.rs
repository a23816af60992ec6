//! Every rule of a provider's section held against one person: what decision and explanation share.

use super::decision::misfit;
use super::missing::Missing;
use super::{NOT_LISTED, OpPolicy};
use crate::verified::Verified;
use serde_json::Value;
use std::fmt;

/// A rule of a provider's section, by its option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// `authorise_all`.
    AuthoriseAll,
    /// `authorised_vos`.
    AuthorisedVos,
    /// `authorised_users`.
    AuthorisedUsers,
    /// `audience`.
    Audience,
}

impl Rule {
    /// Name of the option.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AuthoriseAll => "authorise_all",
            Self::AuthorisedVos => "authorised_vos",
            Self::AuthorisedUsers => "authorised_users",
            Self::Audience => "audience",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a rule is met. Shown as the log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ground {
    /// Everybody is let in.
    Everybody,
    /// Memberships that are required and held, as configured.
    Memberships {
        /// The claim that lists them.
        claim: String,
        /// The memberships.
        held: Vec<String>,
    },
    /// The subject is listed.
    Listed,
    /// The token names one of the audiences.
    Audience,
}

impl fmt::Display for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everybody => f.write_str("authorise_all"),
            Self::Memberships { claim, held } => {
                write!(f, "claim {claim} satisfies {}", held.join(", "))
            }
            Self::Listed => f.write_str("the subject is one of authorised_users"),
            Self::Audience => f.write_str("the token names one of the audiences"),
        }
    }
}

/// Why a rule is not met.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shortfall {
    /// The details for the client.
    pub(super) details: Value,
    /// What is missing.
    pub(super) missing: Missing,
}

/// One rule held against one person.
pub(super) struct Checked {
    pub(super) rule: Rule,
    pub(super) outcome: Result<Ground, Shortfall>,
}

/// All configured rules held against one person.
pub(super) struct Checks {
    /// Rules of which one must be met, in the order in which they count.
    pub(super) admission: Vec<Checked>,
    /// The rule about the audience; `None` where every token is taken.
    pub(super) audience: Option<Checked>,
}

impl Checks {
    pub(super) fn of(op: &OpPolicy, who: &Verified) -> Self {
        let audience = (!op.audience.accepted.is_empty()).then(|| Checked {
            rule: Rule::Audience,
            outcome: op.audience.check(who).map(|()| Ground::Audience),
        });
        Self { admission: admission(op, who), audience }
    }

    /// Why the person is let in, or what was tried.
    pub(super) fn admitted(&self) -> Result<&Ground, Value> {
        let mut tried = Vec::new();
        for checked in &self.admission {
            match &checked.outcome {
                Ok(ground) => return Ok(ground),
                Err(shortfall) => tried.push(shortfall.details.clone()),
            }
        }
        if tried.is_empty() {
            return Err(Value::from("No sub-requirements"));
        }
        Err(misfit(0, 1, tried))
    }

    /// What the audience lacks.
    pub(super) fn audience_shortfall(&self) -> Option<&Shortfall> {
        self.audience.as_ref().and_then(|checked| checked.outcome.as_ref().err())
    }

    /// Everything that stands in the way; nothing when the person is let in.
    pub(super) fn missing(&self) -> Vec<Missing> {
        let mut missing = Vec::new();
        if self.admitted().is_err() {
            let shortfalls = self.admission.iter().filter_map(|one| one.outcome.as_ref().err());
            missing.extend(shortfalls.map(|shortfall| shortfall.missing.clone()));
            if missing.is_empty() {
                missing.push(Missing::AnyRule);
            }
        }
        missing.extend(self.audience_shortfall().map(|shortfall| shortfall.missing.clone()));
        missing
    }
}

fn admission(op: &OpPolicy, who: &Verified) -> Vec<Checked> {
    let mut checked = Vec::new();
    if op.authorise_all {
        checked.push(Checked { rule: Rule::AuthoriseAll, outcome: Ok(Ground::Everybody) });
    }
    if let Some(vos) = &op.vos {
        checked.push(Checked { rule: Rule::AuthorisedVos, outcome: vos.check(who) });
    }
    if !op.users.is_empty() {
        let outcome = match op.users.contains(&who.identity().subject) {
            true => Ok(Ground::Listed),
            false => {
                Err(Shortfall { details: Value::from(NOT_LISTED), missing: Missing::UserListing })
            }
        };
        checked.push(Checked { rule: Rule::AuthorisedUsers, outcome });
    }
    checked
}
