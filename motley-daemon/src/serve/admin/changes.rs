//! Changes of somebody's account that an admin of the host orders.

use super::{Admin, nobody, request_id};
use crate::account::{AccountError, Order, Suspender};
use motley_proto::{
    admin::{AdminAnswer, Change, Reason, Target},
    peer::Peer,
};

impl Admin {
    pub(super) async fn change(
        &self,
        change: Change,
        target: Target,
        reason: Option<Reason>,
        peer: Peer,
    ) -> Result<AdminAnswer, AccountError> {
        let Some(identity) = self.identity(target).await? else { return Ok(nobody()) };
        let order = Order { by: Suspender::Host { uid: peer.uid }, reason };
        let (accounts, request) = (self.accounts(), request_id());
        let receipt = match change {
            Change::Suspend => accounts.suspend(&identity, order, &request).await,
            Change::Resume => accounts.resume(&identity, order, &request).await,
            Change::Limit => accounts.limit(&identity, order, &request).await,
            Change::Unlimit => accounts.unlimit(&identity, order, &request).await,
            Change::Undeploy => accounts.undeploy(&identity, order, &request).await,
        };
        receipt.map(AdminAnswer::Receipt)
    }
}
