//! Options of the back ends that keep accounts in an LDAP directory.

use super::equipment::{HOME_BASE, HOOK, SHELL, SHELL_LIMITED, SHELL_RESTRICTED};
use super::{Kind, OptionSpec};

pub(super) const LDAP: &[OptionSpec] = &directory(OptionSpec::new(
    "connection_pool_size",
    Kind::Number,
    "4",
    "Connections kept open, 1 to 64.",
));

pub(super) const BONSAI_LDAP: &[OptionSpec] = &directory(OptionSpec::new(
    "connection_pool_size",
    Kind::Number,
    "10",
    "Connections kept open, 1 to 64.",
));

/// The options of both forms, which differ in the size of their pool only.
const fn directory(pool: OptionSpec) -> [OptionSpec; DIRECTORY.len() + 1] {
    let mut options = [pool; DIRECTORY.len() + 1];
    let mut index = 0;
    while index < DIRECTORY.len() {
        options[index] = DIRECTORY[index];
        index += 1;
    }
    options
}

pub(super) const GROUP_PREFIX: OptionSpec = OptionSpec::unset(
    "group_prefix",
    Kind::OptionalText,
    "Text with which groups must begin that are joined or made. With it, groups that the site made can \
     be joined too. Not set: only groups that motley made, and allowed_groups.",
);

const ALLOWED_GROUPS: OptionSpec = OptionSpec::new(
    "allowed_groups",
    Kind::Words,
    "",
    "Existing groups that may be joined, between blanks. Never those with a gid of the system.",
);

const DIRECTORY: [OptionSpec; 30] = [
    OptionSpec::new(
        "mode",
        Kind::Text,
        "read_only",
        "read_only writes nothing and knows those whom the directory names. pre_created knows \
         entries that the site made, joins and leaves groups, and locks. full_access also makes and \
         removes entries.",
    ),
    OptionSpec::new("host", Kind::Text, "localhost", "Name or address of the directory server."),
    OptionSpec::unset(
        "port",
        Kind::Number,
        "Its port. Not set: 636 with tls, 389 with starttls, else 1389.",
    ),
    OptionSpec::unset(
        "admin_user",
        Kind::OptionalText,
        "DN to bind as. Not set, or without admin_password: anonymously.",
    ),
    OptionSpec::unset("admin_password", Kind::Secret, "Its password."),
    OptionSpec::new("tls", Kind::Bool, "no", "Speaks TLS from the first byte (ldaps)."),
    OptionSpec::new(
        "starttls",
        Kind::Bool,
        "no",
        "Begins TLS on the plain port, and ends where the server does not offer it.",
    ),
    OptionSpec::unset(
        "ca_file",
        Kind::OptionalText,
        "File of the authorities, in PEM, that the server's certificate must come from. Not set: those \
         that the host trusts. Certificate and name are always verified.",
    ),
    OptionSpec::new(
        "allow_plain",
        Kind::Bool,
        "no",
        "Allows a connection without TLS to a server that is not on this host. Who is on the network \
         between can then read the password and change every answer.",
    ),
    OptionSpec::new(
        "timeout",
        Kind::Seconds,
        "5",
        "Longest time for one operation of the directory, with connecting where that is needed.",
    ),
    OptionSpec::new("user_base", Kind::Text, "ou=users,dc=example", "Where users are."),
    OptionSpec::new("group_base", Kind::Text, "ou=groups,dc=example", "Where groups are."),
    OptionSpec::new(
        "attribute_oidc_uid",
        Kind::Text,
        "gecos",
        "Attribute of users that holds the identity, and nothing else.",
    ),
    OptionSpec::new(
        "attribute_local_uid",
        Kind::Text,
        "uid",
        "Attribute of users that holds the local name.",
    ),
    OptionSpec::new(
        "attribute_notes",
        Kind::Text,
        "description",
        "Attribute of users and groups, with room for several values, in which motley notes what it \
         did and may have to take back. People must not be able to write it in their own entries.",
    ),
    GROUP_PREFIX,
    ALLOWED_GROUPS,
    OptionSpec::unset(
        "claim_by",
        Kind::OptionalText,
        "How mode pre_created recognises the owner of an entry that carries no identity yet: \
         preferred_username or email (a verified one). Not set: not at all, and the site writes \
         identities itself.",
    ),
    OptionSpec::unset(
        "claim_attribute",
        Kind::OptionalText,
        "Attribute of users that holds the same value as that claim.",
    ),
    OptionSpec::unset(
        "claim_issuer",
        Kind::OptionalText,
        "The one provider whose claim counts, as its issuer writes itself. Others could claim \
         anybody's entry.",
    ),
    OptionSpec::new(
        "ppolicy",
        Kind::Bool,
        "no",
        "A suspension also sets pwdAccountLockedTime, for servers with the overlay ppolicy.",
    ),
    SHELL,
    SHELL_LIMITED,
    SHELL_RESTRICTED,
    HOME_BASE,
    HOOK,
    OptionSpec::new("uid_min", Kind::Number, "1000", "First uid of new accounts."),
    OptionSpec::new("uid_max", Kind::Number, "60000", "Last uid of new accounts."),
    OptionSpec::new("gid_min", Kind::Number, "1000", "First gid of new groups."),
    OptionSpec::new("gid_max", Kind::Number, "60000", "Last gid of new groups."),
];
