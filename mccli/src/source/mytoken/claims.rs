//! What a mytoken says about itself: its server, what it is good for, and how long.

use crate::claims::Claims;
use motley_proto::{Secret, text::escape};
use serde::Deserialize;

/// Longest list that is shown, in characters.
const SHOWN: usize = 300;

/// The claims of a mytoken that is a JWT.
#[derive(Deserialize)]
pub(super) struct MytokenClaims {
    /// Its server.
    #[serde(rename = "iss")]
    pub(super) server: String,
    /// The provider of its access tokens.
    #[serde(rename = "oidc_iss")]
    pub(super) issuer: Option<String>,
    exp: Option<f64>,
    nbf: Option<f64>,
    #[serde(default)]
    capabilities: Vec<String>,
    #[serde(default)]
    restrictions: Vec<Restriction>,
    #[serde(default)]
    rotation: Rotation,
}

/// One way in which it may be used.
#[derive(Deserialize)]
struct Restriction {
    nbf: Option<f64>,
    exp: Option<f64>,
    scope: Option<String>,
    #[serde(default)]
    audience: Vec<String>,
    #[serde(default)]
    hosts: Vec<String>,
    #[serde(default)]
    geoip_allow: Vec<String>,
    #[serde(default)]
    geoip_disallow: Vec<String>,
    #[serde(rename = "usages_AT")]
    usages: Option<u64>,
}

#[derive(Deserialize, Default)]
struct Rotation {
    #[serde(default, rename = "on_AT")]
    on_access_token: bool,
}

impl MytokenClaims {
    /// The claims; `None` for a short mytoken, and for a JWT of another kind.
    pub(super) fn of(mytoken: &Secret) -> Option<Self> {
        serde_json::from_value(Claims::of(mytoken)?.payload).ok()
    }

    /// True if every access token replaces it.
    pub(super) fn is_replaced(&self) -> bool {
        self.rotation.on_access_token
    }

    /// Refuses what the server would refuse, and spares the request.
    pub(super) fn check(&self, now_s: f64) -> Result<(), String> {
        if let Some(since) = self.exp.map(|exp| now_s - exp).filter(|since| *since >= 0.0) {
            return Err(format!(
                "the mytoken expired {} ago; make a new one at {}",
                span(since),
                self.server
            ));
        }
        if let Some(left) = self.nbf.map(|nbf| nbf - now_s).filter(|left| *left > 0.0) {
            return Err(format!(
                "the mytoken is valid only in {}; is the clock right?",
                span(left)
            ));
        }
        if !self.capabilities.is_empty() && !self.can("AT") {
            return Err(self.lacks_capability());
        }
        let open = |restriction: &Restriction| restriction.is_open(now_s);
        if !self.restrictions.is_empty() && !self.restrictions.iter().any(open) {
            return Err(format!("the mytoken can't be used now: {}", self.limits(now_s)));
        }
        Ok(())
    }

    fn can(&self, what: &str) -> bool {
        self.capabilities.iter().any(|capability| capability == what)
    }

    /// What it may do, when that is not enough.
    pub(super) fn lacks_capability(&self) -> String {
        let has = escape(&self.capabilities.join(", "), SHOWN);
        format!(
            "the mytoken may not get access tokens: it has the capabilities {has}; make one with AT at {}",
            self.server
        )
    }

    /// Its restrictions in words; each is a way in which it may be used.
    pub(super) fn limits(&self, now_s: f64) -> String {
        if self.restrictions.is_empty() {
            return "it names no restriction".to_owned();
        }
        let ways: Vec<String> = self.restrictions.iter().map(|r| r.words(now_s)).collect();
        format!("it may be used {}", ways.join("; or "))
    }
}

impl Restriction {
    fn is_open(&self, now_s: f64) -> bool {
        self.exp.is_none_or(|exp| exp > now_s)
            && self.nbf.is_none_or(|nbf| nbf <= now_s)
            && self.usages != Some(0)
    }

