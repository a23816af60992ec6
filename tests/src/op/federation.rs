//! Several providers with users, as the set-up file of the recorded REST cases describes them.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

use super::ca::TestCa;
use super::form;
use super::kind::{Minted, TokenKind};
use super::provider::TestOp;
use super::state::User;

/// Paths of the issuers that have one; the set-up file says so in prose.
const PATHS: [(&str, &str); 2] = [("vo", "/realms/demo"), ("ent", "/oauth2")];

/// All providers of a set-up, by their names there.
#[derive(Debug)]
pub struct Federation {
    ops: BTreeMap<String, TestOp>,
    /// User to provider and subject.
    users: BTreeMap<String, (String, String)>,
}

impl Federation {
    /// Starts every provider of the set-up's `issuers` with its `users`.
    ///
    /// # Errors
    /// When the set-up misses a member, or a provider does not start.
    pub fn start(ca: &TestCa, setup: &Value) -> Result<Self> {
        let issuers = setup.get("issuers").and_then(Value::as_object).context("no issuers")?;
        let users = setup.get("users").and_then(Value::as_object).context("no users")?;
        let mut federation = Self { ops: BTreeMap::new(), users: BTreeMap::new() };
        for name in issuers.keys() {
            let path = PATHS.iter().find(|(op, _)| op == name).map_or("", |(_, path)| path);
            federation.ops.insert(name.clone(), TestOp::builder(ca).path(path).start()?);
        }
        for (name, entry) in users {
            federation.add_user(name, entry).with_context(|| format!("user {name}"))?;
        }
        Ok(federation)
    }

    /// The provider of that name.
    ///
    /// # Errors
    /// When there is none.
    pub fn op(&self, name: &str) -> Result<&TestOp> {
        self.ops.get(name).with_context(|| format!("no provider {name}"))
    }

    /// The provider of a user.
    ///
    /// # Errors
    /// When the user is unknown.
    pub fn op_of(&self, user: &str) -> Result<&TestOp> {
        let (op, _) = self.users.get(user).with_context(|| format!("no user {user}"))?;
        self.op(op)
    }

    /// All providers with their names.
    pub fn ops(&self) -> impl Iterator<Item = (&str, &TestOp)> {
        self.ops.iter().map(|(name, op)| (name.as_str(), op))
    }

    /// The subject of a user.
    #[must_use]
    pub fn subject(&self, user: &str) -> Option<&str> {
        self.users.get(user).map(|(_, subject)| subject.as_str())
    }

    /// Mints what a case sends: `kind` for `user`, or for `stranger` where the kind says so.
    ///
    /// # Errors
    /// When the user is unknown.
    pub fn mint(&self, kind: TokenKind, user: &str) -> Result<Minted> {
        let user = match kind {
            TokenKind::JwtUntrustedOp | TokenKind::OpaqueUntrustedOp => "stranger",
            _ => user,
        };
        let op = self.op_of(user)?;
        let listed = self.op("listed")?;
        let other = if op.issuer() == listed.issuer() { self.op("all")? } else { listed };
        op.mint(kind, user, other.issuer())
    }

    /// Replaces `<iss_NAME>` and `<sub:USER>` with their forms `:noscheme`, `:upper`, `:quoted`.
    #[must_use]
    pub fn substitute(&self, text: &str) -> String {
        let issuers = self.ops.iter().map(|(name, op)| (format!("<iss_{name}"), op.issuer()));
        let subjects =
            self.users.iter().map(|(name, (_, sub))| (format!("<sub:{name}"), sub.as_str()));
        issuers.chain(subjects).fold(text.to_owned(), |text, (name, value)| {
            let noscheme = value.split_once("://").map_or(value, |(_, rest)| rest);
            text.replace(&format!("{name}>"), value)
                .replace(&format!("{name}:noscheme>"), noscheme)
                .replace(&format!("{name}:upper>"), &value.to_uppercase())
                .replace(&format!("{name}:quoted>"), &form::encode(value))
        })
    }

    fn add_user(&mut self, name: &str, entry: &Value) -> Result<()> {
        let text = |member: &str| {
            let value = entry.get(member).and_then(Value::as_str);
            value.map(str::to_owned).with_context(|| format!("no {member}"))
        };
        let (op, subject) = (text("op")?, text("sub")?);
        let mut user = User::new(name).subject(&subject).claim("name", Value::Null);
        for member in ["preferred_username", "email"] {
            user = user.claim(member, text(member)?);
        }
        for (claim, value) in entry.get("claims").and_then(Value::as_object).into_iter().flatten() {
            user = user.claim(claim, value.clone());
        }
        self.op(&op)?.add_user(user);
        self.users.insert(name.to_owned(), (op, subject));
        Ok(())
    }
}
