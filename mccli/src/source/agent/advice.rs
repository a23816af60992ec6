//! What to do when oidc-agent has no token.

use super::{Chosen, wire::Failure};
use motley_proto::Issuer;

/// Providers for which a good way to make an account is known, by canonical issuer.
const RECIPES: [(&str, &str); 4] = [
    (
        "aai.egi.eu/auth/realms/egi",
        "oidc-gen --pub --iss https://aai.egi.eu/auth/realms/egi --scope \"openid profile email offline_access eduperson_entitlement eduperson_scoped_affiliation eduperson_unique_id\" egi",
    ),
    (
        "wlcg.cloud.cnaf.infn.it",
        "oidc-gen --pub --issuer https://wlcg.cloud.cnaf.infn.it --scope \"openid profile offline_access eduperson_entitlement eduperson_scoped_affiliation wlcg.groups wlcg\" wlcg",
    ),
    (
        "login.helmholtz.de/oauth2",
        "oidc-gen --pub --iss https://login.helmholtz.de/oauth2 --scope \"openid profile email offline_access eduperson_entitlement eduperson_scoped_affiliation eduperson_unique_id\" helmholtz",
    ),
    (
        "accounts.google.com",
        "oidc-gen --pub --iss https://accounts.google.com/ --flow device --scope max google",
    ),
];

/// The command that makes an account for this issuer.
pub(super) fn making_an_account(issuer: &str) -> String {
    let wanted = Issuer::canonical(issuer);
    RECIPES
        .iter()
        .find(|(known, _)| *known == wanted)
        .map_or_else(|| format!("oidc-gen --iss {issuer}"), |(_, recipe)| (*recipe).to_owned())
}

/// Cause and next step in one line.
pub(super) fn explain(failure: &Failure, chosen: &Chosen) -> String {
    let (error, advice) = match failure {
        Failure::Absent(text) | Failure::Broken(text) => return text.clone(),
        Failure::Said { error, advice } => (error, advice),
    };
    let next = if is_locked(failure) {
        "unlock the agent with: oidc-add --unlock".to_owned()
    } else if is_not_loaded(failure) {
        match chosen {
            Chosen::Account(account) => {
                format!("load it with: oidc-add {account}, or make it with: oidc-gen {account}")
            }
            Chosen::Issuer(issuer) => format!(
                "load an account for it with oidc-add, or make one with: {}",
                making_an_account(issuer)
            ),
        }
    } else {
        advice.clone().unwrap_or_else(|| "see the messages of oidc-agent".to_owned())
    };
    format!("oidc-agent says: {error}; {next}")
}

/// True if the agent waits for its password.
pub(super) fn is_locked(failure: &Failure) -> bool {
    says(failure, &["locked"])
}

/// True if the agent lacks the account.
pub(super) fn is_not_loaded(failure: &Failure) -> bool {
    says(failure, &["not loaded", "no account"])
}

fn says(failure: &Failure, words: &[&str]) -> bool {
    let Failure::Said { error, .. } = failure else { return false };
    let error = error.to_lowercase();
    words.iter().any(|word| error.contains(word))
}
