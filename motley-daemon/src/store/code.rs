//! Login codes in the store: put once, taken at most once by whichever process comes first.

use super::{Bounds, Put, Store, StoreError, spelling::issuer_texts, suspension::is_suspended};
use crate::clock::Timestamp;
use motley_proto::{Identity, Issuer, Subject, UserName};

/// On what a code lets somebody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeKind {
    /// On the token that is sealed in it.
    Token,
    /// On the word of an admin of the host.
    Vouched {
        /// Uid of the admin.
        by: u32,
    },
}

impl CodeKind {
    fn word(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Vouched { .. } => "vouched",
        }
    }

    fn vouched_by(self) -> Option<i64> {
        match self {
            Self::Token => None,
            Self::Vouched { by } => Some(i64::from(by)),
        }
    }

    fn read(word: &str, vouched_by: Option<i64>) -> Result<Self, StoreError> {
        match (word, vouched_by) {
            ("token", None) => Ok(Self::Token),
            ("vouched", Some(by)) => {
                let by = u32::try_from(by).map_err(|_| StoreError::Corrupt("uid of an admin"))?;
                Ok(Self::Vouched { by })
            }
            _ => Err(StoreError::Corrupt("kind of a login code")),
        }
    }
}

/// What belongs to a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedCode {
    /// On what it lets in.
    pub kind: CodeKind,
    /// For whom it was given out.
    pub identity: Identity,
    /// The one account name that it opens.
    pub name: UserName,
    /// What only the code opens.
    pub sealed: Vec<u8>,
    /// When it ends.
    pub expires_at: Timestamp,
}

type Row = (String, Option<i64>, String, String, String, Vec<u8>, i64);

impl Store {
    /// Stores a code under its digest, unless this identity already holds as many that are good as
    /// it may, or all identities together do, or the identity is suspended.
    ///
    /// As with one-time passwords, the suspension is looked at in the same transaction.
    ///
    /// # Errors
    /// When the database does not answer, or the digest is there already.
    pub async fn put_code(
        &self,
        digest: &[u8; 32],
        code: &SealedCode,
        bounds: Bounds,
        now: Timestamp,
    ) -> Result<Put, StoreError> {
        self.in_time(async {
        let mut write = self.write().await?;
        if is_suspended(&mut write, &code.identity).await? {
            return Ok(Put::Suspended);
        }
        let [own, other] = issuer_texts(&code.identity);
        let held: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM login_code WHERE issuer IN ($1, $2) AND subject = $3 AND expires_at > $4",
        )
        .bind(own)
        .bind(other)
        .bind(code.identity.subject.to_string())
        .bind(now.0)
        .fetch_one(&mut *write)
        .await?;
        if held >= bounds.per_identity {
            return Ok(Put::TooMany);
        }
        let all: (i64, i64) = sqlx::query_as(
            "SELECT COUNT(*), COALESCE(SUM(LENGTH(sealed)), 0) FROM login_code WHERE expires_at > $1",
        )
        .bind(now.0)
        .fetch_one(&mut *write)
        .await?;
        if bounds.are_reached(all, code.sealed.len()) {
            return Ok(Put::Full);
        }
        sqlx::query(
            "INSERT INTO login_code (digest, kind, issuer, subject, name, vouched_by, sealed, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(digest.to_vec())
        .bind(code.kind.word())
        .bind(code.identity.issuer.to_string())
        .bind(code.identity.subject.to_string())
        .bind(code.name.to_string())
        .bind(code.kind.vouched_by())
        .bind(code.sealed.clone())
        .bind(code.expires_at.0)
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(Put::Done)
        })
        .await
    }

    /// Takes a code out of the store. Of any number of racing processes exactly one gets it, and only
    /// after the row is gone for good. Guesses cost no write.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn take_code(
        &self,
        digest: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<SealedCode>, StoreError> {
        self.in_time(async {
            let known: i64 =
                sqlx::query_scalar("SELECT COUNT(*) FROM login_code WHERE digest = $1")
                    .bind(digest.to_vec())
                    .fetch_one(&self.pool)
                    .await?;
            if known == 0 {
                return Ok(None);
            }
            let mut write = self.write().await?;
            let row: Option<Row> = sqlx::query_as(
                "DELETE FROM login_code WHERE digest = $1
                 RETURNING kind, vouched_by, issuer, subject, name, sealed, expires_at",
            )
            .bind(digest.to_vec())
            .fetch_optional(&mut *write)
            .await?;
            // PostgreSQL tells the row before it is gone for good.
            write.commit().await?;
            let code = row.map(read_row).transpose()?;
            Ok(code.filter(|code| code.expires_at > now))
        })
        .await
    }

    /// Drops all codes of an identity and says how many there were.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn drop_codes(&self, identity: &Identity) -> Result<u64, StoreError> {
        let query = sqlx::query("DELETE FROM login_code WHERE issuer = $1 AND subject = $2")
            .bind(identity.issuer.to_string())
            .bind(identity.subject.to_string());
        self.execute(query).await
    }

    /// Drops all that are past their time.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn sweep_codes(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.execute(sqlx::query("DELETE FROM login_code WHERE expires_at <= $1").bind(now.0)).await
    }
}

fn read_row(row: Row) -> Result<SealedCode, StoreError> {
    let (kind, vouched_by, issuer, subject, name, sealed, expires_at) = row;
    let kind = CodeKind::read(&kind, vouched_by)?;
    let issuer = Issuer::new(issuer).map_err(|_| StoreError::Corrupt("issuer"))?;
    let subject = Subject::new(subject).map_err(|_| StoreError::Corrupt("subject"))?;
    let name = UserName::new(name).map_err(|_| StoreError::Corrupt("name"))?;
    let identity = Identity::new(issuer, subject);
    Ok(SealedCode { kind, identity, name, sealed, expires_at: Timestamp(expires_at) })
}
