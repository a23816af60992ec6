//! Who somebody is and what they may: credential → verified claims → decision → account.

mod approval;
mod code;

pub use code::NoCode;

use crate::{
    account::{AccountError, Accounts, Standing},
    config::OpConfig,
    identity::{TokenRefusal, TokenVerifier},
    knocks::Knocks,
    measure,
    otp::{OneTimePasswords, OtpError},
    policy::{self, Decision},
    replay::{Mark, ReplayGuard, Replayed},
    verified::Verified,
};
use feudal_plugins::Tier;
use motley_proto::{
    Identity, Issuer, LoginName, Secret, UserName,
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
    /// A short code that stood for an access token.
    Code,
    /// A short code that an admin of the host gave out.
    VouchedCode,
}

impl Proof {
    /// The word for the audit log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::OneTimePassword => "one_time_password",
            Self::Code => "code",
            Self::VouchedCode => "vouched_code",
        }
    }
}

/// Who showed a credential that is good.
#[derive(Debug, Clone)]
pub struct Identified {
    who: Who,
    proof: Proof,
    /// The one account name that the credential opens, where it is bound to one.
    only: Option<UserName>,
}

#[derive(Debug, Clone)]
enum Who {
    Verified {
        verified: Arc<Verified>,
        /// What the token is remembered by where it opens the prompt once only.
        mark: Option<Mark>,
    },
    /// Nobody knows claims: an admin of the host stands for the person.
    Vouched(Identity),
}

impl Identified {
    /// Issuer and subject.
    pub fn identity(&self) -> &Identity {
        match &self.who {
            Who::Verified { verified, .. } => verified.identity(),
            Who::Vouched(identity) => identity,
        }
    }

    /// The verified claims; `None` for whom an admin vouches.
    pub fn verified(&self) -> Option<&Verified> {
        match &self.who {
            Who::Verified { verified, .. } => Some(verified),
            Who::Vouched(_) => None,
        }
    }

    /// By what.
    pub fn proof(&self) -> Proof {
        self.proof
    }

    /// True when the credential opens an account of this name, as far as it is bound to one.
    pub fn opens(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.as_str() == name)
    }
}

