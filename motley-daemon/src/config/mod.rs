//! Configuration: today's files read unchanged, held against one option table, and validated.
//!
//! Data flows one way: [`search`] finds the files, [`permissions`] reads them, [`ini`] and
//! [`interpolate`] take them apart, [`raw`] gives them types by the table in [`options`], and what
//! comes out is a [`Config`] in which every value is valid, or a list of everything that is wrong.

mod adapter;
mod check;
mod choice;
mod email;
pub mod finding;
pub mod ini;
pub mod interpolate;
mod ldap;
mod network;
mod ops;
pub mod options;
mod outside;
mod pam_module;
pub mod permissions;
pub mod raw;
pub mod report;
pub mod search;
mod service;
mod store;
pub mod values;
mod verification;

pub use adapter::{AdapterConfig, ApprovalConfig, BackendConfig};
pub use email::EmailConfig;
pub use finding::{ConfigError, Finding, FindingKind, Warning};
pub use network::Network;
pub use ops::OpConfig;
pub use options::{render_man, render_reference, render_sample};
pub use outside::{MapConfig, Outside};
pub use permissions::{Owners, read_guarded, read_key};
pub use search::{Paths, Surroundings};
pub use service::{
    AdminConfig, AuditConfig, Digest, LifecycleConfig, LimitsConfig, Listen, LogFormat,
    LoginConfig, MapperConfig, NotifyConfig, OtpConfig, PrivacyConfig, RootConfig, ServerConfig,
    TlsFiles, TokensConfig,
};
pub use store::StoreConfig;

use feudal_plugins::{
    Tier,
    groups::{GroupRules, Method, Policy},
};
use finding::Findings;
use motley_proto::Issuer;
use options::{FEUDAL_ADAPTER, FileSpec, MOTLEY_CUE};
use raw::{Origin, RawFile};
use std::path::{Path, PathBuf};
use values::Value;

/// Everything that is configured.
#[derive(Clone)]
pub struct Config {
    /// The service as a whole.
    pub mapper: MapperConfig,
    /// One-time passwords.
    pub otp: OtpConfig,
    /// The privacy statement.
    pub privacy: PrivacyConfig,
    /// The REST interface.
    pub server: ServerConfig,
    /// The conversation with the PAM module.
    pub login: LoginConfig,
    /// Administration on the host.
    pub admin: AdminConfig,
    /// The helper with root's rights.
    pub root: RootConfig,
    /// The database.
    pub store: StoreConfig,
    /// Bounds.
    pub limits: LimitsConfig,
    /// The audit trail.
    pub audit: AuditConfig,
    /// How tokens are verified.
    pub tokens: TokensConfig,
    /// Mail to the admins.
    pub notify: NotifyConfig,
    /// What becomes of accounts that nobody uses.
    pub lifecycle: LifecycleConfig,
    /// The trusted providers, in the order of the file.
    pub ops: Vec<OpConfig>,
    /// Names, groups and the back end.
    pub adapter: AdapterConfig,
    /// The files that were read.
    pub files: [PathBuf; 2],
    effective: Vec<EffectiveSetting>,
}

/// One option with the value that is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectiveSetting {
    /// File as it was named.
    pub file: String,
    /// Section.
    pub section: String,
    /// Option.
    pub option: String,
    /// Value as text; secrets are not shown.
    pub value: String,
    /// Line that sets it; `None` for a built-in default.
    pub line: Option<usize>,
    /// True when that line stands in `[DEFAULT]`.
    pub inherited: bool,
}

impl Config {
    /// The section of a provider by its issuer, equal but for one slash at the end.
    pub fn op(&self, issuer: &Issuer) -> Option<&OpConfig> {
        let bare = |issuer: &Issuer| {
            let text = issuer.as_str();
            text.strip_suffix('/').unwrap_or(text).to_owned()
        };
        let wanted = bare(issuer);
        self.ops.iter().find(|op| bare(&op.issuer) == wanted)
    }

    /// The section of a provider as people name it: without regard to scheme, `www.`, case and one
    /// slash. Never used to decide trust.
    pub fn op_by_name(&self, url: &str) -> Option<&OpConfig> {
        let wanted = Issuer::canonical(url);
        self.ops.iter().find(|op| Issuer::canonical(op.issuer.as_str()) == wanted)
    }

