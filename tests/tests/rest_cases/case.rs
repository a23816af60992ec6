//! One recorded case: the request as it was sent, the answer that came, and what its words ask for.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// A request with the answer of the Python stack.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Case {
    /// What it is about; for reports, and where the recorder put what no other member says.
    pub(crate) name: String,
    /// What is sent.
    pub(crate) request: Request,
    /// What was answered.
    pub(crate) response: Recorded,
    /// Remarks of the recorder.
    #[serde(default)]
    pub(crate) note: String,
}

/// What is sent, and in which state of the account.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Request {
    /// HTTP method.
    pub(crate) method: String,
    /// Path, not to be normalised.
    pub(crate) path: String,
    /// Query without question mark.
    pub(crate) query: String,
    /// Kind of credential by its name in the set-up.
    pub(crate) token_kind: String,
    /// Whose credential.
    #[serde(default = "Request::default_user")]
    pub(crate) user: String,
    /// State of the account before the request, perhaps with a request in between.
    pub(crate) state: String,
    /// Configuration by its name in the set-up.
    #[serde(default)]
    pub(crate) config: Configuration,
    /// Further headers.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
}

impl Request {
    fn default_user() -> String {
        "bea".to_owned()
    }
}

/// Under which configuration a case was recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Configuration {
    /// `config_main` of the set-up.
    #[default]
    Main,
    /// With `config_alt_differs_in`.
    Alt,
    /// With `config_approval_differs_in`.
    Approval,
}

/// An answer; in the body `<text>` stands for any prose.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Recorded {
    /// Status code.
    pub(crate) status: u16,
    /// The headers that belong to the interface, by lower-case name.
    pub(crate) headers: BTreeMap<String, String>,
    /// JSON, or a text for what is none, or `{"html_title": …}`.
    pub(crate) body: Value,
}

/// State of an account on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// There is none.
    NotDeployed,
    /// There is one that can be used.
    Deployed,
    /// Its date of expiry is today.
    Suspended,
    /// Its shell lets nobody work.
    Limited,
    /// There is none; its owner waits for an admin.
    Pending,
    /// There is none; an admin said no.
    Rejected,
    /// An admin said yes.
    Accepted,
}

impl State {
    /// The word of the interface.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::NotDeployed => "not_deployed",
            Self::Deployed => "deployed",
            Self::Suspended => "suspended",
            Self::Limited => "limited",
            Self::Pending => "pending",
            Self::Rejected => "rejected",
            Self::Accepted => "accepted",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        let all = [Self::NotDeployed, Self::Deployed, Self::Suspended, Self::Limited];
        let approval = [Self::Pending, Self::Rejected, Self::Accepted];
        all.into_iter().chain(approval).find(|state| state.word() == word)
    }
}

/// An account that a case needs in a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Need {
    /// User of the set-up.
    pub(crate) user: String,
    /// In which state.
    pub(crate) state: State,
}

impl Case {
    /// The path without mount and without one slash at the end.
    pub(crate) fn route(&self) -> &str {
        let path = self.request.path.as_str();
        let inner = ["/api/v1", "/api"]
            .into_iter()
            .find_map(|mount| path.strip_prefix(mount).filter(|rest| rest.starts_with('/')))
            .unwrap_or(path);
        match inner.strip_suffix('/') {
            Some(shorter) if !shorter.is_empty() => shorter,
            _ => inner,
        }
    }

    /// The state that the case names for the account of the one who asks.
    pub(crate) fn state(&self) -> Option<State> {
        State::parse(self.request.state.split(',').next().unwrap_or_default())
    }

    /// A path that is asked for before, with the account already in its state.
    pub(crate) fn asked_before(&self) -> Option<&str> {
        self.request.state.split_once(", then ").map(|(_, path)| path)
    }

    /// True when the request follows the same one, sent with an opaque token.
    pub(crate) fn is_repetition(&self) -> bool {
        self.note.starts_with("same request again")
    }

    /// Whom an admin's request is about, by its note or its query.
    pub(crate) fn target(&self) -> Option<&str> {
        if !self.route().to_lowercase().starts_with("/admin/") {
            return None;
        }
        let noted = self.note.strip_prefix("target: user ");
        let noted = noted.map(|rest| rest.split(',').next().unwrap_or_default());
        let (_, asked) = self.request.query.split_once("<sub:").unwrap_or_default();
        noted.or_else(|| asked.split(['>', ':']).next().filter(|user| !user.is_empty()))
    }

    /// The accounts that have to be in a state before the request.
    pub(crate) fn needs(&self) -> Vec<Need> {
        let target =
            self.target().map(|user| Need { user: user.to_owned(), state: self.target_state() });
        let asker = self.state().map(|state| Need { user: self.request.user.clone(), state });
        let asker = asker.filter(|need| target.as_ref().is_none_or(|t| t.user != need.user));
        asker.into_iter().chain(target).collect()
    }

    /// State of the account of the target: the one that is noted, else the one in which the request
    /// has something to do.
    pub(crate) fn target_state(&self) -> State {
        let noted = self.note.split_once(", ").and_then(|(_, state)| State::parse(state));
        let asked = self.state().filter(|_| self.request.config == Configuration::Approval);
        if let Some(state) = asked {
            return match (self.route(), state) {
                ("/admin/resume", State::Accepted) => State::Suspended,
                (_, state) => state,
            };
        }
        noted.unwrap_or(match self.route() {
            "/admin/resume" => State::Suspended,
            _ => State::Deployed,
        })
    }

    /// The value of a query parameter as it stands there; the last of several counts.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        let mut pairs = self.request.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.rfind(|(key, _)| *key == name).map(|(_, value)| value)
    }
}
