//! Options of `feudal_adapter.conf`: names, groups and the back end that keeps the accounts.

use super::directory::{BONSAI_LDAP, GROUP_PREFIX, LDAP};
use super::equipment::{HOME_BASE, HOOK, SHELL, SHELL_LIMITED, SHELL_RESTRICTED};
use super::{BoolWords, Extras, FileSpec, Inheritance, Kind, OptionSpec, SectionName, SectionSpec};

const LOGGED: &str = "[mapper] log_level of motley_cue.conf decides, and logs go to the journal";
const NO_DUMP: &str = "claims are never written to files";
const MOVED_TEXTS: &str = "its texts have moved to [login_info]";
const NO_COURIER: &str = "messages go by mail only";

const LDF_ADAPTER: &[OptionSpec] = &[
    OptionSpec::new(
        "backend",
        Kind::Text,
        "local_unix",
        "What keeps the accounts: local_unix (this host), ldap or bonsai_ldap (a directory), bwidm (a \
         registration service), external (a program of the site) or map (nobody: a file says whose the \
         host's accounts are).",
    ),
    OptionSpec::new(
        "backend_supports_preferring_existing_user",
        Kind::Bool,
        "no",
        "Keeps the name of an existing account.",
    )
    .obsolete("an existing account always keeps its name"),
    OptionSpec::unset(
        "primary_group",
        Kind::OptionalText,
        "Primary group of everybody. Not set or empty: the only group that a user brings, \
         else the alphabetically first.",
    ),
    OptionSpec::new(
        "fallback_group",
        Kind::OptionalText,
        "nogroup",
        "Primary group of users who bring no group. Empty: such users get no account.",
    ),
    OptionSpec::new(
        "additional_groups",
        Kind::Words,
        "",
        "Groups that everybody joins, between blanks. Made if they do not exist.",
    ),
    OptionSpec::new("interactive", Kind::Bool, "no", "Asks users for a name.")
        .obsolete("nobody is asked; names are chosen"),
];

const MESSAGES: &[OptionSpec] = &[
    OptionSpec::new("log_file", Kind::Text, "/var/log/feudal/adapter.log", "File for the log.")
        .obsolete(LOGGED),
    OptionSpec::unset("log_level", Kind::OptionalText, "How much is logged.").obsolete(LOGGED),
    OptionSpec::new("log_to_console", Kind::Text, "", "Also logs to the console.").obsolete(LOGGED),
    OptionSpec::new("log_name_changes", Kind::Bool, "yes", "Logs changed names.").obsolete(LOGGED),
    OptionSpec::new(
        "log_primary_group_definition",
        Kind::Bool,
        "yes",
        "Logs the choice of the primary group.",
    )
    .obsolete(LOGGED),
    OptionSpec::new("log_username_creation", Kind::Bool, "no", "Logs the names that are tried.")
        .obsolete(LOGGED),
];

const APPROVAL: &[OptionSpec] = &[
    OptionSpec::new(
        "enabled",
        Kind::Bool,
        "no",
        "First accounts, and further groups of accounts, wait until an admin accepts them: \
         motleyctl approvals.",
    ),
    OptionSpec::new(
        "user_db_location",
        Kind::Text,
        "/var/lib/feudal/pending_users.db",
        "File of waiting requests of the Python stack.",
    )
    .obsolete("requests are kept in the [store]; people who waited in this file ask again"),
    OptionSpec::new(
        "notifier",
        Kind::Text,
        "email",
        "How admins and people learn of requests: email, or off.",
    ),
    OptionSpec::new(
        "expires_days",
        Kind::Number,
        "30",
        "Days after which a request, or its rejection, ends by itself: 1 to 3650.",
    ),
];

const EMAIL: &[OptionSpec] = &[
    OptionSpec::new("smtp_server", Kind::Text, "localhost", "Mail server."),
    OptionSpec::new("smtp_port", Kind::Number, "25", "Its port."),
    OptionSpec::new(
        "use_ssl",
        Kind::Bool,
        "no",
        "Speaks TLS with it from the first byte. With no, TLS is begun when the server offers it \
         (STARTTLS).",
    ),
    OptionSpec::new(
        "sent_from",
        Kind::Text,
        "admin@localhost",
        "Sender, and the name to log in with.",
    ),
    OptionSpec::unset(
        "sent_from_password",
        Kind::Secret,
        "Password of the sender. Not set: mail is sent without login.",
    ),
    OptionSpec::new(
        "admin_email",
        Kind::Text,
        "admin@localhost",
        "Receiver, or several with commas between them.",
    ),
    OptionSpec::new(
        "templates_dir",
        Kind::Text,
        "/etc/feudal/templates",
        "Directory of your own texts, as admin.deploy.template. What is not there is said in \
         built-in words.",
    ),
];

const COURIER: &[OptionSpec] =
    &[OptionSpec::unset("api_key", Kind::Secret, "Key of the service.").later(NO_COURIER)];

