//! What mails about requests and accounts say: the site's own texts where there are some, else ours.

mod template;
#[cfg(test)]
mod tests;
mod texts;

use super::{Mail, mail::Addressee};
use crate::config::{EmailConfig, Finding, FindingKind, Owners, read_guarded};
use lettre::Address;
use motley_proto::{
    GroupName, Identity, UserName,
    approval::{ApprovalKind, ApprovalRef},
    text::escape,
};
use std::{collections::HashMap, path::Path};
use template::{fill, unknown_names};
use texts::{USER_ACCEPTED, USER_REJECTED, built_in};

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

/// Name of the text of the test mail.
const TEST: &str = "admin.test";
/// Name of the text that the Python stack had for everything else. There is nothing else here.
const UNUSED: &str = "unknown";

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
    TEST,
    UNUSED,
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
        for (name, text) in letters.own.iter().filter(|(name, _)| **name != UNUSED) {
            let unknown = unknown_names(name, text);
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
        let text = self.own.get(TEST)?;
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
