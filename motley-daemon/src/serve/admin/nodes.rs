//! Which nodes share the database, and the end of those that do not come back.

use super::Admin;
use crate::{
    account::AccountError,
    clock::{Clock, SystemClock},
};
use motley_proto::{NodeName, admin::AdminAnswer, peer::Peer};

impl Admin {
    pub(super) async fn nodes(&self) -> Result<AdminAnswer, AccountError> {
        let rows = self.accounts().store().nodes(SystemClock.now()).await?;
        Ok(AdminAnswer::Nodes(rows))
    }

    /// A node that lives would come back at once, and the removal of its accounts would have been
    /// declared complete without it.
    pub(super) async fn forget_node(
        &self,
        node: &NodeName,
        peer: Peer,
    ) -> Result<AdminAnswer, AccountError> {
        let store = self.accounts().store();
        let rows = store.nodes(SystemClock.now()).await?;
        match rows.iter().find(|row| row.node == *node) {
            None => return Ok(AdminAnswer::Refused(format!("there is no node {node}"))),
            Some(row) if row.lives => {
                let why = format!("the node {node} lives; stop its daemon and wait 15 seconds");
                return Ok(AdminAnswer::Refused(why));
            }
            Some(_) => {}
        }
        self.note(peer, &format!("forget node {node}"))?;
        store.forget_node(node).await?;
        // What waited for that node is complete now.
        self.accounts().reconcile().await?;
        self.nodes().await
    }
}
