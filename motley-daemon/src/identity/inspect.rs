//! Tells an admin all that can be told about one token: what it says, and what became of it here.

use super::claims;
use super::examine::{Asked, Found};
use super::provider::Provider;
use super::refusal::TokenRefusal;
use super::remembered::TokenHash;
use super::token::{self, Peek, Presented};
use super::upstream::Upstream;
use super::verify::TokenVerifier;
use crate::clock::Timestamp;
use crate::verified::{ClaimMap, Verified};
use motley_proto::facts::{
    IssuerFact, MemberFact, OutcomeFact, TimeFact, TokenFacts, UserinfoFact,
};
use motley_proto::text::escape;
use motley_proto::{Issuer, Secret};
use serde_json::Value;
use std::sync::Arc;

/// Most characters of a member's name and value that are shown.
const NAME_CHARACTERS: usize = 80;
const VALUE_CHARACTERS: usize = 600;
/// Most bytes of header and payload together that are shown: the answer must fit into a frame.
const SHOWN_BYTES: usize = 32 * 1024;
/// Claims that are dates.
const DATES: [&str; 4] = ["iat", "nbf", "exp", "auth_time"];

/// All that is known about one token.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// For the admin: plain, escaped, bounded; without the token and its signature.
    pub facts: TokenFacts,
    /// What the verification came to.
    pub result: Result<Arc<Verified>, TokenRefusal>,
}

impl TokenVerifier {
    /// Verifies a token anew, whatever is remembered, and tells everything about it. Remembers
    /// nothing. Sends it to no other provider than [`TokenVerifier::verify`] would.
    pub async fn inspect(&self, token: &Secret, hint: Option<&Issuer>) -> Inspection {
        let peek = token::peek(token.expose());
        let (result, shown_to) = self.examine_anew(token, hint).await;
        let upstream = shown_to.map(AsRef::as_ref);
        let (verified, asked) = match result {
            Ok(found) => (Ok(Arc::new(found.verified)), Some(found.asked)),
            Err(refusal) => (Err(refusal), None),
        };
        let facts = self.facts(token, peek, upstream, &verified, asked);
        Inspection { facts, result: verified }
    }

    /// Also says which provider was responsible, or was shown an opaque token last.
    async fn examine_anew(
        &self,
        token: &Secret,
        hint: Option<&Issuer>,
    ) -> (Result<Found, TokenRefusal>, Option<&Arc<Upstream>>) {
        match token::read(token.expose()) {
            Err(refusal) => (Err(refusal), None),
            Ok(Presented::Signed(unverified)) => match self.responsible(unverified.issuer()) {
                None => (Err(TokenRefusal::untrusted(unverified.issuer())), None),
                Some((_, upstream)) => {
                    (self.examine_signed(upstream, *unverified, token).await, Some(upstream))
                }
            },
            Ok(Presented::Opaque) => {
                let hash = TokenHash::of(token);
                let named = match self.named_providers(&hash, hint) {
                    Ok(named) => named,
                    Err(why) => return (Err(why.into()), None),
                };
                let mut last = (Err(super::refusal::NoIdentity::ProviderUnknown.into()), None);
                for (at, upstream) in named {
                    let standing = self.standing(&hash, at);
                    last = (self.examine_opaque(upstream, token, standing).await, Some(upstream));
                    if last.0.is_ok() {
                        break;
                    }
                }
                last
            }
        }
    }

    fn facts(
        &self,
        token: &Secret,
        peek: Peek,
        upstream: Option<&Upstream>,
        result: &Result<Arc<Verified>, TokenRefusal>,
        asked: Option<Asked>,
    ) -> TokenFacts {
        let now = self.clock.now();
        let mut room = Room { left: SHOWN_BYTES, left_out: 0 };
        let (header, claims) = (room.show(peek.header.as_ref()), room.show(peek.claims.as_ref()));
        let verified = result.as_ref().ok();
        let introspection = verified.and_then(|good| good.sources().introspection.as_ref());
        let key = match (upstream, token::read(token.expose())) {
            (Some(upstream), Ok(Presented::Signed(signed))) => upstream.key_fact(&signed),
            _ => None,
        };
        let configured = upstream.map(|one| &one.config);
        let lacking = configured.zip(peek.claims.as_ref());
        TokenFacts {
            kind: peek.kind,
            header,
            claims,
            left_out: room.left_out,
            issuer: issuer_fact(peek.claims.as_ref(), configured),
            key,
            times: times(peek.claims.as_ref().or(introspection), now),
            lacking: lacking.map_or_else(Vec::new, |(config, claims)| {
                config.lacking(claims).map(|choice| choice.names().to_vec()).collect()
            }),
            userinfo: userinfo_fact(result, asked),
            outcome: outcome(result),
        }
    }
}

