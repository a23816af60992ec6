//! The OpenID providers that are trusted, each with its policy.

use super::finding::{FindingKind, Findings, quoted};
use super::permissions::{Owners, read_private};
use super::raw::{Origin, RawFile, Settings};
use super::values::unquote;
use crate::identity::{ClientCredentials, UserinfoMode};
use crate::policy::{
    AdminScope, AssurancePolicy, AudienceRule, OpPolicy, VoMatch, VoRule, assurance::Expression,
};
use feudal_plugins::Tier;
use motley_proto::{Audience, Issuer, Secret, Subject};
use std::{path::Path, time::Duration};
use zeroize::Zeroize;

/// Prefix of the sections that configure providers.
pub(super) const PREFIX: &str = "authorisation.";

/// Section `[authorisation.NAME]`.
#[derive(Clone)]
pub struct OpConfig {
    /// Name of the section.
    pub section: String,
    /// Line of its header.
    pub line: Option<usize>,
    /// The provider, exactly as configured.
    pub issuer: Issuer,
    /// Scopes that clients are told to ask for.
    pub scopes: Vec<String>,
    /// Public client with which clients may log in by themselves.
    pub client_id: Option<String>,
    /// Option `audience` as configured, for clients.
    pub audience_text: String,
    /// Who may do what.
    pub policy: OpPolicy,
    /// Tokens that name no issuer may be shown to it.
    pub opaque_tokens: bool,
    /// Our credentials for introspection.
    pub introspection: Option<ClientCredentials>,
    /// When userinfo is asked.
    pub userinfo: UserinfoMode,
    /// How long it may take to answer.
    pub timeout: Duration,
    /// It may be http on the loopback interface.
    pub allow_http_loopback: bool,
}

/// Validates the sections of all providers, and what `[DEFAULT]` says for them.
pub(super) fn ops(raw: &RawFile, owners: Owners, found: &mut Findings) -> Vec<OpConfig> {
    if let Some(defaults) = &raw.defaults {
        warn_about_defaults(defaults, found);
        // A mistake there counts even while no provider inherits it.
        policy(defaults, found);
    }
    let mut ops: Vec<OpConfig> = Vec::new();
    for settings in raw.repeated(PREFIX) {
        let Some(op) = op(settings, owners, found) else { continue };
        let canonical = Issuer::canonical(op.issuer.trimmed());
        let twin = ops.iter().find(|o| Issuer::canonical(o.issuer.trimmed()) == canonical);
        if let Some(twin) = twin {
            let what = format!(
                "the provider {} is configured by [{}] in line {} already",
                quoted(&canonical),
                twin.section,
                twin.line.unwrap_or_default()
            );
            let cure = "keep one of both sections";
            found.problem(settings.finding(FindingKind::DuplicateOp, "op_url", what, cure));
        }
        ops.push(op);
    }
    warn_about_providers(raw, &ops, found);
    ops
}

/// Options that are dangerous when they hold for every provider.
fn warn_about_defaults(defaults: &Settings, found: &mut Findings) {
    for option in ["authorised_users", "authorised_admins"] {
        if !defaults.list(option).is_empty() {
            let what = "these subjects count at every provider, where they may be other people";
            let cure = "move the option to the sections of the providers that are meant";
            found.warn(defaults.finding(FindingKind::Doubtful, option, what, cure));
        }
    }
    if defaults.is_on("authorise_all") {
        let what = "everybody of every provider is let in that does not say otherwise";
        let cure = "move the option to the sections of the providers that are meant";
        found.warn(defaults.finding(FindingKind::Doubtful, "authorise_all", what, cure));
    }
}

fn warn_about_providers(raw: &RawFile, ops: &[OpConfig], found: &mut Findings) {
    let about_file = |what: String, cure: &str| {
        super::finding::Finding::new(FindingKind::Doubtful, &raw.file, what, cure)
    };
    if ops.is_empty() {
        let cure = "add a section [authorisation.NAME] with op_url";
        found.warn(about_file("no provider is configured, so nobody is let in".to_owned(), cure));
    }
    let open: Vec<String> = ops
        .iter()
        .filter(|op| op.policy.audience.accepted.is_empty())
        .map(|op| format!("[{}]", op.section))
        .collect();
    if !open.is_empty() {
        let what = format!(
            "audience is not set in {}, so tokens that were issued for other services are taken",
            open.join(", ")
        );
        found.warn(about_file(what, "set audience where the provider supports it"));
    }
}

