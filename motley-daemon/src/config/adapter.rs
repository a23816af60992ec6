//! Names, groups and the back end: `feudal_adapter.conf` as the rules of feudal-plugins.

use super::choice::{choose, path, shells};
use super::finding::{FindingKind, Findings, quoted};
use super::outside::{self, MapConfig, Outside};
use super::permissions::Owners;
use super::raw::{Origin, RawFile, Settings};
use feudal_plugins::{
    LoginInfo, Shells,
    bwidm::BwIdmConfig,
    external::ExternalConfig,
    groups::{GroupRules, Mapping, Method, Policy, SubGroups, group_name},
    ldap::LdapConfig,
    local_unix::LocalUnixConfig,
    names::{NameRules, ShadowVariant, Strategy},
    pattern::Pattern,
};
use motley_proto::task::AccountPath;

/// How accounts are named, grouped and kept.
#[derive(Debug, Clone)]
pub struct AdapterConfig {
    /// How user names are made.
    pub names: NameRules,
    /// How groups are made.
    pub groups: GroupRules,
    /// What keeps the accounts.
    pub backend: BackendConfig,
    /// Texts for users.
    pub login_info: LoginInfo,
    /// Who has to be asked about accounts.
    pub approval: ApprovalConfig,
    /// How mail is sent.
    pub email: super::EmailConfig,
    pub(super) deploy_keys: bool,
}

/// Section `[approval]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalConfig {
    /// Accounts and groups wait for an admin.
    pub enabled: bool,
    /// Admins and people are mailed about requests.
    pub by_mail: bool,
    /// Days after which a request, or its rejection, ends by itself.
    pub expires_days: i64,
}

/// What keeps the accounts, with the options of its section.
#[derive(Debug, Clone)]
pub enum BackendConfig {
    /// Accounts of this host.
    LocalUnix(LocalUnixConfig),
    /// Accounts of a directory.
    Ldap(Box<LdapConfig>),
    /// Accounts of a registration service.
    BwIdm(Box<Outside<BwIdmConfig>>),
    /// Accounts that a program of the site keeps.
    External(Box<Outside<ExternalConfig>>),
    /// Accounts that exist on this host, and belong to whom a file says.
    Map(Box<Outside<MapConfig>>),
}

impl AdapterConfig {
    /// Shells of the tiers.
    pub fn shells(&self) -> &Shells {
        match &self.backend {
            BackendConfig::LocalUnix(local) => &local.shells,
            BackendConfig::Ldap(ldap) => &ldap.shells,
            BackendConfig::BwIdm(outside) => &outside.shells,
            BackendConfig::External(outside) => &outside.shells,
            BackendConfig::Map(outside) => &outside.shells,
        }
    }

    /// True if keys of ssh that providers tell are written to homes.
    pub fn deploys_keys(&self) -> bool {
        self.deploy_keys
    }

    /// Directory in which homes are made.
    pub fn home_base(&self) -> &AccountPath {
        match &self.backend {
            BackendConfig::LocalUnix(local) => &local.home_base,
            BackendConfig::Ldap(ldap) => &ldap.home_base,
            BackendConfig::BwIdm(outside) => &outside.home_base,
            BackendConfig::External(outside) => &outside.home_base,
            BackendConfig::Map(outside) => &outside.home_base,
        }
    }
}

impl BackendConfig {
    /// The word that selects it, where accounts can't be given the shell of their owner's tier.
    pub fn without_shells(&self) -> Option<&'static str> {
        match self {
            Self::BwIdm(_) => Some("bwidm"),
            Self::Map(_) => Some("map"),
            Self::LocalUnix(_) | Self::Ldap(_) | Self::External(_) => None,
        }
    }
}

/// Validates the file; `None` if there is a problem without which nothing can be built.
pub(super) fn adapter(
    raw: &RawFile,
    owners: Owners,
    found: &mut Findings,
) -> Option<AdapterConfig> {
    let general = raw.section("ldf_adapter")?;
    let approval = approval(raw.section("approval")?, found);
    let kept = backend(raw, general, owners, found);
    let shadows = kept.as_ref().map(|kept| kept.shadows);
    let groups = groups(raw, general, shadows.map(|it| it.groups), found);
    let names = names(raw.section("username_generator")?, shadows.map(|it| it.names), found);
    let kept = kept?;
    let prefix = match &kept.backend {
        BackendConfig::BwIdm(bwidm) => bwidm.config.organisation.prefix(),
        _ => String::new(),
    };
    Some(AdapterConfig {
        names: NameRules { prefix, ..names? },
        groups: groups?,
        backend: kept.backend,
        login_info: login_info(raw.section("login_info")?),
        approval,
        email: super::email::email(raw.section("notifier.email")?, found),
        deploy_keys: asks_for_keys(raw.section("backend.local_unix")?),
    })
}

