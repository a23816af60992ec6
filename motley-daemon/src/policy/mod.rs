//! Decides who may log in: a pure function of configuration and verified claims.
//!
//! Fewer claims never grant more: every rule only ever looks for something present.

pub mod assurance;
pub mod audience;
pub mod decision;
pub mod explain;
pub mod missing;
pub mod rules;
pub mod vo;

#[cfg(test)]
mod tests;

pub use assurance::{AssurancePolicy, TierDecision, TierGround, tier};
pub use audience::AudienceRule;
pub use decision::{Decision, Refusal};
pub use explain::{Description, Explanation, RuleResult, describe, explain};
pub use missing::{Advice, Missing, NamedAudience, advise};
pub use rules::{Ground, Rule};
pub use vo::{VoMatch, VoRule};

use crate::verified::Verified;
use decision::{UNSATISFIED, check};
use feudal_plugins::AnyOf;
use motley_proto::{Issuer, Subject};
use rules::Checks;
use serde_json::Value;

/// What a refusal says where a listed subject was required, for clients that show it.
const NOT_LISTED: &str = "Evaluation of: <lambda>";

/// Which people of one provider may do what.
#[derive(Debug, Clone)]
pub struct OpPolicy {
    /// Everybody may log in.
    pub authorise_all: bool,
    /// These may log in.
    pub users: Vec<Subject>,
    /// Members of these may log in.
    pub vos: Option<VoRule>,
    /// Whom a token must be meant for.
    pub audience: AudienceRule,
    /// These may suspend and resume.
    pub admins: Vec<Subject>,
    /// On whose accounts these admins may act.
    pub admin_scope: AdminScope,
    /// How assurance becomes a tier.
    pub assurance: AssurancePolicy,
}

/// On whose accounts the admins of a provider may act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminScope {
    /// On those of their own provider.
    OwnProvider,
    /// On those of every provider.
    AllProviders,
}

/// The claims that [`authorise`] and [`tier`] read, of which one is enough for each rule. A rule that
/// is not configured reads nothing.
pub fn claims_read(op: &OpPolicy) -> Vec<AnyOf> {
    let vos = op.vos.as_ref().filter(|_| !op.authorise_all);
    let audience = !op.audience.accepted.is_empty();
    let assurance = !op.assurance.expressions.is_empty();
    [
        vos.map(|vos| AnyOf::new([vos.claim()])),
        audience.then(|| AnyOf::new(["aud"])),
        assurance.then(|| AnyOf::new(op.assurance.claims.iter().map(String::as_str))),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Grants or refuses a login, a deployment and what else a user does for himself.
///
/// The person must be let in by `authorise_all`, by membership (AARC-G069) or by name, and the
/// token must be meant for this service wherever an audience is configured.
pub fn authorise(op: &OpPolicy, who: &Verified) -> Decision {
    let checks = Checks::of(op, who);
    let audience = checks.audience_shortfall().map(|shortfall| shortfall.details.clone());
    match (checks.admitted(), audience) {
        (Ok(ground), None) => Decision::grant(ground.to_string()),
        (admitted, audience) => {
            let reason = match (&admitted, &audience) {
                (Ok(_), _) => "the token names none of the audiences",
                (Err(_), None) => "no rule of the provider's section lets the person in",
                (Err(_), Some(_)) => {
                    "no rule lets the person in, and the token names none of the audiences"
                }
            };
            let details = [admitted.err(), audience].into_iter().flatten().collect();
            Decision::refuse(reason, check(UNSATISFIED, details), checks.missing())
        }
    }
}

/// Grants or refuses somebody who asks as an admin.
///
/// Only listed subjects are admins; membership and `authorise_all` make none. Their tokens must be
/// meant for this service like those of users.
pub fn authorise_admin(op: &OpPolicy, who: &Verified) -> Decision {
    if op.admins.is_empty() {
        let details = Value::from("Requirement is unsatisfiable");
        let reason = "the provider has no authorised_admins";
        return Decision::refuse(reason, details, [Missing::AdminListing]);
    }
    if !op.admins.contains(&who.identity().subject) {
        let reason = "the subject is not one of authorised_admins";
        return Decision::refuse(reason, Value::from(NOT_LISTED), [Missing::AdminListing]);
    }
    match op.audience.check(who) {
        Ok(()) => Decision::grant("the subject is one of authorised_admins"),
        Err(shortfall) => {
            let reason = "the admin's token names none of the audiences";
            Decision::refuse(reason, shortfall.details, [shortfall.missing])
        }
    }
}

/// Grants or refuses an admin of the issuer `own` to act on people of the `target` issuer, in
/// whatever form the request names it.
pub fn authorise_target(op: &OpPolicy, own: &Issuer, target: &str) -> Decision {
    if target.is_empty() {
        return Decision::refuse(
            "the request names no issuer",
            Value::from(vec!["Empty 'iss' given"]),
            [Missing::TargetIssuer],
        );
    }
    if Issuer::canonical(target) == Issuer::canonical(own.as_str()) {
        return Decision::grant("an admin of the same provider");
    }
    if op.admin_scope == AdminScope::AllProviders {
        return Decision::grant("an admin for all providers");
    }
    let details = Value::from(vec![format!(
        "Admin from issuer {} is not authorised to manage users of issuer '{target}'",
        own.trimmed()
    )]);
    let reason = "the admin may not act on people of another provider";
    Decision::refuse(reason, details, [Missing::OtherProvider])
}
