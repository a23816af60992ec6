//! Section `[login_info]`: what a person must know to log in, told by `/info` and after a deployment.

use motley_proto::UserName;
use serde_json::{Map, Value};

/// Options of `[login_info]`, in the order of the file. Texts are handed on as they stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginInfo {
    texts: Map<String, Value>,
}

/// Host named to the user when the configuration names none.
const DEFAULT_HOST: &str = "localhost";

impl Default for LoginInfo {
    fn default() -> Self {
        Self::new(std::iter::empty())
    }
}

impl LoginInfo {
    /// Takes options in order; `description`, `login_help` and `ssh_host` get their defaults when
    /// they are missing. An option that comes twice keeps the last text.
    pub fn new(options: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut texts = Map::new();
        for (option, default) in [
            ("description", "Local SSH Test Service"),
            ("login_help", "Login via `mccli ssh {ssh_host}`"),
            ("ssh_host", DEFAULT_HOST),
        ] {
            texts.insert(option.to_owned(), Value::from(default));
        }
        texts.extend(options.into_iter().map(|(option, text)| (option, Value::from(text))));
        Self { texts }
    }

    /// All options, as `/info` shows them.
    pub fn texts(&self) -> &Map<String, Value> {
        &self.texts
    }

    /// Name under which users reach the host.
    pub fn ssh_host(&self) -> &str {
        self.texts.get("ssh_host").and_then(Value::as_str).unwrap_or(DEFAULT_HOST)
    }

    /// What a deployment returns: the texts, `ssh_user`, and `commandline` ready to be typed.
    pub fn credentials(&self, name: &UserName) -> Map<String, Value> {
        let mut all = self.texts.clone();
        all.insert("ssh_user".to_owned(), Value::from(name.as_str()));
        let command = format!("ssh {name}@{}", self.ssh_host());
        all.insert("commandline".to_owned(), Value::from(command));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn credentials_name_user_host_and_command() {
        let info = LoginInfo::new([
            ("description".to_owned(), "Cluster".to_owned()),
            ("ssh_host".to_owned(), "login.example".to_owned()),
            ("docs".to_owned(), "https://docs.example".to_owned()),
        ]);
        assert_eq!(
            Value::from(info.credentials(&UserName::new("jdoe").unwrap())),
            json!({
                "description": "Cluster",
                "login_help": "Login via `mccli ssh {ssh_host}`",
                "ssh_host": "login.example",
                "docs": "https://docs.example",
                "ssh_user": "jdoe",
                "commandline": "ssh jdoe@login.example",
            })
        );
    }
}
