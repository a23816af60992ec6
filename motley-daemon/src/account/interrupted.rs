//! Requests that an admin accepted, and that the process died over.

use super::{AccountError, Accounts};
use crate::store::Engine;
use motley_proto::approval::{ApprovalKind, ApprovalStatus};

impl Accounts {
    /// Settles what the process before this one was carrying out, at the start of the only node: the
    /// account is there, so the request is done with, or everything waits as before. Where several nodes
    /// share a database another one may be at work on it, and time decides.
    ///
    /// # Errors
    /// When store or back end do not answer.
    pub async fn settle_accepted(&self) -> Result<(), AccountError> {
        if self.approval.is_none() || self.store.engine() != Engine::Sqlite {
            return Ok(());
        }
        for seen in self.store.approvals_after(None, self.clock.now(), i64::MAX).await? {
            // An order of this process ends before it gives the lock back.
            let _held = self.locks.hold(&seen.identity).await;
            let Some(request) = self.store.approval_of(&seen.identity).await? else { continue };
            if request.status != ApprovalStatus::Accepting {
                continue;
            }
            let standing = self.standing(&request.identity).await?;
            let (identity, id) = (request.identity.unique_id(), &request.reference);
            if request.kind == ApprovalKind::Account && standing.admits() {
                let mut accepted = request.accepted.clone();
                accepted.extend(request.intent.groups.iter().cloned());
                self.store.note_accepted(&request.identity, &accepted).await?;
                tracing::info!(%identity, approval = %id, "the account of an accepted request was complete; noted it");
            } else {
                let why = "the service stopped before it was carried out";
                self.store.reopen(id, why).await?;
                tracing::warn!(%identity, approval = %id, "an accepted request was not carried out; it waits again");
            }
        }
        Ok(())
    }
}
