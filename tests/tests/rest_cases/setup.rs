//! The set-up behind the cases: people, placeholders, and the configuration as text.

use anyhow::{Context, Result};
use motley_proto::identity::quote_plus;
use motley_proto::{Identity, Issuer, Subject};
use motley_tests::op::Federation;
use motley_tests::sandbox::{ADMIN_SOCKET, LOGIN_SOCKET, TASK_SOCKET};
use serde_json::{Map, Value, json};

use super::case::Configuration;

/// How the set-up says that an option holds the text of a list.
const LIST: &str = "(text in the file, a list) ";
/// Stands for a file of the recorder.
pub(crate) const PRIVACY_FILE: &str = "/etc/motley_cue/privacy.md";
/// Stands for a file that is not there.
const MISSING_FILE: &str = "/etc/motley_cue/missing.md";

/// The set-up with the providers that stand for its issuers.
pub(crate) struct Setup {
    value: Value,
    /// The providers, with everybody they know.
    pub(crate) federation: Federation,
    /// Base URL of the daemon.
    pub(crate) base: String,
}

impl Setup {
    /// Takes the set-up file and running providers.
    pub(crate) fn new(value: Value, federation: Federation, base: &str) -> Self {
        Self { value, federation, base: base.to_owned() }
    }

    /// The local name of a user.
    pub(crate) fn username(&self, user: &str) -> Option<&str> {
        self.value["users"][user]["preferred_username"].as_str()
    }

    /// The identity of a user, as tokens name it.
    ///
    /// # Errors
    /// When there is no such user.
    pub(crate) fn identity(&self, user: &str) -> Result<Identity> {
        let subject = self.federation.subject(user).with_context(|| format!("no user {user}"))?;
        let issuer = self.federation.op_of(user)?.issuer();
        Ok(Identity::new(Issuer::new(issuer)?, Subject::new(subject)?))
    }

    /// The value of a claim of a user.
    pub(crate) fn claim(&self, user: &str, name: &str) -> &Value {
        &self.value["users"][user]["claims"][name]
    }

    /// The name of a user's provider.
    pub(crate) fn op_name(&self, user: &str) -> &str {
        self.value["users"][user]["op"].as_str().unwrap_or_default()
    }

    /// The section of a user's provider, or null.
    pub(crate) fn section_of(&self, user: &str, which: Configuration) -> Value {
        let op = self.op_name(user);
        let sections = self.sections(which);
        let own = |section: &&Value| {
            let url = section["op_url"].as_str().unwrap_or_default();
            url.trim_end_matches('/') == format!("<iss_{op}>")
        };
        sections.values().find(own).cloned().unwrap_or(Value::Null)
    }

    /// The audiences of which a user's token must name one; none when it need not.
    pub(crate) fn audiences(&self, user: &str, which: Configuration) -> Vec<String> {
        let section = self.section_of(user, which);
        let text = section["audience"].as_str().unwrap_or_default();
        match text.strip_prefix(LIST) {
            Some(list) => serde_json::from_str(list).unwrap_or_default(),
            None if text.is_empty() => Vec::new(),
            None => vec![text.to_owned()],
        }
    }

    /// An option of the configuration, or null.
    pub(crate) fn option(&self, which: Configuration, section: &str, name: &str) -> Value {
        self.sections(which).get(section).map_or(Value::Null, |section| section[name].clone())
    }

