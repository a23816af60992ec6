//! The service itself: what it listens on, what it keeps, and its bounds.

use super::finding::{FindingKind, Findings, quoted};
use super::raw::{RawFile, Settings};
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
}

/// Section `[mapper.otp]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtpConfig {
    /// One-time passwords are given out and taken.
    pub enabled: bool,
    /// How long one is good.
    pub lifetime: Duration,
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
}

/// Section `[root]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootConfig {
    /// Socket of `motley-root`.
    pub socket: PathBuf,
}

/// Section `[store]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreConfig {
    /// `sqlite:PATH`.
    pub url: String,
}

impl StoreConfig {
    /// The database file, if the store is one.
    pub fn file(&self) -> Option<PathBuf> {
        let path = self.url.strip_prefix("sqlite:")?;
        let path = path.strip_prefix("//").unwrap_or(path);
        path.split('?').next().filter(|path| path.starts_with('/')).map(PathBuf::from)
    }
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
}

/// Section `[audit]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditConfig {
    /// File of the audit trail.
    pub file: PathBuf,
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
}

/// Validates the sections; `None` only if the table lacks one.
pub(super) fn service(raw: &RawFile, found: &mut Findings) -> Option<Service> {
    let otp = raw.section("mapper.otp")?;
    let privacy = raw.section("privacy")?;
    let login = raw.section("login")?;
    let admin = raw.section("admin")?;
    let store = store(raw.section("store")?, found);
    let audit = audit(raw.section("audit")?, &store, found);
    Some(Service {
        mapper: mapper(raw.section("mapper")?, found),
        otp: OtpConfig { enabled: otp.is_on("use_otp"), lifetime: otp.seconds("lifetime") },
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
    }
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

fn server(settings: &Settings, found: &mut Findings) -> ServerConfig {
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
    ServerConfig { listen, get_mutations: settings.is_on("get_mutations") }
}

fn read_listen(item: &str) -> Option<Listen> {
    match item.strip_prefix("unix:") {
        Some(path) => path.starts_with('/').then(|| Listen::Unix(PathBuf::from(path))),
        None => item.parse().ok().map(Listen::Tcp),
    }
}

fn store(settings: &Settings, found: &mut Findings) -> StoreConfig {
    let url = settings.text("url");
    let scheme = url.split(':').next().unwrap_or_default();
    if matches!(scheme, "postgres" | "postgresql") {
        let what = "PostgreSQL is not available in this version";
        let cure = "write sqlite:/var/lib/motley_cue/motley.db";
        found.problem(settings.finding(FindingKind::NotAvailable, "url", what, cure));
    } else if scheme != "sqlite" || url == "sqlite:" {
        let what = "the url names no SQLite database";
        let cure = "write sqlite:/var/lib/motley_cue/motley.db";
        found.problem(settings.finding(FindingKind::Value, "url", what, cure));
    }
    StoreConfig { url: url.to_owned() }
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
    }
}

fn audit(settings: &Settings, store: &StoreConfig, found: &mut Findings) -> AuditConfig {
    let file = match settings.filled("file") {
        Some(_) => path(settings, "file", found),
        None => store.file().unwrap_or_default().with_file_name("audit.jsonl"),
    };
    AuditConfig { file }
}