const USERNAME_GENERATOR: &[OptionSpec] = &[
    OptionSpec::new(
        "mode",
        Kind::Text,
        "friendly",
        "friendly makes names from the user's name and e-mail address; pooled numbers \
         them (pool001).",
    ),
    OptionSpec::unset(
        "pool_prefix",
        Kind::OptionalText,
        "Text before the number. Not set or empty: the user's primary group.",
    ),
    OptionSpec::new("pool_digits", Kind::Number, "3", "Digits of the number, 1 to 9."),
    OptionSpec::new(
        "strip_sub_groups",
        Kind::Bool,
        "no",
        "Leaves sub-groups out of group names, so that their members share the group.",
    ),
];

const GROUPS: &[OptionSpec] = &[
    OptionSpec::new("policy", Kind::Text, "all", "Which groups count: all, or listed."),
    OptionSpec::new(
        "method",
        Kind::Text,
        "classic",
        "How an entitlement becomes a group name: classic, or regex.",
    ),
    OptionSpec::new(
        "mapping",
        Kind::Text,
        "",
        "Rules PATTERN -> REPLACEMENT of method regex, one in each line, applied in \
         order.",
    ),
    OptionSpec::new(
        "supported_entitlements",
        Kind::Text,
        "",
        "Patterns of policy listed for entitlements, one in each line. None: all count.",
    ),
    OptionSpec::new(
        "supported_groups",
        Kind::Text,
        "",
        "The same for the plain groups claim, which counts for everybody of whom no entitlement counts. \
         None: all of them do; ^$ takes none.",
    ),
];

const LOGIN_INFO: &[OptionSpec] = &[
    OptionSpec::new("description", Kind::Text, "Local SSH Test Service", "What this service is."),
    OptionSpec::new("login_help", Kind::Text, "Login via `mccli ssh {ssh_host}`", "How to log in."),
    OptionSpec::new("ssh_host", Kind::Text, "localhost", "Name under which users reach this host."),
];

const LOCAL_UNIX: &[OptionSpec] = &[
    SHELL,
    SHELL_LIMITED,
    SHELL_RESTRICTED,
    HOME_BASE,
    OptionSpec::new(
        "deploy_user_ssh_keys",
        Kind::Bool,
        "yes",
        "Writes public keys that a provider tells (claims ssh_key, ssh_keys, ssh_public_key, \
         ssh_public_keys, sshPublicKey) to a marked part of ~/.ssh/authorized_keys at each \
         deployment. Acts only if this section says yes; without this line no key is written. \
         Read by motley-root, too, when that starts.",
    ),
    OptionSpec::new(
        "undeploy_home",
        Kind::Text,
        "archive",
        "What becomes of the home of an account that is taken away: archive puts it aside into \
         .removed beside the homes, where root alone can look; remove does the same and then \
         deletes it; keep leaves it where it is. Read by motley-root when that starts.",
    ),
    OptionSpec::new("punch4nfdi", Kind::Bool, "no", "Names groups by the rules of PUNCH4NFDI."),
    HOOK,
    OptionSpec::new(
        "shadow_compatibility_function",
        Kind::Text,
        "default",
        "How texts become names that shadow-utils take: default, v044 or punch.",
    ),
    OptionSpec::new("use_sudo", Kind::Bool, "no", "Runs commands through sudo.")
        .obsolete("motley-root does what needs root"),
];

const BWIDM: &[OptionSpec] = &[
    OptionSpec::new(
        "url",
        Kind::Text,
        "https://bwidm-test.scc.kit.edu/rest",
        "Address of the service.",
    ),
    OptionSpec::new(
        "org_id",
        Kind::Text,
        "fdl",
        "Organisation. Every name begins with it: fdl_jdoe.",
    ),
    OptionSpec::new("http_user", Kind::Text, "foo", "User of the service (basic authentication)."),
    OptionSpec::new("http_pass", Kind::Secret, "bar", "Its password."),
    OptionSpec::new(
        "service_name",
        Kind::Text,
        "sshtest",
        "Service that users are registered for.",
    ),
    OptionSpec::new(
        "log_outgoing_http_requests",
        Kind::Bool,
        "no",
        "Logs requests to the service.",
    )
    .obsolete("requests are counted in the metrics, and failures are logged"),
    OptionSpec::new("timeout", Kind::Seconds, "10", "Longest time for one request."),
    OptionSpec::new(
        "registration_timeout",
        Kind::Seconds,
        "30",
        "Longest time for which a registration may be on its way.",
    ),
    GROUP_PREFIX,
    OptionSpec::new(
        "allowed_groups",
        Kind::Words,
        "",
        "Existing groups that may be joined, between blanks.",
    ),
    OptionSpec::new("shell", Kind::Text, "/bin/sh", "Login shell that accounts have on this host."),
    OptionSpec::new("home_base", Kind::Text, "/home", "Directory of homes on this host."),
    HOOK,
];

