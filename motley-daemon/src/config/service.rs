//! The service itself: what it listens on, what it keeps, and its bounds.

use super::choice::choose;
use super::finding::{FindingKind, Findings, quoted};
use super::network::Network;
use super::permissions::Owners;
use super::raw::{RawFile, Settings};
use super::store::{StoreConfig, store};
use crate::identity::ProxyUrl;
use std::{net::SocketAddr, path::PathBuf, time::Duration};
use tracing::level_filters::LevelFilter;

/// Sections `[mapper]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapperConfig {
    /// How much is logged.
    pub log_level: LevelFilter,
    /// Path of the description of the REST interface, if it is served.
    pub docs_url: Option<String>,
    /// Its second path.
    pub redoc_url: Option<String>,
    /// Further trusted certificates.
    pub ca_file: Option<PathBuf>,
    /// How the log is written.
    pub log_format: LogFormat,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// To the journal where standard error leads there, else as text.
    Auto,
    /// Lines for people, to standard error.
    Text,
    /// One JSON object in each line, to standard error.
    Json,
    /// To the systemd journal, with fields.
    Journal,
}

/// Section `[mapper.otp]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtpConfig {
    /// One-time passwords are given out and taken.
    pub enabled: bool,
    /// How long one is good.
    pub lifetime: Duration,
    /// Short random codes are given out too.
    pub codes: bool,
}

/// Section `[tokens]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokensConfig {
    /// How long a verified token is believed without asking again.
    pub remember: Duration,
    /// Seconds by which a provider's clock may be ahead.
    pub skew: i64,
    /// Oldest token that is taken.
    pub max_age: Option<Duration>,
    /// Each token opens the login prompt once only.
    pub replay_guard: bool,
    /// Opaque tokens are shown to each marked provider in turn.
    pub offer_opaque_tokens_to_all: bool,
    /// Proxy through which providers are asked; `None`: the environment decides.
    pub proxy: Option<ProxyUrl>,
    /// Age from which keys and metadata are fetched anew.
    pub keys_max_age: Duration,
    /// Age up to which old ones serve.
    pub keys_stale: Duration,
}

/// Section `[privacy]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrivacyConfig {
    /// Whom to ask.
    pub contact: String,
    /// The statement, in Markdown.
    pub file: PathBuf,
}

/// Where the REST interface is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// An address and port.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
}

/// Section `[server]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// Where the REST interface is served.
    pub listen: Vec<Listen>,
    /// Mutating requests may be GET.
    pub get_mutations: bool,
    /// Certificate and key, where TLS is spoken by the daemon itself.
    pub tls: Option<TlsFiles>,
    /// Web servers in front, whose word about the client's address counts.
    pub trusted_proxies: Vec<Network>,
    /// Users as which web servers on this host run, whose word counts on Unix sockets.
    pub proxy_users: Vec<String>,
    /// Directory with the public keys of sshd.
    pub ssh_host_keys: Option<PathBuf>,
}

/// Where certificate and key are (PEM).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate chain.
    pub certificate: PathBuf,
    /// Private key.
    pub key: PathBuf,
}

/// Section `[login]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginConfig {
    /// Socket of the PAM module.
    pub socket: PathBuf,
    /// Longest login conversation.
    pub deadline: Duration,
    /// Long tokens may come in pieces.
    pub chunked_prompts: bool,
}

/// Section `[admin]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminConfig {
    /// Socket of `motleyctl`.
    pub socket: PathBuf,
    /// Group that may use it beside root.
    pub group: Option<String>,
    /// Where health and metrics are served.
    pub listen: Vec<Listen>,
}

/// Section `[root]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootConfig {
    /// Socket of `motley-root`.
    pub socket: PathBuf,
}

/// Section `[limits]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitsConfig {
    /// Longest work on a REST request.
    pub request_timeout: Duration,
    /// Longest body, in bytes.
    pub body: usize,
    /// Longest header, in bytes.
    pub header: usize,
    /// REST connections at a time.
    pub connections: usize,
    /// Login conversations at a time.
    pub logins: usize,
    /// Failed attempts of one address under one name in a minute.
    pub attempts_per_source: u32,
    /// REST connections of one address at a time.
    pub connections_per_source: usize,
    /// REST requests of one address in a minute.
    pub requests_per_source: u32,
    /// REST requests of one person in a minute.
    pub requests_per_identity: u32,
}

/// Section `[audit]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditConfig {
    /// File of the audit trail.
    pub file: PathBuf,
}