    /// Options of another configuration that differ from this one and take effect at a start only,
    /// as `[section] option`.
    pub fn needs_restart_for(&self, next: &Self) -> Vec<String> {
        let at_start = |setting: &&EffectiveSetting| {
            let section = MOTLEY_CUE.section(&setting.section);
            section.and_then(|it| it.option(&setting.option)).is_some_and(|it| it.at_start)
        };
        let same = |one: &EffectiveSetting, other: &EffectiveSetting| {
            (&one.section, &one.option) == (&other.section, &other.option)
        };
        let changed = next.effective.iter().filter(at_start).filter(|setting| {
            let before = self.effective.iter().find(|before| same(before, setting));
            before.is_none_or(|before| before.value != setting.value)
        });
        changed.map(|setting| format!("[{}] {}", setting.section, setting.option)).collect()
    }

    /// Every option with the value that is in force and where it comes from.
    pub fn effective(&self) -> &[EffectiveSetting] {
        &self.effective
    }
}

/// The text of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its path, as it is named in messages.
    pub path: PathBuf,
    /// What it holds.
    pub text: String,
    /// True when people other than its owner can read it.
    pub is_public: bool,
}

/// Finds, reads and validates both files.
///
/// # Errors
/// Everything that is wrong in them, each with file, line and cure.
pub fn load(
    paths: &Paths,
    around: &Surroundings<'_>,
) -> Result<(Config, Vec<Warning>), ConfigError> {
    let mut found = Findings::default();
    search::warn_about_other_files(around, &mut found);
    let config = read_source(search::find_config(paths, around), around.owners, &mut found);
    let adapter = read_source(search::find_adapter(paths, around), around.owners, &mut found);
    build(config, adapter, around.owners, found)
}

/// Validates the texts of both files.
///
/// # Errors
/// As [`load`].
pub fn validate(
    config: Source,
    adapter: Source,
    owners: Owners,
) -> Result<(Config, Vec<Warning>), ConfigError> {
    build(Some(config), Some(adapter), owners, Findings::default())
}

fn read_source(
    path: Result<PathBuf, Finding>,
    owners: Owners,
    found: &mut Findings,
) -> Option<Source> {
    let read = path.and_then(|path| {
        let content = read_guarded(&path, owners)?;
        Ok(Source { path, text: content.text, is_public: content.is_public })
    });
    read.map_err(|finding| found.problem(finding)).ok()
}

/// A missing file does not end the work: one start shows the problems of both.
fn build(
    config: Option<Source>,
    adapter: Option<Source>,
    owners: Owners,
    mut found: Findings,
) -> Result<(Config, Vec<Warning>), ConfigError> {
    let raw = config.as_ref().and_then(|source| read_raw(&MOTLEY_CUE, source, &mut found));
    let raw_adapter =
        adapter.as_ref().and_then(|source| read_raw(&FEUDAL_ADAPTER, source, &mut found));
    let service = raw.as_ref().and_then(|raw| service::service(raw, owners, &mut found));
    let ops = raw.as_ref().map(|raw| ops::ops(raw, owners, &mut found));
    let rules = raw_adapter.as_ref().and_then(|raw| adapter::adapter(raw, owners, &mut found));
    if let (Some(ops), Some(rules)) = (&ops, &rules) {
        check_tiers(ops, &rules.backend, &mut found);
        warn_about_shared_groups(ops, &rules.groups, &mut found);
        warn_about_open_lists(&rules.groups, &mut found);
    }
    if let Some(rules) = &rules {
        let options = Path::new(pam_module::OPTIONS);
        pam_module::warn_about_untold_accounts(&rules.backend, options, &mut found);
    }
    let warnings = found.finish()?;
    let effective = raw.iter().chain(&raw_adapter).flat_map(effective_settings).collect();
    match (config, adapter, service, ops, rules) {
        (Some(config), Some(adapter), Some(service), Some(ops), Some(rules)) => {
            let files = [config.path, adapter.path];
            Ok((Config::assemble(service, ops, rules, files, effective), warnings))
        }
        _ => Err(ConfigError { problems: vec![incomplete()] }),
    }
}

/// Who earned a lesser shell must not get another one because the back end knows no shells.
fn check_tiers(ops: &[OpConfig], backend: &BackendConfig, found: &mut Findings) {
    let Some(word) = backend.without_shells() else { return };
    for op in ops {
        let tiers = &op.policy.assurance;
        let gives_less = tiers.max.is_some_and(|max| max < Tier::Full)
            || tiers.fallback() < Tier::Full
            || tiers.expressions.iter().any(|(tier, _)| *tier < Tier::Full);
        if gives_less {
            let what = format!(
                "assurance_based_shell_... of {} asks for shells that backend = {word} can't give",
                op.issuer
            );
            let cure = "take these options out, or let another back end keep the accounts";
            found.problem(Finding::new(FindingKind::Value, MOTLEY_CUE.name, what, cure));
        }
    }
}

