//! Why somebody can, or can't, come in; what a token says; how the providers fare.

use super::{Admin, nobody};
use crate::{
    account::AccountError,
    config::OpConfig,
    policy::{self, Explanation, OpPolicy, RuleResult, missing::Advice},
    verified::Verified,
};
use feudal_plugins::entitlement::g069::parse_g069;
use motley_proto::{
    Identity, Issuer, Secret,
    admin::{
        AccountDetails, AdminAnswer, EntitlementFact, EntitlementParts, PersonFact, PreviewFact,
        RuleFact, SectionFact, Target, TokenReport, Verdict, WhyReport,
    },
    facts::{OutcomeFact, fit_providers},
    peer::Peer,
    rest::AccountState,
    text::escape,
};
use serde_json::Value;
use std::sync::Arc;

/// Claims in which entitlements come (AARC-G069 §3, eduPerson).
const ENTITLEMENT_CLAIMS: [&str; 3] =
    ["entitlements", "eduperson_entitlement", "eduperson_entitlements"];
/// Longest text of one claim that is shown, in characters.
const VALUE_CHARACTERS: usize = 300;
/// Bytes of each list of a person that are shown: the answer must fit into a frame.
const LIST_BYTES: usize = 4 * 1024;
/// Bytes of all facts about providers.
const PROVIDERS_BYTES: usize = 56 * 1024;

impl Admin {
    pub(super) async fn providers(
        &self,
        probe: bool,
        peer: Peer,
    ) -> Result<AdminAnswer, AccountError> {
        let all = if probe {
            self.note(peer, "ops --probe")?;
            self.verifier.probe().await
        } else {
            self.verifier.providers_status()
        };
        Ok(AdminAnswer::Providers(fit_providers(all, PROVIDERS_BYTES)))
    }

    pub(super) async fn token(
        &self,
        token: &Secret,
        peer: Peer,
    ) -> Result<AdminAnswer, AccountError> {
        self.note(peer, "token")?;
        let (report, _) = self.examine(token).await;
        Ok(AdminAnswer::Token(Box::new(report)))
    }

    async fn examine(&self, token: &Secret) -> (TokenReport, Option<Arc<Verified>>) {
        let inspection = self.verifier.inspect(token, None).await;
        let verified = inspection.result.ok();
        let person = verified.as_ref().and_then(|verified| {
            let op = self.admission.op_of(verified)?;
            Some(person(op, verified))
        });
        (TokenReport { token: inspection.facts, person }, verified)
    }

    pub(super) async fn why_token(
        &self,
        token: &Secret,
        peer: Peer,
    ) -> Result<AdminAnswer, AccountError> {
        self.note(peer, "explain --token-stdin")?;
        let (mut report, verified) = self.examine(token).await;
        // Those who want to see every claim ask for the token alone.
        report.token.header.clear();
        report.token.claims.clear();
        let Some(verified) = verified else { return Ok(unproven(report)) };
        let preview = self.preview(&verified).await?;
        let mut why = self.about(verified.identity()).await?;
        let authorised = report.person.as_ref().is_some_and(|person| person.authorised);
        why.verdict = match refusal(&report) {
            Some(because) if !authorised => refused(because),
            _ => by_state(&why, &preview),
        };
        why.token = Some(report);
        why.preview = Some(preview);
        Ok(AdminAnswer::Why(Box::new(why)))
    }

    pub(super) async fn why(&self, target: Target) -> Result<AdminAnswer, AccountError> {
        let Some(identity) = self.identity(target).await? else { return Ok(nobody()) };
        let mut why = self.about(&identity).await?;
        why.verdict = without_claims(&why);
        Ok(AdminAnswer::Why(Box::new(why)))
    }

    /// What is known about somebody who has shown no token. The verdict is still to come.
    async fn about(&self, identity: &Identity) -> Result<WhyReport, AccountError> {
        let op = self.op(&identity.issuer);
        let account = self.details(identity).await?;
        let state = match &account {
            Some(account) => account.state,
            None => self.accounts().standing(identity).await?.state,
        };
        Ok(WhyReport {
            section: op.map_or_else(no_section, |op| section(op, identity)),
            is_admin: op.is_some_and(|op| op.policy.admins.contains(&identity.subject)),
            identity: Some(identity.clone()),
            token: None,
            account,
            state,
            preview: None,
            verdict: Verdict { let_in: None, because: String::new() },
        })
    }

    fn op(&self, issuer: &Issuer) -> Option<&OpConfig> {
        self.config.ops.iter().find(|op| op.issuer.trimmed() == issuer.trimmed())
    }