/// How often a digest is mailed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Digest {
    /// Never.
    Off,
    /// Every hour.
    Hourly,
    /// Every day.
    Daily,
    /// Every week.
    Weekly,
}

/// Section `[notify]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifyConfig {
    /// How often admins learn of people who are not authorised.
    pub unauthorised: Digest,
    /// Mail addresses; empty: those of `[notifier.email]`.
    pub to: Vec<String>,
}

/// Section `[lifecycle]`. `None`: that does not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LifecycleConfig {
    /// Days without use after which an account is limited.
    pub limit_after: Option<i64>,
    /// Days without use after which an account is suspended.
    pub suspend_after: Option<i64>,
    /// Days before either at which the person is warned.
    pub warn_before: Option<i64>,
    /// The person's own login by token, or authorised request, ends what idleness led to.
    pub reactivate: bool,
    /// Groups that a token does not assert any more are left at the login.
    pub check_groups: bool,
}

impl LifecycleConfig {
    /// True when idleness leads to something.
    pub fn acts(&self) -> bool {
        self.limit_after.is_some() || self.suspend_after.is_some()
    }
}

/// All of the above.
pub(super) struct Service {
    pub(super) mapper: MapperConfig,
    pub(super) otp: OtpConfig,
    pub(super) privacy: PrivacyConfig,
    pub(super) server: ServerConfig,
    pub(super) login: LoginConfig,
    pub(super) admin: AdminConfig,
    pub(super) root: RootConfig,
    pub(super) store: StoreConfig,
    pub(super) limits: LimitsConfig,
    pub(super) audit: AuditConfig,
    pub(super) tokens: TokensConfig,
    pub(super) notify: NotifyConfig,
    pub(super) lifecycle: LifecycleConfig,
}

/// Validates the sections; `None` only if the table lacks one.
pub(super) fn service(raw: &RawFile, owners: Owners, found: &mut Findings) -> Option<Service> {
    let otp = raw.section("mapper.otp")?;
    let privacy = raw.section("privacy")?;
    let login = raw.section("login")?;
    let admin = raw.section("admin")?;
    let store = store(raw.section("store")?, owners, found)?;
    let audit = audit(raw.section("audit")?, &store, found);
    Some(Service {
        mapper: mapper(raw.section("mapper")?, found),
        otp: OtpConfig {
            enabled: otp.is_on("use_otp"),
            lifetime: otp.seconds("lifetime"),
            codes: otp.is_on("codes"),
        },
        tokens: tokens(raw.section("tokens")?, found),
        notify: notify(raw.section("notify")?, found),
        lifecycle: lifecycle(raw.section("lifecycle")?, found),
        privacy: PrivacyConfig {
            contact: privacy.text("privacy_contact").to_owned(),
            file: PathBuf::from(privacy.text("privacy_file")),
        },
        server: server(raw.section("server")?, found),
        login: LoginConfig {
            socket: path(login, "socket", found),
            deadline: login.seconds("deadline"),
            chunked_prompts: login.is_on("chunked_prompts"),
        },
        admin: AdminConfig {
            socket: path(admin, "socket", found),
            group: admin.filled("group").map(str::to_owned),
            listen: places(admin, found),
        },
        root: RootConfig { socket: path(raw.section("root")?, "socket", found) },
        store,
        limits: limits(raw.section("limits")?, found),
        audit,
    })
}

fn mapper(settings: &Settings, found: &mut Findings) -> MapperConfig {
    let enabled = settings.is_on("enable_docs");
    let mut url = |option: &str| {
        let text = settings.text(option);
        if enabled && !text.starts_with('/') {
            let what = format!("{} does not start with a slash", quoted(text));
            let cure = format!("write {option} = /docs, or the like");
            found.problem(settings.finding(FindingKind::Value, option, what, cure));
        }
        enabled.then(|| text.to_owned())
    };
    let (docs_url, redoc_url) = (url("docs_url"), url("redoc_url"));
    if settings.text("api_version") != "v1" {
        let what = format!("there is no version {}", quoted(settings.text("api_version")));
        found.problem(settings.finding(FindingKind::Value, "api_version", what, "write v1"));
    }
    MapperConfig {
        log_level: log_level(settings, found),
        docs_url,
        redoc_url,
        ca_file: settings.filled("ca_file").map(PathBuf::from),
        log_format: choose(settings, "log_format", &LOG_FORMATS, found).unwrap_or(LogFormat::Auto),
    }
}

