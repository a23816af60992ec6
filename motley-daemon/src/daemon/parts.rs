//! Builds the parts of the service from the configuration, over what a restart alone replaces.

use super::{measured::Measured, nodes::Beat};
use crate::{
    account::{
        AccountParts, AccountRules, Accounts, ApprovalRules, Forget, IdentityLocks, Lifecycle,
    },
    admission::Admission,
    audit::{Audit, Event},
    chance::SystemChance,
    clock::{Clock, SystemClock},
    config::{BackendConfig, Config, Owners},
    identity::TokenVerifier,
    knocks::Knocks,
    notify::{Desk, Letters, Outbox},
    otp::OneTimePasswords,
    replay::ReplayGuard,
    serve::request_id,
    store::{Engine, Store},
    throttle::{Throttle, ThrottleLimits},
};
use anyhow::{Context, anyhow};
use feudal_plugins::{
    Backend, Host, bwidm::BwIdm, external::External, ldap::LdapDirectory, local_unix::LocalUnix,
    map::Mapped, root::RootHost,
};
use motley_proto::{Identity, NodeName};
use std::{path::Path, sync::Arc};

/// Sources of failed logins that are remembered.
const THROTTLED_SOURCES: usize = 10_000;

/// What stays as it is when the configuration is loaded anew.
pub(super) struct Ground {
    pub(super) store: Store,
    pub(super) audit: Arc<Audit>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) throttle: Arc<Throttle>,
    pub(super) knocks: Arc<Knocks>,
    locks: Arc<IdentityLocks>,
    /// What was used up stays so under a new configuration.
    replay: Arc<ReplayGuard>,
}

impl Ground {
    /// Opens the database and the audit trail.
    pub(super) async fn open(config: &Config) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        make_folder(config.store.url.file().as_deref())?;
        let settings = config.store.settings(host_name());
        let store = Store::open_for(&settings).await.with_context(|| {
            let cure = match settings.url.engine() {
                Engine::Sqlite => "is the folder writable by this user?",
                Engine::Postgres => "does the server run, and does it let this user in?",
            };
            format!("[store] url {}: {cure}", settings.url)
        })?;
        make_folder(Some(&config.audit.file))?;
        let audit = Audit::open(&config.audit.file, clock.clone())?;
        audit.record(Event::Started { version: env!("CARGO_PKG_VERSION").to_owned() })?;
        let throttle = Throttle::new(throttle_limits(config), clock.clone());
        let replay = Arc::new(ReplayGuard::new(clock.clone()));
        Ok(Self {
            store,
            audit: Arc::new(audit),
            knocks: Arc::new(Knocks::new(clock.clone())),
            clock,
            replay,
            throttle: Arc::new(throttle),
            locks: Arc::default(),
        })
    }
}

impl Ground {
    /// The sender of digests, under a name of this process.
    pub(super) fn desk(&self) -> Desk {
        Desk::new(self.store.clone(), self.clock.clone(), request_id())
    }

    /// What tells other nodes that this process lives.
    pub(super) fn beat(&self) -> Beat {
        Beat { store: self.store.clone(), clock: self.clock.clone(), instance: request_id() }
    }

    /// The sender of the mails that wait in the store, under a name of this process.
    pub(super) fn outbox(&self) -> Outbox {
        Outbox::new(self.store.clone(), self.clock.clone(), request_id())
    }
}

/// The parts that follow the configuration.
pub(super) struct Parts {
    pub(super) config: Arc<Config>,
    pub(super) verifier: Arc<TokenVerifier>,
    pub(super) passwords: Arc<OneTimePasswords>,
    pub(super) accounts: Arc<Accounts>,
    pub(super) admission: Arc<Admission>,
}

struct ForgetTokens(Arc<TokenVerifier>);

impl Forget for ForgetTokens {
    fn forget(&self, identity: &Identity) {
        self.0.forget(identity);
    }
}

