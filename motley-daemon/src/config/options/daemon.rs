//! Options of `motley_cue.conf`, except those of one provider.

use super::authorisation::OPTIONS as AUTHORISATION;
use super::{BoolWords, Extras, FileSpec, Inheritance, Kind, OptionSpec, SectionName, SectionSpec};

const STORE: &str = "one-time passwords are kept in the database of [store] url";
const JOURNAL: &str = "logs go to standard error, and so to the journal";

const MAPPER: &[OptionSpec] = &[
    OptionSpec::new(
        "log_level",
        Kind::Text,
        "WARNING",
        "How much is logged: TRACE, DEBUG, INFO, WARNING, ERROR or CRITICAL. No level \
         logs tokens. The audit trail does not depend on it.",
    ),
    OptionSpec::unset("log_file", Kind::OptionalText, "File for the log.").obsolete(JOURNAL),
    OptionSpec::new(
        "enable_docs",
        Kind::Bool,
        "no",
        "Serves a description of the REST interface for people.",
    ),
    OptionSpec::new(
        "docs_url",
        Kind::Text,
        "/docs",
        "Path of that description with Swagger UI. Starts with a slash.",
    ),
    OptionSpec::new(
        "redoc_url",
        Kind::Text,
        "/redoc",
        "Path of that description with ReDoc. Starts with a slash.",
    ),
    OptionSpec::new(
        "api_version",
        Kind::Text,
        "v1",
        "Version of the REST interface. There is one: v1.",
    ),
    OptionSpec::unset(
        "ca_file",
        Kind::OptionalText,
        "File with further certificates (PEM) that are trusted when providers are asked, \
         beside those of the system.",
    ),
    OptionSpec::new(
        "log_format",
        Kind::Text,
        "auto",
        "How the log is written: text or json to standard error, journal to the systemd \
         journal with fields of its own, or auto: journal where standard error leads there, else \
         text.",
    )
    .at_start(),
];

const OTP: &[OptionSpec] = &[
    OptionSpec::new(
        "use_otp",
        Kind::Bool,
        "yes",
        "Lets clients exchange a token for a one-time password. The OpenSSH client cuts \
         what is typed after 1023 bytes, so longer tokens need one.",
    ),
    OptionSpec::new(
        "lifetime",
        Kind::Seconds,
        "600",
        "Seconds for which a one-time password is good. It never outlives its token.",
    ),
    OptionSpec::new(
        "codes",
        Kind::Bool,
        "yes",
        "Gives out short random codes too, for people to type: POST /user/otp for oneself, \
         motleyctl otp for an admin of the host.",
    ),
    OptionSpec::new("backend", Kind::Text, "sqlite", "Where one-time passwords are kept.")
        .obsolete(STORE),
    OptionSpec::new("db_location", Kind::Text, "/var/lib/motley_cue/tokenmap.db", "Their file.")
        .obsolete(STORE),
    OptionSpec::new(
        "keyfile",
        Kind::Text,
        "/var/lib/motley_cue/motley_cue.key",
        "Key of that file.",
    )
    .obsolete(STORE),
];

const PRIVACY: &[OptionSpec] = &[
    OptionSpec::new(
        "privacy_contact",
        Kind::Text,
        "NOT CONFIGURED",
        "Whom to ask about privacy; put into the statement.",
    ),
    OptionSpec::new(
        "privacy_file",
        Kind::Text,
        "/etc/motley_cue/privacystatement.md",
        "Privacy statement in Markdown, shown under /privacy. {{privacy_contact}} in it \
         is replaced.",
    ),
];