const LOG_FORMATS: [(&str, LogFormat); 4] = [
    ("auto", LogFormat::Auto),
    ("text", LogFormat::Text),
    ("json", LogFormat::Json),
    ("journal", LogFormat::Journal),
];

const DIGESTS: [(&str, Digest); 4] = [
    ("off", Digest::Off),
    ("hourly", Digest::Hourly),
    ("daily", Digest::Daily),
    ("weekly", Digest::Weekly),
];

fn tokens(settings: &Settings, found: &mut Findings) -> TokensConfig {
    let mut whole = |option: &str, greatest: i64| {
        let number = settings.number(option);
        if !(0..=greatest).contains(&number) {
            let what = format!("the number is not between 0 and {greatest}");
            let cure = "write one that is, or remove the option for the default";
            found.problem(settings.finding(FindingKind::Value, option, what, cure));
        }
        number.clamp(0, greatest)
    };
    let skew = whole("skew", 3600);
    let max_age = u64::try_from(whole("max_age", 10 * 365 * 86_400)).unwrap_or(0);
    TokensConfig {
        remember: settings.seconds("remember"),
        skew,
        max_age: (max_age > 0).then(|| Duration::from_secs(max_age)),
        replay_guard: settings.is_on("replay_guard"),
        offer_opaque_tokens_to_all: settings.is_on("offer_opaque_tokens_to_all"),
        proxy: proxy(settings, found),
        keys_max_age: settings.seconds("keys_max_age"),
        keys_stale: settings.seconds("keys_stale"),
    }
}

fn proxy(settings: &Settings, found: &mut Findings) -> Option<ProxyUrl> {
    let url = ProxyUrl::parse(settings.secret("proxy")?.expose());
    if url.is_none() {
        // What it is stays untold: there may be a password in it.
        let what = "it is no URL of an HTTP proxy";
        let cure = "write http://HOST:PORT";
        found.problem(settings.finding(FindingKind::Value, "proxy", what, cure));
    }
    url
}

fn notify(settings: &Settings, found: &mut Findings) -> NotifyConfig {
    NotifyConfig {
        unauthorised: choose(settings, "unauthorised", &DIGESTS, found).unwrap_or(Digest::Off),
        to: settings.list("to").to_vec(),
    }
}

fn lifecycle(settings: &Settings, found: &mut Findings) -> LifecycleConfig {
    let mut days = |option: &str| {
        let number = settings.number(option);
        if !(0..=36_500).contains(&number) {
            let what = "the number of days is not between 0 and 36500";
            let cure = "write one that is; 0 switches it off";
            found.problem(settings.finding(FindingKind::Value, option, what, cure));
        }
        Some(number).filter(|number| (1..=36_500).contains(number))
    };
    let lifecycle = LifecycleConfig {
        limit_after: days("limit_after"),
        suspend_after: days("suspend_after"),
        warn_before: days("warn_before"),
        reactivate: settings.is_on("reactivate"),
        check_groups: settings.is_on("check_groups"),
    };
    let first = lifecycle.limit_after.into_iter().chain(lifecycle.suspend_after).min();
    if let (Some(first), Some(warn)) = (first, lifecycle.warn_before)
        && warn >= first
    {
        let what = format!("{warn} days before the end of {first} is before the beginning");
        let cure = "write less days than limit_after and suspend_after";
        found.problem(settings.finding(FindingKind::Value, "warn_before", what, cure));
    }
    if let (Some(limit), Some(suspend)) = (lifecycle.limit_after, lifecycle.suspend_after)
        && suspend <= limit
    {
        let what = "accounts are suspended before they would be limited";
        let cure = "write more days than limit_after, or limit_after = 0";
        found.problem(settings.finding(FindingKind::Value, "suspend_after", what, cure));
    }
    lifecycle
}

fn log_level(settings: &Settings, found: &mut Findings) -> LevelFilter {
    match settings.text("log_level").to_uppercase().as_str() {
        "TRACE" => LevelFilter::TRACE,
        "DEBUG" => LevelFilter::DEBUG,
        "INFO" => LevelFilter::INFO,
        "WARNING" | "WARN" => LevelFilter::WARN,
        "ERROR" | "CRITICAL" | "FATAL" => LevelFilter::ERROR,
        _ => {
            let what = format!("{} is no level", quoted(settings.text("log_level")));
            let cure = "write DEBUG, INFO, WARNING, ERROR or CRITICAL";
            found.problem(settings.finding(FindingKind::Value, "log_level", what, cure));
            LevelFilter::WARN
        }
    }
}

