//! The device flow (RFC 8628): a link and a code here, a browser anywhere.

use super::{
    LoginError, Request, id_token, page, random,
    screen::Screen,
    token::{self, Granted, Number},
};
use crate::{
    error::{Error, Result},
    http::Http,
    report,
    source::now_s,
};
use motley_proto::Secret;
use serde::Deserialize;
use std::time::{Duration, Instant};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// Interval where the provider names none (RFC 8628 §3.2), and step of `slow_down` (§3.5).
const STEP: Duration = Duration::from_secs(5);
/// Longest pause after failures of the network.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Lifetime of a code where the provider names none, which the standard forbids.
const USUAL_LIFETIME: Duration = Duration::from_secs(600);

/// Longest lifetime of a code that is believed.
const LONGEST_LIFETIME: Duration = Duration::from_secs(3600);
/// Shortest and longest interval that is kept.
const INTERVALS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(300)];

/// RFC 8628 §3.2.
#[derive(Deserialize)]
struct Begun {
    device_code: Secret,
    user_code: String,
    #[serde(alias = "verification_url")]
    verification_uri: String,
    #[serde(alias = "verification_url_complete")]
    verification_uri_complete: Option<String>,
    expires_in: Option<Number>,
    interval: Option<Number>,
}

impl Begun {
    fn lifetime(&self) -> Duration {
        seconds(self.expires_in.as_ref()).unwrap_or(USUAL_LIFETIME).min(LONGEST_LIFETIME)
    }

    fn interval(&self) -> Duration {
        let [shortest, longest] = INTERVALS;
        let stated = seconds(self.interval.as_ref()).filter(|interval| !interval.is_zero());
        stated.unwrap_or(STEP).clamp(shortest, longest)
    }
}

/// A provider's number of seconds; one beyond all measure is a very long time.
fn seconds(number: Option<&Number>) -> Option<Duration> {
    let value = number.and_then(Number::value)?;
    Some(Duration::try_from_secs_f64(value).unwrap_or(Duration::MAX))
}

/// What is shown to the user.
pub(super) struct Code<'a> {
    /// Whose they are.
    pub(super) issuer: &'a str,
    /// Link to open.
    pub(super) link: &'a str,
    /// Link that holds the code already.
    pub(super) complete: Option<&'a str>,
    /// Code to type there.
    pub(super) code: &'a str,
    /// How long it is valid.
    pub(super) lifetime: Duration,
}

/// Logs in.
///
/// # Errors
/// When it is denied, not confirmed in time, or refused.
pub(super) fn run(http: &Http, request: &Request<'_>, screen: &Screen) -> Result<Granted> {
    let verifier = random::unguessable();
    let begun = begin(http, request, &verifier)?;
    let lifetime = begun.lifetime();
    let mut pace = Pace::new(begun.interval(), lifetime, Instant::now());
    let links = [Some(&begun.verification_uri), begun.verification_uri_complete.as_ref()];
    page::check(request.provider, links.into_iter().flatten())?;
    screen.show_code(&Code {
        issuer: &request.provider.issuer,
        link: &begun.verification_uri,
        complete: begun.verification_uri_complete.as_deref(),
        code: &begun.user_code,
        lifetime,
    });
    let waiting = screen.wait(lifetime);
    let mut granted = loop {
        let pause = pace.pause(Instant::now()).ok_or(LoginError::Expired)?;
        waiting.sleep(pause);
        if let Some(granted) = poll(http, request, &begun, &verifier, &mut pace)? {
            break granted;
        }
    };
    drop(waiting);
    id_token::check(&mut granted, request, None, now_s())?;
    Ok(granted)
}

