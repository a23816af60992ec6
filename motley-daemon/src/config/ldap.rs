//! Sections `[backend.ldap]` and `[backend.bonsai_ldap]`: a directory that can be spoken to safely.

use super::choice::{choose, path, shells};
use super::finding::{FindingKind, Findings, quoted};
use super::permissions::{Owners, read_guarded};
use super::raw::Settings;
use feudal_plugins::{
    groups::GroupLimits,
    ldap::{Attributes, ClaimKey, ClaimRule, Depth, LdapConfig, Login, Mode, Protection},
};
use motley_proto::{GroupName, Issuer};
use std::{collections::BTreeSet, ops::RangeInclusive, path::PathBuf};

const MODES: [(&str, Mode); 3] = [
    ("read_only", Mode::ReadOnly),
    ("pre_created", Mode::PreCreated),
    ("full_access", Mode::FullAccess),
];
const CLAIMS: [(&str, ClaimKey); 2] =
    [("preferred_username", ClaimKey::PreferredUsername), ("email", ClaimKey::Email)];
/// Most connections of one service.
const MOST_CONNECTIONS: i64 = 64;

/// Validates the section of the back end that is called `word`.
pub(super) fn ldap(
    word: &str,
    settings: &Settings,
    owners: Owners,
    found: &mut Findings,
) -> Option<LdapConfig> {
    let mode = choose(settings, "mode", &MODES, found);
    let host = host(settings, found);
    let protection = protection(settings, found);
    let port = protection.and_then(|protection| port(settings, protection, found));
    let ca_file = ca_file(settings, owners, found);
    let login = login(settings, mode, found);
    let bases = (base(settings, "user_base", found), base(settings, "group_base", found));
    let attributes = attributes(settings, found);
    let shells = shells(settings, found);
    let home_base = path(settings, "home_base", found);
    let uids = range(settings, ["uid_min", "uid_max"], found);
    let gids = range(settings, ["gid_min", "gid_max"], found);
    let groups = group_limits(settings, found);
    let claim = claim(settings, mode, found);
    let connections = connections(settings, found);
    let (backend, depth) = match word {
        "bonsai_ldap" => ("bonsai_ldap", Depth::OneLevel),
        _ => ("ldap", Depth::Subtree),
    };
    Some(LdapConfig {
        backend,
        mode: mode?,
        host: host?,
        port: port?,
        protection: protection?,
        ca_file: ca_file?,
        login,
        user_base: bases.0?,
        group_base: bases.1?,
        depth,
        attributes: attributes?,
        shells: shells?,
        home_base: home_base?,
        uids: uids?,
        gids: gids?,
        groups: groups?,
        claim: claim?,
        ppolicy: settings.is_on("ppolicy"),
        limit: settings.seconds("timeout"),
        connections: connections?,
    })
}

fn wrong(
    settings: &Settings,
    option: &str,
    what: impl Into<String>,
    cure: &str,
    found: &mut Findings,
) {
    found.problem(settings.finding(FindingKind::Value, option, what, cure));
}

fn doubt(
    settings: &Settings,
    option: &str,
    what: impl Into<String>,
    cure: &str,
    found: &mut Findings,
) {
    found.warn(settings.finding(FindingKind::Doubtful, option, what, cure));
}

fn host(settings: &Settings, found: &mut Findings) -> Option<String> {
    let text = settings.text("host");
    let is_name = !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    let inside = text.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let is_address = inside.is_some_and(|it| it.parse::<std::net::Ipv6Addr>().is_ok());
    if is_name || is_address {
        return Some(text.to_owned());
    }
    let cure = "write a name, an IPv4 address, or an IPv6 address in brackets";
    wrong(settings, "host", format!("{} is no host", quoted(text)), cure, found);
    None
}

/// Nobody on the wire may read the password or make up answers about who is who.
fn protection(settings: &Settings, found: &mut Findings) -> Option<Protection> {
    let protection = match (settings.is_on("tls"), settings.is_on("starttls")) {
        (true, true) => {
            let what = "tls and starttls are two ways to the same end";
            wrong(settings, "starttls", what, "set one of them to no", found);
            return None;
        }
        (true, false) => Protection::Tls,
        (false, true) => Protection::StartTls,
        (false, false) => Protection::Plain,
    };
    let is_local = LdapConfig::is_loopback(settings.text("host"));
    if protection != Protection::Plain || is_local {
        return Some(protection);
    }
    let what = "password and accounts cross the network without protection";
    if settings.is_on("allow_plain") {
        doubt(settings, "allow_plain", what, "write tls = yes or starttls = yes", found);
        return Some(protection);
    }
    let cure = "write tls = yes or starttls = yes, or allow_plain = yes where nobody else is on the \
                network";
    wrong(settings, "host", what, cure, found);
    None
}

fn port(settings: &Settings, protection: Protection, found: &mut Findings) -> Option<u16> {
    let number = match (settings.number("port"), protection) {
        (0, Protection::Tls) => 636,
        (0, Protection::StartTls) => 389,
        (0, Protection::Plain) => 1389,
        (number, _) => number,
    };
    let port = u16::try_from(number).ok();
    if port.is_none() {
        let cure = "write a number between 1 and 65535";
        wrong(settings, "port", format!("{number} is no port"), cure, found);
    }
    port
}

