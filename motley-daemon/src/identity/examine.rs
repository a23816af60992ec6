//! Examines one token with the help of its provider: signature, kind, times, holder, further claims.

use super::claims::{self, TimeRules};
use super::kind::{self, Declared};
use super::provider::{Provider, UserinfoMode};
use super::refusal::{Cure, NoIdentity, NoKey, TokenRefusal};
use super::token::Unverified;
use super::upstream::{Standing, Upstream};
use super::userinfo::{Question, Told, ask_about_signed, open_opaque};
use super::verify::TokenVerifier;
use crate::clock::Timestamp;
use crate::verified::{ClaimMap, ClaimSources, Verified};
use motley_proto::{Identity, Secret};
use std::time::{Duration, Instant};

/// Least time that a question gets, even when the ones before it used up the rest.
const LAST_QUESTION: Duration = Duration::from_millis(500);

/// A verified token, and how it came to its claims.
pub(super) struct Found {
    pub(super) verified: Verified,
    pub(super) refused_from: Option<Timestamp>,
    pub(super) asked: Asked,
}

/// What userinfo was asked, without its claims.
pub(super) enum Asked {
    No(&'static str),
    Answered,
    Nothing(String),
    NotNow(String),
}

impl Asked {
    /// True when asking again soon may bring more.
    pub(super) fn is_incomplete(&self) -> bool {
        matches!(self, Self::NotNow(_))
    }

    fn take_claims(told: Told) -> (Option<ClaimMap>, Self) {
        match told {
            Told::NotAsked(why) => (None, Self::No(why)),
            Told::Claims(claims) => (Some(claims), Self::Answered),
            Told::Nothing(why) => (None, Self::Nothing(why)),
            Told::NotNow(why) => (None, Self::NotNow(why.to_string())),
        }
    }

    /// Vouches for the claims, and tells whether some that were asked for are missing.
    fn attest(
        &self,
        identity: Identity,
        sources: ClaimSources,
        expires: Option<Timestamp>,
    ) -> Verified {
        let verified = Verified::attest(identity, sources, expires);
        match self {
            Self::No(_) | Self::Answered => verified,
            Self::Nothing(_) | Self::NotNow(_) => verified.with_gap(),
        }
    }
}

impl TokenVerifier {
    pub(super) async fn examine_signed(
        &self,
        upstream: &Upstream,
        unverified: Unverified<'_>,
        token: &Secret,
    ) -> Result<Found, TokenRefusal> {
        let begin = Instant::now();
        let unreachable = |why| NoKey::Unreachable { issuer: upstream.name(), why };
        let metadata = upstream.metadata().await.map_err(unreachable)?;
        let own = [upstream.config.issuer.as_str(), metadata.issuer.as_str()];
        if !own.contains(&unverified.issuer()) {
            return Err(TokenRefusal::untrusted(unverified.issuer()));
        }
        upstream.verify_signature(&unverified).await?;
        let declared = unverified.declared();
        let claims = unverified.into_claims();
        kind::check(declared, &claims)?;
        let subject = claims::subject(&claims)?;
        let ends = claims::check_times(&claims, self.clock.now(), self.time_rules())?;
        if declared == Declared::AccessToken {
            upstream.note_rfc9068();
        }
        let told = match reason_not_to_ask(&upstream.config, &claims) {
            Some(why) => Told::NotAsked(why),
            None => {
                let limit = time_left(upstream, begin);
                let standing = Standing::Vouched;
                let question = Question { upstream, metadata: &metadata, token, standing, limit };
                let cure = || cure(&upstream.config, &claims);
                // On the heap, so that what is not asked takes no room in every verification.
                Box::pin(ask_about_signed(question, &subject, cure)).await?
            }
        };
        let (userinfo, asked) = Asked::take_claims(told);
        let identity = Identity::new(metadata.issuer.clone(), subject);
        let sources = ClaimSources { userinfo, introspection: None, token: Some(claims) };
        let verified = asked.attest(identity, sources, ends.expires);
        Ok(Found { verified, refused_from: ends.refused_from, asked })
    }

    /// `standing`: vouched for, if this provider has known the token before.
    pub(super) async fn examine_opaque(
        &self,
        upstream: &Upstream,
        token: &Secret,
        standing: Standing,
    ) -> Result<Found, TokenRefusal> {
        let begin = Instant::now();
        let unreachable = |why| NoIdentity::Unreachable { issuer: upstream.name(), why };
        let metadata = upstream.metadata().await.map_err(unreachable)?;
        let limit = time_left(upstream, begin);
        let question = Question { upstream, metadata: &metadata, token, standing, limit };
        let opened = open_opaque(question, self.clock.now(), self.time_rules());
        let opened = Box::pin(opened).await?;
        let (userinfo, asked) = Asked::take_claims(opened.told);
        let identity = Identity::new(metadata.issuer.clone(), opened.subject);
        let sources = ClaimSources { userinfo, introspection: opened.introspection, token: None };
        let verified = asked.attest(identity, sources, opened.ends.expires);
        Ok(Found { verified, refused_from: opened.ends.refused_from, asked })
    }

    pub(super) fn time_rules(&self) -> TimeRules {
        let max_age = self.settings.max_age;
        TimeRules {
            skew: self.settings.skew,
            max_age: max_age.map(|age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX)),
        }
    }
}

/// Userinfo is asked for every token, or for one that lacks a claim which somebody reads.
fn reason_not_to_ask(config: &Provider, claims: &ClaimMap) -> Option<&'static str> {
    let is_complete = || config.lacking(claims).next().is_none();
    let not_needed = config.userinfo == UserinfoMode::WhenNeeded && is_complete();
    not_needed.then_some("the token has all claims that are needed (userinfo = when_needed)")
}

/// What helps a provider whose userinfo takes none of its signed tokens.
fn cure(config: &Provider, claims: &ClaimMap) -> Cure {
    if config.userinfo == UserinfoMode::Always {
        return Cure::AskLess;
    }
    let lists = config.lacking(claims).map(|choice| choice.names().join(" or "));
    Cure::TellMore(lists.collect::<Vec<_>>().join("; "))
}

/// What is left of the time for one token, and never more than one question may take.
fn time_left(upstream: &Upstream, begin: Instant) -> Duration {
    let left = upstream.config.timeout.saturating_sub(begin.elapsed());
    left.min(upstream.question_limit()).max(LAST_QUESTION)
}
