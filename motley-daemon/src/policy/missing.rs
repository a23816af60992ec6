//! What somebody lacks who is refused, and how he is told so that he can act on it.

use super::VoMatch;

/// One thing without which a rule is not met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// The person's provider is not configured.
    Provider,
    /// The provider's section has no rule that lets anybody in.
    AnyRule,
    /// The subject in `authorised_users`.
    UserListing,
    /// Memberships of `authorised_vos`.
    Memberships {
        /// How many are needed.
        matching: VoMatch,
        /// How many of them the person has.
        held: usize,
        /// The others, as configured.
        lacking: Vec<String>,
    },
    /// The claim that lists memberships, as a whole.
    MembershipClaim {
        /// Its name.
        claim: String,
        /// Required memberships, as configured.
        required: Vec<String>,
        /// Scopes that the token says it was given; `None` when it does not say.
        granted_scopes: Option<Vec<String>>,
    },
    /// One of the audiences in the token.
    Audience {
        /// The audiences of which one is needed.
        accepted: Vec<String>,
        /// What the token says instead.
        named: NamedAudience,
    },
    /// The subject in `authorised_admins`.
    AdminListing,
    /// The right to act on people of another provider.
    OtherProvider,
    /// The issuer in the request of an admin.
    TargetIssuer,
}

/// For whom a refused token is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedAudience {
    /// It does not say.
    Nobody,
    /// For others.
    Others,
}

/// What a service knows that helps those who are refused.
#[derive(Debug, Clone, Copy, Default)]
pub struct Advice<'a> {
    /// Scopes with which a token should be asked for.
    pub scopes: &'a [String],
    /// Whom to turn to.
    pub contact: Option<&'a str>,
}

/// One sentence or two about each missing thing. No value of any claim is in them.
pub fn advise(missing: &[Missing], advice: Advice<'_>) -> Vec<String> {
    missing.iter().map(|one| sentence(one, advice)).collect()
}

fn sentence(missing: &Missing, advice: Advice<'_>) -> String {
    let contact = advice.contact.unwrap_or("the administrators of this service");
    match missing {
        Missing::Provider => format!(
            "This service does not work with your home organisation. Ask {contact} whether it can."
        ),
        Missing::AnyRule => format!(
            "This service knows your home organisation, but lets none of its people in so far. \
             Ask {contact} for access."
        ),
        Missing::UserListing => format!(
            "You are not on the list of people who are let in by name. Ask {contact} to add you."
        ),
        Missing::Memberships { matching, held, lacking } => {
            memberships(*matching, *held, lacking, contact)
        }
        Missing::MembershipClaim { claim, required, granted_scopes } => {
            no_claim(claim, required, granted_scopes.as_deref(), advice)
        }
        Missing::Audience { accepted, named } => audience(accepted, *named),
        Missing::AdminListing => {
            format!("You are not an admin of this service. Ask {contact} if you should be.")
        }
        Missing::OtherProvider => {
            "You may act on people of your own home organisation only.".to_owned()
        }
        Missing::TargetIssuer => {
            "The request does not say of which home organisation the person is.".to_owned()
        }
    }
}

fn memberships(matching: VoMatch, held: usize, lacking: &[String], contact: &str) -> String {
    let ask = |whom: &str| format!("Ask {whom} managers, or {contact}, to add you.");
    let list = lacking.join(", ");
    let needed = match matching {
        _ if lacking.len() == 1 => {
            return format!("You are not a member of {list}. {}", ask("its"));
        }
        VoMatch::All => {
            return format!(
                "You are not a member of {list}, and all of them are needed. {}",
                ask("their")
            );
        }
        VoMatch::ONE => {
            return format!(
                "You are a member of none of {list}. One of them is enough. {}",
                ask("their")
            );
        }
        VoMatch::AtLeast(needed) => needed,
    };
    format!(
        "Membership in {needed} groups is needed, and you are in {held} of those that count. You \
         are not a member of {list}. {}",
        ask("their")
    )
}

fn no_claim(
    claim: &str,
    required: &[String],
    granted: Option<&[String]>,
    advice: Advice<'_>,
) -> String {
    let list = required.join(", ");
    let mut text = format!(
        "Your home organisation says nothing about your memberships (claim {claim}), and {list} is \
         looked for there."
    );
    let is_lacking = |scope: &&String| granted.is_none_or(|granted| !granted.contains(scope));
    let lacking: Vec<&str> = advice.scopes.iter().filter(is_lacking).map(String::as_str).collect();
    match (granted, lacking.as_slice()) {
        (_, []) => text += " Ask your home organisation why it does not tell them.",
        (Some(_), lacking) => {
            text += &format!(
                " Your token lacks the scope {}; ask for a token that has it.",
                lacking.join(" ")
            );
        }
        (None, all) => text += &format!(" Ask for a token with the scopes {}.", all.join(" ")),
    }
    text
}

fn audience(accepted: &[String], named: NamedAudience) -> String {
    let what = match named {
        NamedAudience::Nobody => "Your token does not say for which service it is meant",
        NamedAudience::Others => "Your token is meant for another service",
    };
    format!("{what}. Ask for a token with the audience {}.", accepted.join(" or "))
}
