//! What mails about requests and accounts say: the site's own texts where there are some, else ours.

use super::{Mail, mail::Addressee};
use crate::config::{EmailConfig, Finding, FindingKind, Owners, read_guarded};
use lettre::Address;
use motley_proto::{
    GroupName, Identity, UserName,
    approval::{ApprovalKind, ApprovalRef},
    text::escape,
};
use std::{collections::HashMap, path::Path};

/// How much of a value is shown, in characters.
const VALUE_CHARACTERS: usize = 300;
/// How much of a list of groups is shown, in characters: room for all that an account can have.
const LIST_CHARACTERS: usize = 4000;

/// A mail that is written in different words for admins and for the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Occasion {
    /// Somebody asks for a first account.
    Deploy,
    /// The same, and now for other groups than before.
    DeployUpdate,
    /// Somebody who has an account claims further groups.
    Update,
}

/// What an admin decided about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It was carried out.
    Accepted,
    /// Nothing of it happens.
    Rejected,
}

/// To whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reader {
    /// Those who decide.
    Admin,
    /// The person.
    User,
}

/// What a mail tells of. Remote text is made harmless where it is put in.
#[derive(Debug, Clone)]
pub struct Told<'a> {
    /// Who asks.
    pub identity: &'a Identity,
    /// Which request.
    pub reference: &'a ApprovalRef,
    /// What for.
    pub kind: ApprovalKind,
    /// Claim `name`.
    pub full_name: Option<&'a str>,
    /// Claim `email`.
    pub email: Option<&'a str>,
    /// The provider says that it was verified.
    pub email_verified: bool,
    /// The name of the account, or the one that it would get now.
    pub name: Option<&'a UserName>,
    /// Groups that are asked for.
    pub groups: Vec<&'a GroupName>,
}

/// The texts, and what they say of this host.
#[derive(Debug, Clone, Default)]
pub struct Letters {
    own: HashMap<&'static str, String>,
    host: String,
    admins: String,
}

/// Names of the texts.
const NAMES: [&str; 10] = [
    "admin.deploy",
    "admin.deploy.update",
    "admin.update",
    "user.deploy",
    "user.deploy.update",
    "user.update",
    "user.accepted",
    "user.rejected",
    "admin.test",
    "unknown",
];

impl Letters {
    /// Reads the site's own texts from its directory. One that others could change, or that can't be
    /// read, is left out; the findings say why.
    pub fn load(email: &EmailConfig, host: &str, owners: Owners) -> (Self, Vec<Finding>) {
        let mut letters = Self {
            own: HashMap::new(),
            host: value(host),
            admins: value(&email.receivers.join(", ")),
        };
        let mut findings = Vec::new();
        for name in NAMES {
            let path = email.templates.join(format!("{name}.template"));
            if !exists(&path) {
                continue;
            }
            match read_guarded(&path, owners) {
                Ok(content) => drop(letters.own.insert(name, content.text)),
                Err(finding) => findings.push(finding),
            }
        }
        for (name, text) in &letters.own {
            let unknown = unknown_names(text);
            if !unknown.is_empty() {
                let path = email.templates.join(format!("{name}.template"));
                let what = format!("nothing is put in for {}", value(&unknown.join(", ")));
                let cure = "see the names in the manual, or write $$ for a dollar sign";
                let shown = path.display().to_string();
                findings.push(Finding::new(FindingKind::Doubtful, &shown, what, cure));
            }
        }
        (letters, findings)
    }

    /// The mail to the admins about a request.
    pub fn to_admins(&self, occasion: Occasion, told: &Told<'_>) -> Mail {
        let id = told.identity.unique_id();
        let subject = match occasion {
            Occasion::Deploy => format!("Request for deployment for user {id}"),
            Occasion::DeployUpdate => format!("Updated request for deployment for user {id}"),
            Occasion::Update => format!("Request for update for user {id}"),
        };
        let body = self.body(occasion, Reader::Admin, told);
        Mail { subject, body, to: Addressee::Admins }
    }

    /// The mail to the person about his request; `None` where the provider vouches for no address:
    /// nobody shall make this host write to strangers.
    pub fn to_person(&self, occasion: Occasion, told: &Told<'_>) -> Option<Mail> {
        let address = told.email.filter(|_| told.email_verified).and_then(address)?;
        let subject = match occasion {
            Occasion::Deploy => format!("Request for deployment to '{}' submitted", self.host),
            Occasion::DeployUpdate => {
                format!("Updated request for deployment to '{}' submitted", self.host)
            }
            Occasion::Update => format!("Request for account update on '{}' submitted", self.host),
        };
        let body = self.body(occasion, Reader::User, told);
        Some(Mail { subject, body, to: Addressee::Person(address) })
    }