    async fn preview(&self, verified: &Verified) -> Result<PreviewFact, AccountError> {
        let preview = self.accounts().preview(verified).await?;
        let mut fact = PreviewFact {
            name: preview.name.map(|name| name.to_string()),
            candidates: preview.candidates.iter().map(ToString::to_string).collect(),
            ..PreviewFact::default()
        };
        match preview.groups {
            Some(Ok(groups)) => {
                let others = groups.supplementary.iter().filter(|it| **it != groups.primary);
                fact.groups = std::iter::once(&groups.primary)
                    .chain(others)
                    .map(ToString::to_string)
                    .collect();
                let dropped = groups.dropped.iter();
                let dropped =
                    dropped.map(|it| format!("{}: {}", escape(&it.group, 100), it.reason));
                fact.dropped = bounded(dropped).0;
            }
            Some(Err(problem)) => fact.problem = Some(escape(&problem, VALUE_CHARACTERS)),
            None => {}
        }
        Ok(fact)
    }
}

fn unproven(report: TokenReport) -> AdminAnswer {
    let because = refusal(&report).unwrap_or_else(|| "the token proves nothing".to_owned());
    AdminAnswer::Why(Box::new(WhyReport {
        identity: None,
        section: no_section(),
        is_admin: false,
        token: Some(report),
        account: None,
        state: AccountState::Unknown,
        preview: None,
        verdict: refused(because),
    }))
}

/// What the token or the rules have against this person.
fn refusal(report: &TokenReport) -> Option<String> {
    if let OutcomeFact::Refused { reason, .. } = &report.token.outcome {
        return Some(reason.clone());
    }
    let person = report.person.as_ref()?;
    let unmet = person.rules.iter().filter(|rule| rule.met == Some(false));
    let unmet: Vec<&str> = unmet.map(|rule| rule.because.as_str()).collect();
    Some(if unmet.is_empty() { "no rule lets the person in".to_owned() } else { unmet.join(" ") })
}

fn refused(because: impl AsRef<str>) -> Verdict {
    Verdict {
        let_in: Some(false),
        because: format!("would be refused because: {}", because.as_ref()),
    }
}

/// The verdict about somebody whom the rules let in.
fn by_state(why: &WhyReport, preview: &PreviewFact) -> Verdict {
    if let Some(verdict) = kept_out(why) {
        return verdict;
    }
    let name = why.account.as_ref().and_then(|account| account.name.as_ref());
    let granted = |because| Verdict { let_in: Some(true), because };
    match (why.state, name.map(ToString::to_string), &preview.name) {
        (AccountState::Deployed, Some(name), _) => granted(format!("would be let in as {name}")),
        (AccountState::Limited, Some(name), _) => {
            granted(format!("would be let in as {name}, with the shell of tier limited"))
        }
        (AccountState::NotDeployed, _, Some(name)) => granted(format!(
            "would be let in as {name} once the account is made, which `mccli ssh` does at the first \
             login"
        )),
        (AccountState::NotDeployed, _, None) => {
            let problem =
                preview.problem.as_deref().unwrap_or("every name that could be made is taken");
            refused(format!("no account can be made: {problem}"))
        }
        (state, ..) => refused(format!("the account is {state}")),
    }
}

/// What keeps somebody out whatever his token says.
fn kept_out(why: &WhyReport) -> Option<Verdict> {
    let account = why.account.as_ref();
    let by = |mark: Option<&motley_proto::admin::Mark>| {
        mark.map(|mark| format!(" (by {})", mark.by)).unwrap_or_default()
    };
    match why.state {
        AccountState::Suspended => {
            let by = by(account.and_then(|account| account.suspended.as_ref()));
            Some(refused(format!(
                "the person is suspended{by}; `motleyctl users resume` lifts that"
            )))
        }
        AccountState::Limited if !account.is_some_and(works) => {
            let by = by(account.and_then(|account| account.limited.as_ref()));
            let cure = "`motleyctl users unlimit` lifts that, unless it is the shell of his tier";
            Some(refused(format!("the account has a shell in which nobody can work{by}; {cure}")))
        }
        AccountState::Unknown => Some(Verdict {
            let_in: None,
            because: "the account can't be looked at just now; `motleyctl status` may say why"
                .to_owned(),
        }),
        _ => None,
    }
}

fn works(account: &AccountDetails) -> bool {
    account
        .shell
        .as_deref()
        .is_some_and(|shell| !shell.ends_with("/nologin") && !shell.ends_with("/false"))
}

fn without_claims(why: &WhyReport) -> Verdict {
    if !why.section.configured {
        let cure =
            "add a section [authorisation.NAME] with its op_url, if its people shall come in";
        return refused(format!("the provider is not configured; {cure}"));
    }
    if let Some(verdict) = kept_out(why) {
        return verdict;
    }
    let (audience, people): (Vec<_>, Vec<_>) =
        why.section.rules.iter().partition(|rule| rule.rule == "audience");
    let met = people.iter().any(|rule| rule.met == Some(true));
    let open = people.iter().any(|rule| rule.met.is_none());
    match (met, open, audience.is_empty()) {
        (false, false, _) => {
            let cure = "add authorise_all, authorised_vos or the subject to authorised_users";
            refused(format!("no rule of the provider's section lets the person in; {cure}"))
        }
        (true, _, true) => Verdict {
            let_in: Some(true),
            because: "would be let in with any good token of his".to_owned(),
        },
        _ => Verdict {
            let_in: None,
            because: "it depends on his token; show it with `motleyctl explain --token-stdin`"
                .to_owned(),
        },
    }
}

