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
        "Path of that description. Starts with a slash.",
    ),
    OptionSpec::new(
        "redoc_url",
        Kind::Text,
        "/redoc",
        "Second path of that description. Starts with a slash.",
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

const SERVER: &[OptionSpec] = &[
    OptionSpec::new(
        "listen",
        Kind::Items,
        "127.0.0.1:8080",
        "Where the REST interface is served: ADDRESS:PORT or unix:/PATH, several if \
         wanted. It speaks plain HTTP; put a web server with TLS in front of it. Sockets \
         that systemd hands over are used instead.",
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
    ),
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
    OptionSpec::new("socket", Kind::Text, "/run/motley_cue/admin.sock", "Socket for motleyctl."),
    OptionSpec::unset(
        "group",
        Kind::OptionalText,
        "Group whose members may use it, beside root. Not set: nobody else.",
    ),
];

const ROOT: &[OptionSpec] = &[OptionSpec::new(
    "socket",
    Kind::Text,
    "/run/motley_cue/task.sock",
    "Socket of motley-root, which makes and changes the accounts.",
)];

const STORE_OPTIONS: &[OptionSpec] = &[OptionSpec::new(
    "url",
    Kind::Text,
    "sqlite:/var/lib/motley_cue/motley.db",
    "Database of reservations, account states and one-time passwords: sqlite:/PATH.",
)];

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
    ),
    OptionSpec::new("connections", Kind::Number, "512", "REST connections at a time."),
    OptionSpec::new("logins", Kind::Number, "128", "Login conversations at a time."),
    OptionSpec::new(
        "attempts_per_source",
        Kind::Number,
        "60",
        "Failed logins that one address may have under one name in a minute. A success wipes \
         them.",
    ),
];

const AUDIT: &[OptionSpec] = &[OptionSpec::new(
    "file",
    Kind::Text,
    "",
    "File of the audit trail, one JSON object in each line, chained by hashes. Empty: \
     audit.jsonl beside the store.",
)];

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
    SectionSpec::new("server", "The REST interface.", SERVER),
    SectionSpec::new("login", "The conversation with the PAM module in sshd.", LOGIN),
    SectionSpec::new("admin", "Administration on the host itself.", ADMIN),
    SectionSpec::new("root", "The helper with root's rights.", ROOT),
    SectionSpec::new("store", "The database.", STORE_OPTIONS),
    SectionSpec::new("limits", "Bounds against floods and stuck peers.", LIMITS),
    SectionSpec::new("audit", "Who did what.", AUDIT),
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
    sections: SECTIONS,
    inheritance: Inheritance::Repeated,
    bool_words: BoolWords { yes: "1", no: "0" },
};
