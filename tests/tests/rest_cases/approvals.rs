//! Decides about requests over the admin socket, as `motleyctl` does.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use motley_proto::Identity;
use motley_proto::admin::{AdminAnswer, AdminRequest};
use motley_proto::approval::{ApprovalDecision, ApprovalRef};
use motley_proto::client::Connection;
use motley_proto::frame::Cap;
use motley_tests::sandbox::ADMIN_SOCKET;

fn ask(request: &AdminRequest) -> Result<AdminAnswer> {
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut connection = Connection::open(ADMIN_SOCKET.as_ref(), Cap::ADMIN, deadline)?;
    connection.send(request)?;
    Ok(connection.receive()?)
}

fn request_of(identity: &Identity) -> Result<Option<ApprovalRef>> {
    match ask(&AdminRequest::Approvals { after: None })? {
        AdminAnswer::Approvals(page) => {
            let own = page.rows.into_iter().find(|row| row.identity == *identity);
            Ok(own.map(|row| row.reference))
        }
        other => bail!("{other:?}"),
    }
}

/// Decides about the request of somebody.
///
/// # Errors
/// When there is none, or the daemon refuses.
pub(crate) fn decide(identity: &Identity, decision: ApprovalDecision) -> Result<()> {
    let reference = request_of(identity)?.context("nothing waits")?;
    match ask(&AdminRequest::Decide { decision, reference, reason: None })? {
        AdminAnswer::Decided(_) => Ok(()),
        other => bail!("{decision:?}: {other:?}"),
    }
}

/// Forgets whatever is known of somebody's requests and account.
///
/// # Errors
/// When the daemon fails.
pub(crate) fn forget(identity: &Identity) -> Result<()> {
    let target = motley_proto::admin::Target::Identity(identity.clone());
    let change = motley_proto::admin::Change::Undeploy;
    match ask(&AdminRequest::Change { change, target, reason: None })? {
        AdminAnswer::Receipt(_) | AdminAnswer::Nobody(_) => Ok(()),
        other => bail!("{other:?}"),
    }
}
