//! Control of running providers over plain HTTP on loopback, for scripts: `/_control/OP/ACTION`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use axum::body::Body;
use axum::http::Response;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::endpoints::{error, json_response, response};
use super::fault::{Endpoint, Fault};
use super::keys::Alg;
use super::kind::TokenKind;
use super::provider::TestOp;
use super::server::{Call, Server, Site};
use super::state::{GrantedToken, User};

/// A running control server.
#[derive(Debug)]
pub struct Control {
    server: Server,
}

impl Control {
    /// Serves `GET /_control` (the list) and, for each provider, `POST /_control/NAME/ACTION`:
    ///
    /// | action | body | answer |
    /// | --- | --- | --- |
    /// | `token` | `{user, kind?, other_issuer?, claims?, header?, alg?, size?, lifetime?, opaque?}` | the token as text |
    /// | `refresh-token` | `{user, client}` | the token as text |
    /// | `user` | `{name, claims}` | |
    /// | `client` | `{id, secret?}` | |
    /// | `sign-in` | `{user?}` | |
    /// | `approve`, `deny` | `{user_code, user}` | |
    /// | `fault` | `{endpoint, fault, times?}` | |
    /// | `grant` | `{size?, lifetime?, opaque?}` | |
    /// | `heal`, `rotate`, `down`, `up`, `reset` | | |
    /// | `counters` | | counters as JSON |
    ///
    /// # Errors
    /// When the address is taken.
    pub fn start(address: SocketAddr, ops: BTreeMap<String, TestOp>) -> Result<Self> {
        Ok(Self { server: Server::start(address, None, Arc::new(Desk { ops }))? })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Its base URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/_control", self.server.address())
    }
}

struct Desk {
    ops: BTreeMap<String, TestOp>,
}

impl Site for Desk {
    async fn answer(&self, call: Call) -> Option<Response<Body>> {
        Some(match self.act(&call) {
            Ok(Value::String(text)) => response(200, "text/plain", Body::from(text + "\n")),
            Ok(value) => json_response(200, &value),
            Err(problem) => error(400, &format!("{problem:#}")),
        })
    }
}

impl Desk {
    fn act(&self, call: &Call) -> Result<Value> {
        let path = call.path.strip_prefix("/_control").context("not below /_control")?;
        let mut words = path.split('/').filter(|word| !word.is_empty());
        let Some(name) = words.next() else {
            let issuers = self.ops.iter().map(|(name, op)| (name.as_str(), op.issuer()));
            return Ok(issuers.collect());
        };
        let op = self.ops.get(name).with_context(|| format!("no provider {name}"))?;
        act_on(op, words.next().unwrap_or_default(), &call.body)
    }
}

fn act_on(op: &TestOp, action: &str, body: &[u8]) -> Result<Value> {
    match action {
        "token" => return mint(op, body),
        "refresh-token" => {
            let order: ForClient = parse(body)?;
            return Ok(op.refresh_token(&order.user, &order.client).into());
        }
        "counters" => return Ok(op.counters()),
        "user" => {
            let order: NewUser = parse(body)?;
            let user = User::new(&order.name);
            op.add_user(order.claims.into_iter().fold(user, |user, (n, v)| user.claim(&n, v)));
        }
        "client" => {
            let order: NewClient = parse(body)?;
            op.add_client(&order.id, order.secret.as_deref());
        }
        "sign-in" => op.sign_in(parse::<SignIn>(body)?.user.as_deref()),
        "approve" | "deny" => decide(op, action, &parse(body)?)?,
        "fault" => {
            let order: NewFault = parse(body)?;
            match order.times {
                Some(times) => op.fault_times(order.endpoint, order.fault, times),
                None => op.fault(order.endpoint, order.fault),
            }
        }
        "grant" => op.grant_tokens(parse::<TokenOrder>(body)?.granted()?),
        "heal" => op.heal(),
        "rotate" => op.rotate_keys()?,
        "down" => op.down(),
        "up" => op.up()?,
        "reset" => op.reset_counters(),
        _ => bail!("no action {action:?}"),
    }
    Ok(json!({}))
}

fn decide(op: &TestOp, action: &str, order: &Decide) -> Result<()> {
    let known = match action {
        "approve" => op.approve_device(&order.user_code, &order.user),
        _ => op.deny_device(&order.user_code),
    };
    if !known {
        bail!("no user code {:?}", order.user_code);
    }
    Ok(())
}

fn mint(op: &TestOp, body: &[u8]) -> Result<Value> {
    let order: TokenOrder = parse(body)?;
    if let Some(kind) = &order.kind {
        let minted = op.mint(kind.parse::<TokenKind>()?, &order.user, &order.other_issuer)?;
        return Ok(minted.credential.into());
    }
    let granted = order.granted()?;
    let mut builder = op.token(&order.user);
    for (name, value) in order.claims {
        builder = builder.claim(&name, value);
    }
    for (name, value) in order.header {
        builder = builder.header(&name, value);
    }
    Ok(match granted {
        GrantedToken::Jwt { alg, size, lifetime } => {
            builder.alg(alg).size(size).lifetime(lifetime).sign().into()
        }
        GrantedToken::Opaque { size, lifetime } => {
            builder.size(size).lifetime(lifetime).opaque().into()
        }
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenOrder {
    #[serde(default)]
    user: String,
    kind: Option<String>,
    #[serde(default)]
    other_issuer: String,
    #[serde(default)]
    claims: Map<String, Value>,
    #[serde(default)]
    header: Map<String, Value>,
    alg: Option<String>,
    #[serde(default)]
    size: usize,
    lifetime: Option<i64>,
    #[serde(default)]
    opaque: bool,
}

impl TokenOrder {
    fn granted(&self) -> Result<GrantedToken> {
        let (size, lifetime) = (self.size, self.lifetime.unwrap_or(3600));
        if self.opaque {
            return Ok(GrantedToken::Opaque { size, lifetime });
        }
        let alg = self.alg.as_deref().map_or(Ok(Alg::Rs256), str::parse)?;
        Ok(GrantedToken::Jwt { alg, size, lifetime })
    }
}

#[derive(Deserialize)]
struct ForClient {
    user: String,
    client: String,
}

#[derive(Deserialize)]
struct NewUser {
    name: String,
    #[serde(default)]
    claims: Map<String, Value>,
}

#[derive(Deserialize)]
struct NewClient {
    id: String,
    secret: Option<String>,
}

#[derive(Deserialize)]
struct SignIn {
    user: Option<String>,
}

#[derive(Deserialize)]
struct Decide {
    user_code: String,
    #[serde(default)]
    user: String,
}

#[derive(Deserialize)]
struct NewFault {
    endpoint: Endpoint,
    fault: Fault,
    times: Option<u32>,
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    let text: &[u8] = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(text).context("the body")
}
