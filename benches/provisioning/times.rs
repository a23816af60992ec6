//! How long things took.

use anyhow::Result;
use std::time::{Duration, Instant};

/// Times of the same thing, done again and again.
#[derive(Debug, Default)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    /// Does it once more.
    pub(crate) fn add<T>(&mut self, act: impl FnOnce() -> Result<T>) -> Result<T> {
        let begin = Instant::now();
        let done = act()?;
        self.0.push(begin.elapsed());
        Ok(done)
    }

    /// Takes the times of others over.
    #[allow(dead_code)] // Not every program that measures has others.
    pub(crate) fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// The time that this share of them stays below, from 0 to 1.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort();
        let at = ((sorted.len() as f64) * share) as usize;
        sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
    }

    /// The median.
    pub(crate) fn median(&self) -> Duration {
        self.quantile(0.5)
    }
}

/// Milliseconds, for people.
pub(crate) fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}