/// A back end, and the way in which names are made for it.
struct Kept {
    backend: BackendConfig,
    shadows: Shadows,
}

#[derive(Clone, Copy)]
struct Shadows {
    names: ShadowVariant,
    groups: ShadowVariant,
}

impl Shadows {
    const DEFAULT: Self = Self { names: ShadowVariant::Default, groups: ShadowVariant::Default };
}

fn backend(
    raw: &RawFile,
    general: &Settings,
    owners: Owners,
    found: &mut Findings,
) -> Option<Kept> {
    let words =
        ["local_unix", "ldap", "bonsai_ldap", "bwidm", "external", "map"].map(|word| (word, word));
    match choose(general, "backend", &words, found) {
        Some(word @ ("ldap" | "bonsai_ldap")) => {
            let section = raw.section(&format!("backend.{word}"))?;
            let shadows = Shadows { names: ShadowVariant::Ldap, groups: ShadowVariant::Ldap };
            let ldap = super::ldap::ldap(word, section, owners, found)?;
            Some(Kept { backend: BackendConfig::Ldap(Box::new(ldap)), shadows })
        }
        Some("bwidm") => {
            let section = raw.section("backend.bwidm")?;
            let backend = BackendConfig::BwIdm(Box::new(outside::bwidm(section, found)?));
            Some(Kept { backend, shadows: Shadows::DEFAULT })
        }
        Some("external") => {
            let section = raw.section("backend.external")?;
            let external = outside::external(section, owners, found)?;
            let backend = BackendConfig::External(Box::new(external));
            Some(Kept { backend, shadows: Shadows::DEFAULT })
        }
        Some("map") => {
            let section = raw.section("backend.map")?;
            let backend = BackendConfig::Map(Box::new(outside::map(section, owners, found)?));
            Some(Kept { backend, shadows: Shadows::DEFAULT })
        }
        // A wrong word still lets the rest of the file be looked at.
        _ => {
            let section = raw.section("backend.local_unix")?;
            let local = local_unix(section, found)?;
            let shadows =
                Shadows { names: local.shadow_compatibility, groups: local.group_shadow() };
            Some(Kept { backend: BackendConfig::LocalUnix(local), shadows })
        }
    }
}

fn approval(settings: &Settings, found: &mut Findings) -> ApprovalConfig {
    let words = [("email", true), ("off", false), ("courier", true)];
    let by_mail = choose(settings, "notifier", &words, found);
    if settings.text("notifier") == "courier" {
        let what = "there is no courier; mails are sent";
        let cure = "write notifier = email";
        found.warn(settings.finding(FindingKind::Doubtful, "notifier", what, cure));
    }
    let days = settings.number("expires_days");
    if !(1..=3650).contains(&days) {
        let what = "the number of days is not between 1 and 3650";
        let cure = "write one that is, as 30";
        found.problem(settings.finding(FindingKind::Value, "expires_days", what, cure));
    }
    ApprovalConfig {
        enabled: settings.is_on("enabled"),
        by_mail: by_mail.unwrap_or(true),
        expires_days: days.clamp(1, 3650),
    }
}

/// Writing into homes has to be asked for in so many words: the section itself must say yes.
fn asks_for_keys(unix: &Settings) -> bool {
    let option = "deploy_user_ssh_keys";
    unix.is_on(option) && matches!(unix.origin(option), Origin::Section(_))
}

const VARIANTS: [(&str, ShadowVariant); 3] = [
    ("default", ShadowVariant::Default),
    ("v044", ShadowVariant::V044),
    ("punch", ShadowVariant::Punch),
];

fn local_unix(unix: &Settings, found: &mut Findings) -> Option<LocalUnixConfig> {
    let shells = shells(unix, found);
    let home_base = path(unix, "home_base", found);
    let shadow = choose(unix, "shadow_compatibility_function", &VARIANTS, found);
    choose(unix, "undeploy_home", &[("archive", ()), ("remove", ()), ("keep", ())], found)?;
    Some(LocalUnixConfig {
        shells: shells?,
        home_base: home_base?,
        shadow_compatibility: shadow?,
        punch4nfdi: unix.is_on("punch4nfdi"),
    })
}

