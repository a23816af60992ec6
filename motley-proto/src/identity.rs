//! Who somebody is to the world: issuer and subject of a token, and the text form kept in gecos.

use crate::names::text_type;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Longest subject in bytes. OpenID Connect Core 1.0 §2 caps it at 255 ASCII characters.
pub const MAX_SUBJECT_BYTES: usize = 255;
/// Longest issuer URL in bytes.
pub const MAX_ISSUER_BYTES: usize = 2048;

/// Why a text can't be an issuer, subject or audience.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The text is empty.
    #[error("is empty")]
    Empty,
    /// The text is too long.
    #[error("is longer than {0} bytes")]
    TooLong(usize),
    /// The text has a control character.
    #[error("has a control character at byte {0}")]
    ControlCharacter(usize),
    /// The issuer is not an https URL (or http on the loopback interface).
    #[error("must be an https URL (http only for 127.0.0.1, [::1] and localhost)")]
    NotHttps,
    /// The issuer has user info, query, fragment or a malformed host or port.
    #[error("must be scheme, host, optional port and path, and nothing else")]
    NotAnIssuer,
}

fn check_text(text: &str, limit: usize) -> Result<(), IdentityError> {
    if text.is_empty() {
        return Err(IdentityError::Empty);
    }
    if text.len() > limit {
        return Err(IdentityError::TooLong(limit));
    }
    match text.char_indices().find(|(_, c)| c.is_control()) {
        Some((at, _)) => Err(IdentityError::ControlCharacter(at)),
        None => Ok(()),
    }
}

fn check_subject(text: &str) -> Result<(), IdentityError> {
    check_text(text, MAX_SUBJECT_BYTES)
}

fn check_audience(text: &str) -> Result<(), IdentityError> {
    check_text(text, MAX_ISSUER_BYTES)
}

/// Splits the authority into host and port texts; IPv6 hosts keep their brackets.
fn split_authority(authority: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (inside, after) = rest.split_once(']')?;
        if inside.is_empty()
            || !inside.bytes().all(|b| b.is_ascii_hexdigit() || b == b':' || b == b'.')
        {
            return None;
        }
        let host = authority.get(..inside.len() + 2)?;
        return match after {
            "" => Some((host, None)),
            _ => after.strip_prefix(':').map(|port| (host, Some(port))),
        };
    }
    match authority.split_once(':') {
        Some((host, port)) => Some((host, Some(port))),
        None => Some((authority, None)),
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host == "[::1]"
        || host.parse::<std::net::Ipv4Addr>().is_ok_and(|a| a.is_loopback())
}

fn check_issuer(text: &str) -> Result<(), IdentityError> {
    check_text(text, MAX_ISSUER_BYTES)?;
    let (rest, secure) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (rest, true),
        (_, Some(rest)) => (rest, false),
        _ => return Err(IdentityError::NotHttps),
    };
    // RFC 8414 §2: no query and no fragment; user info would only serve to deceive a reader.
    if rest.contains(['?', '#', '@', '\\', ' ', '"', '<', '>']) || !rest.is_ascii() {
        return Err(IdentityError::NotAnIssuer);
    }
    let authority = rest.split('/').next().unwrap_or_default();
    let (host, port) = split_authority(authority).ok_or(IdentityError::NotAnIssuer)?;
    let host_fits = host.starts_with('[')
        || (!host.is_empty()
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')));
    if !host_fits || port.is_some_and(|p| p.parse::<u16>().is_err() || p.starts_with('+')) {
        return Err(IdentityError::NotAnIssuer);
    }
    if secure || is_loopback(host) { Ok(()) } else { Err(IdentityError::NotHttps) }
}

text_type! {
    /// Issuer URL of an OpenID provider, compared byte for byte (OpenID Connect Core 1.0 §2).
    ///
    /// https, or http on the loopback interface, where the configuration decides whether that is
    /// allowed. No user info, query or fragment.
    Issuer, check_issuer, IdentityError
}

impl Issuer {
    /// True for https; false for http on the loopback interface.
    pub fn is_https(&self) -> bool {
        self.as_str().starts_with("https://")
    }

    /// The issuer without slashes at its end: the form that `/info` shows and old files compare.
    pub fn trimmed(&self) -> &str {
        self.as_str().trim_end_matches('/')
    }

    /// Scheme, `www.` and one final slash dropped, lower case: the loose form in which old
    /// configuration files and queries name a provider. Never used to decide trust.
    pub fn canonical(text: &str) -> String {
        let lower = text.to_lowercase();
        let rest = lower.strip_prefix("http://").unwrap_or(&lower);
        let rest = rest.strip_prefix("https://").unwrap_or(rest);
        let rest = rest.strip_prefix("www.").unwrap_or(rest);
        rest.strip_suffix('/').unwrap_or(rest).to_owned()
    }
}

text_type! {
    /// Subject of a token: a text without control characters, 1 to 255 bytes (OpenID Connect Core 1.0 §2).
    Subject, check_subject, IdentityError
}

text_type! {
    /// One value of the `aud` claim (RFC 7519 §4.1.3).
    Audience, check_audience, IdentityError
}

/// Issuer and subject together: the only key under which an account is known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Who says so.
    pub issuer: Issuer,
    /// Whom the issuer means.
    pub subject: Subject,
}

impl Identity {
    /// Puts both halves together.
    pub fn new(issuer: Issuer, subject: Subject) -> Self {
        Self { issuer, subject }
    }

