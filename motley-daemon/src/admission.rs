//! Who somebody is and what they may: credential → verified claims → decision → account.

use crate::{
    account::{AccountError, Accounts, Standing},
    config::OpConfig,
    identity::{TokenRefusal, TokenVerifier},
    measure,
    otp::{OneTimePasswords, OtpError},
    policy::{self, Decision},
    verified::Verified,
};
use feudal_plugins::Tier;
use motley_proto::{
    Issuer, LoginName, Secret,
    login::{Shape, shape},
    rest::AccountState,
};
use std::{collections::HashMap, sync::Arc};

/// By what somebody showed who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// An access token.
    Token,
    /// A one-time password that stood for an access token.
    OneTimePassword,
}

impl Proof {
    /// The word for the audit log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::OneTimePassword => "one_time_password",
        }
    }
}

/// Why somebody does not get in. The text is for the operator; users see one and the same sentence.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The token is not good.
    #[error("{}", .0.reason())]
    Token(#[from] TokenRefusal),
    /// The one-time password is unknown, used, past its time, or one-time passwords are off.
    #[error("the one-time password is unknown, used or expired")]
    OneTimePassword,
    /// The one-time password was issued for another identity than its token names now.
    #[error("the one-time password belongs to another identity")]
    OtherIdentity,
    /// The identity is not authorised.
    #[error("not authorised: {0}")]
    NotAuthorised(String),
    /// The identity has no account, or one of another name.
    #[error("the identity's account is {}, not the requested name", .0.as_deref().unwrap_or("not deployed"))]
    OtherName(Option<String>),
    /// The account is not in a state in which one logs in.
    #[error("the account is {0}")]
    State(AccountState),
    /// Store or back end failed.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The store failed.
    #[error(transparent)]
    Password(#[from] OtpError),
}

impl Refusal {
    /// A short word for the reason, of a closed set that never changes, for metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Token(token) if token.is_transient() => "provider_unreachable",
            Self::Token(TokenRefusal::Expired { .. }) => "token_expired",
            Self::Token(_) => "token",
            Self::OneTimePassword => "one_time_password",
            Self::OtherIdentity => "other_identity",
            Self::NotAuthorised(_) => "not_authorised",
            Self::OtherName(_) => "other_name",
            Self::State(_) => "state",
            Self::Account(_) | Self::Password(_) => "failed",
        }
    }
}

/// Decides about credentials: the one road that REST and login share.
pub struct Admission {
    verifier: Arc<TokenVerifier>,
    ops: HashMap<String, Arc<OpConfig>>,
    passwords: Option<Arc<OneTimePasswords>>,
    accounts: Arc<Accounts>,
}

impl Admission {
    /// `passwords` is `None` when one-time passwords are switched off.
    pub fn new(
        verifier: Arc<TokenVerifier>,
        ops: &[OpConfig],
        passwords: Option<Arc<OneTimePasswords>>,
        accounts: Arc<Accounts>,
    ) -> Self {
        let by_issuer = |op: &OpConfig| (op.issuer.trimmed().to_owned(), Arc::new(op.clone()));
        Self { verifier, ops: ops.iter().map(by_issuer).collect(), passwords, accounts }
    }

    /// The accounts.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Verifies tokens.
    pub fn verifier(&self) -> &TokenVerifier {
        &self.verifier
    }

    /// One-time passwords, unless they are switched off.
    pub fn passwords(&self) -> Option<&OneTimePasswords> {
        self.passwords.as_deref()
    }

    /// Verifies an access token.
    ///
    /// # Errors
    /// Why it is not good.
    pub async fn identify(
        &self,
        token: &Secret,
        hint: Option<&Issuer>,
    ) -> Result<Arc<Verified>, TokenRefusal> {
        self.verifier.verify(token, hint).await
    }

    /// Verifies an access token or a one-time password. The password is used up by this.
    ///
    /// # Errors
    /// Why it is not good.
    pub async fn identify_either(
        &self,
        credential: &Secret,
        hint: Option<&Issuer>,
    ) -> Result<(Arc<Verified>, Proof), Refusal> {
        if shape(credential.expose()) != Shape::OneTimePassword {
            return Ok((self.identify(credential, hint).await?, Proof::Token));
        }
        let passwords = self.passwords.as_ref().ok_or(Refusal::OneTimePassword)?;
        let redeemed = passwords.redeem(credential).await?;
        measure::one_time_password(if redeemed.is_some() { "redeemed" } else { "refused" });
        let redeemed = redeemed.ok_or(Refusal::OneTimePassword)?;
        let issuer = redeemed.identity.issuer.clone();
        let verified = self.identify(&redeemed.token, Some(&issuer)).await?;
        if *verified.identity() != redeemed.identity {
            return Err(Refusal::OtherIdentity);
        }
        Ok((verified, Proof::OneTimePassword))
    }

    /// The provider section of a verified identity.
    pub fn op_of(&self, verified: &Verified) -> Option<&OpConfig> {
        self.ops.get(verified.identity().issuer.trimmed()).map(AsRef::as_ref)
    }

    /// May this identity use the service?
    pub fn authorise(&self, verified: &Verified) -> Decision {
        let decision = match self.op_of(verified) {
            Some(op) => policy::authorise(&op.policy, verified),
            None => Decision::no_provider(),
        };
        measure::authorisation(&decision);
        decision
    }

    /// Which shell has this identity earned?
    pub fn tier(&self, verified: &Verified) -> Tier {
        match self.op_of(verified) {
            Some(op) => policy::tier(&op.policy.assurance, verified).tier,
            None => Tier::Restricted,
        }
    }

    /// Lets somebody in under a name, or says why not: verified, authorised, and the deployed
    /// account of exactly this identity has exactly this name.
    ///
    /// # Errors
    /// The first reason against it.
    pub async fn admit(
        &self,
        credential: &Secret,
        name: &LoginName,
    ) -> Result<(Arc<Verified>, Proof), Refusal> {
        let (verified, proof) = self.identify_either(credential, None).await?;
        if let Decision::Refuse(refusal) = self.authorise(&verified) {
            return Err(Refusal::NotAuthorised(refusal.reason));
        }
        let standing = self.accounts.standing(verified.identity()).await?;
        check_name(&standing, name)?;
        Ok((verified, proof))
    }
}

fn check_name(standing: &Standing, name: &LoginName) -> Result<(), Refusal> {
    let own = standing.name().map(|own| own.as_str());
    if own != Some(name.as_str()) {
        return Err(Refusal::OtherName(own.map(str::to_owned)));
    }
    if standing.state == AccountState::Deployed {
        Ok(())
    } else {
        Err(Refusal::State(standing.state))
    }
}