    /// The mail that tells the person what was decided; `None` as for [`Letters::to_person`].
    pub fn verdict(&self, verdict: Verdict, told: &Told<'_>) -> Option<Mail> {
        let address = told.email.filter(|_| told.email_verified).and_then(address)?;
        let (word, name, built_in) = match verdict {
            Verdict::Accepted => ("accepted", "user.accepted", USER_ACCEPTED),
            Verdict::Rejected => ("rejected", "user.rejected", USER_REJECTED),
        };
        let subject = format!("Your request on '{}' was {word}", self.host);
        let text = self.own.get(name).map_or(built_in, String::as_str);
        let body = fill(text, &self.values(told));
        Some(Mail { subject, body, to: Addressee::Person(address) })
    }

    /// The site's own text of the test mail, if there is one.
    pub fn test(&self, email: &EmailConfig) -> Option<String> {
        let text = self.own.get("admin.test")?;
        let password = if email.password.is_some() { "********" } else { "none" };
        let settings = format!(
            "smtp_server {}, smtp_port {}, use_ssl {}, sent_from {}, sent_from_password {password}, admin_email {}",
            email.server,
            email.port,
            if email.tls { "yes" } else { "no" },
            email.sender,
            self.admins,
        );
        let values = HashMap::from([
            ("hostname", self.host.clone()),
            ("admin_email", self.admins.clone()),
            ("notifier", "email".to_owned()),
            ("settings", value(&settings)),
        ]);
        Some(fill(text, &values))
    }

    /// The warning that an account will be limited or suspended because nobody uses it.
    pub fn warning(&self, to: &str, name: &UserName, days: i64, what: &str) -> Option<Mail> {
        let host = &self.host;
        let body = format!(
            "Nobody has used your account {name} on {host} for a long time. In {days} days it will be\n\
             {what}. Log in once before that to keep it as it is.\n\n\
             Questions answers: {}\n",
            self.admins
        );
        let subject = format!("Your account {name} on '{host}' will be {what}");
        Some(Mail { subject, body, to: Addressee::Person(address(to)?) })
    }

    fn body(&self, occasion: Occasion, reader: Reader, told: &Told<'_>) -> String {
        let text = self.own.get(text_name(occasion, reader)).map(String::as_str);
        fill(text.unwrap_or_else(|| built_in(occasion, reader)), &self.values(told))
    }

    fn values(&self, told: &Told<'_>) -> HashMap<&'static str, String> {
        let verb = |verb: &str| format!("motleyctl approvals {verb} {}", told.reference);
        let accept = verb("accept");
        // One command does all of it. The others must do no harm when they are pasted too.
        let included = format!("# part of: {accept}");
        let (user, groups) = match told.kind {
            ApprovalKind::Account => (accept.clone(), included.clone()),
            ApprovalKind::Groups => ("# nothing to do".to_owned(), accept.clone()),
        };
        let groups_named: Vec<&str> = told.groups.iter().map(|group| group.as_str()).collect();
        let or_dash = |text: Option<&str>| text.map_or_else(|| "-".to_owned(), value);
        HashMap::from([
            ("hostname", self.host.clone()),
            ("admin_email", self.admins.clone()),
            ("unique_id", value(told.identity.unique_id().as_str())),
            ("sub", value(told.identity.subject.as_str())),
            ("iss", value(told.identity.issuer.as_str())),
            ("full_name", or_dash(told.full_name)),
            ("email", or_dash(told.email)),
            (
                "email_verified",
                if told.email_verified { "verified" } else { "not verified" }.to_owned(),
            ),
            ("username", or_dash(told.name.map(UserName::as_str))),
            ("groups", escape(&groups_named.join(", "), LIST_CHARACTERS)),
            ("user_cmd", user),
            ("groups_cmd", groups),
            ("memberships_cmd", included),
            ("accept_cmd", accept),
            ("reject_cmd", verb("reject")),
            ("show_cmd", verb("show")),
        ])
    }
}

/// The address, if it is exactly one, without a name or anything else beside it.
pub(crate) fn address(text: &str) -> Option<String> {
    let plain =
        text.len() <= 254 && text.is_ascii() && !text.contains(['"', '<', '>', ',', ';', ' ']);
    text.parse::<Address>().ok().filter(|_| plain).map(|address| address.to_string())
}

fn exists(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok()
}

/// Remote text as one line of bounded length.
fn value(text: &str) -> String {
    escape(text, VALUE_CHARACTERS)
}

fn text_name(occasion: Occasion, reader: Reader) -> &'static str {
    match (reader, occasion) {
        (Reader::Admin, Occasion::Deploy) => "admin.deploy",
        (Reader::Admin, Occasion::DeployUpdate) => "admin.deploy.update",
        (Reader::Admin, Occasion::Update) => "admin.update",
        (Reader::User, Occasion::Deploy) => "user.deploy",
        (Reader::User, Occasion::DeployUpdate) => "user.deploy.update",
        (Reader::User, Occasion::Update) => "user.update",
    }
}

