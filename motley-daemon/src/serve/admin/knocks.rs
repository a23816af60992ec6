//! `motleyctl knocks` and `motleyctl notify`: who knocked, and how the admins learn of it.

use super::Admin;
use crate::{
    account::AccountError,
    notify::{self, Courier, Smtp},
};
use motley_proto::{
    Identity,
    admin::AdminAnswer,
    knock::{KnockPage, NotifyStatus},
    peer::Peer,
};

/// Most rows that are looked at for one page.
const PAGE_ROWS: i64 = 100;
/// Most bytes of rows in one page; a frame holds 64 KiB.
const PAGE_BYTES: usize = 48 * 1024;

impl Admin {
    pub(super) async fn knocks(
        &self,
        after: Option<&Identity>,
    ) -> Result<AdminAnswer, AccountError> {
        let store = self.accounts().store();
        if let Some(knocks) = self.admission.knocks() {
            knocks.write(store).await?;
        }
        Ok(AdminAnswer::Knocks(page(store.knocks_after(after, PAGE_ROWS).await?)))
    }

    pub(super) async fn clear_knocks(&self, peer: Peer) -> Result<AdminAnswer, AccountError> {
        self.note(peer, "clear knocks")?;
        let store = self.accounts().store();
        let count = match self.admission.knocks() {
            Some(knocks) => knocks.clear(store).await?,
            None => store.clear_knocks().await?,
        };
        Ok(AdminAnswer::KnocksCleared(count))
    }

    pub(super) async fn test_notify(&self, peer: Peer) -> Result<AdminAnswer, AccountError> {
        self.note(peer, "test notify")?;
        let mut mail = notify::test_mail();
        if let Some(own) = self.accounts().lifecycle.letters.test(&self.config.adapter.email) {
            mail.body = own;
        }
        Ok(match Smtp::new(&self.config).send(&mail).await {
            Ok(said) => AdminAnswer::Notified(said),
            Err(error) => AdminAnswer::Refused(error.to_string()),
        })
    }

    pub(super) async fn notify_status(&self) -> Result<NotifyStatus, AccountError> {
        let notice = self.accounts().store().notice(notify::UNAUTHORISED).await?;
        Ok(NotifyStatus {
            unauthorised: notify::word(self.config.notify.unauthorised).to_owned(),
            sent_at: notice.sent_at.map(|time| time.0),
            failures: notice.failures,
            last_error: notice.last_error,
            retry_at: notice.retry_at.map(|time| time.0),
        })
    }
}

/// As many of the rows as fit into a frame.
fn page(rows: Vec<motley_proto::knock::Knock>) -> KnockPage {
    let full = i64::try_from(rows.len()).is_ok_and(|len| len >= PAGE_ROWS);
    let mut page = KnockPage { rows: Vec::new(), more: full };
    let mut bytes = 0;
    for row in rows {
        bytes += serde_json::to_vec(&row).map_or(PAGE_BYTES, |text| text.len() + 1);
        if bytes > PAGE_BYTES && !page.rows.is_empty() {
            page.more = true;
            break;
        }
        page.rows.push(row);
    }
    page
}