fn ca_file(settings: &Settings, owners: Owners, found: &mut Findings) -> Option<Option<PathBuf>> {
    let Some(file) = settings.filled("ca_file").map(PathBuf::from) else { return Some(None) };
    if !settings.is_on("tls") && !settings.is_on("starttls") {
        let what = "nothing is verified without TLS";
        doubt(settings, "ca_file", what, "write tls = yes or starttls = yes", found);
    }
    match read_guarded(&file, owners) {
        Ok(content) if content.text.contains("BEGIN CERTIFICATE") => Some(Some(file)),
        Ok(_) => {
            let what = format!("{} holds no certificate in PEM", file.display());
            wrong(settings, "ca_file", what, "name the file of the server's authority", found);
            None
        }
        Err(finding) => {
            let what = format!("{} {}", file.display(), finding.what);
            wrong(settings, "ca_file", what, &finding.cure, found);
            None
        }
    }
}

fn login(settings: &Settings, mode: Option<Mode>, found: &mut Findings) -> Option<Login> {
    let dn = settings.filled("admin_user");
    match (dn, settings.secret("admin_password")) {
        (Some(dn), Some(password)) => {
            return Some(Login { dn: dn.to_owned(), password: password.clone() });
        }
        (Some(_), None) => {
            let cure = "set admin_password, or take admin_user out";
            doubt(settings, "admin_user", "without a password it binds anonymously", cure, found);
        }
        (None, Some(_)) => {
            let cure = "set admin_user, or take admin_password out";
            doubt(settings, "admin_password", "without a DN it binds anonymously", cure, found);
        }
        (None, None) if mode.is_some_and(|mode| mode != Mode::ReadOnly) => {
            let cure = "set admin_user and admin_password";
            let what = "an anonymous bind seldom may write, as this mode does";
            doubt(settings, "mode", what, cure, found);
        }
        (None, None) => {}
    }
    None
}

fn base(settings: &Settings, option: &str, found: &mut Findings) -> Option<String> {
    let text = settings.text(option).trim();
    if text.contains('=') && !text.contains(['\n', '\0']) {
        return Some(text.to_owned());
    }
    let what = format!("{} is no distinguished name", quoted(text));
    wrong(settings, option, what, "write one, as ou=users,dc=example", found);
    None
}

fn attribute(settings: &Settings, option: &str, found: &mut Findings) -> Option<String> {
    let text = settings.text(option);
    // RFC 4512 §2.5: a short name, or the numbers of an OID.
    let fits = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'));
    if fits && text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Some(text.to_owned());
    }
    let what = format!("{} is no name of an attribute", quoted(text));
    wrong(settings, option, what, "write one, as uid", found);
    None
}

fn attributes(settings: &Settings, found: &mut Findings) -> Option<Attributes> {
    let identity = attribute(settings, "attribute_oidc_uid", found);
    let name = attribute(settings, "attribute_local_uid", found);
    let notes = attribute(settings, "attribute_notes", found);
    let attributes = Attributes { identity: identity?, name: name?, notes: notes? };
    let same = |one: &str, other: &str| one.eq_ignore_ascii_case(other);
    let (identity, name) = (&attributes.identity, &attributes.name);
    if same(identity, name) || same(identity, &attributes.notes) || same(name, &attributes.notes) {
        let cure = "name another attribute";
        wrong(settings, "attribute_oidc_uid", "one attribute serves two ends", cure, found);
        return None;
    }
    Some(attributes)
}

fn range(
    settings: &Settings,
    [first, last]: [&str; 2],
    found: &mut Findings,
) -> Option<RangeInclusive<u32>> {
    let number = |option| u32::try_from(settings.number(option)).ok().filter(|it| *it > 0);
    match (number(first), number(last)) {
        (Some(min), Some(max)) if min <= max => Some(min..=max),
        _ => {
            let what = format!(
                "no id lies between {} and {}",
                settings.number(first),
                settings.number(last)
            );
            wrong(settings, last, what, &format!("raise it, or lower {first}"), found);
            None
        }
    }
}

pub(super) fn group_limits(settings: &Settings, found: &mut Findings) -> Option<GroupLimits> {
    let mut allowed = BTreeSet::new();
    let mut fits = true;
    for text in settings.list("allowed_groups") {
        match GroupName::new(text.as_str()) {
            Ok(group) => {
                allowed.insert(group);
            }
            Err(error) => {
                let what = format!("{} {error}", quoted(text));
                wrong(settings, "allowed_groups", what, "take it out", found);
                fits = false;
            }
        }
    }
    let prefix = settings.text("group_prefix").to_owned();
    fits.then_some(GroupLimits { prefix, allowed })
}

fn claim(
    settings: &Settings,
    mode: Option<Mode>,
    found: &mut Findings,
) -> Option<Option<ClaimRule>> {
    if settings.filled("claim_by").is_none() {
        for option in ["claim_attribute", "claim_issuer"] {
            if settings.filled(option).is_some() {
                doubt(settings, option, "it does nothing without claim_by", "set claim_by", found);
            }
        }
        return Some(None);
    }
    if mode.is_some_and(|mode| mode != Mode::PreCreated) {
        let what = "only mode pre_created recognises owners of entries by it";
        doubt(settings, "claim_by", what, "take it out, or write mode = pre_created", found);
    }
    let key = choose(settings, "claim_by", &CLAIMS, found);
    let attribute = attribute(settings, "claim_attribute", found);
    let issuer = Issuer::new(settings.text("claim_issuer"));
    if let Err(error) = &issuer {
        let cure = "write the issuer of the one provider whose claim counts";
        wrong(settings, "claim_issuer", error.to_string(), cure, found);
    }
    Some(Some(ClaimRule { issuer: issuer.ok()?, key: key?, attribute: attribute? }))
}

fn connections(settings: &Settings, found: &mut Findings) -> Option<usize> {
    let number = settings.number("connection_pool_size");
    if (1..=MOST_CONNECTIONS).contains(&number) {
        return usize::try_from(number).ok();
    }
    let what = format!("{number} is no number of connections");
    wrong(settings, "connection_pool_size", what, "write a number between 1 and 64", found);
    None
}