    /// Replaces the placeholders that stand for something certain.
    pub(crate) fn resolve(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, tail)) = rest.split_once('<') {
            out += before;
            match tail.split_once('>').and_then(|(name, after)| Some((self.value_of(name)?, after)))
            {
                Some((value, after)) => {
                    out += &value;
                    rest = after;
                }
                None => {
                    out.push('<');
                    rest = tail;
                }
            }
        }
        out + rest
    }

    /// The same for every text in a JSON value.
    pub(crate) fn resolve_json(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.resolve(text)),
            Value::Array(items) => items.iter().map(|item| self.resolve_json(item)).collect(),
            Value::Object(members) => members
                .iter()
                .map(|(name, value)| (self.resolve(name), self.resolve_json(value)))
                .collect::<Map<_, _>>()
                .into(),
            other => other.clone(),
        }
    }

    fn value_of(&self, placeholder: &str) -> Option<String> {
        if placeholder == "base" {
            return Some(self.base.clone());
        }
        if let Some(rest) = placeholder.strip_prefix("iss_") {
            let (name, forms) = rest.split_once(':').unwrap_or((rest, ""));
            return Some(with_forms(self.federation.op(name).ok()?.issuer(), forms));
        }
        let (kind, rest) = placeholder.split_once(':')?;
        let (user, forms) = rest.split_once(':').unwrap_or((rest, ""));
        let value = match kind {
            "sub" => self.federation.subject(user)?,
            "username" => self.username(user)?,
            _ => return None,
        };
        Some(with_forms(value, forms))
    }

    /// `motley_cue.conf` of one configuration.
    pub(crate) fn motley_cue(&self, which: Configuration) -> String {
        let mut text = format!(
            "[server]\nlisten = {}\n[login]\nsocket = {LOGIN_SOCKET}\n\
             [admin]\nsocket = {ADMIN_SOCKET}\n[root]\nsocket = {TASK_SOCKET}\n\
             [store]\nurl = sqlite:/var/lib/motley_cue/motley.db\n",
            self.base.trim_start_matches("http://")
        );
        for (name, options) in &self.sections(which) {
            text += &format!("\n[{name}]\n");
            for (option, value) in options.as_object().into_iter().flatten() {
                text += &format!("{option} = {}\n", self.resolve(&option_text(value)));
            }
        }
        text
    }

    /// The texts for a login in one configuration, or null.
    pub(crate) fn login_info(&self, which: Configuration) -> Value {
        self.adapter_sections(which)["login_info"].take()
    }

    fn adapter_sections(&self, which: Configuration) -> Value {
        let mut sections = self.value["feudal_adapter"].clone();
        match (which, sections.as_object_mut()) {
            // The set-up says in words what is missing there.
            (Configuration::Alt, Some(all)) => drop(all.remove("login_info")),
            (Configuration::Approval, _) => {
                overlay(&mut sections, &self.value["config_approval_differs_in"]["feudal_adapter"]);
            }
            _ => {}
        }
        sections
    }

    /// `feudal_adapter.conf` of one configuration.
    pub(crate) fn feudal_adapter(&self, which: Configuration) -> String {
        let sections = self.adapter_sections(which);
        let mut text = String::new();
        for (name, options) in sections.as_object().into_iter().flatten() {
            text += &format!("\n[{name}]\n");
            for (option, value) in options.as_object().into_iter().flatten() {
                text += &format!("{option} = {}\n", option_text(value));
            }
        }
        text
    }

    fn sections(&self, which: Configuration) -> Map<String, Value> {
        let mut sections = self.value["config_main"].clone();
        if which == Configuration::Alt {
            overlay(&mut sections, &self.value["config_alt_differs_in"]);
        }
        sections.as_object().cloned().unwrap_or_default()
    }
}

/// Puts the members of the second over those of the first, two levels deep.
fn overlay(sections: &mut Value, over: &Value) {
    for (name, options) in over.as_object().into_iter().flatten() {
        if sections[name].is_null() {
            sections[name] = json!({});
        }
        for (option, value) in options.as_object().into_iter().flatten() {
            sections[name][option] = value.clone();
        }
    }
}

/// An option as it stands in the file; what the set-up says about it in words is turned into that.
fn option_text(value: &Value) -> String {
    match value {
        Value::String(text) => match text.as_str() {
            "<a sink>" => "25".to_owned(),
            "<a missing file>" => MISSING_FILE.to_owned(),
            text if text.starts_with("<a") => PRIVACY_FILE.to_owned(),
            text => text.strip_prefix(LIST).unwrap_or(text).to_owned(),
        },
        other => other.to_string(),
    }
}

fn with_forms(value: &str, forms: &str) -> String {
    forms.split(':').fold(value.to_owned(), |value, form| match form {
        "noscheme" => value.split_once("://").map_or(value.clone(), |(_, rest)| rest.to_owned()),
        "upper" => value.to_uppercase(),
        "quoted" => quote_plus(&value),
        _ => value,
    })
}