    fn words(&self, now_s: f64) -> String {
        let list = |what: &str, values: &[String]| {
            (!values.is_empty()).then(|| format!("{what} {}", escape(&values.join(" "), SHOWN)))
        };
        let from = self.nbf.filter(|nbf| *nbf > now_s);
        let parts = [
            from.map(|nbf| format!("not before {} from now", span(nbf - now_s))),
            self.exp.map(|exp| match exp > now_s {
                true => format!("for {} from now", span(exp - now_s)),
                false => format!("until {} ago", span(now_s - exp)),
            }),
            self.scope.as_ref().map(|scope| format!("for the scopes {}", escape(scope, SHOWN))),
            list("for the audiences", &self.audience),
            list("from the hosts", &self.hosts),
            list("from the countries", &self.geoip_allow),
            list("not from the countries", &self.geoip_disallow),
            self.usages.map(|count| format!("for {count} access tokens in all")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if parts.is_empty() { "freely".to_owned() } else { parts.join(", ") }
    }
}

/// A time span as people say it.
fn span(seconds: f64) -> String {
    let (count, unit) = match seconds {
        s if s < 120.0 => (s, "seconds"),
        s if s < 7_200.0 => (s / 60.0, "minutes"),
        s if s < 172_800.0 => (s / 3_600.0, "hours"),
        s => (s / 86_400.0, "days"),
    };
    format!("{count:.0} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::tests::unsigned;
    use serde_json::{Value, json};

    const NOW: f64 = 1_000_000.0;

    fn claims(more: Value) -> MytokenClaims {
        let mut payload = json!({"iss": "https://mytoken.example", "oidc_iss": "https://op"});
        payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        MytokenClaims::of(&unsigned(&payload)).unwrap()
    }

    #[test]
    fn what_can_not_work_is_refused_with_the_reason_before_the_server_is_asked() {
        for (more, said) in [
            (json!({"exp": NOW + 10.0}), None),
            (
                json!({"exp": NOW - 7200.0}),
                Some("expired 2 hours ago; make a new one at https://mytoken.example"),
            ),
            (json!({"nbf": NOW + 300.0}), Some("valid only in 5 minutes; is the clock right?")),
            (json!({"capabilities": ["AT", "tokeninfo"]}), None),
            (
                json!({"capabilities": ["tokeninfo"]}),
                Some("it has the capabilities tokeninfo; make one with AT"),
            ),
            (json!({"restrictions": [{"exp": NOW - 60.0}, {"exp": NOW + 60.0}]}), None),
            (
                json!({"restrictions": [{"exp": NOW - 60.0}]}),
                Some("may be used until 60 seconds ago"),
            ),
            (json!({"restrictions": [{"usages_AT": 0}]}), Some("for 0 access tokens in all")),
            (
                json!({"restrictions": [{"nbf": NOW + 60.0}]}),
                Some("not before 60 seconds from now"),
            ),
        ] {
            let found = claims(more.clone()).check(NOW).err();
            match (said, found) {
                (None, None) => {}
                (Some(said), Some(found)) => assert!(found.contains(said), "{more}: {found}"),
                (said, found) => panic!("{more}: {said:?} {found:?}"),
            }
        }
    }

    #[test]
    fn every_restriction_is_told_in_words() {
        let all = json!({"restrictions": [
            {"exp": NOW + 864_000.0, "scope": "openid email", "audience": ["ssh", "b"],
             "hosts": ["192.0.2.0/24"], "geoip_allow": ["de"], "geoip_disallow": ["x\u{1b}"], "usages_AT": 3},
            {},
        ]});
        assert_eq!(
            claims(all).limits(NOW),
            "it may be used for 10 days from now, for the scopes openid email, for the audiences ssh b, from the hosts 192.0.2.0/24, from the countries de, not from the countries x\\u{1b}, for 3 access tokens in all; or freely"
        );
        assert_eq!(claims(json!({})).limits(NOW), "it names no restriction");
    }

    #[test]
    fn only_a_jwt_of_a_server_has_claims() {
        assert!(MytokenClaims::of(&Secret::new("x".repeat(40))).is_none());
        assert!(MytokenClaims::of(&unsigned(&json!({"sub": "x"}))).is_none());
        assert!(claims(json!({"rotation": {"on_AT": true}})).is_replaced());
        assert!(!claims(json!({"rotation": {"on_other": true}})).is_replaced());
    }
}