const TOKENS: &[OptionSpec] = &[
    OptionSpec::new(
        "remember",
        Kind::Seconds,
        "60",
        "Longest time in seconds for which a verified token is believed without asking its \
         provider again, and so the longest time that a revoked one goes on to work.",
    ),
    OptionSpec::new(
        "skew",
        Kind::Number,
        "60",
        "Seconds by which the clock of a provider may be ahead of ours.",
    ),
    OptionSpec::new(
        "max_age",
        Kind::Number,
        "0",
        "Oldest token that is taken, in seconds since it was issued (claim iat), whatever its \
         own end says. A token of which nothing tells when it was issued is refused then. 0: only \
         its own end counts.",
    ),
    OptionSpec::new(
        "replay_guard",
        Kind::Bool,
        "no",
        "Takes each access token once only at the login prompt, so that one that was seen by \
         others is of no use to them. Clients then need a new token for each login.",
    ),
    OptionSpec::new(
        "offer_opaque_tokens_to_all",
        Kind::Bool,
        "no",
        "Shows a token that is no JWT to each provider marked with opaque_tokens in turn, \
         until one knows it. Each of them then sees the tokens of the others.",
    ),
    OptionSpec::unset(
        "proxy",
        Kind::Secret,
        "URL of the HTTP proxy through which providers are asked. Not set: HTTPS_PROXY and \
         NO_PROXY of the environment count.",
    ),
    OptionSpec::new(
        "keys_max_age",
        Kind::Seconds,
        "600",
        "Seconds after which the keys and metadata of a provider are fetched anew.",
    ),
    OptionSpec::new(
        "keys_stale",
        Kind::Seconds,
        "86400",
        "Seconds for which old keys serve while their provider can't be reached.",
    ),
];

const SERVER: &[OptionSpec] = &[
    OptionSpec::new(
        "listen",
        Kind::Items,
        "127.0.0.1:8080",
        "Where the REST interface is served: ADDRESS:PORT or unix:/PATH, several if \
         wanted. It speaks plain HTTP on them, for a web server with TLS in front of it, \
         unless tls_certificate is set. Sockets that systemd hands over are used instead.",
    )
    .at_start(),
    OptionSpec::unset(
        "tls_certificate",
        Kind::OptionalText,
        "File with the certificate chain (PEM). With it, TLS is spoken on all addresses, \
         though not on unix sockets. It is read again when it changes.",
    )
    .at_start(),
    OptionSpec::unset(
        "tls_key",
        Kind::OptionalText,
        "File with the private key of that certificate (PEM).",
    )
    .at_start(),
    OptionSpec::new(
        "trusted_proxies",
        Kind::Items,
        "127.0.0.1, ::1",
        "Addresses or networks of the web servers in front. What they say in \
         X-Forwarded-For and X-Forwarded-Proto is believed.",
    ),
    OptionSpec::new(
        "proxy_users",
        Kind::Items,
        "www-data, nginx, caddy, apache",
        "Users as which web servers on this host run. On a unix socket the same is believed of \
         them, of root and of the daemon itself; any other user is counted as one source. Names \
         that this host does not have are ignored.",
    ),
    OptionSpec::new(
        "ssh_host_keys",
        Kind::Text,
        "/etc/ssh",
        "Directory with the public keys of sshd (ssh_host_*_key.pub), which /info tells, so that \
         clients can check them. Empty: none are told.",
    ),
    OptionSpec::new(
        "get_mutations",
        Kind::Bool,
        "yes",
        "Lets deploy, suspend, resume and generate_otp also be called with GET, as \
         clients up to mccli 0.7 do. With no, only POST.",
    ),
];

const LOGIN: &[OptionSpec] = &[
    OptionSpec::new(
        "socket",
        Kind::Text,
        "/run/motley_cue/login.sock",
        "Socket on which the PAM module asks. Only root may.",
    )
    .at_start(),
    OptionSpec::new(
        "deadline",
        Kind::Seconds,
        "90",
        "Seconds for one login conversation, typing included. Keep it below \
         LoginGraceTime of sshd (120).",
    ),
    OptionSpec::new(
        "chunked_prompts",
        Kind::Bool,
        "yes",
        "Takes a long token in pieces from clients that offer them, and tells so in /info. \
         Who sends a first piece learns from the next prompt whether the name exists here; \
         with no, long tokens need a one-time password.",
    ),
];