/// Why somebody does not get in. The text is for the operator; users see one and the same sentence.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The token is not good.
    #[error("{}", .0.reason())]
    Token(#[from] TokenRefusal),
    /// The one-time password or code is unknown, used, past its time, or they are off.
    #[error("the one-time password or code is unknown, used or expired")]
    OneTimePassword,
    /// The one-time password was issued for another identity than its token names now.
    #[error("the one-time password belongs to another identity")]
    OtherIdentity,
    /// The code was given out for an account of another name.
    #[error("the code was given out for the account {0}, not the requested name")]
    OtherAccount(UserName),
    /// The identity is not authorised.
    #[error("not authorised: {0}")]
    NotAuthorised(String),
    /// The token was used for a login before.
    #[error(transparent)]
    Replayed(#[from] Replayed),
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
            Self::OtherAccount(_) => "other_account",
            Self::NotAuthorised(_) => "not_authorised",
            Self::OtherName(_) => "other_name",
            Self::Replayed(_) => "replayed",
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
    knocks: Option<Arc<Knocks>>,
    replay: Option<Arc<ReplayGuard>>,
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
        let ops = ops.iter().map(by_issuer).collect();
        Self { verifier, ops, passwords, accounts, knocks: None, replay: None }
    }

    /// The same, counting people who are not authorised there.
    #[must_use]
    pub fn with_knocks(self, knocks: Arc<Knocks>) -> Self {
        Self { knocks: Some(knocks), ..self }
    }

    /// The same, where each token opens the login prompt once only. The REST interface takes it as
    /// often as before: a client asks there for the account and then logs in.
    #[must_use]
    pub fn with_replay_guard(self, guard: Arc<ReplayGuard>) -> Self {
        Self { replay: Some(guard), ..self }
    }

    /// Who knocked, if that is counted.
    pub fn knocks(&self) -> Option<&Knocks> {
        self.knocks.as_deref()
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

    /// Verifies an access token, a one-time password or a code. The latter are used up by this,
    /// whatever comes of it, a wrong user name included.
    ///
    /// # Errors
    /// Why it is not good.
    pub async fn identify_either(
        &self,
        credential: &Secret,
        hint: Option<&Issuer>,
    ) -> Result<Identified, Refusal> {
        match shape(credential.expose()) {
            Shape::OneTimePassword => self.redeem_password(credential).await,
            Shape::Code => self.redeem_code(credential).await,
            _ => {
                let who = self.holder(credential, self.identify(credential, hint).await?);
                Ok(Identified { who, proof: Proof::Token, only: None })
            }
        }
    }

    async fn redeem_password(&self, password: &Secret) -> Result<Identified, Refusal> {
        let passwords = self.passwords.as_ref().ok_or(Refusal::OneTimePassword)?;
        let redeemed = passwords.redeem(password).await?;
        measure::one_time_password(if redeemed.is_some() { "redeemed" } else { "refused" });
        let redeemed = redeemed.ok_or(Refusal::OneTimePassword)?;
        let who = self.verify_again(&redeemed.token, &redeemed.identity).await?;
        Ok(Identified { who, proof: Proof::OneTimePassword, only: None })
    }

    /// Verifies a token that was kept: it may have been revoked meanwhile.
    async fn verify_again(&self, token: &Secret, identity: &Identity) -> Result<Who, Refusal> {
        let verified = self.identify(token, Some(&identity.issuer)).await?;
        if verified.identity() != identity {
            return Err(Refusal::OtherIdentity);
        }
        Ok(self.holder(token, verified))
    }

    fn holder(&self, token: &Secret, verified: Arc<Verified>) -> Who {
        let mark = self.replay.as_ref().map(|_| Mark::of(token, &verified));
        Who::Verified { verified, mark }
    }

    /// The provider section of a verified identity.
    pub fn op_of(&self, verified: &Verified) -> Option<&OpConfig> {
        self.op_for(verified.identity())
    }

    fn op_for(&self, identity: &Identity) -> Option<&OpConfig> {
        self.ops.get(identity.issuer.trimmed()).map(AsRef::as_ref)
    }

    /// May this identity use the service? Who may not is counted as having knocked.
    pub fn authorise(&self, verified: &Verified) -> Decision {
        let decision = match self.op_of(verified) {
            Some(op) => policy::authorise(&op.policy, verified),
            None => Decision::no_provider(),
        };
        measure::authorisation(&decision);
        if let (Decision::Refuse(refusal), Some(knocks)) = (&decision, &self.knocks) {
            knocks.note(verified, &refusal.missing);
        }
        decision
    }

    /// The same for whoever showed a credential. For whom an admin vouches there are no claims to
    /// judge; the provider must still be configured.
    pub fn authorise_identified(&self, identified: &Identified) -> Decision {
        match &identified.who {
            Who::Verified { verified, .. } => self.authorise(verified),
            Who::Vouched(identity) if self.op_for(identity).is_some() => Decision::Grant {
                because: "an admin of the host vouches for the person".to_owned(),
            },
            Who::Vouched(_) => Decision::no_provider(),
        }
    }

    /// Which shell has this identity earned?
    pub fn tier(&self, verified: &Verified) -> Tier {
        match self.op_of(verified) {
            Some(op) => policy::tier(&op.policy.assurance, verified).tier,
            None => Tier::Restricted,
        }
    }

    /// Lets somebody in under a name, or says why not: verified, authorised, and the deployed
    /// account of exactly this identity has exactly this name. Where replay is guarded, the token is
    /// used up by this, also one that a one-time password stood for.
    ///
    /// # Errors
    /// The first reason against it.
    pub async fn admit(
        &self,
        credential: &Secret,
        name: &LoginName,
    ) -> Result<Identified, Refusal> {
        let identified = self.identify_either(credential, None).await?;
        if let Decision::Refuse(refusal) = self.authorise_identified(&identified) {
            return Err(Refusal::NotAuthorised(refusal.reason));
        }
        let identity = identified.identity();
        check_name(&self.accounts.standing(identity).await?, name)?;
        if let Some(only) = identified.only.as_ref().filter(|only| only.as_str() != name.as_str()) {
            return Err(Refusal::OtherAccount(only.clone()));
        }
        let guarded = match (&self.replay, &identified.who) {
            (Some(guard), Who::Verified { verified, mark: Some(mark) }) => {
                Some((guard, *mark, verified))
            }
            _ => None,
        };
        // What can't open the prompt must not lift what idleness led to either.
        if guarded.is_some_and(|(guard, mark, _)| guard.knows(mark)) {
            return Err(Refusal::Replayed(Replayed::Used));
        }
        if identified.verified().is_some() {
            self.accounts.reactivate(identity, "login").await?;
        }
        let standing = self.accounts.standing(identity).await?;
        check_name(&standing, name)?;
        if !standing.admits() {
            return Err(Refusal::State(standing.state));
        }
        if let Some((guard, mark, verified)) = guarded {
            guard.use_up(mark, verified)?;
        }
        Ok(identified)
    }
}

fn check_name(standing: &Standing, name: &LoginName) -> Result<(), Refusal> {
    let own = standing.name().map(|own| own.as_str());
    if own == Some(name.as_str()) {
        Ok(())
    } else {
        Err(Refusal::OtherName(own.map(str::to_owned)))
    }
}

#[cfg(test)]
mod tests;
