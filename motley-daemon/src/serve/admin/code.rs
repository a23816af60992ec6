//! `motleyctl otp`: an admin of the host gives somebody a code.

use super::{Admin, nobody};
use crate::{account::AccountError, serve::request_id};
use motley_proto::{
    admin::{AdminAnswer, IssuedCode, Target},
    peer::Peer,
};

impl Admin {
    pub(super) async fn issue_code(
        &self,
        target: Target,
        peer: Peer,
    ) -> Result<AdminAnswer, AccountError> {
        let Some(identity) = self.identity(target).await? else { return Ok(nobody()) };
        let request = request_id();
        match self.admission.code_for_target(&identity, peer.uid, &request).await {
            Ok((new, identity, name)) => {
                tracing::info!(request, uid = peer.uid, %name, "an admin gave out a code");
                Ok(AdminAnswer::Code(IssuedCode {
                    code: new.code,
                    identity,
                    name,
                    expires_at: new.expires_at.0,
                    lifetime: new.lifetime,
                }))
            }
            Err(error) => Ok(AdminAnswer::Refused(error.to_string())),
        }
    }
}
