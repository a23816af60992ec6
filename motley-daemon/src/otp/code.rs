//! Short random codes for people to type: for the holder of a token, or on an admin's word.
//!
//! A row is found by one digest of the code and opened by another. What is sealed opens only with
//! the kind, the identity, the name and the end in the row, so that who can write the database, but knows no
//! code, can't turn one person's code into another's or make one last longer.

use super::{LIMIT_IN_TOTAL, LIMIT_OF_BYTES, OneTimePasswords, OtpError, seal::CODE};
use crate::{
    clock::Timestamp,
    store::{Bounds, CodeKind, Put, SealedCode},
    verified::Verified,
};
use motley_proto::{Code, Identity, Secret, UserName, code::CODE_BYTES};
use zeroize::Zeroizing;

/// Most unused codes of one identity.
const LIMIT_PER_IDENTITY: i64 = 8;
/// What is kept of codes.
const BOUNDS: Bounds =
    Bounds { per_identity: LIMIT_PER_IDENTITY, total: LIMIT_IN_TOTAL, bytes: LIMIT_OF_BYTES };
/// The same where an admin vouches, who must be able to help while users have filled the table.
const VOUCHED: Bounds =
    Bounds { per_identity: LIMIT_PER_IDENTITY, total: i64::MAX, bytes: i64::MAX };

/// For whom a code is given out.
pub enum CodeFor<'a> {
    /// For the holder of this verified token, which is verified again when the code is used.
    Holder {
        /// The token.
        token: &'a Secret,
        /// What it says.
        verified: &'a Verified,
    },
    /// For somebody for whom an admin of the host vouches.
    Vouched {
        /// Whose account it opens.
        identity: &'a Identity,
        /// Uid of the admin.
        by: u32,
    },
}

/// A code that was just given out.
#[derive(Debug)]
pub struct NewCode {
    /// The code. It can't be found out again.
    pub code: Code,
    /// When it ends.
    pub expires_at: Timestamp,
    /// For how many seconds it is good.
    pub lifetime: i64,
}

/// On what a code lets somebody in.
pub enum Behind {
    /// On a token, which still has to be verified.
    Token(Secret),
    /// On the word of an admin of the host.
    Vouched {
        /// Uid of the admin.
        by: u32,
    },
}

/// What a code stood for. It is used up, whatever comes of it.
pub struct RedeemedCode {
    /// For whom it was given out.
    pub identity: Identity,
    /// The one name under which it lets in.
    pub name: UserName,
    /// On what it lets in.
    pub behind: Behind,
}

impl OneTimePasswords {
    /// True when short codes are given out and taken.
    pub fn has_codes(&self) -> bool {
        self.codes
    }

    /// Draws a code for somebody whose account has this name.
    ///
    /// # Errors
    /// When the store or the system's generator fails, the person holds too many or is suspended,
    /// or the token ends.
    pub async fn issue_code(
        &self,
        whose: CodeFor<'_>,
        name: &UserName,
    ) -> Result<NewCode, OtpError> {
        let (identity, kind, text, token_ends, bounds) = match whose {
            CodeFor::Holder { token, verified } => {
                let ends = verified.expires();
                (verified.identity(), CodeKind::Token, token.expose(), ends, BOUNDS)
            }
            CodeFor::Vouched { identity, by } => {
                (identity, CodeKind::Vouched { by }, "", None, VOUCHED)
            }
        };
        let expires_at = self.end(token_ends)?;
        let code = self.draw()?;
        let digest = CODE.digest(code.canonical());
        let bound = bound(&digest, kind, identity, name, expires_at);
        let row = SealedCode {
            kind,
            identity: identity.clone(),
            name: name.clone(),
            sealed: CODE.seal(code.canonical(), &bound, text)?,
            expires_at,
        };
        let now = self.clock.now();
        match self.store.put_code(&digest, &row, bounds, now).await? {
            Put::Done => Ok(NewCode { code, expires_at, lifetime: expires_at.0 - now.0 }),
            Put::TooMany => Err(OtpError::TooMany),
            Put::Full => Err(OtpError::Full),
            Put::Suspended => Err(OtpError::Suspended),
        }
    }

    /// Takes a code out of the store; `None` when it is unknown, used or past its time.
    ///
    /// # Errors
    /// When the store fails, or the row was changed by somebody else.
    pub async fn redeem_code(&self, code: &Code) -> Result<Option<RedeemedCode>, OtpError> {
        let digest = CODE.digest(code.canonical());
        let Some(row) = self.store.take_code(&digest, self.clock.now()).await? else {
            return Ok(None);
        };
        let bound = bound(&digest, row.kind, &row.identity, &row.name, row.expires_at);
        let text = CODE.open(code.canonical(), &bound, row.sealed)?;
        let behind = match row.kind {
            CodeKind::Token => Behind::Token(text),
            CodeKind::Vouched { by } => Behind::Vouched { by },
        };
        Ok(Some(RedeemedCode { identity: row.identity, name: row.name, behind }))
    }

    fn draw(&self) -> Result<Code, OtpError> {
        let mut bytes = Zeroizing::new([0; CODE_BYTES]);
        self.chance.fill(bytes.as_mut_slice())?;
        Ok(Code::from_bytes(&bytes))
    }
}

/// Everything in a row that must not change between giving out and use, each part ended by a byte
/// that occurs in none of them.
fn bound(
    digest: &[u8; 32],
    kind: CodeKind,
    identity: &Identity,
    name: &UserName,
    expires_at: Timestamp,
) -> Vec<u8> {
    let kind = match kind {
        CodeKind::Token => "token".to_owned(),
        CodeKind::Vouched { by } => format!("vouched {by}"),
    };
    let issuer = identity.issuer.to_string();
    let subject = identity.subject.to_string();
    let parts = [kind.as_str(), &issuer, &subject, name.as_str()];
    let texts = parts.into_iter().flat_map(|part| part.bytes().chain([0]));
    digest.iter().copied().chain(expires_at.0.to_be_bytes()).chain(texts).collect()
}

#[cfg(test)]
mod tests;
