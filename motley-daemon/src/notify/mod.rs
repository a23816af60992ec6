//! Mails the admins a digest of people whose identity is valid but whom nobody lets in.
//!
//! At most one mail in a period, and only if somebody knocked who was in none before. People are
//! marked after the mail server took the mail, so a crash can make a mail come twice, but never
//! makes it not come.

pub mod letter;
mod mail;
mod outbox;
mod text;

pub use letter::{Letters, Occasion, Told, Verdict};
pub use mail::{Addressee, Courier, Mail, MailError, Smtp};
pub use outbox::{Outbox, Posted};

use crate::{
    clock::{Clock, Timestamp},
    config::Digest,
    store::{Lease, Notice, Store, StoreError},
};
use motley_proto::{Identity, text::escape};
use std::sync::Arc;

/// Name of the digest in the store.
pub const UNAUTHORISED: &str = "unauthorised";
/// How long one process may take for a mail before another one tries, in seconds.
const LEASE_SECONDS: i64 = 120;
/// Wait after the first failure, doubled with each further one, in seconds.
const FIRST_WAIT: i64 = 30;
/// Longest wait after a failure, in seconds.
const LONGEST_WAIT: i64 = 3600;

/// What came of looking whether a digest is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looked {
    /// Digests are off, the period or a wait is not over, or nobody new has knocked.
    NotDue,
    /// Another process is at it.
    Elsewhere,
    /// The mail server took a digest about so many people.
    Sent(usize),
    /// It did not; it is tried again.
    Failed,
}

/// Sends digests, one process at a time.
pub struct Desk {
    store: Store,
    clock: Arc<dyn Clock>,
    holder: String,
}

impl Desk {
    /// `holder` names this process among all that share the store.
    pub fn new(store: Store, clock: Arc<dyn Clock>, holder: String) -> Self {
        Self { store, clock, holder }
    }

    /// Sends the digest if it is due and nobody else does.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn look(&self, how: Digest, by: &impl Courier) -> Result<Looked, StoreError> {
        let Some(period) = period(how) else { return Ok(Looked::NotDue) };
        if !self.is_due(period).await? || self.store.knocks_to_mail().await?.is_empty() {
            return Ok(Looked::NotDue);
        }
        let now = self.clock.now();
        if !self.store.take_lease(self.lease(), now, now.plus(LEASE_SECONDS)).await? {
            return Ok(Looked::Elsewhere);
        }
        // Another process may have sent it just before the lease was ours.
        let people = self.store.knocks_to_mail().await?;
        if people.is_empty() || !self.is_due(period).await? {
            self.store.drop_lease(self.lease()).await?;
            return Ok(Looked::NotDue);
        }
        match by.send(&text::digest(&people, &host())).await {
            Ok(said) => {
                tracing::info!(people = people.len(), said, "digest sent to the admins");
                let about: Vec<Identity> = people.into_iter().map(|it| it.identity).collect();
                self.store.note_sent(self.lease(), &about, self.clock.now()).await?;
                Ok(Looked::Sent(about.len()))
            }
            Err(error) => self.note_failure(&error).await,
        }
    }

    async fn note_failure(&self, error: &MailError) -> Result<Looked, StoreError> {
        let failures = self.store.notice(UNAUTHORISED).await?.failures;
        let retry_at = self.clock.now().plus(wait_after(failures));
        tracing::error!(%error, "the digest for the admins was not sent; it is tried again");
        self.store.note_not_sent(self.lease(), &error.to_string(), retry_at).await?;
        Ok(Looked::Failed)
    }

    async fn is_due(&self, period: i64) -> Result<bool, StoreError> {
        Ok(is_due(&self.store.notice(UNAUTHORISED).await?, period, self.clock.now()))
    }

    fn lease(&self) -> Lease<'_> {
        Lease { kind: UNAUTHORISED, holder: &self.holder }
    }
}

/// A mail by which an admin sees that mail arrives.
pub fn test_mail() -> Mail {
    text::test(&host())
}

/// The word of the configuration.
pub fn word(how: Digest) -> &'static str {
    match how {
        Digest::Off => "off",
        Digest::Hourly => "hourly",
        Digest::Daily => "daily",
        Digest::Weekly => "weekly",
    }
}

/// Seconds from one digest to the next; `None`: there are none.
fn period(how: Digest) -> Option<i64> {
    match how {
        Digest::Off => None,
        Digest::Hourly => Some(3600),
        Digest::Daily => Some(24 * 3600),
        Digest::Weekly => Some(7 * 24 * 3600),
    }
}

/// A time that can't have been, because the clock was wrong then, holds nothing up.
fn is_due(notice: &Notice, period: i64, now: Timestamp) -> bool {
    let waits = |since: Option<Timestamp>, seconds: i64| {
        since.is_some_and(|since| since <= now && now < since.plus(seconds))
    };
    let begun = notice.retry_at.map(|at| at.plus(-LONGEST_WAIT));
    !waits(notice.sent_at, period) && !waits(begun, LONGEST_WAIT)
}

/// Seconds to wait after so many failures before this one.
fn wait_after(failures: u32) -> i64 {
    FIRST_WAIT.saturating_mul(1 << failures.min(10)).min(LONGEST_WAIT)
}

/// Name of this host, for admins who look after several.
fn host() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    escape(name.as_deref().unwrap_or("this host"), 100)
}

#[cfg(test)]
mod tests;
