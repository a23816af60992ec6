//! What becomes of requests: decided, carried out, withdrawn or ended by themselves.

use crate::{
    clock::Timestamp,
    store::{Store, StoreError},
};
use motley_proto::{
    GroupName, Identity,
    approval::{ApprovalRef, ApprovalStatus},
};
use std::collections::BTreeSet;

fn words(groups: &BTreeSet<GroupName>) -> String {
    groups.iter().map(GroupName::as_str).collect::<Vec<_>>().join(" ")
}

impl Store {
    /// Lets exactly one of several deciders act: from `from` to `to`, in this revision only. False:
    /// somebody else has decided, or it changed.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn decide(
        &self,
        reference: &ApprovalRef,
        (from, to): (ApprovalStatus, ApprovalStatus),
        by: &str,
        (now, expires_at): (Timestamp, Timestamp),
    ) -> Result<bool, StoreError> {
        let done = self.execute(sqlx::query(
            "UPDATE approval SET status = $4, decided_at = $5, decided_by = $6, expires_at = $7
             WHERE id = $1 AND revision = $2 AND status = $3",
        )
        .bind(reference.id.to_string())
        .bind(i64::from(reference.revision))
        .bind(from.as_str().to_owned())
        .bind(to.as_str().to_owned())
        .bind(now.0)
        .bind(by.to_owned())
        .bind(expires_at.0))
        .await?;
        Ok(done > 0)
    }

    /// Notes that what was accepted could not be carried out: it waits again.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn reopen(&self, reference: &ApprovalRef, why: &str) -> Result<(), StoreError> {
        self.execute(sqlx::query(
            "UPDATE approval SET status = 'pending', decided_at = NULL, decided_by = NULL, last_error = $3
             WHERE id = $1 AND revision = $2 AND status = 'accepting'",
        )
        .bind(reference.id.to_string())
        .bind(i64::from(reference.revision))
        .bind(why.to_owned()))
        .await?;
        Ok(())
    }

    /// Lets requests wait again whose carrying out began before then and never ended: the process
    /// died over it. Yields how many.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn reopen_abandoned(&self, before: Timestamp) -> Result<u64, StoreError> {
        let done = self
            .execute(
                sqlx::query(
                    "UPDATE approval SET status = 'pending', decided_at = NULL, decided_by = NULL,
               last_error = 'the service stopped before it was carried out'
             WHERE status = 'accepting' AND decided_at < $1",
                )
                .bind(before.0),
            )
            .await?;
        Ok(done)
    }

    /// Records what admins have accepted for an identity, and that nothing is open.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn note_accepted(
        &self,
        identity: &Identity,
        accepted: &BTreeSet<GroupName>,
    ) -> Result<(), StoreError> {
        self.execute(
            sqlx::query(
                "UPDATE approval SET status = 'accepted', accepted = $3, last_error = NULL
             WHERE issuer = $1 AND subject = $2",
            )
            .bind(identity.issuer.to_string())
            .bind(identity.subject.to_string())
            .bind(words(accepted)),
        )
        .await?;
        Ok(())
    }

    /// Records which of the accepted groups are still claimed, whatever is open.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn set_accepted(
        &self,
        identity: &Identity,
        accepted: &BTreeSet<GroupName>,
    ) -> Result<(), StoreError> {
        self.execute(
            sqlx::query("UPDATE approval SET accepted = $3 WHERE issuer = $1 AND subject = $2")
                .bind(identity.issuer.to_string())
                .bind(identity.subject.to_string())
                .bind(words(accepted)),
        )
        .await?;
        Ok(())
    }

    /// Forgets the request of an identity, its rejection, and what was accepted. False: there was none.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn forget_approval(&self, identity: &Identity) -> Result<bool, StoreError> {
        let done = self
            .execute(
                sqlx::query("DELETE FROM approval WHERE issuer = $1 AND subject = $2")
                    .bind(identity.issuer.to_string())
                    .bind(identity.subject.to_string()),
            )
            .await?;
        Ok(done > 0)
    }

    /// Takes back an open request in this form, or its rejection. What was accepted before stays.
    /// False: it changed, or is being carried out.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn withdraw(&self, reference: &ApprovalRef) -> Result<bool, StoreError> {
        self.in_time(async {
        let mut write = self.write().await?;
        let kept = sqlx::query(
            "UPDATE approval SET status = 'accepted', last_error = NULL
             WHERE id = $1 AND revision = $2 AND status IN ('pending', 'rejected')
               AND (kind = 'groups' OR accepted <> '')",
        )
        .bind(reference.id.to_string())
        .bind(i64::from(reference.revision))
        .execute(&mut *write)
        .await?
        .rows_affected();
        let gone = sqlx::query(
            "DELETE FROM approval WHERE id = $1 AND revision = $2 AND status IN ('pending', 'rejected')",
        )
        .bind(reference.id.to_string())
        .bind(i64::from(reference.revision))
        .execute(&mut *write)
        .await?
        .rows_affected();
        write.commit().await?;
        Ok(kept + gone > 0)
        })
        .await
    }

    /// Forgets what has ended by itself: first accounts that nobody decided about, and rejections.
    /// Yields how many.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn sweep_approvals(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.in_time(async {
            let mut write = self.write().await?;
            let kept = sqlx::query(
                "UPDATE approval SET status = 'accepted', last_error = NULL
             WHERE status IN ('pending', 'rejected') AND expires_at <= $1
               AND (kind = 'groups' OR accepted <> '')",
            )
            .bind(now.0)
            .execute(&mut *write)
            .await?
            .rows_affected();
            let gone = sqlx::query(
                "DELETE FROM approval WHERE status IN ('pending', 'rejected') AND expires_at <= $1",
            )
            .bind(now.0)
            .execute(&mut *write)
            .await?
            .rows_affected();
            write.commit().await?;
            Ok(kept + gone)
        })
        .await
    }
}
