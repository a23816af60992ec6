//! Why a token is refused: a short sentence for the person who holds it, the reason for the operator.

use super::fetch::FetchError;
use motley_proto::text::escape;

/// What is wrong with the text of a signed token, whatever its key says (RFC 7515, RFC 7519).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// Longer than the daemon reads.
    #[error("The token is too long")]
    TooLong,
    /// Not three parts of base64url without padding.
    #[error("The token is not three parts of base64url")]
    Parts,
    /// Five parts: an encrypted token, which only its addressee can read (RFC 7516).
    #[error("Encrypted tokens are not supported")]
    Encrypted,
    /// The header is no JSON object, or has a member twice.
    #[error("The header is not a JSON object without repeated members")]
    Header,
    /// `alg` is missing or no text.
    #[error("The header has no 'alg'")]
    NoAlgorithm,
    /// `alg` names none of the algorithms that a public key can verify here (RFC 8725 §3.1).
    #[error("The specified alg value is not allowed")]
    AlgorithmNotAllowed,
    /// The header asks for something that changes how the token is read, or brings its own key
    /// (`crit`, `b64`, `zip`, `jwk`, `jku`, `x5u`; RFC 8725 §3.10).
    #[error("The header has a parameter that is not allowed")]
    HeaderParameter,
    /// `typ` names another kind of token (RFC 8725 §3.11).
    #[error("The token is of a kind that is not accepted")]
    Kind,
    /// `kid` is no text, or too long.
    #[error("The header's 'kid' must be a short text")]
    KeyId,
    /// The payload is no JSON object, or has a member twice.
    #[error("The payload is not a JSON object without repeated members")]
    Payload,
    /// There is no `iss`.
    #[error("No 'iss' claim in body")]
    NoIssuer,
    /// `iss` is no text.
    #[error("Issuer must be a string")]
    IssuerType,
    /// There is no `sub`.
    #[error("No 'sub' claim in body")]
    NoSubject,
    /// `sub` is no text.
    #[error("Subject must be a string")]
    SubjectType,
    /// `sub` is empty, too long or has a control character.
    #[error("Subject is empty, too long or has control characters")]
    SubjectText,
    /// There is no `exp`: such a token would be good for ever.
    #[error("No 'exp' claim in body")]
    NoExpiry,
    /// A claim says that it is not an access token: an ID token is for the client that it was issued
    /// to, a refresh token for its provider (RFC 8725 §3.12).
    #[error("It is no access token (claim '{0}')")]
    NotAnAccessToken(&'static str),
    /// A claim that must be a text is none (RFC 9068 §2.2).
    #[error("Claim '{0}' must be a text")]
    NotAText(&'static str),
    /// `exp`, `nbf` or `iat` is no number, or none that is a date (RFC 7519 §2, NumericDate).
    #[error("Claim '{0}' must be a date in seconds")]
    Date(&'static str),
}

/// Why no identity could be found for a token that is not a signed one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoIdentity {
    /// Not the characters of a token (RFC 6750 §2.1).
    #[error("it has characters that no token has")]
    NotAToken,
    /// The shape of a one-time password, which must never go to a provider.
    #[error("it looks like a one-time password, which is unknown or used")]
    OneTimePassword,
    /// An opaque token, and nobody said whose.
    #[error(
        "it is an opaque token and nothing names its provider; set `opaque_tokens = yes` in the section of the one provider that issues such tokens, or `offer_opaque_tokens_to_all = yes` in [tokens] where several do"
    )]
    ProviderUnknown,
    /// The caller named a provider that is not configured.
    #[error("the client names the provider {0}, which is not configured")]
    HintUnknown(String),
    /// The provider has nothing to tell about such tokens.
    #[error("{issuer} offers neither userinfo nor introspection for opaque tokens")]
    NoEndpoint {
        /// Which provider.
        issuer: String,
    },
    /// The provider does not know the token, or not any more.
    #[error("{issuer} does not accept the token: {why}")]
    NotAccepted {
        /// Which provider.
        issuer: String,
        /// What it answered.
        why: String,
    },
    /// Every provider that may be asked was asked, and none knows the token.
    #[error("no provider knows the token: {0}")]
    NobodyKnows(String),
    /// The provider could not be asked.
    #[error("{issuer} could not be asked about the token: {why}")]
    Unreachable {
        /// Which provider.
        issuer: String,
        /// What went wrong.
        why: FetchError,
    },
}

/// Why the keys of a provider did not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoKey {
    /// The provider publishes no key of this id for this algorithm.
    #[error("{issuer} publishes no {algorithm} key with kid {kid}")]
    Unknown {
        /// Which provider.
        issuer: String,
        /// The header's `kid`, escaped.
        kid: String,
        /// The header's `alg`.
        algorithm: &'static str,
    },
    /// The keys could not be fetched and none were kept.
    #[error("the keys of {issuer} can't be had: {why}")]
    Unreachable {
        /// Which provider.
        issuer: String,
        /// What went wrong.
        why: FetchError,
    },
}

