//! One provider: its settings, its server, and what a test may do with it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use axum::body::Body;
use axum::http::Response;
use serde_json::{Map, Value, json};

use super::ca::TestCa;
use super::device::{self, Decision};
use super::endpoints::{Spoiled, answer, endpoint_of, patched, spoil};
use super::fault::{Endpoint, Fault};
use super::keys::{Alg, SigningKey};
use super::server::{Call, Server, Site};
use super::state::{Grant, GrantedToken, State, User, fresh};
use super::token::TokenBuilder;

/// Collects what a provider shall be like.
#[derive(Debug)]
pub struct TestOpBuilder<'a> {
    ca: &'a TestCa,
    host: String,
    address: IpAddr,
    port: u16,
    path: String,
    users: Vec<User>,
}

impl TestOpBuilder<'_> {
    /// The host name in the issuer, `localhost` unless set; it must lead to the address.
    #[must_use]
    pub fn host(mut self, host: &str) -> Self {
        host.clone_into(&mut self.host);
        self
    }

    /// The loopback address to listen at, 127.0.0.1 unless set.
    #[must_use]
    pub fn address(mut self, address: IpAddr) -> Self {
        self.address = address;
        self
    }

    /// The port, any free one unless set.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The path of the issuer, e.g. `/realms/demo`; a slash at the end belongs to the issuer.
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    /// A person the provider knows.
    #[must_use]
    pub fn user(mut self, user: User) -> Self {
        self.users.push(user);
        self
    }

    /// Makes keys (RSA 2048, P-256, P-384, Ed25519) and starts serving.
    ///
    /// # Errors
    /// When the port is taken.
    pub fn start(self) -> Result<TestOp> {
        let tls = self.ca.server_config(&[&self.host, "localhost", "127.0.0.1"])?;
        let mut state = State::default();
        for alg in [Alg::EdDsa, Alg::Es384, Alg::Es256, Alg::Rs256] {
            state.keys.key_for(alg)?;
        }
        state.users = self.users.into_iter().map(|user| (user.name.clone(), user)).collect();
        // The issuer holds the port, which is known only once a listener has it.
        let address = SocketAddr::from((self.address, self.port));
        let reserved = std::net::TcpListener::bind(address)?;
        let address = reserved.local_addr()?;
        drop(reserved);
        let shared = Shared {
            issuer: format!("https://{}:{}{}", self.host, address.port(), self.path),
            path: self.path.trim_end_matches('/').to_owned(),
            address,
            tls,
            state: Mutex::new(state),
        };
        let op = TestOp { shared: Arc::new(shared), server: Arc::new(Mutex::new(None)) };
        op.up()?;
        Ok(op)
    }
}

#[derive(Debug)]
struct Shared {
    issuer: String,
    path: String,
    address: SocketAddr,
    tls: Arc<rustls::ServerConfig>,
    state: Mutex<State>,
}

/// A running provider; clones share it, dropping the last one stops it.
#[derive(Debug, Clone)]
pub struct TestOp {
    shared: Arc<Shared>,
    server: Arc<Mutex<Option<Server>>>,
}

