//! Counts what a provider was asked and how it fared, for the operator and for metrics.

use super::fetch::FetchError;
use motley_proto::Issuer;
use motley_proto::facts::{FailureFact, Latency};
use motley_proto::text::escape;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many answers are recent.
const RECENT: usize = 32;

/// What a provider is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Discovery,
    Jwks,
    Userinfo,
    Introspection,
}

impl Place {
    /// The word for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Discovery => "discovery",
            Self::Jwks => "jwks",
            Self::Userinfo => "userinfo",
            Self::Introspection => "introspection",
        }
    }
}

/// The record of one provider. Its issuer is a configured one, so it may be a metric's label.
#[derive(Debug)]
pub(crate) struct Tally {
    issuer: String,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    requests: u64,
    failures: u64,
    recent: VecDeque<Duration>,
    last_failures: Vec<(Place, FetchError, Instant)>,
}

/// What was counted.
pub(crate) struct Counted {
    pub(crate) requests: u64,
    pub(crate) failures: u64,
    pub(crate) latency: Option<Latency>,
    pub(crate) last_failure: Option<FailureFact>,
}

impl Tally {
    /// Nothing was asked yet.
    pub(crate) fn new(issuer: &Issuer) -> Self {
        Self { issuer: issuer.to_string(), counts: Mutex::default() }
    }

    /// Carries a request out and notes how it went, also when nobody waits for it any more.
    pub(crate) async fn watch<T>(
        &self,
        place: Place,
        request: impl Future<Output = Result<T, FetchError>>,
    ) -> Result<T, FetchError> {
        let mut watch = Watch { tally: self, place, began: Instant::now(), is_open: true };
        let result = request.await;
        watch.is_open = false;
        self.note(place, watch.began, result.as_ref().err());
        result
    }

    fn note(&self, place: Place, began: Instant, failure: Option<&FetchError>) {
        let now = Instant::now();
        let took = now.saturating_duration_since(began);
        let outcome = failure.map_or("ok", FetchError::kind);
        self.measure(place, outcome, took);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.requests += 1;
        match failure.filter(|why| !why.is_final()) {
            None => {
                counts.recent.push_back(took);
                if counts.recent.len() > RECENT {
                    counts.recent.pop_front();
                }
                counts.last_failures.retain(|(of, _, _)| *of != place);
            }
            Some(why) => {
                counts.failures += 1;
                counts.last_failures.retain(|(of, _, _)| *of != place);
                counts.last_failures.push((place, why.clone(), now));
            }
        }
    }

    fn measure(&self, place: Place, outcome: &'static str, took: Duration) {
        let (issuer, kind) = (self.issuer.clone(), place.name());
        metrics::counter!("motley_provider_requests_total", "issuer" => issuer.clone(),
            "kind" => kind, "outcome" => outcome)
        .increment(1);
        metrics::histogram!("motley_provider_request_seconds", "issuer" => issuer, "kind" => kind)
            .record(took.as_secs_f64());
    }

    /// What was counted so far.
    pub(crate) fn counted(&self) -> Counted {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let of = u32::try_from(counts.recent.len()).unwrap_or(u32::MAX);
        let all: Duration = counts.recent.iter().sum();
        let latency = counts.recent.back().map(|last| Latency {
            last_ms: milliseconds(*last),
            average_ms: milliseconds(all / of.max(1)),
            of,
        });
        let last_failure = counts.last_failures.last().map(|(place, why, when)| FailureFact {
            place: place.name().to_owned(),
            why: escape(&why.to_string(), 400),
            ago: when.elapsed().as_secs(),
        });
        Counted { requests: counts.requests, failures: counts.failures, latency, last_failure }
    }
}

/// So many milliseconds.
pub(crate) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Notes a request that was dropped before it had an outcome.
struct Watch<'a> {
    tally: &'a Tally,
    place: Place,
    began: Instant,
    is_open: bool,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if self.is_open {
            let took = self.began.elapsed();
            self.tally.measure(self.place, "abandoned", took);
            self.tally.counts.lock().unwrap_or_else(PoisonError::into_inner).requests += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_refusals_failures_and_abandoned_requests_are_counted() {
        let tally = Tally::new(&Issuer::new("https://op.example").unwrap());
        let ask = |place, result: Result<(), FetchError>| tally.watch(place, async { result });
        ask(Place::Discovery, Ok(())).await.unwrap();
        ask(Place::Userinfo, Err(FetchError::Status(403))).await.unwrap_err();
        assert!(tally.counted().last_failure.is_none());
        ask(Place::Userinfo, Err(FetchError::Status(503))).await.unwrap_err();
        ask(Place::Jwks, Ok(())).await.unwrap();
        let slow = tally.watch(Place::Userinfo, std::future::pending::<Result<(), FetchError>>());
        assert!(tokio::time::timeout(Duration::from_millis(1), slow).await.is_err());
        let counted = tally.counted();
        assert_eq!((counted.requests, counted.failures), (5, 1));
        assert_eq!(counted.latency.unwrap().of, 3);
        let failure = counted.last_failure.unwrap();
        assert_eq!(failure.place, "userinfo");
        ask(Place::Userinfo, Ok(())).await.unwrap();
        assert!(tally.counted().last_failure.is_none());
    }
}
