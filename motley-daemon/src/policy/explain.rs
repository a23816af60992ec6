//! Says in words whom a provider's section lets in, and why one person is let in or is not.

use super::missing::{Advice, Missing, advise};
use super::rules::{Checked, Checks, Ground, Rule};
use super::{OpPolicy, TierDecision, VoMatch, VoRule, tier};
use crate::verified::Verified;

/// Whom a provider's section lets in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Kind of authorisation in a few words.
    pub kind: &'static str,
    /// The same in a sentence.
    pub sentence: String,
    /// Required memberships; empty when they do not decide.
    pub supported_vos: Vec<String>,
}

/// What every rule says about one person.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The person is let in. Always what [`super::authorise`] decides.
    pub authorised: bool,
    /// Each configured rule in the order in which they count. One of those about people must be met,
    /// and the one about the audience.
    pub rules: Vec<RuleResult>,
    /// What stands in the way; nothing for those who are let in.
    pub missing: Vec<Missing>,
    /// The tier of the shell.
    pub tier: TierDecision,
}

/// What one rule says about one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleResult {
    /// Which rule.
    pub rule: Rule,
    /// Why it is met, or what is missing.
    pub outcome: Result<Ground, Missing>,
}

/// Describes whom a provider's section lets in.
pub fn describe(op: &OpPolicy) -> Description {
    let (kind, sentence, supported_vos) = match &op.vos {
        _ if op.authorise_all => {
            ("all users", "All users from this OP are authorised.".to_owned(), Vec::new())
        }
        Some(vos) => ("VO-based", describe_vos(vos), vos.required().map(str::to_owned).collect()),
        None if !op.users.is_empty() => (
            "individual users",
            "Users are authorised on an individual basis. Please contact a service administrator \
             to request access."
                .to_owned(),
            Vec::new(),
        ),
        None => (
            "not configured",
            "OP is supported but no authorisation is configured.".to_owned(),
            Vec::new(),
        ),
    };
    Description { kind, sentence, supported_vos }
}

/// Explains what [`super::authorise`] decides about this person, and the tier.
pub fn explain(op: &OpPolicy, who: &Verified) -> Explanation {
    let checks = Checks::of(op, who);
    let missing = checks.missing();
    Explanation {
        authorised: missing.is_empty(),
        rules: checks.admission.iter().chain(&checks.audience).map(result).collect(),
        missing,
        tier: tier(&op.assurance, who),
    }
}

impl Explanation {
    /// Sentences for the person: which rule lets him in, or what he lacks. No value of a claim is in
    /// them.
    pub fn sentences(&self, advice: Advice<'_>) -> Vec<String> {
        if !self.authorised {
            return advise(&self.missing, advice);
        }
        let mut met = self.rules.iter().filter(|result| result.outcome.is_ok());
        let admission = met.next();
        let audience = met.filter(|result| result.rule == Rule::Audience);
        admission.into_iter().chain(audience).map(|result| result.sentence(advice)).collect()
    }
}

impl RuleResult {
    /// The result in a sentence for the person.
    pub fn sentence(&self, advice: Advice<'_>) -> String {
        match &self.outcome {
            Err(missing) => advise(std::slice::from_ref(missing), advice).concat(),
            Ok(Ground::Everybody) => "Everybody of your home organisation is let in.".to_owned(),
            Ok(Ground::Memberships { held, .. }) => {
                format!("You are let in as a member of {}.", held.join(", "))
            }
            Ok(Ground::Listed) => {
                "You are on the list of people who are let in by name.".to_owned()
            }
            Ok(Ground::Audience) => "Your token is meant for this service.".to_owned(),
        }
    }
}

fn result(checked: &Checked) -> RuleResult {
    let outcome = checked.outcome.clone().map_err(|shortfall| shortfall.missing);
    RuleResult { rule: checked.rule, outcome }
}

fn describe_vos(vos: &VoRule) -> String {
    let count = match vos.matching() {
        VoMatch::All => "all".to_owned(),
        VoMatch::ONE => "one".to_owned(),
        VoMatch::AtLeast(count) => count.to_string(),
    };
    format!("Users who are in {count} of the supported VOs are authorised")
}