/// A part of a text.
enum Piece<'a> {
    Text(&'a str),
    Dollar,
    Name(&'a str),
}

/// Takes a text apart at `$$`, `${name}` and `$name`. A dollar sign before anything else is itself.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        pieces.push(Piece::Text(before));
        rest = after;
        if let Some(behind) = after.strip_prefix('$') {
            pieces.push(Piece::Dollar);
            rest = behind;
            continue;
        }
        let braced = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        match braced {
            Some((name, behind)) if is_name(name) => {
                pieces.push(Piece::Name(name));
                rest = behind;
            }
            _ => {
                let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                let (name, behind) = after.split_at(end.unwrap_or(after.len()));
                if is_name(name) {
                    pieces.push(Piece::Name(name));
                    rest = behind;
                } else {
                    pieces.push(Piece::Text("$"));
                }
            }
        }
    }
    pieces.push(Piece::Text(rest));
    pieces
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Puts values in. What was put in is not looked at again, and an unknown name stays as it stands.
fn fill(text: &str, values: &HashMap<&'static str, String>) -> String {
    let mut out = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Dollar => out.push('$'),
            Piece::Name(name) => match values.get(name) {
                Some(value) => out.push_str(value),
                None => out.push_str(&format!("${{{name}}}")),
            },
        }
    }
    out
}

const KNOWN: [&str; 18] = [
    "hostname",
    "unique_id",
    "full_name",
    "email",
    "email_verified",
    "user_cmd",
    "groups_cmd",
    "memberships_cmd",
    "sub",
    "iss",
    "username",
    "admin_email",
    "notifier",
    "settings",
    "groups",
    "accept_cmd",
    "reject_cmd",
    "show_cmd",
];

fn unknown_names(text: &str) -> Vec<String> {
    let name = |piece: Piece<'_>| match piece {
        Piece::Name(name) if !KNOWN.contains(&name) => Some(format!("${{{name}}}")),
        _ => None,
    };
    pieces(text).into_iter().filter_map(name).collect()
}

fn built_in(occasion: Occasion, reader: Reader) -> &'static str {
    match (reader, occasion) {
        (Reader::Admin, Occasion::Deploy) => ADMIN_DEPLOY,
        (Reader::Admin, Occasion::DeployUpdate) => ADMIN_DEPLOY_UPDATE,
        (Reader::Admin, Occasion::Update) => ADMIN_UPDATE,
        (Reader::User, Occasion::Deploy) => USER_DEPLOY,
        (Reader::User, Occasion::DeployUpdate) => USER_DEPLOY_UPDATE,
        (Reader::User, Occasion::Update) => USER_UPDATE,
    }
}

const ADMIN_DEPLOY: &str = "\
Somebody asks for an account on ${hostname}. Name and address are what the provider says.

  name      ${full_name}
  e-mail    ${email} (${email_verified})
  subject   ${sub}
  provider  ${iss}
  account   ${username}
  groups    ${groups}

As root or a member of the admin group on ${hostname}:

  ${show_cmd}
  ${accept_cmd}
  ${reject_cmd}
";

const ADMIN_DEPLOY_UPDATE: &str = "\
Somebody who waits for an account on ${hostname} now brings other groups. The earlier mail about this
request is void.

  name      ${full_name}
  e-mail    ${email} (${email_verified})
  subject   ${sub}
  provider  ${iss}
  account   ${username}
  groups    ${groups}

As root or a member of the admin group on ${hostname}:

  ${show_cmd}
  ${accept_cmd}
  ${reject_cmd}
";

const ADMIN_UPDATE: &str = "\
The provider asserts further groups of somebody who has an account on ${hostname}.

  name        ${full_name}
  e-mail      ${email} (${email_verified})
  subject     ${sub}
  provider    ${iss}
  account     ${username}
  new groups  ${groups}

As root or a member of the admin group on ${hostname}:

  ${show_cmd}
  ${accept_cmd}
  ${reject_cmd}
";

const USER_DEPLOY: &str = "\
Your request for an account on ${hostname} was submitted. You can log in when an administrator has
accepted it.

Questions answers: ${admin_email}
";

const USER_DEPLOY_UPDATE: &str = "\
Your request for an account on ${hostname} was changed, because your provider now asserts other groups
of you. You can log in when an administrator has accepted it.

Questions answers: ${admin_email}
";

const USER_UPDATE: &str = "\
Your provider asserts new groups of you, so a request for an update of your account ${username} on
${hostname} was submitted. Your account works as before. You join the groups when an administrator has
accepted the request.

Questions answers: ${admin_email}
";

const USER_ACCEPTED: &str = "\
Your request on ${hostname} was accepted.

  account  ${username}
  groups   ${groups}

Questions answers: ${admin_email}
";

const USER_REJECTED: &str = "\
Your request on ${hostname} was rejected. Nothing of it was carried out.

Questions answers: ${admin_email}
";

#[cfg(test)]
mod tests;
