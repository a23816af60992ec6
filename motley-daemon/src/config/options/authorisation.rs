//! Options of `[authorisation.NAME]`: one OpenID provider and who of its people may log in.

use super::{Kind, OptionSpec};

pub(super) const OPTIONS: &[OptionSpec] = &[
    OptionSpec::new(
        "op_url",
        Kind::Text,
        "",
        "Issuer of the provider, exactly as in its tokens (one slash at the end may be \
         more or less). A section without it is not used.",
    )
    .own(),
    OptionSpec::new("scopes", Kind::List, "[]", "Scopes that clients are told to ask for."),
    OptionSpec::unset(
        "client_id",
        Kind::OptionalText,
        "Public client at this provider with which clients may log in by themselves (device \
         flow, RFC 8628). Told in /info.",
    )
    .own(),
    OptionSpec::new("authorise_all", Kind::Bool, "no", "Lets every user of this provider in."),
    OptionSpec::new(
        "authorised_users",
        Kind::List,
        "[]",
        "Lets users with these subjects (claim sub) in.",
    ),
    OptionSpec::new(
        "authorised_vos",
        Kind::List,
        "[]",
        "Lets members of these virtual organisations in: entitlements of AARC-G069, or \
         plain groups. A group includes its sub-groups; a role must be equal; the \
         authority behind # does not count.",
    ),
    OptionSpec::new(
        "vo_claim",
        Kind::Text,
        "eduperson_entitlement",
        "Claim that lists the memberships. A dot in it is part of the name.",
    ),
    OptionSpec::new(
        "vo_match",
        Kind::Text,
        "one",
        "How many of authorised_vos are needed: one, all, or a number.",
    ),
    OptionSpec::new(
        "audience",
        Kind::Text,
        "",
        "Audience that the token must name, or a list [\"a\", \"b\"] of which it must \
         name one. Set it: without it, tokens that were issued for other services are \
         taken too.",
    ),
    OptionSpec::new(
        "authorised_admins",
        Kind::List,
        "[]",
        "Users (claim sub) who may suspend and resume accounts of people of this \
         provider. They are no users by that.",
    ),
    OptionSpec::new(
        "authorise_admins_for_all_ops",
        Kind::Bool,
        "no",
        "Lets the admins of this provider act on people of all providers.",
    ),
    OptionSpec::new(
        "assurance_prefix",
        Kind::Text,
        "https://refeds.org",
        "What stands before relative words in the expressions below.",
    ),
    OptionSpec::new(
        "assurance_claims",
        Kind::List,
        "[assurance, eduperson_assurance, acr]",
        "Claims in which assurance is looked for.",
    ),
    OptionSpec::new(
        "assurance_based_shell_tier_full",
        Kind::Text,
        "",
        "Who gets the shell of tier full: an expression of assurance values with & | ( ), \
         + for any value and * for everybody.",
    ),
    OptionSpec::new(
        "assurance_based_shell_tier_limited",
        Kind::Text,
        "",
        "The same for tier limited. The first that holds counts.",
    ),
    OptionSpec::new(
        "assurance_based_shell_tier_restricted",
        Kind::Text,
        "",
        "The same for tier restricted.",
    ),
    OptionSpec::new(
        "assurance_based_shell_default_tier",
        Kind::Text,
        "",
        "Tier of people for whom no expression holds: full, limited or restricted. Empty: \
         full if there is no expression at all, else restricted.",
    ),
    OptionSpec::new(
        "assurance_based_shell_max_tier",
        Kind::Text,
        "",
        "Highest tier that people of this provider get.",
    ),
    OptionSpec::new(
        "opaque_tokens",
        Kind::Bool,
        "no",
        "Takes tokens that are no JWT, and so name no issuer, as tokens of this provider: \
         they are shown to it. If one provider is configured only, that is so anyway. Where \
         several are marked, see [tokens] offer_opaque_tokens_to_all.",
    ),
    OptionSpec::unset(
        "introspection_client_id",
        Kind::OptionalText,
        "Client with which tokens are introspected (RFC 7662).",
    )
    .own(),
    OptionSpec::unset(
        "introspection_client_secret",
        Kind::Secret,
        "Its secret. Keep the file unreadable for others, or use the next option.",
    )
    .own(),
    OptionSpec::unset(
        "introspection_client_secret_file",
        Kind::OptionalText,
        "File that holds the secret, and nothing else.",
    )
    .own(),
    OptionSpec::new(
        "userinfo",
        Kind::Text,
        "always",
        "When the userinfo endpoint is asked about a signed token: always, so that a revoked \
         token is noticed, or when_needed, that is when policy, names or groups use a claim that \
         the token lacks.",
    ),
    OptionSpec::new(
        "timeout",
        Kind::Seconds,
        "10",
        "Seconds that this provider may take to answer.",
    ),
    OptionSpec::new(
        "allow_http_loopback",
        Kind::Bool,
        "no",
        "Allows a provider without TLS on this very host (http://127.0.0.1, [::1], \
         localhost). For tests only.",
    )
    .own(),
];
