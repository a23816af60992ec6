//! oidc-agent's lists of public clients: who has the agent need not register another client.

use crate::source::environment;
use motley_proto::{Issuer, Secret};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Client and secret; the "secrets" in these files are published and protect nothing.
type Found = Option<(String, Option<Secret>)>;

/// The client for an issuer.
pub(super) fn find(issuer: &str) -> Found {
    let system = Path::new("/etc/oidc-agent");
    let own = environment("OIDC_CONFIG_DIR").map(PathBuf::from);
    let text = |path: PathBuf| std::fs::read_to_string(path).ok();
    let lists = own.iter().map(PathBuf::as_path).chain([system]);
    lists
        .flat_map(|folder| {
            let old = text(folder.join("pubclients.config")).and_then(|t| in_list(&t, issuer));
            let new = text(folder.join("issuer.config")).and_then(|t| in_issuers(&t, issuer));
            let parts = sorted(&folder.join("issuer.config.d"));
            let more = parts.into_iter().filter_map(text).find_map(|t| in_issuers(&t, issuer));
            [old, new, more]
        })
        .flatten()
        .next()
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// oidc-agent 4: `ID[:SECRET]@ISSUER[@SCOPES]`, one a line.
fn in_list(text: &str, issuer: &str) -> Found {
    let wanted = Issuer::canonical(issuer);
    text.lines().map(str::trim).filter(|line| !line.starts_with('#')).find_map(|line| {
        let (client, rest) = line.split_once("@http")?;
        let found = rest.split('@').next()?;
        if Issuer::canonical(&format!("http{found}")) != wanted {
            return None;
        }
        Some(match client.split_once(':') {
            Some((id, secret)) => (id.to_owned(), Some(Secret::new(secret.to_owned()))),
            None => (client.to_owned(), None),
        })
    })
}

/// oidc-agent 5: JSON, `{ISSUER: {"pubclient": {"client_id": …}}}` or a list with `issuer` in it.
fn in_issuers(text: &str, issuer: &str) -> Found {
    let wanted = Issuer::canonical(issuer);
    let value: Value = serde_json::from_str(text).ok()?;
    let pick = |name: &str, entry: &Value| -> Found {
        if Issuer::canonical(name) != wanted {
            return None;
        }
        let client = entry.get("pubclient")?;
        let id = client.get("client_id")?.as_str()?.to_owned();
        let secret = client.get("client_secret").and_then(Value::as_str);
        Some((id, secret.filter(|s| !s.is_empty()).map(|s| Secret::new(s.to_owned()))))
    };
    match &value {
        Value::Object(members) => members.iter().find_map(|(name, entry)| {
            pick(entry.get("issuer").and_then(Value::as_str).unwrap_or(name), entry)
        }),
        Value::Array(list) => {
            list.iter().find_map(|entry| pick(entry.get("issuer")?.as_str()?, entry))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(found: Found) -> Option<(String, bool)> {
        found.map(|(id, secret)| (id, secret.is_some()))
    }

    #[test]
    fn both_layouts_are_understood_and_issuers_match_with_or_without_the_last_slash() {
        let old = "# comment@https://op.example/\n7b3b@https://op.example/@openid profile\nweb.app:s3@https://two.example/oauth2\n";
        assert_eq!(id(in_list(old, "https://op.example")), Some(("7b3b".to_owned(), false)));
        assert_eq!(
            id(in_list(old, "https://two.example/oauth2")),
            Some(("web.app".to_owned(), true))
        );
        assert_eq!(id(in_list(old, "https://three.example")), None);
        let new = r#"{"https://op.example/": {"pubclient": {"client_id": "a"}},
            "x": {"issuer": "https://two.example", "pubclient": {"client_id": "b", "client_secret": "s"}}}"#;
        assert_eq!(id(in_issuers(new, "https://op.example")), Some(("a".to_owned(), false)));
        assert_eq!(id(in_issuers(new, "https://two.example/")), Some(("b".to_owned(), true)));
        let list = r#"[{"issuer": "https://op.example", "pubclient": {"client_id": "c"}}, 1]"#;
        assert_eq!(id(in_issuers(list, "https://op.example")), Some(("c".to_owned(), false)));
        assert_eq!(id(in_issuers("no JSON", "https://op.example")), None);
    }
}
