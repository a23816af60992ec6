//! Sends the mails that wait in the store, one process at a time, until the mail server takes them.

use super::{Addressee, Courier, Mail, MailError, wait_after};
use crate::{
    clock::Clock,
    store::{Lease, Letter, Store, StoreError},
};
use std::sync::Arc;

/// Name of the right to send them.
const OUTBOX: &str = "outbox";
/// How long one process may take for a mail before another one tries, in seconds.
const LEASE_SECONDS: i64 = 120;
/// Most mails of one round.
const ROUND: i64 = 50;
/// How long it is tried to send a mail, in seconds: 14 days.
const KEPT_SECONDS: i64 = 14 * 24 * 3600;

/// What came of one round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Posted {
    /// Mails that the server took.
    pub sent: usize,
    /// Mails that it did not take; they are tried again.
    pub failed: usize,
}

/// The mails that wait.
pub struct Outbox {
    store: Store,
    clock: Arc<dyn Clock>,
    holder: String,
}

impl Outbox {
    /// `holder` names this process among all that share the store.
    pub fn new(store: Store, clock: Arc<dyn Clock>, holder: String) -> Self {
        Self { store, clock, holder }
    }

    /// Sends what is due, unless another process is at it. A mail is forgotten after the server took
    /// it, so a crash can make it come twice, but never makes it not come.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn post(&self, by: &impl Courier) -> Result<Posted, StoreError> {
        let mut posted = Posted::default();
        if self.store.letters_due(self.clock.now(), 1).await?.is_empty() || !self.hold().await? {
            return Ok(posted);
        }
        let given_up = match self.store.may_sweep() {
            true => self.store.sweep_letters(self.clock.now().plus(-KEPT_SECONDS)).await?,
            false => 0,
        };
        if given_up > 0 {
            tracing::error!(mails = given_up, "mails that no server took for 14 days are given up");
        }
        for letter in self.store.letters_due(self.clock.now(), ROUND).await? {
            // Long rounds must not outlast the lease.
            if !self.hold().await? {
                break;
            }
            match by.send(&mail(&letter)).await {
                Ok(said) => {
                    tracing::info!(subject = letter.subject, said, "mail sent");
                    self.store.forget_letter(&letter).await?;
                    posted.sent += 1;
                }
                Err(error) => {
                    posted.failed += 1;
                    self.note_failure(&letter, &error).await?;
                    if is_of_the_server(&error) {
                        break;
                    }
                }
            }
        }
        self.store.drop_lease(self.lease()).await?;
        Ok(posted)
    }

    async fn note_failure(&self, letter: &Letter, error: &MailError) -> Result<(), StoreError> {
        let retry_at = self.clock.now().plus(wait_after(letter.failures));
        tracing::error!(subject = letter.subject, %error, "a mail was not sent; it is tried again");
        self.store.note_letter_failed(&letter.id, &error.to_string(), retry_at).await
    }

    async fn hold(&self) -> Result<bool, StoreError> {
        let now = self.clock.now();
        self.store.take_lease(self.lease(), now, now.plus(LEASE_SECONDS)).await
    }

    fn lease(&self) -> Lease<'_> {
        Lease { kind: OUTBOX, holder: &self.holder }
    }
}

/// True when the next mail would fare no better.
fn is_of_the_server(error: &MailError) -> bool {
    matches!(
        error,
        MailError::Time { .. } | MailError::Server { .. } | MailError::Authorities { .. }
    )
}

fn mail(letter: &Letter) -> Mail {
    Mail {
        subject: letter.subject.clone(),
        body: letter.body.clone(),
        to: letter.addressee.clone().map_or(Addressee::Admins, Addressee::Person),
    }
}