/// A path that must start with a slash.
fn path(settings: &Settings, option: &str, found: &mut Findings) -> PathBuf {
    let text = settings.text(option);
    if !text.starts_with('/') {
        let what = format!("{} is no absolute path", quoted(text));
        found.problem(settings.finding(FindingKind::Value, option, what, "start it with a slash"));
    }
    PathBuf::from(text)
}

fn places(settings: &Settings, found: &mut Findings) -> Vec<Listen> {
    let mut listen = Vec::new();
    for item in settings.list("listen") {
        match read_listen(item) {
            Some(place) => listen.push(place),
            None => {
                let what = format!("{} is no place to listen on", quoted(item));
                let cure = "write ADDRESS:PORT with a numeric address, or unix:/PATH";
                found.problem(settings.finding(FindingKind::Value, "listen", what, cure));
            }
        }
    }
    listen
}

fn server(settings: &Settings, found: &mut Findings) -> ServerConfig {
    let mut trusted_proxies = Vec::new();
    for item in settings.list("trusted_proxies") {
        match item.parse() {
            Ok(network) => trusted_proxies.push(network),
            Err(error) => {
                let what = format!("{} {error}", quoted(item));
                let cure = "write addresses as 192.0.2.7, or networks as 192.0.2.0/24";
                found.problem(settings.finding(FindingKind::Value, "trusted_proxies", what, cure));
            }
        }
    }
    ServerConfig {
        listen: places(settings, found),
        get_mutations: settings.is_on("get_mutations"),
        tls: tls(settings, found),
        trusted_proxies,
        proxy_users: settings.list("proxy_users").to_vec(),
        ssh_host_keys: settings.filled("ssh_host_keys").map(PathBuf::from),
    }
}

fn tls(settings: &Settings, found: &mut Findings) -> Option<TlsFiles> {
    let certificate = settings.filled("tls_certificate").map(PathBuf::from);
    let key = settings.filled("tls_key").map(PathBuf::from);
    match (certificate, key) {
        (None, None) => None,
        (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key }),
        (certificate, _) => {
            let (option, lacks) = match certificate {
                Some(_) => ("tls_certificate", "tls_key"),
                None => ("tls_key", "tls_certificate"),
            };
            let what = "TLS needs both a certificate and a key";
            let cure = format!("set {lacks} too");
            found.problem(settings.finding(FindingKind::Value, option, what, cure));
            None
        }
    }
}

fn read_listen(item: &str) -> Option<Listen> {
    match item.strip_prefix("unix:") {
        Some(path) => path.starts_with('/').then(|| Listen::Unix(PathBuf::from(path))),
        None => item.parse().ok().map(Listen::Tcp),
    }
}

/// Smallest buffer for the head of a request, in bytes.
const LEAST_HEADER: i64 = 8192;

fn limits(settings: &Settings, found: &mut Findings) -> LimitsConfig {
    if (1..LEAST_HEADER).contains(&settings.number("header")) {
        let what =
            format!("the limit is below {LEAST_HEADER}, which is too little for any request");
        let cure = "write 131072, so that long tokens fit";
        found.problem(settings.finding(FindingKind::Value, "header", what, cure));
    }
    let mut positive = |option: &str| {
        let number = u32::try_from(settings.number(option)).ok().filter(|number| *number > 0);
        number.unwrap_or_else(|| {
            let what = "the limit is not between 1 and 4294967295";
            let cure = "write a number that is, or remove the option for the default";
            found.problem(settings.finding(FindingKind::Value, option, what, cure));
            1
        })
    };
    let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    LimitsConfig {
        request_timeout: settings.seconds("request_timeout"),
        body: size(positive("body")),
        header: size(positive("header")),
        connections: size(positive("connections")),
        logins: size(positive("logins")),
        attempts_per_source: positive("attempts_per_source"),
        connections_per_source: size(positive("connections_per_source")),
        requests_per_source: positive("requests_per_source"),
        requests_per_identity: positive("requests_per_identity"),
    }
}

fn audit(settings: &Settings, store: &StoreConfig, found: &mut Findings) -> AuditConfig {
    let file = match settings.filled("file") {
        Some(_) => path(settings, "file", found),
        None => store.file_beside("audit.jsonl"),
    };
    AuditConfig { file }
}