fn op(settings: &Settings, owners: Owners, found: &mut Findings) -> Option<OpConfig> {
    let policy = policy(settings, found);
    let introspection = introspection(settings, owners, found);
    let userinfo = userinfo(settings, found);
    let issuer = issuer(settings, found)?;
    Some(OpConfig {
        section: settings.name.clone(),
        line: settings.line,
        issuer,
        scopes: settings.list("scopes").to_vec(),
        client_id: settings.filled("client_id").map(str::to_owned),
        audience_text: policy.audience.text.clone(),
        policy,
        opaque_tokens: settings.is_on("opaque_tokens"),
        introspection,
        userinfo,
        timeout: settings.seconds("timeout"),
        allow_http_loopback: settings.is_on("allow_http_loopback"),
    })
}

fn issuer(settings: &Settings, found: &mut Findings) -> Option<Issuer> {
    let Some(url) = settings.filled("op_url") else {
        let what = "the section has no op_url, so it is not used";
        let cure = "set op_url, or remove the section";
        found.warn(settings.finding(FindingKind::Doubtful, "op_url", what, cure));
        return None;
    };
    let mut refuse = |what: String, cure: &str| {
        found.problem(settings.finding(FindingKind::Issuer, "op_url", what, cure));
        None
    };
    match Issuer::new(url) {
        Ok(issuer) if issuer.is_https() || settings.is_on("allow_http_loopback") => Some(issuer),
        Ok(_) => refuse(
            format!("{} is not https", quoted(url)),
            "write https://..., or set allow_http_loopback = yes for a test",
        ),
        Err(error) => refuse(
            format!("{} is no issuer: it {error}", quoted(url)),
            "copy the issuer from the provider's /.well-known/openid-configuration",
        ),
    }
}

fn userinfo(settings: &Settings, found: &mut Findings) -> UserinfoMode {
    match settings.text("userinfo") {
        "always" => UserinfoMode::Always,
        "when_needed" => UserinfoMode::WhenNeeded,
        word => {
            let what = format!("{} is no mode", quoted(word));
            let cure = "write always or when_needed";
            found.problem(settings.finding(FindingKind::Value, "userinfo", what, cure));
            UserinfoMode::Always
        }
    }
}

fn introspection(
    settings: &Settings,
    owners: Owners,
    found: &mut Findings,
) -> Option<ClientCredentials> {
    let id = settings.filled("introspection_client_id");
    let file = settings.filled("introspection_client_secret_file");
    let secret = match (settings.secret("introspection_client_secret"), file) {
        (Some(_), Some(_)) => {
            let what = "the secret is given twice";
            let cure = "remove introspection_client_secret or introspection_client_secret_file";
            let option = "introspection_client_secret_file";
            found.problem(settings.finding(FindingKind::Value, option, what, cure));
            return None;
        }
        (Some(secret), None) => Some(secret.clone()),
        (None, Some(file)) => read_secret(settings, file, owners, found),
        (None, None) => None,
    };
    match (id, secret) {
        (Some(id), Some(secret)) => Some(ClientCredentials { id: id.to_owned(), secret }),
        (None, None) => None,
        (Some(_), None) if file.is_some() => None,
        (id, _) => {
            let option = if id.is_some() {
                "introspection_client_id"
            } else {
                "introspection_client_secret"
            };
            let what = "introspection needs both a client id and a secret";
            let cure = "set introspection_client_id and introspection_client_secret_file";
            found.problem(settings.finding(FindingKind::Value, option, what, cure));
            None
        }
    }
}

fn read_secret(
    settings: &Settings,
    file: &str,
    owners: Owners,
    found: &mut Findings,
) -> Option<Secret> {
    match read_private(Path::new(file), owners) {
        Ok(mut text) => {
            let secret = Secret::new(text.trim().to_owned());
            text.zeroize();
            Some(secret).filter(|secret| !secret.is_empty())
        }
        Err(finding) => {
            let option = "introspection_client_secret_file";
            let mut ours = settings.finding(finding.kind, option, finding.what, finding.cure);
            ours.what = format!("{file}: {}", ours.what);
            found.problem(ours);
            None
        }
    }
}

/// The policy of a section. Mistakes are noted; what is returned then is not used.
fn policy(settings: &Settings, found: &mut Findings) -> OpPolicy {
    let admin_scope = if settings.is_on("authorise_admins_for_all_ops") {
        AdminScope::AllProviders
    } else {
        AdminScope::OwnProvider
    };
    OpPolicy {
        authorise_all: settings.is_on("authorise_all"),
        users: subjects(settings, "authorised_users", found),
        vos: vos(settings, found),
        audience: audience(settings, found),
        admins: subjects(settings, "authorised_admins", found),
        admin_scope,
        assurance: assurance(settings, found),
    }
}