    /// The text that names this identity in the gecos field of its account.
    pub fn unique_id(&self) -> UniqueId {
        UniqueId(format!(
            "{}@{}",
            quote_plus(self.subject.as_str()),
            quote_plus(self.issuer.as_str())
        ))
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.subject, self.issuer)
    }
}

/// `quote_plus(sub)@quote_plus(iss)`: the gecos text of an account, shared with the Python stack.
///
/// Holds only `A-Za-z0-9_.~+%-` and one `@`, so it can neither split a passwd line nor a mail.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UniqueId(String);

impl UniqueId {
    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads the text back into an identity, as found in a gecos field.
    ///
    /// # Errors
    /// When it is not exactly what [`Identity::unique_id`] would write for some identity.
    pub fn parse(text: &str) -> Result<Identity, IdentityError> {
        let (subject, issuer) = text.split_once('@').ok_or(IdentityError::NotAnIssuer)?;
        let read = |part: &str| unquote_plus(part).ok_or(IdentityError::NotAnIssuer);
        let identity = Identity::new(Issuer::new(read(issuer)?)?, Subject::new(read(subject)?)?);
        if identity.unique_id().as_str() == text {
            Ok(identity)
        } else {
            Err(IdentityError::NotAnIssuer)
        }
    }
}

impl TryFrom<String> for UniqueId {
    type Error = IdentityError;
    fn try_from(text: String) -> Result<Self, IdentityError> {
        Self::parse(&text).map(|identity| identity.unique_id())
    }
}

impl From<UniqueId> for String {
    fn from(id: UniqueId) -> String {
        id.0
    }
}

impl fmt::Display for UniqueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Percent-encodes as an HTML form does: a blank becomes `+`, all but `A-Za-z0-9_.-~` becomes `%XX`.
pub fn quote_plus(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' => {
                out.push(char::from(byte))
            }
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn unquote_plus(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let high = char::from(bytes.next()?).to_digit(16)?;
                let low = char::from(bytes.next()?).to_digit(16)?;
                out.push(u8::try_from(high * 16 + low).ok()?);
            }
            _ => out.push(byte),
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn r11_issuers_that_could_deceive_are_no_issuers() {
        for text in [
            "",
            "op.example",
            "ftp://op.example",
            "file:///etc/passwd",
            "http://op.example",
            "http://169.254.169.254/",
            "http://127.0.0.1.evil.example",
            "https://",
            "https:///path",
            "https://a@op.example",
            "https://op.example?x=1",
            "https://op.example#x",
            "https://op.example:port",
            "https://op.example:99999",
            "https://op.example\n",
            "https://\u{f6}p.example",
            "https://op.example\\@evil",
            "https://[::1",
            "http://localhost.evil.example",
        ] {
            assert!(Issuer::new(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn issuers_of_real_providers_are_taken_as_they_are() {
        for text in [
            "https://op.example",
            "https://op.example/",
            "https://op.example:8443/realms/demo",
            "http://127.0.0.1:8080",
            "http://[::1]:80/x",
            "http://localhost/",
            "https://[2001:db8::1]/",
            "https://login.example.org/oauth2/",
        ] {
            assert_eq!(Issuer::new(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn the_canonical_form_drops_scheme_www_case_and_one_slash() {
        for text in ["https://www.OP.example/", "http://op.example", "op.example/", "OP.EXAMPLE"] {
            assert_eq!(Issuer::canonical(text), "op.example", "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_unique_id_reads_back_as_the_same_identity(subject in "[^\\p{Cc}]{1,40}", path in "[a-zA-Z0-9/_.~-]{0,20}") {
            let identity = Identity::new(
                Issuer::new(format!("https://op.example/{path}")).unwrap(),
                Subject::new(subject).unwrap(),
            );
            let text = identity.unique_id();
            prop_assert!(!text.as_str().contains([':', '\n', ',', ' ']));
            prop_assert_eq!(UniqueId::parse(text.as_str()).unwrap(), identity);
        }

        #[test]
        fn r45_no_two_texts_of_gecos_name_one_identity(
            text in "[a-z%+@.0-9A-F]{0,12}@https?%3[aA]%2[fF]%2[fF]op(\\.|%2E)example(%2F|/)?|\\PC{0,40}"
        ) {
            if let Ok(identity) = UniqueId::parse(&text) {
                prop_assert_eq!(String::from(identity.unique_id()), text.clone());
                prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.~+%-@".contains(&b)));
            }
        }

        #[test]
        fn r45_an_issuer_is_https_or_on_this_host_and_hides_nothing(
            text in "https?://(op\\.example|localhost|127\\.0\\.0\\.1|\\[::1\\]|[a-z@:\\[\\].%-]{0,12})(:[0-9]{0,6})?(/[a-z?#@\\\\ ]{0,4})?|\\PC{0,30}"
        ) {
            if let Ok(issuer) = Issuer::new(text.as_str()) {
                prop_assert_eq!(issuer.as_str(), text.as_str());
                prop_assert!(!text.contains(['@', '?', '#', '\\', ' ']) && text.is_ascii());
                let rest = text.strip_prefix("http://").unwrap_or("127.");
                let local = ["127.", "localhost", "[::1]"];
                prop_assert!(local.iter().any(|host| rest.starts_with(host)), "{}", text);
            }
        }
    }
}