/// Method classic makes one local group of what two authorities vouch for under the same name.
fn warn_about_shared_groups(ops: &[OpConfig], groups: &GroupRules, found: &mut Findings) {
    if ops.len() > 1 && matches!((&groups.policy, &groups.method), (Policy::All, Method::Classic)) {
        let what =
            "several providers can put people into the same groups, whoever vouches for them";
        let cure = "write policy = listed with supported_entitlements that end in #AUTHORITY and with \
                    supported_groups, or tell authorities apart by method = regex";
        let finding = Finding::new(FindingKind::Doubtful, FEUDAL_ADAPTER.name, what, cure);
        found.warn(finding.section("groups"));
    }
}

/// An empty list of policy `listed` keeps everything, and the plain claim counts where no entitlement
/// passes: who is on no list of entitlements comes in by it.
fn warn_about_open_lists(groups: &GroupRules, found: &mut Findings) {
    let Policy::Listed { entitlements, groups } = &groups.policy else { return };
    let (option, what, cure) = match (entitlements.is_empty(), groups.is_empty()) {
        (_, true) => (
            "supported_groups",
            "policy = listed without supported_groups takes any group of the claim groups, of people \
             of whom no entitlement is listed",
            "list the groups; supported_groups = ^$ takes none of that claim",
        ),
        (true, false) => (
            "supported_entitlements",
            "policy = listed without supported_entitlements takes any entitlement",
            "list the entitlements; supported_entitlements = ^$ takes none",
        ),
        (false, false) => return,
    };
    let finding = Finding::new(FindingKind::Doubtful, FEUDAL_ADAPTER.name, what, cure);
    found.warn(finding.section("groups").option(option));
}

/// Only a mistake in the option table leads here; a wrong file has been reported before.
fn incomplete() -> Finding {
    let what = "the configuration could not be built from the option table";
    Finding::new(FindingKind::NotAvailable, MOTLEY_CUE.name, what, "report this as a bug")
}

/// Parses a file and gives its values types.
pub fn read_raw(spec: &'static FileSpec, source: &Source, found: &mut Findings) -> Option<RawFile> {
    let ini = match ini::parse(&source.path.display().to_string(), &source.text) {
        Ok(ini) => ini,
        Err(problems) => {
            found.problems.extend(problems);
            return None;
        }
    };
    let raw = raw::read(spec, &ini, found);
    if source.is_public {
        warn_about_public_secrets(&raw, found);
    }
    Some(raw)
}

fn warn_about_public_secrets(raw: &RawFile, found: &mut Findings) {
    for section in &raw.sections {
        for setting in &section.settings {
            let is_secret = match &setting.value {
                Value::Secret(secret) => !secret.is_empty(),
                Value::Database(url) => url.has_password(),
                _ => false,
            };
            if is_secret && setting.origin != Origin::BuiltIn {
                let what = "others can read this secret";
                let cure = format!("chmod o-r {}", raw.file);
                let option = setting.spec.name;
                found.warn(section.finding(FindingKind::Permissions, option, what, cure));
            }
        }
    }
}

impl Config {
    fn assemble(
        service: service::Service,
        ops: Vec<OpConfig>,
        adapter: AdapterConfig,
        files: [PathBuf; 2],
        effective: Vec<EffectiveSetting>,
    ) -> Self {
        let service::Service {
            mapper,
            otp,
            privacy,
            server,
            login,
            admin,
            root,
            store,
            limits,
            audit,
            tokens,
            notify,
            lifecycle,
        } = service;
        Self {
            mapper,
            otp,
            privacy,
            server,
            login,
            admin,
            root,
            store,
            limits,
            audit,
            tokens,
            notify,
            lifecycle,
            ops,
            adapter,
            files,
            effective,
        }
    }
}

fn effective_settings(raw: &RawFile) -> Vec<EffectiveSetting> {
    let mut all = Vec::new();
    for section in &raw.sections {
        for setting in &section.settings {
            all.push(EffectiveSetting {
                file: raw.file.clone(),
                section: section.name.clone(),
                option: setting.spec.name.to_owned(),
                value: setting.value.shown(),
                line: setting.origin.line(),
                inherited: matches!(setting.origin, Origin::Default(_)),
            });
        }
    }
    all
}