/// Subjects of a list. An empty one matches nobody and is left out.
fn subjects(settings: &Settings, option: &str, found: &mut Findings) -> Vec<Subject> {
    let mut subjects = Vec::new();
    for item in settings.list(option) {
        match Subject::new(item.as_str()) {
            Ok(subject) => subjects.push(subject),
            Err(error) => {
                let what = format!("the subject {} {error}, so it matches nobody", quoted(item));
                found.warn(settings.finding(FindingKind::Doubtful, option, what, "remove it"));
            }
        }
    }
    subjects
}

fn vos(settings: &Settings, found: &mut Findings) -> Option<VoRule> {
    let required = settings.list("authorised_vos");
    let word = settings.text("vo_match");
    let matching = VoMatch::parse(word).unwrap_or_else(|| {
        let what = format!("{} is no number of memberships", quoted(word));
        let cure = "write one, all, or a number from 1";
        found.problem(settings.finding(FindingKind::Value, "vo_match", what, cure));
        VoMatch::All
    });
    if required.is_empty() {
        return None;
    }
    if matches!(matching, VoMatch::AtLeast(needed) if needed.get() > required.len()) {
        let what = format!("{word} memberships are needed, but authorised_vos names fewer");
        let cure = "lower vo_match; so nobody is let in by membership";
        found.warn(settings.finding(FindingKind::Doubtful, "vo_match", what, cure));
    }
    Some(VoRule::new(settings.text("vo_claim"), required.iter().cloned(), matching))
}

/// Reads one audience, or a list of them in brackets.
fn audience(settings: &Settings, found: &mut Findings) -> AudienceRule {
    let text = settings.text("audience");
    let inside = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let items: Vec<&str> = match inside {
        Some(inside) => inside.split(',').map(|item| unquote(item.trim())).collect(),
        None => vec![unquote(text)],
    };
    let mut accepted = Vec::new();
    for item in items.into_iter().filter(|item| !item.is_empty()) {
        match Audience::new(item) {
            Ok(audience) => accepted.push(audience),
            Err(error) => {
                let what = format!("the audience {} {error}", quoted(item));
                found.problem(settings.finding(FindingKind::Value, "audience", what, "correct it"));
            }
        }
    }
    AudienceRule { accepted, text: text.to_owned() }
}

fn assurance(settings: &Settings, found: &mut Findings) -> AssurancePolicy {
    let mut expressions = Vec::new();
    for tier in [Tier::Full, Tier::Limited, Tier::Restricted] {
        let option = format!("assurance_based_shell_tier_{tier}");
        let text = settings.text(&option);
        if text.trim().is_empty() {
            continue;
        }
        match Expression::parse(text, settings.text("assurance_prefix")) {
            Ok(expression) => expressions.push((tier, expression)),
            Err(error) => {
                let what = format!("{}: {error}", quoted(text));
                let cure = "join values with & or |, and put remarks on a line of their own";
                found.problem(settings.finding(FindingKind::Value, &option, what, cure));
            }
        }
    }
    let policy = AssurancePolicy {
        claims: settings.list("assurance_claims").to_vec(),
        expressions,
        default: tier(settings, "assurance_based_shell_default_tier", found),
        max: tier(settings, "assurance_based_shell_max_tier", found),
    };
    warn_about_fallback(settings, &policy, found);
    policy
}

/// People who bring nothing should not get more than people who bring something.
fn warn_about_fallback(settings: &Settings, policy: &AssurancePolicy, found: &mut Findings) {
    let option = "assurance_based_shell_default_tier";
    let lowest = policy.expressions.iter().map(|(tier, _)| *tier).min();
    let is_higher = policy.default.zip(lowest).is_some_and(|(default, lowest)| default > lowest);
    if is_higher && matches!(settings.origin(option), Origin::Section(_)) {
        let what = "people without assurance get a higher tier than some with it";
        let cure = "use a default no higher than the lowest tier that has an expression";
        found.warn(settings.finding(FindingKind::Doubtful, option, what, cure));
    }
}

fn tier(settings: &Settings, option: &str, found: &mut Findings) -> Option<Tier> {
    match settings.text(option) {
        "" => None,
        "full" => Some(Tier::Full),
        "limited" => Some(Tier::Limited),
        "restricted" => Some(Tier::Restricted),
        word => {
            let what = format!("{} is no tier", quoted(word));
            let cure = "write full, limited or restricted";
            found.problem(settings.finding(FindingKind::Value, option, what, cure));
            None
        }
    }
}