impl Parts {
    /// Builds them. Nothing is asked of anybody yet.
    pub(super) fn build(ground: &Ground, config: Config) -> anyhow::Result<Self> {
        let clock = ground.clock.clone();
        let verifier = Arc::new(TokenVerifier::with_settings(
            config.providers(),
            &config.http_settings(),
            clock.clone(),
            config.verifier_settings(),
        )?);
        let lifetime = i64::try_from(config.otp.lifetime.as_secs()).unwrap_or(600);
        let passwords = OneTimePasswords::new(ground.store.clone(), clock.clone(), lifetime);
        let passwords =
            Arc::new(if config.otp.codes { passwords } else { passwords.without_codes() });
        let approval = config.adapter.approval.enabled.then(|| approval_rules(&config));
        let (backend, host) = keepers(&config)?;
        let accounts = Arc::new(Accounts::new(AccountParts {
            store: ground.store.clone(),
            backend: Arc::new(Measured(backend)),
            host: Arc::new(Measured(host)),
            passwords: passwords.clone(),
            audit: ground.audit.clone(),
            clock,
            forget: Arc::new(ForgetTokens(verifier.clone())),
            locks: ground.locks.clone(),
            rules: AccountRules {
                names: config.adapter.names.clone(),
                groups: config.adapter.groups.clone(),
                shells: config.adapter.shells().clone(),
                home_base: config.adapter.home_base().clone(),
                deploy_keys: config.adapter.deploys_keys(),
                login_info: config.adapter.login_info.clone(),
                first_uid: motley_proto::names::FIRST_PERSON_ID,
            },
            approval,
            lifecycle: Lifecycle {
                config: config.lifecycle,
                letters: letters(&config),
                ..Lifecycle::default()
            },
        }));
        let enabled = config.otp.enabled.then(|| passwords.clone());
        let mut admission =
            Admission::new(verifier.clone(), &config.ops, enabled, accounts.clone())
                .with_knocks(ground.knocks.clone());
        if config.tokens.replay_guard {
            admission = admission.with_replay_guard(ground.replay.clone());
        }
        ground.throttle.set_limits(throttle_limits(&config));
        let (config, admission) = (Arc::new(config), Arc::new(admission));
        Ok(Self { config, verifier, passwords, accounts, admission })
    }
}

fn approval_rules(config: &Config) -> ApprovalRules {
    let approval = &config.adapter.approval;
    ApprovalRules {
        claims: config.claims_kept(),
        expires_seconds: approval.expires_days.saturating_mul(24 * 3600),
        by_mail: approval.by_mail,
        letters: letters(config),
        chance: Arc::new(SystemChance),
    }
}

/// The texts of mails. One that can't be used is told of, and our own words stand in for it.
pub(crate) fn letters(config: &Config) -> Letters {
    let owners = Owners { service: nix::unistd::geteuid().as_raw() };
    let host = config.adapter.login_info.ssh_host();
    let (letters, findings) = Letters::load(&config.adapter.email, host, owners);
    for finding in findings {
        tracing::warn!(%finding, "a text of a mail");
    }
    letters
}

/// What keeps the accounts, and the host on which people work.
fn keepers(config: &Config) -> anyhow::Result<(Arc<dyn Backend>, Arc<dyn Host>)> {
    let socket = &config.root.socket;
    Ok(match &config.adapter.backend {
        BackendConfig::LocalUnix(local) => {
            let local = LocalUnix::new(local.clone(), socket);
            let host = local.host();
            (Arc::new(local), host)
        }
        BackendConfig::Ldap(ldap) => {
            (Arc::new(LdapDirectory::new(ldap.as_ref().clone())), Arc::new(RootHost::new(socket)))
        }
        BackendConfig::BwIdm(bwidm) => {
            (Arc::new(BwIdm::new(bwidm.config.clone())?), Arc::new(RootHost::new(socket)))
        }
        BackendConfig::External(external) => {
            (Arc::new(External::new(external.config.clone())), Arc::new(RootHost::new(socket)))
        }
        BackendConfig::Map(map) => {
            let file = map.config.open().map_err(|problems| anyhow!(problems.join("; ")))?;
            (Arc::new(Mapped::new(file)), Arc::new(RootHost::new(socket)))
        }
    })
}

fn throttle_limits(config: &Config) -> ThrottleLimits {
    ThrottleLimits {
        burst: config.limits.attempts_per_source,
        per_minute: config.limits.attempts_per_source,
        sources: THROTTLED_SOURCES,
    }
}

/// The name of this host, as far as it can be that of a node.
fn host_name() -> NodeName {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    name.and_then(|name| NodeName::new(name).ok()).unwrap_or_else(NodeName::localhost)
}

fn make_folder(file: Option<&Path>) -> anyhow::Result<()> {
    match file.and_then(Path::parent) {
        Some(folder) if !folder.as_os_str().is_empty() => std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display())),
        _ => Ok(()),
    }
}