/// Asks for a code. PKCE is no part of RFC 8628, but some providers want it here too, and the others
/// pass it over.
fn begin(http: &Http, request: &Request<'_>, verifier: &Secret) -> Result<Begun> {
    let no_device = || LoginError::Provider {
        issuer: request.provider.issuer.clone(),
        reason: "it offers no login by device flow".to_owned(),
    };
    let endpoint =
        request.provider.device_authorization_endpoint.as_deref().ok_or_else(no_device)?;
    let scope = request.scopes.join(" ");
    let challenge = random::challenge(verifier);
    let mut fields = vec![
        ("scope", scope.as_str()),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    fields.extend(token::audience_fields(request.audience));
    let answer = token::post(http, endpoint, request.client, &fields)?;
    if answer.status != 200 {
        return Err(token::refusal(endpoint, &answer)?.of("the device flow"));
    }
    answer.json().map_err(|error| {
        LoginError::Provider {
            issuer: request.provider.issuer.clone(),
            reason: format!(
                "it answers the device flow with nothing usable (column {})",
                error.column()
            ),
        }
        .into()
    })
}

fn poll(
    http: &Http,
    request: &Request<'_>,
    begun: &Begun,
    verifier: &Secret,
    pace: &mut Pace,
) -> Result<Option<Granted>> {
    let mut fields = vec![
        ("grant_type", GRANT),
        ("device_code", begun.device_code.expose()),
        ("code_verifier", verifier.expose()),
    ];
    fields.extend(token::audience_fields(request.audience));
    match token::ask(http, &request.provider.token_endpoint, request.client, &fields) {
        Ok(Ok(granted)) => Ok(Some(granted)),
        Ok(Err(refusal)) => match refusal.error.as_str() {
            "authorization_pending" => {
                pace.answered();
                Ok(None)
            }
            "slow_down" => {
                pace.slow_down();
                Ok(None)
            }
            "access_denied" => Err(LoginError::Denied.into()),
            "expired_token" => Err(LoginError::Expired.into()),
            _ => Err(refusal.of("the device flow")),
        },
        Err(error @ Error::Network { .. }) => {
            report::debug(&error.to_string());
            pace.back_off();
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// When to ask next.
struct Pace {
    interval: Duration,
    failures: u32,
    end: Instant,
}

impl Pace {
    fn new(interval: Duration, lifetime: Duration, now: Instant) -> Self {
        Self { interval, failures: 0, end: now + lifetime }
    }

    /// How long to wait now; `None` when the code ends before that.
    fn pause(&self, now: Instant) -> Option<Duration> {
        let doubled = self.interval.saturating_mul(2u32.saturating_pow(self.failures));
        let pause = if self.failures > 0 {
            doubled.min(LONGEST_PAUSE.max(self.interval))
        } else {
            self.interval
        };
        (now + pause < self.end).then_some(pause)
    }

    fn answered(&mut self) {
        self.failures = 0;
    }

    /// For good (RFC 8628 §3.5).
    fn slow_down(&mut self) {
        self.interval += STEP;
        self.failures = 0;
    }

    /// Until the provider answers again.
    fn back_off(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn begun(members: &Value) -> Begun {
        let mut answer = json!({"device_code": "d", "user_code": "u", "verification_uri": "v"});
        for (name, value) in members.as_object().unwrap() {
            answer[name] = value.clone();
        }
        serde_json::from_value(answer).unwrap()
    }

    #[test]
    fn polls_keep_the_interval_slow_down_for_good_and_back_off_while_the_network_fails() {
        let now = Instant::now();
        let mut pace = Pace::new(begun(&json!({})).interval(), seconds(600), now);
        assert_eq!(pace.pause(now), Some(seconds(5)), "RFC 8628 §3.2: the default");
        pace.slow_down();
        assert_eq!(pace.pause(now), Some(seconds(10)));
        pace.answered();
        assert_eq!(pace.pause(now), Some(seconds(10)), "slow_down lasts");
        pace.back_off();
        pace.back_off();
        assert_eq!(pace.pause(now), Some(seconds(40)));
        (0..40).for_each(|_| pace.back_off());
        assert_eq!(pace.pause(now), Some(LONGEST_PAUSE));
        pace.answered();
        assert_eq!(pace.pause(now), Some(seconds(10)));
    }

    #[test]
    fn numbers_of_the_provider_are_bounded() {
        for (number, lifetime, interval) in [
            (json!(null), 600, 5),
            (json!(0), 0, 5),
            (json!(0.01), 0, 1),
            (json!(7), 7, 7),
            (json!("7"), 7, 7),
            (json!(-7), 600, 5),
            (json!(1e19), 3600, 300),
            (json!(1e300), 3600, 300),
            (json!("1e19"), 3600, 300),
        ] {
            let begun = begun(&json!({"expires_in": number, "interval": number}));
            assert_eq!(begun.lifetime().as_secs(), lifetime, "{number}");
            assert_eq!(begun.interval().as_secs(), interval, "{number}");
            let now = Instant::now();
            let mut pace = Pace::new(begun.interval(), begun.lifetime(), now);
            pace.slow_down();
            pace.pause(now);
        }
    }

    #[test]
    fn polling_stops_when_the_code_ends() {
        let now = Instant::now();
        let pace = Pace::new(seconds(2), seconds(5), now);
        assert_eq!(pace.pause(now), Some(seconds(2)));
        assert_eq!(pace.pause(now + seconds(2)), Some(seconds(2)));
        assert_eq!(pace.pause(now + seconds(4)), None);
    }
}