const ADMIN: &[OptionSpec] = &[
    OptionSpec::new("socket", Kind::Text, "/run/motley_cue/admin.sock", "Socket for motleyctl.")
        .at_start(),
    OptionSpec::unset(
        "group",
        Kind::OptionalText,
        "Group whose members may use it, beside root. Not set: nobody else.",
    )
    .at_start(),
    OptionSpec::new(
        "listen",
        Kind::Items,
        "",
        "Where /healthz, /readyz and /metrics (Prometheus) are served: ADDRESS:PORT or \
         unix:/PATH. Plain HTTP without login, so keep it on loopback or an internal network. \
         Empty: nowhere.",
    )
    .at_start(),
];

const ROOT: &[OptionSpec] = &[OptionSpec::new(
    "socket",
    Kind::Text,
    "/run/motley_cue/task.sock",
    "Socket of motley-root, which makes and changes the accounts.",
)];

const STORE_OPTIONS: &[OptionSpec] = &[
    OptionSpec::new(
        "url",
        Kind::Database,
        "sqlite:/var/lib/motley_cue/motley.db",
        "Database of reservations, account states and one-time passwords: sqlite:/PATH for one login \
         node, postgresql://USER@HOST:PORT/DATABASE?sslmode=verify-full for several that share it.",
    )
    .at_start(),
    OptionSpec::new(
        "password_file",
        Kind::Text,
        "",
        "File with the password of the database's user. It belongs to the daemon's user, and nobody \
         else may read it.",
    )
    .at_start(),
    OptionSpec::new(
        "node",
        Kind::Text,
        "",
        "Name of this login node among those that share the database, never that of another one. \
         Empty: the host name.",
    )
    .at_start(),
    OptionSpec::new(
        "offline_window",
        Kind::Number,
        "0",
        "Seconds for which the last answer about a person still lets in who has an account, while \
         the PostgreSQL database does not answer. A suspension on another node may go unnoticed for \
         so long. 0: nobody is let in then.",
    )
    .at_start(),
];

const LIMITS: &[OptionSpec] = &[
    OptionSpec::new(
        "request_timeout",
        Kind::Seconds,
        "30",
        "Seconds after which a REST request is given up.",
    ),
    OptionSpec::new("body", Kind::Number, "65536", "Longest body of a REST request, in bytes."),
    OptionSpec::new(
        "header",
        Kind::Number,
        "131072",
        "Longest header of a REST request, in bytes. The token is in it.",
    )
    .at_start(),
    OptionSpec::new("connections", Kind::Number, "512", "REST connections at a time.").at_start(),
    OptionSpec::new("logins", Kind::Number, "128", "Login conversations at a time.").at_start(),
    OptionSpec::new(
        "attempts_per_source",
        Kind::Number,
        "60",
        "Failed logins that one address may have under one name in a minute. A success wipes \
         them.",
    ),
    OptionSpec::new(
        "connections_per_source",
        Kind::Number,
        "128",
        "REST connections of one address at a time; a new one takes the place of the oldest \
         that does nothing. This host and trusted_proxies are not counted.",
    )
    .at_start(),
    OptionSpec::new(
        "requests_per_source",
        Kind::Number,
        "1200",
        "REST requests of one address in a minute whose tokens are not known yet; one with a \
         bad token counts as ten. Beyond it they are answered 429, unless the token's \
         signature holds. Requests without token or with known ones always pass. This host is \
         not counted, unless a proxy on it names the address.",
    ),
    OptionSpec::new(
        "requests_per_identity",
        Kind::Number,
        "600",
        "REST requests with valid tokens of one person in a minute, those from this host left out.",
    ),
];

const NOTIFY: &[OptionSpec] = &[
    OptionSpec::new(
        "unauthorised",
        Kind::Text,
        "off",
        "How often admins are mailed a digest of people whose identity is valid but who are not \
         authorised: off, hourly, daily or weekly. They are counted in any case: motleyctl knocks. \
         How mail is sent is in [notifier.email] of feudal_adapter.conf.",
    ),
    OptionSpec::new(
        "to",
        Kind::Items,
        "",
        "Mail addresses for it. Empty: admin_email of [notifier.email].",
    ),
];

