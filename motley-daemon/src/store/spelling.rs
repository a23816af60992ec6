//! The two ways to write one issuer: people, old files and providers do not agree about the last slash.

use motley_proto::{Identity, Issuer};

/// The identity as it is, then with the last slash of its issuer added or taken away.
///
/// No two configured providers differ by that alone, so both are one person. Accounts are filed under
/// the spelling that discovery tells; a suspension must hold whichever one it was asked for under.
pub fn spellings(identity: &Identity) -> Vec<Identity> {
    let text = identity.issuer.as_str();
    let other = text.strip_suffix('/').map_or_else(|| format!("{text}/"), str::to_owned);
    let other = Issuer::new(other).map(|issuer| Identity::new(issuer, identity.subject.clone()));
    std::iter::once(identity.clone()).chain(other).collect()
}

/// Texts of both issuers, for statements about either spelling.
pub(super) fn issuer_texts(identity: &Identity) -> [String; 2] {
    let own = identity.issuer.to_string();
    let other = spellings(identity).pop().map_or_else(|| own.clone(), |it| it.issuer.to_string());
    [own, other]
}