impl TestOp {
    /// Starts describing a provider whose certificate `ca` signs.
    #[must_use]
    pub fn builder(ca: &TestCa) -> TestOpBuilder<'_> {
        TestOpBuilder {
            ca,
            host: "localhost".to_owned(),
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
            path: String::new(),
            users: Vec::new(),
        }
    }

    /// The issuer identifier.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.shared.issuer
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// Stops listening and cuts all connections; [`Self::up`] brings it back on the same port.
    pub fn down(&self) {
        *lock(&self.server) = None;
    }

    /// Listens again; nothing happens when it does.
    ///
    /// # Errors
    /// When the port is taken.
    pub fn up(&self) -> Result<()> {
        let mut server = lock(&self.server);
        if server.is_none() {
            let site = Arc::new(Provider { shared: self.shared.clone() });
            *server =
                Some(Server::start(self.shared.address, Some(self.shared.tls.clone()), site)?);
        }
        Ok(())
    }

    /// Makes a person known, or changes one.
    pub fn add_user(&self, user: User) {
        self.state().users.insert(user.name.clone(), user);
    }

    /// Starts an access token for a person; one who is unknown is made up by [`User::new`].
    #[must_use]
    pub fn token(&self, user: &str) -> TokenBuilder<'_> {
        TokenBuilder::new(self, &self.claims_of(user))
    }

    /// What is known about a person.
    #[must_use]
    pub fn claims_of(&self, user: &str) -> Map<String, Value> {
        let known = self.state().users.get(user).cloned();
        known.unwrap_or_else(|| User::new(user)).claims
    }

    /// Makes a client known; without secret it is a public one. Returns both for convenience.
    pub fn add_client(&self, id: &str, secret: Option<&str>) -> (String, Option<String>) {
        let secret = secret.map(str::to_owned);
        self.state().clients.insert(id.to_owned(), secret.clone());
        (id.to_owned(), secret)
    }

    /// A refresh token of a person for a client, with the scopes oidc-agent wants.
    #[must_use]
    pub fn refresh_token(&self, user: &str, client: &str) -> String {
        let token = fresh("refresh-");
        let grant = Grant::new(user, client, "openid profile email offline_access");
        self.state().refresh.insert(token.clone(), grant);
        token
    }

    /// From now on a refresh token is worth nothing once it was used, and another one comes for it.
    pub fn rotate_refresh_tokens(&self) {
        self.state().rotates = true;
    }

    /// How many refresh tokens are good.
    #[must_use]
    pub fn refresh_tokens(&self) -> usize {
        self.state().refresh.len()
    }

    /// From now on the token endpoint gives out tokens like this.
    pub fn grant_tokens(&self, like: GrantedToken) {
        self.state().granted = like;
    }

    /// This person signs in at the authorization endpoint, and approves device codes, at once;
    /// `None` leaves both to the test.
    pub fn sign_in(&self, user: Option<&str>) {
        self.state().signed_in = user.map(str::to_owned);
    }

    /// The user codes that wait for a decision.
    #[must_use]
    pub fn pending_user_codes(&self) -> Vec<String> {
        let state = self.state();
        let pending = state.devices.values().filter(|grant| grant.decision == Decision::Pending);
        pending.map(|grant| grant.user_code.clone()).collect()
    }

    /// A person approves a user code; whether it was known.
    pub fn approve_device(&self, user_code: &str, user: &str) -> bool {
        device::decide(&mut self.state(), user_code, Decision::Approved(user.to_owned()))
    }

    /// A person denies a user code; whether it was known.
    pub fn deny_device(&self, user_code: &str) -> bool {
        device::decide(&mut self.state(), user_code, Decision::Denied)
    }

    /// User codes expire now.
    pub fn expire_devices(&self) {
        self.state().devices.values_mut().for_each(|grant| grant.expires = 0);
    }

    /// Publishes a new key for the algorithm and signs with it; older keys stay published.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn add_key(&self, alg: Alg) -> Result<()> {
        self.state().keys.publish(alg.family(), true).map(drop)
    }

    /// The same, but the key set does not name the key.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn add_nameless_key(&self, alg: Alg) -> Result<()> {
        self.state().keys.publish(alg.family(), false).map(drop)
    }

    /// Withdraws all keys and publishes new ones: tokens signed before are no longer good.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn rotate_keys(&self) -> Result<()> {
        self.state().keys.replace()
    }

    /// The document at the `jwks_uri`.
    #[must_use]
    pub fn jwks(&self) -> Value {
        self.state().keys.document()
    }

    /// The provider forgets a token, as if it had been revoked.
    pub fn forget_token(&self, token: &str) {
        self.state().issued.remove(token);
    }

    /// Switches a fault on until [`Self::heal`]; it replaces an earlier one at that endpoint.
    pub fn fault(&self, endpoint: Endpoint, fault: Fault) {
        self.state().faults.set(endpoint, fault, None);
    }

    /// Switches a fault on for the next `times` requests.
    pub fn fault_times(&self, endpoint: Endpoint, fault: Fault, times: u32) {
        self.state().faults.set(endpoint, fault, Some(times));
    }

    /// Switches all faults off.
    pub fn heal(&self) {
        self.state().faults.clear();
    }

    /// How many requests an endpoint has had.
    #[must_use]
    pub fn count(&self, endpoint: Endpoint) -> usize {
        self.state().counters.requests.get(&endpoint).copied().unwrap_or_default()
    }

    /// How many requests there were in all.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.state().counters.requests.values().sum()
    }

    /// How many TCP connections were opened: 0 proves that nobody even tried.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.state().counters.connections
    }

    /// Sets all counters to 0.
    pub fn reset_counters(&self) {
        self.state().counters = super::fault::Counters::default();
    }

    /// All counters as JSON.
    #[must_use]
    pub fn counters(&self) -> Value {
        json!(self.state().counters)
    }

    pub(crate) fn key_for(&self, alg: Alg) -> Arc<SigningKey> {
        // Making a key fails only when the system has no randomness; nothing works then.
        self.state().keys.key_for(alg).unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.shared.state)
    }
}

/// What the server shows: holds no server, so that dropping the last [`TestOp`] stops it.
struct Provider {
    shared: Arc<Shared>,
}

impl Provider {
    fn op(&self) -> TestOp {
        TestOp { shared: self.shared.clone(), server: Arc::default() }
    }
}

impl Site for Provider {
    fn connected(&self) {
        lock(&self.shared.state).counters.connections += 1;
    }

    async fn answer(&self, call: Call) -> Option<Response<Body>> {
        let endpoint =
            call.path.strip_prefix(&self.shared.path).map_or(Endpoint::Other, endpoint_of);
        let op = self.op();
        let fault = {
            let mut state = op.state();
            *state.counters.requests.entry(endpoint).or_default() += 1;
            state.faults.take(endpoint)
        };
        let Some(fault) = fault else { return Some(answer(&op, endpoint, &call)) };
        match fault {
            Fault::DelayMs(milliseconds) => {
                tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            }
            Fault::Hang => std::future::pending().await,
            _ => {}
        }
        if let Fault::LateMs(milliseconds) = fault {
            let right = answer(&op, endpoint, &call);
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            return Some(right);
        }
        match spoil(fault, || answer(&op, endpoint, &call)) {
            Spoiled::Answer(response) => Some(response),
            Spoiled::Patched(response, members) => Some(patched(response, &members).await),
            Spoiled::Closed => None,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