const LIFECYCLE: &[OptionSpec] = &[
    OptionSpec::new(
        "limit_after",
        Kind::Number,
        "0",
        "Days without any use after which an account is limited, as by motleyctl users limit. 0: \
         never. Use is a login by token, code or ssh key, or a request with the person's token. \
         Accounts whose last use is not known count from when this was switched on.",
    ),
    OptionSpec::new(
        "suspend_after",
        Kind::Number,
        "0",
        "Days without any use after which an account is suspended. 0: never. More than limit_after.",
    ),
    OptionSpec::new(
        "warn_before",
        Kind::Number,
        "0",
        "Days before that at which the person is mailed, where the provider told a verified address \
         at the last use. 0: nobody is warned. How mail is sent is in [notifier.email] of \
         feudal_adapter.conf.",
    ),
    OptionSpec::new(
        "reactivate",
        Kind::Bool,
        "no",
        "The person's own login by token, or authorised request, ends what idleness led to; an account \
         that an admin limited or suspended stays so. With no, an admin does: motleyctl users \
         unlimit, resume.",
    ),
    OptionSpec::new(
        "check_groups",
        Kind::Bool,
        "no",
        "At each login by token, the account leaves groups that motley had joined and that the \
         provider does not assert any more. New groups wait for the next deployment.",
    ),
];

const AUDIT: &[OptionSpec] = &[OptionSpec::new(
    "file",
    Kind::Text,
    "",
    "File of the audit trail, one JSON object in each line, chained by hashes. Empty: \
     audit.jsonl beside the store.",
)
.at_start()];

const EXAMPLE: &str = "\
[authorisation.example]
op_url = https://login.example.org/realms/main
audience = ssh.example.org
scopes = [openid, profile, email, entitlements]
vo_claim = entitlements
authorised_vos = [
    urn:geant:example.org:group:physics,
    urn:geant:example.org:group:services:role=operator
    ]
authorised_admins = [6f1c2f7e-security-contact]
";

const SECTIONS: &[SectionSpec] = &[
    SectionSpec::new("mapper", "The service as a whole.", MAPPER),
    SectionSpec::new("mapper.otp", "One-time passwords that stand for long tokens.", OTP),
    SectionSpec::new("privacy", "The privacy statement.", PRIVACY),
    SectionSpec::new("tokens", "How access tokens are verified, for all providers.", TOKENS),
    SectionSpec::new("server", "The REST interface.", SERVER),
    SectionSpec::new("login", "The conversation with the PAM module in sshd.", LOGIN),
    SectionSpec::new("admin", "Administration on the host itself.", ADMIN),
    SectionSpec::new("root", "The helper with root's rights.", ROOT),
    SectionSpec::new("store", "The database.", STORE_OPTIONS),
    SectionSpec::new("limits", "Bounds against floods and stuck peers.", LIMITS),
    SectionSpec::new("audit", "Who did what.", AUDIT),
    SectionSpec::new("notify", "Mail to the admins.", NOTIFY),
    SectionSpec::new(
        "lifecycle",
        "Accounts that nobody uses, and groups that are gone.",
        LIFECYCLE,
    ),
    SectionSpec {
        name: SectionName::Prefix("authorisation.", "NAME"),
        doc: "One section for each OpenID provider. NAME is free. Options that stand in \
         [DEFAULT] hold for all of them. A provider without any of authorise_all, \
         authorised_users and authorised_vos lets nobody in.",
        options: AUTHORISATION,
        extras: Extras::Refused,
        example: EXAMPLE,
    },
];

/// `motley_cue.conf`.
pub const MOTLEY_CUE: FileSpec = FileSpec {
    name: "motley_cue.conf",
    doc: "Configuration of motley-daemon: which OpenID providers are trusted, and who of \
         theirs may log in.",
    places: "The file is the one named by --config, else by the environment variable \
             MOTLEY_CUE_CONFIG, else the first that exists of \
             ~/.config/motley_cue/motley_cue.conf and /etc/motley_cue/motley_cue.conf. A file that \
             was named must exist. The working directory is not searched.",
    sections: SECTIONS,
    inheritance: Inheritance::Repeated,
    bool_words: BoolWords { yes: "1", no: "0" },
};