fn no_section() -> SectionFact {
    SectionFact { configured: false, lets_in: None, rules: Vec::new() }
}

fn section(op: &OpConfig, identity: &Identity) -> SectionFact {
    SectionFact {
        configured: true,
        lets_in: Some(policy::describe(&op.policy).sentence),
        rules: rules_alone(&op.policy, identity),
    }
}

/// The rules as far as they can be told without claims.
fn rules_alone(policy: &OpPolicy, identity: &Identity) -> Vec<RuleFact> {
    let rule = |rule: &str, met, because: String| RuleFact { rule: rule.to_owned(), met, because };
    let mut rules = Vec::new();
    if policy.authorise_all {
        let because = "everybody of the provider is let in".to_owned();
        rules.push(rule("authorise_all", Some(true), because));
    }
    if let Some(vos) = &policy.vos {
        let required: Vec<&str> = vos.required().collect();
        let because = format!("memberships that count: {}", required.join(", "));
        rules.push(rule("authorised_vos", None, escape(&because, 2000)));
    }
    if !policy.users.is_empty() {
        let listed = policy.users.contains(&identity.subject);
        let because = if listed { "the subject is listed" } else { "the subject is not listed" };
        rules.push(rule("authorised_users", Some(listed), because.to_owned()));
    }
    if !policy.audience.accepted.is_empty() {
        let because = format!("the token must name {}", policy.audience.text);
        rules.push(rule("audience", None, escape(&because, 2000)));
    }
    rules
}

fn person(op: &OpConfig, verified: &Verified) -> PersonFact {
    let explanation = policy::explain(&op.policy, verified);
    let (scopes, scopes_left) = bounded(scopes(verified).into_iter());
    let (assurance, assurance_left) = bounded(explanation.tier.values.iter().cloned());
    let (texts, texts_left) = bounded(entitlements(verified).into_iter());
    PersonFact {
        identity: verified.identity().clone(),
        scopes,
        entitlements: texts.into_iter().map(entitlement).collect(),
        assurance,
        tier: explanation.tier.tier.as_str().to_owned(),
        tier_because: escape(&explanation.tier.reason, VALUE_CHARACTERS),
        rules: rules_met(op, &explanation),
        authorised: explanation.authorised,
        left_out: scopes_left.saturating_add(assurance_left).saturating_add(texts_left),
    }
}

fn rules_met(op: &OpConfig, explanation: &Explanation) -> Vec<RuleFact> {
    let advice = Advice { scopes: &op.scopes, contact: None };
    let fact = |result: &RuleResult| RuleFact {
        rule: result.rule.to_string(),
        met: Some(result.outcome.is_ok()),
        because: match &result.outcome {
            Ok(ground) => escape(&ground.to_string(), 2000),
            Err(_) => escape(&result.sentence(advice), 2000),
        },
    };
    explanation.rules.iter().map(fact).collect()
}

/// RFC 8693 §4.2, RFC 9068 §2.2.3; some providers write a list.
fn scopes(verified: &Verified) -> Vec<String> {
    let claim = verified.claim("scope").or_else(|| verified.claim("scp"));
    match claim {
        Some(Value::String(text)) => text.split_whitespace().map(str::to_owned).collect(),
        Some(other) => texts(other),
        None => Vec::new(),
    }
}

fn entitlements(verified: &Verified) -> Vec<String> {
    let mut found: Vec<String> = ENTITLEMENT_CLAIMS
        .iter()
        .filter_map(|claim| verified.claim(claim))
        .flat_map(texts)
        .collect();
    found.sort();
    found.dedup();
    found
}

fn texts(claim: &Value) -> Vec<String> {
    match claim {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

fn entitlement(text: String) -> EntitlementFact {
    let parts = parse_g069(&text).map(|read| {
        let namespace = [read.namespace_id, read.delegated_namespace];
        let namespace =
            namespace.into_iter().chain(read.subnamespaces).collect::<Vec<_>>().join(":");
        EntitlementParts {
            namespace,
            group: std::iter::once(read.group).chain(read.subgroups).collect(),
            role: read.role,
            authority: read.authority,
        }
    });
    EntitlementFact { text, parts }
}

/// As many as have room, escaped, and how many have none.
fn bounded(texts: impl Iterator<Item = String>) -> (Vec<String>, u32) {
    let (mut kept, mut bytes, mut left_out) = (Vec::new(), 0usize, 0u32);
    for text in texts {
        let text = escape(&text, VALUE_CHARACTERS);
        bytes = bytes.saturating_add(text.len());
        if bytes <= LIST_BYTES {
            kept.push(text);
        } else {
            left_out = left_out.saturating_add(1);
        }
    }
    (kept, left_out)
}