fn names(
    generator: &Settings,
    shadow: Option<ShadowVariant>,
    found: &mut Findings,
) -> Option<NameRules> {
    let pooled = choose(generator, "mode", &[("friendly", false), ("pooled", true)], found);
    let digits = u8::try_from(generator.number("pool_digits")).ok().filter(|d| (1..=9).contains(d));
    if digits.is_none() {
        let what = "the number of digits is not between 1 and 9";
        let cure = "write a number that is, as 3";
        found.problem(generator.finding(FindingKind::Value, "pool_digits", what, cure));
    }
    let prefix = generator.filled("pool_prefix").map(str::to_owned);
    let strategy = match pooled? {
        true => Strategy::Pooled { prefix, digits: digits? },
        false => Strategy::Friendly,
    };
    Some(NameRules { strategy, shadow: shadow?, prefix: String::new() })
}

fn groups(
    raw: &RawFile,
    general: &Settings,
    shadow: Option<ShadowVariant>,
    found: &mut Findings,
) -> Option<GroupRules> {
    let settings = raw.section("groups")?;
    let listed = choose(settings, "policy", &[("all", false), ("listed", true)], found);
    let regex = choose(settings, "method", &[("classic", false), ("regex", true)], found);
    let entitlements = patterns(settings, "supported_entitlements", found);
    let group_patterns = patterns(settings, "supported_groups", found);
    let mapping = mapping(settings, found);
    let shadow = shadow?;
    check_group_names(general, shadow, found);
    let strip = raw.section("username_generator")?.is_on("strip_sub_groups");
    Some(GroupRules {
        policy: match listed? {
            true => Policy::Listed { entitlements, groups: group_patterns },
            false => Policy::All,
        },
        method: if regex? { Method::Regex(mapping?) } else { Method::Classic },
        sub_groups: if strip { SubGroups::Strip } else { SubGroups::Keep },
        primary_group: general.filled("primary_group").map(str::to_owned),
        fallback_group: general.filled("fallback_group").map(str::to_owned),
        additional_groups: general.list("additional_groups").to_vec(),
        shadow,
    })
}

/// One pattern in each line.
fn patterns(settings: &Settings, option: &str, found: &mut Findings) -> Vec<Pattern> {
    let mut patterns = Vec::new();
    for line in settings.text(option).lines().map(str::trim).filter(|line| !line.is_empty()) {
        match Pattern::new(line) {
            Ok(pattern) => patterns.push(pattern),
            Err(error) => {
                let cure = "correct it, one pattern in each line, remarks on lines of their own";
                let what = error.to_string();
                found.problem(settings.finding(FindingKind::Value, option, what, cure));
            }
        }
    }
    patterns
}

fn mapping(settings: &Settings, found: &mut Findings) -> Option<Mapping> {
    match Mapping::parse(settings.text("mapping")) {
        Ok(mapping) => Some(mapping),
        Err(error) => {
            let cure = "correct it, one rule `PATTERN -> REPLACEMENT` in each line";
            let what = error.to_string();
            found.problem(settings.finding(FindingKind::Value, "mapping", what, cure));
            None
        }
    }
}

/// Groups that everybody would be refused for, or silently not get, are found at start.
fn check_group_names(general: &Settings, shadow: ShadowVariant, found: &mut Findings) {
    for option in ["primary_group", "fallback_group"] {
        let Some(text) = general.filled(option) else { continue };
        if let Err(reason) = group_name(text, shadow) {
            let what = format!("{} can't be a group here: {reason}", quoted(text));
            let cure = "name another group";
            found.problem(general.finding(FindingKind::Value, option, what, cure));
        }
    }
    for text in general.list("additional_groups") {
        let strange = text.contains(['[', ']', ',', '"', '\'', '#']);
        let what = match group_name(text, shadow) {
            Err(reason) => format!("nobody will join {}: {reason}", quoted(text)),
            Ok(name) if strange => format!("{} makes the group {name}", quoted(text)),
            Ok(_) => continue,
        };
        let cure = "write names of groups that are no system groups, between blanks only";
        found.warn(general.finding(FindingKind::Doubtful, "additional_groups", what, cure));
    }
    let nobody = general.filled("primary_group").is_none()
        && general.filled("fallback_group").is_none()
        && matches!(general.origin("fallback_group"), Origin::Section(_) | Origin::Default(_));
    if nobody {
        let what = "users who bring no group get no account";
        let cure = "name a group if they shall";
        found.warn(general.finding(FindingKind::Doubtful, "fallback_group", what, cure));
    }
}

fn login_info(settings: &Settings) -> LoginInfo {
    let known = settings.settings.iter().map(|setting| setting.spec.name);
    let known = known.map(|option| (option.to_owned(), settings.text(option).to_owned()));
    LoginInfo::new(known.chain(settings.extras.iter().cloned()))
}