/// Room for what is shown.
struct Room {
    left: usize,
    left_out: u32,
}

impl Room {
    fn show(&mut self, members: Option<&ClaimMap>) -> Vec<MemberFact> {
        let mut shown = Vec::new();
        for (name, value) in members.into_iter().flatten() {
            let value = escape(&value.to_string(), VALUE_CHARACTERS);
            let fact = MemberFact { name: escape(name, NAME_CHARACTERS), value };
            // As JSON, a quote or backslash takes two bytes.
            let takes = 2 * (fact.name.len() + fact.value.len()) + 32;
            match self.left.checked_sub(takes) {
                Some(left) => {
                    self.left = left;
                    shown.push(fact);
                }
                None => self.left_out += 1,
            }
        }
        shown
    }
}

fn issuer_fact(claims: Option<&ClaimMap>, configured: Option<&Provider>) -> IssuerFact {
    let named = claims.and_then(|claims| claims.get("iss")).and_then(Value::as_str);
    match (named, configured) {
        (None, None) => IssuerFact::None,
        (Some(named), None) => IssuerFact::NotConfigured { named: escape(named, 256) },
        (named, Some(config)) => IssuerFact::Configured {
            named: escape(named.unwrap_or(config.issuer.as_str()), 256),
            configured: config.issuer.clone(),
        },
    }
}

fn times(claims: Option<&ClaimMap>, now: Timestamp) -> Vec<TimeFact> {
    let Some(claims) = claims else { return Vec::new() };
    let time = |claim: &'static str| {
        let at = claims::date(claims, claim).ok()??;
        Some(TimeFact { claim: claim.to_owned(), at: at.0, from_now: at.0.saturating_sub(now.0) })
    };
    DATES.into_iter().filter_map(time).collect()
}

fn userinfo_fact(
    result: &Result<Arc<Verified>, TokenRefusal>,
    asked: Option<Asked>,
) -> UserinfoFact {
    let not_asked = |why: &str| UserinfoFact::NotAsked { why: why.to_owned() };
    match (result, asked) {
        (Ok(verified), Some(Asked::Answered)) => {
            let sources = verified.sources();
            let is_new = |name: &&String| {
                let others = [&sources.introspection, &sources.token];
                !others.into_iter().flatten().any(|claims| claims.contains_key(name.as_str()))
            };
            let told = sources.userinfo.iter().flat_map(ClaimMap::keys).filter(is_new);
            let added = told.take(100).map(|name| escape(name, NAME_CHARACTERS));
            UserinfoFact::Answered { added: added.collect() }
        }
        (_, Some(Asked::Nothing(why) | Asked::NotNow(why))) => UserinfoFact::Nothing { why },
        (_, Some(Asked::No(why))) => not_asked(why),
        (Err(TokenRefusal::Revoked { .. } | TokenRefusal::Disagreement { .. }), None) => {
            UserinfoFact::Nothing { why: "its answer refuses the token".to_owned() }
        }
        _ => not_asked("the verification ended before"),
    }
}

fn outcome(result: &Result<Arc<Verified>, TokenRefusal>) -> OutcomeFact {
    match result {
        Ok(verified) => OutcomeFact::Good {
            identity: verified.identity().clone(),
            expires: verified.expires().map(|end| end.0),
        },
        Err(refusal) => OutcomeFact::Refused {
            kind: refusal.kind().to_owned(),
            description: escape(&refusal.description(), 500),
            reason: escape(&refusal.reason(), 1000),
            is_transient: refusal.is_transient(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn r03_a_huge_or_hostile_payload_is_shown_escaped_and_within_its_room() {
        let mut claims = ClaimMap::new();
        claims.insert("name".to_owned(), json!("a\u{202e}b\u{1b}[2J"));
        for number in 0..1000 {
            claims.insert(format!("c{number}"), json!("\u{202e}\"".repeat(3000)));
        }
        let mut room = Room { left: SHOWN_BYTES, left_out: 0 };
        let shown = room.show(Some(&claims));
        assert_eq!(shown.len() + room.left_out as usize, 1001);
        assert!(room.left_out > 0);
        assert!(serde_json::to_vec(&shown).unwrap().len() < SHOWN_BYTES);
        let visible =
            |fact: &MemberFact| fact.value.chars().all(|c| !c.is_control() && c != '\u{202e}');
        assert!(shown.iter().all(visible));
    }
}
