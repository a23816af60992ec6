//! Local groups and the texts that they are made from, and the end of those records.

use super::Admin;
use crate::{account::AccountError, store::GroupText};
use motley_proto::{
    GroupName,
    admin::{AdminAnswer, GroupPage, GroupRow},
    peer::Peer,
    text::escape,
};

/// Rows of one page. The longest of them, 2 KiB of issuer and text, all fit into a frame.
const PAGE_ROWS: i64 = 20;
/// Characters of a text that are told.
const SHOWN: usize = 200;

impl Admin {
    pub(super) async fn groups(
        &self,
        after: Option<&GroupName>,
    ) -> Result<AdminAnswer, AccountError> {
        let kept = self.accounts().store().group_texts_after(after, PAGE_ROWS).await?;
        let more = i64::try_from(kept.len()).is_ok_and(|rows| rows >= PAGE_ROWS);
        let rows = kept.into_iter().map(row).collect();
        Ok(AdminAnswer::Groups(GroupPage { rows, more }))
    }

    /// The text that comes next counts from then on. Nobody leaves the group by this.
    pub(super) async fn release_group(
        &self,
        name: &GroupName,
        peer: Peer,
    ) -> Result<AdminAnswer, AccountError> {
        let store = self.accounts().store();
        let Some(kept) = store.group_text(name).await? else {
            return Ok(AdminAnswer::Refused(format!(
                "nothing is kept of a group {name}; `motleyctl groups list` shows what is"
            )));
        };
        let row = row(kept);
        self.note(peer, &format!("release group {name}, made from {}", row.text))?;
        store.release_group(name).await?;
        Ok(AdminAnswer::GroupReleased(row))
    }
}

fn row(kept: GroupText) -> GroupRow {
    GroupRow {
        name: kept.name,
        text: escape(&kept.text, SHOWN),
        issuer: kept.issuer,
        noted_at: kept.noted_at.0,
    }
}