const EXTERNAL: &[OptionSpec] = &[
    OptionSpec::unset(
        "command",
        Kind::OptionalText,
        "Program that keeps the accounts, by its absolute path, and arguments between blanks. It runs \
         as the service's user, once for each operation. Nobody but root and the service may be able \
         to change it.",
    ),
    OptionSpec::new("timeout", Kind::Seconds, "10", "Longest time for one run of the program."),
    OptionSpec::new(
        "naming",
        Kind::Text,
        "numbered",
        "Who names and numbers accounts. offered: motley offers names and uids. numbered: motley \
         offers names. known: the program knows who has which name.",
    ),
    SHELL,
    SHELL_LIMITED,
    SHELL_RESTRICTED,
    HOME_BASE,
];

const MAP: &[OptionSpec] = &[OptionSpec::unset(
    "file",
    Kind::OptionalText,
    "File with a line ISSUER SUBJECT NAME for everybody who has an account. It is read again when it \
     changes. Nobody but root and the service may be able to change it.",
)];

const VERBOSE_INFO: &[OptionSpec] = &[
    OptionSpec::new("active", Kind::Bool, "no", "Writes all claims to a file.").obsolete(NO_DUMP),
    OptionSpec::new("filename", Kind::Text, "/tmp/userinfo/userinfo.json", "That file.")
        .obsolete(NO_DUMP),
    OptionSpec::new("dirname", Kind::Text, "/tmp/userinfo", "Its directory.").obsolete(NO_DUMP),
];

const SECTIONS: &[SectionSpec] = &[
    SectionSpec::new("ldf_adapter", "Accounts and groups in general.", LDF_ADAPTER),
    SectionSpec::new("username_generator", "Names of new accounts.", USERNAME_GENERATOR),
    SectionSpec::new(
        "groups",
        "From entitlements to local groups. System groups can't be reached.",
        GROUPS,
    ),
    SectionSpec {
        name: SectionName::Exact("login_info"),
        doc: "Texts that users are shown. Further options may be added; they are shown too. With \
              contact, a mail address or web page, people who are refused learn whom to turn to.",
        options: LOGIN_INFO,
        extras: Extras::Texts,
        example: "",
    },
    SectionSpec::new("backend.local_unix", "Accounts of this host.", LOCAL_UNIX),
    SectionSpec::new("approval", "Approval of new accounts and groups.", APPROVAL),
    SectionSpec::new("notifier.email", "Mail to admins and people.", EMAIL),
    SectionSpec::new("notifier.courier", "Messages to admins.", COURIER),
    SectionSpec::new("backend.ldap", "Accounts in an LDAP directory.", LDAP),
    SectionSpec::new(
        "backend.bonsai_ldap",
        "Accounts in an LDAP directory, whose entries stand directly below the bases.",
        BONSAI_LDAP,
    ),
    SectionSpec::new(
        "backend.bwidm",
        "Accounts in bwIDM, over the REST interface of its registration service.",
        BWIDM,
    ),
    SectionSpec::new("backend.external", "Accounts that a program of the site keeps.", EXTERNAL),
    SectionSpec::new("backend.map", "Accounts that exist on this host by other means.", MAP),
    SectionSpec::new("messages", "Logging.", MESSAGES),
    SectionSpec::new("verbose-info-plugin", "Claims in a file.", VERBOSE_INFO),
    SectionSpec::ignored("approval.email", "its options have moved to [notifier.email]"),
    SectionSpec::ignored(
        "assurance",
        "assurance is decided by assurance_based_shell_... in [authorisation.NAME] of \
         motley_cue.conf",
    ),
    SectionSpec::ignored("backend.local_unix.login_info", MOVED_TEXTS),
    SectionSpec::ignored("backend.ldap.login_info", MOVED_TEXTS),
    SectionSpec::ignored("backend.bwidm.login_info", MOVED_TEXTS),
    SectionSpec::ignored("backend.bwidm.auth", "its options have moved to [backend.bwidm]"),
    SectionSpec::ignored(
        "backend.bwidm.service",
        "its option has moved to [backend.bwidm] service_name",
    ),
];

/// `feudal_adapter.conf`.
pub const FEUDAL_ADAPTER: FileSpec = FileSpec {
    name: "feudal_adapter.conf",
    doc: "Configuration of the accounts that motley-daemon keeps: their names, groups, \
         shells and homes.",
    places: "The file is the one named by --adapter-config, else by the environment variable \
             FEUDAL_ADAPTER_CONFIG or LDF_ADAPTER_CONFIG, else the first that exists of \
             ~/.config/feudal_adapter.conf, ~/.config/feudal/feudal_adapter.conf, \
             /etc/feudal/feudal_adapter.conf, /etc/motley_cue/feudal_adapter.conf, \
             ~/.config/ldf_adapter.conf, ~/.config/feudal/ldf_adapter.conf and \
             /etc/feudal/ldf_adapter.conf. A file that was named must exist. The working directory is not searched.",
    sections: SECTIONS,
    inheritance: Inheritance::All,
    bool_words: BoolWords { yes: "yes, do as i say!", no: "no" },
};