/// Why a token does not prove an identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefusal {
    /// No signed token, and no provider vouches for it.
    #[error("no identity: {0}")]
    NoIdentity(NoIdentity),
    /// A signed token that breaks a rule of its own form.
    #[error("malformed token: {0}")]
    Malformed(TokenFault),
    /// The issuer is not configured. Holds it escaped and cut.
    #[error("issuer {0} is not configured; if it should be, add it as `op_url`")]
    UntrustedIssuer(String),
    /// No key to verify with.
    #[error("signature not verified: {0}")]
    NotVerified(NoKey),
    /// The key says no.
    #[error("signature is wrong for the keys of {issuer}")]
    BadSignature {
        /// Which provider.
        issuer: String,
    },
    /// `exp` has passed.
    #[error("expired {ago} s ago")]
    Expired {
        /// Seconds since then.
        ago: i64,
    },
    /// `nbf` or `iat` is still to come, beyond the allowed skew.
    #[error("not valid yet: `{claim}` is {ahead} s ahead; are the clocks right?")]
    NotYetValid {
        /// Which claim.
        claim: &'static str,
        /// Seconds until then.
        ahead: i64,
    },
    /// It was issued longer ago than is allowed, whatever its own end says.
    #[error("issued {age} s ago, and [tokens] max_age is {limit}")]
    TooOld {
        /// Seconds since `iat`.
        age: i64,
        /// Seconds that are allowed.
        limit: i64,
    },
    /// It does not tell when it was issued, and its age is bounded.
    #[error(
        "nothing tells when it was issued (claim `iat`), and [tokens] max_age is set; opaque tokens tell it by introspection only"
    )]
    AgeUnknown,
    /// Userinfo or introspection names somebody else than the token (OpenID Connect Core 1.0 §5.3.2).
    #[error("{issuer} answers with another `{claim}` than the token has")]
    Disagreement {
        /// Which provider.
        issuer: String,
        /// `iss` or `sub`.
        claim: &'static str,
    },
    /// The provider says that the token is not good any more (RFC 6750 §3.1, `invalid_token`).
    #[error(
        "{issuer} refuses the token: it was revoked, or it was issued for this service alone and \
         userinfo does not take it; if all its signed tokens are refused, {}", .cure
    )]
    Revoked {
        /// Which provider.
        issuer: String,
        /// What helps if the provider takes none of its signed tokens.
        cure: Cure,
    },
}

/// What helps when userinfo takes no signed token of its provider.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Cure {
    /// Userinfo need not be asked at all.
    #[error("set `userinfo = when_needed` in its section")]
    AskLess,
    /// Userinfo was asked only because of these claims: of each list one.
    #[error("let it put these claims into its tokens, if only as empty lists: {0}")]
    TellMore(String),
}

impl TokenRefusal {
    /// The `error_description` of the REST answer, as the Python stack words it where it has words.
    pub fn description(&self) -> String {
        match self {
            Self::NoIdentity(_) => "User identity could not be determined".to_owned(),
            Self::Malformed(fault) => format!("Could not verify JWT: {fault}"),
            Self::UntrustedIssuer(issuer) => format!("Issuer is not trusted: {issuer}"),
            Self::NotVerified(_) => "The signature of the access token was not verified".to_owned(),
            Self::BadSignature { .. } => {
                "Could not verify JWT: Signature verification failed".to_owned()
            }
            Self::Expired { .. } => {
                "The access token is not valid: Signature has expired".to_owned()
            }
            Self::NotYetValid { claim, .. } => {
                format!("The access token is not valid: The token is not yet valid ({claim})")
            }
            Self::TooOld { .. } => {
                "The access token is not valid: It was issued too long ago".to_owned()
            }
            Self::AgeUnknown => {
                "The access token is not valid: It does not tell when it was issued".to_owned()
            }
            Self::Disagreement { claim, .. } => {
                format!("Could not verify JWT: The provider names another '{claim}'")
            }
            Self::Revoked { .. } => {
                "The access token is not valid: The provider does not accept it".to_owned()
            }
        }
    }

    /// The reason for the operator's log: what happened and, where there is one, the cure.
    pub fn reason(&self) -> String {
        self.to_string()
    }

    /// A word for the kind of refusal, for metrics and programs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NoIdentity(NoIdentity::Unreachable { .. })
            | Self::NotVerified(NoKey::Unreachable { .. }) => "provider_unreachable",
            Self::NoIdentity(NoIdentity::NotAccepted { .. } | NoIdentity::NobodyKnows(_)) => {
                "not_accepted"
            }
            Self::NoIdentity(_) => "no_identity",
            Self::Malformed(_) => "malformed",
            Self::UntrustedIssuer(_) => "untrusted_issuer",
            Self::NotVerified(NoKey::Unknown { .. }) => "unknown_key",
            Self::BadSignature { .. } => "bad_signature",
            Self::Expired { .. } => "expired",
            Self::NotYetValid { .. } => "not_yet_valid",
            Self::TooOld { .. } | Self::AgeUnknown => "too_old",
            Self::Disagreement { .. } => "disagreement",
            Self::Revoked { .. } => "revoked",
        }
    }

    /// True when the same token may be good in a moment: its provider could not be asked.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::NoIdentity(NoIdentity::Unreachable { .. })
                | Self::NotVerified(NoKey::Unreachable { .. })
        )
    }

    /// Names an issuer from an unverified token without letting it act on a reader.
    pub(crate) fn untrusted(issuer: &str) -> Self {
        Self::UntrustedIssuer(escape(issuer, 256))
    }
}

impl From<TokenFault> for TokenRefusal {
    fn from(fault: TokenFault) -> Self {
        Self::Malformed(fault)
    }
}

impl From<NoIdentity> for TokenRefusal {
    fn from(why: NoIdentity) -> Self {
        Self::NoIdentity(why)
    }
}

impl From<NoKey> for TokenRefusal {
    fn from(why: NoKey) -> Self {
        Self::NotVerified(why)
    }
}
