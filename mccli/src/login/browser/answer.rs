//! What the browser brings back: the query of the address that the provider sent it to.

use motley_proto::Secret;
use reqwest::Url;

/// An answer to one of our questions: its state was ours (RFC 6749 §4.1.2).
pub(super) struct Answer {
    pub(super) code: Option<Secret>,
    pub(super) error: Option<String>,
    pub(super) description: String,
    /// RFC 9207.
    pub(super) issuer: Option<String>,
}

impl Answer {
    /// Reads the target of a request, or an address that the user pasted; `None` unless it has our
    /// state. A member that is there twice makes it nobody's answer (RFC 6749 §3.1).
    pub(super) fn read(target: &str, state: &Secret) -> Option<Self> {
        let base = Url::parse("http://127.0.0.1/").ok()?;
        let url = base.join(target.trim()).ok()?;
        let one = |wanted: &str| -> Result<Option<String>, ()> {
            let mut values = url.query_pairs().filter(|(name, _)| name == wanted);
            let first = values.next().map(|(_, value)| value.into_owned());
            if values.next().is_some() { Err(()) } else { Ok(first) }
        };
        let given = Secret::new(one("state").ok()??);
        if given != *state {
            return None;
        }
        Some(Self {
            code: one("code").ok()?.filter(|code| !code.is_empty()).map(Secret::new),
            error: one("error").ok()?,
            description: one("error_description").ok()?.unwrap_or_default(),
            issuer: one("iss").ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r38_only_an_answer_with_our_state_counts_and_each_member_once() {
        let state = Secret::new("our state".to_owned());
        let code = |target: &str| Answer::read(target, &state)?.code.map(|c| c.expose().to_owned());
        assert_eq!(code("/?code=c&state=our%20state").as_deref(), Some("c"));
        assert_eq!(code("/?state=our+state&code=c").as_deref(), Some("c"));
        assert_eq!(
            code("http://127.0.0.1:4711/?code=c&state=our%20state\n").as_deref(),
            Some("c"),
            "pasted"
        );
        for other in [
            "/?code=c",
            "/?code=c&state=",
            "/?code=c&state=another",
            "/?code=c&state=our%20state&state=our%20state",
            "/?code=c&code=d&state=our%20state",
            "/favicon.ico",
            "http://[",
            "",
        ] {
            assert_eq!(code(other), None, "{other}");
        }
        let denied = Answer::read("/?error=access_denied&state=our%20state&iss=https://op", &state);
        let denied = denied.unwrap();
        assert_eq!(denied.error.as_deref(), Some("access_denied"));
        assert_eq!(denied.issuer.as_deref(), Some("https://op"));
    }
}
