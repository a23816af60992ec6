//! Short codes: who gets one, and what a used one says.

use super::{Admission, Identified, Proof, Refusal, Who};
use crate::{
    account::{AccountError, Standing, Suspender},
    audit::Event,
    measure,
    otp::{Behind, CodeFor, NewCode, OneTimePasswords, OtpError},
    store::spellings,
    verified::Verified,
};
use motley_proto::{Code, Identity, Secret, UserName, rest::AccountState};

/// Why somebody gets no code.
#[derive(Debug, thiserror::Error)]
pub enum NoCode {
    /// They are switched off.
    #[error("codes are switched off; set use_otp and codes in [mapper.otp] to yes")]
    Off,
    /// There is no account that it could open.
    #[error("the account is {0}; only a deployed one can be opened with a code")]
    State(AccountState),
    /// The provider of the identity is not configured.
    #[error("the provider of this identity is not configured any more")]
    Provider,
    /// None could be made or stored.
    #[error(transparent)]
    Otp(#[from] OtpError),
    /// Store, back end or audit log failed.
    #[error(transparent)]
    Account(#[from] AccountError),
}

impl Admission {
    /// One-time passwords, if short codes are given out and taken.
    pub fn codes(&self) -> Option<&OneTimePasswords> {
        self.passwords().filter(|passwords| passwords.has_codes())
    }

    /// Gives a code to the holder of a token, who was found authorised.
    ///
    /// # Errors
    /// Why not.
    pub async fn code_for_holder(
        &self,
        token: &Secret,
        verified: &Verified,
        request: &str,
    ) -> Result<NewCode, NoCode> {
        let codes = self.codes().ok_or(NoCode::Off)?;
        let standing = self.accounts().standing(verified.identity()).await?;
        let name = deployed_name(&standing)?;
        let new = codes.issue_code(CodeFor::Holder { token, verified }, &name).await?;
        self.accounts().record(Event::CodeIssued {
            request: request.to_owned(),
            identity: verified.identity().clone(),
            name,
            by: BY_HOLDER.to_owned(),
        })?;
        Ok(new)
    }

    /// Gives a code to somebody for whom an admin of this host vouches; with whose it is and the
    /// name that it opens.
    ///
    /// # Errors
    /// Why not.
    pub async fn code_for_target(
        &self,
        target: &Identity,
        admin_uid: u32,
        request: &str,
    ) -> Result<(NewCode, Identity, UserName), NoCode> {
        let codes = self.codes().ok_or(NoCode::Off)?;
        let (identity, standing) = self.find_account(target).await?;
        let name = deployed_name(&standing)?;
        self.op_for(&identity).ok_or(NoCode::Provider)?;
        let whose = CodeFor::Vouched { identity: &identity, by: admin_uid };
        let new = codes.issue_code(whose, &name).await?;
        self.accounts().record(Event::CodeIssued {
            request: request.to_owned(),
            identity: identity.clone(),
            name: name.clone(),
            by: by_admin(admin_uid),
        })?;
        Ok((new, identity, name))
    }

    /// The identity in the spelling of its account, and how that is.
    async fn find_account(&self, target: &Identity) -> Result<(Identity, Standing), AccountError> {
        for spelling in spellings(target) {
            let standing = self.accounts().standing(&spelling).await?;
            if standing.state != AccountState::NotDeployed {
                return Ok((spelling, standing));
            }
        }
        Ok((target.clone(), self.accounts().standing(target).await?))
    }

    /// Uses a code up. A token behind it is verified anew, so that revocation bites.
    pub(super) async fn redeem_code(&self, typed: &Secret) -> Result<Identified, Refusal> {
        let codes = self.codes().ok_or(Refusal::OneTimePassword)?;
        let code = Code::parse(typed.expose()).ok_or(Refusal::OneTimePassword)?;
        let redeemed = codes.redeem_code(&code).await?;
        measure::one_time_password(if redeemed.is_some() { "redeemed" } else { "refused" });
        let redeemed = redeemed.ok_or(Refusal::OneTimePassword)?;
        self.accounts().record(Event::CodeUsed {
            identity: redeemed.identity.clone(),
            name: redeemed.name.clone(),
            by: match redeemed.behind {
                Behind::Token(_) => BY_HOLDER.to_owned(),
                Behind::Vouched { by } => by_admin(by),
            },
        })?;
        let (who, proof) = match &redeemed.behind {
            Behind::Token(token) => {
                (self.verify_again(token, &redeemed.identity).await?, Proof::Code)
            }
            Behind::Vouched { .. } => (Who::Vouched(redeemed.identity), Proof::VouchedCode),
        };
        Ok(Identified { who, proof, only: Some(redeemed.name) })
    }
}

const BY_HOLDER: &str = "holder of the token";

fn by_admin(uid: u32) -> String {
    Suspender::Host { uid }.to_string()
}

fn deployed_name(standing: &Standing) -> Result<UserName, NoCode> {
    match (standing.state, standing.name()) {
        (AccountState::Deployed, Some(name)) => Ok(name.clone()),
        (state, _) => Err(NoCode::State(state)),
    }
}

#[cfg(test)]
mod tests;
