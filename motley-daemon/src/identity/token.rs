//! Reads the text of a token before anybody believes it: shape, JOSE header, unverified issuer.

use super::json::parse_object;
use super::keys::Algorithm;
use super::kind::Declared;
use super::refusal::{NoIdentity, TokenFault, TokenRefusal};
use crate::verified::ClaimMap;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use motley_proto::{Code, facts::TokenKind};
use serde_json::Value;

/// Longest token that is read, in bytes.
pub const MAX_TOKEN_BYTES: usize = 128 * 1024;
/// Longest `kid`, in bytes.
const MAX_KEY_ID_BYTES: usize = 512;
/// Hex digits of a one-time password.
const ONE_TIME_PASSWORD_DIGITS: usize = 128;

/// Header parameters that change how a token is read or bring a key along. Whoever made the token
/// wrote them, so they are refused before anything else is looked at (RFC 8725 §3.10).
const FORBIDDEN_PARAMETERS: [&str; 6] = ["crit", "b64", "zip", "jwk", "jku", "x5u"];
/// Kinds of token that are accepted, in lower case (RFC 7519 §5.1, RFC 9068 §2.1).
const KINDS: [(&str, Declared); 4] = [
    ("jwt", Declared::Something),
    ("at+jwt", Declared::AccessToken),
    ("application/jwt", Declared::Something),
    ("application/at+jwt", Declared::AccessToken),
];

/// What a text from a client may be.
#[derive(Debug)]
pub(crate) enum Presented<'a> {
    /// A signed token, not verified yet.
    Signed(Box<Unverified<'a>>),
    /// Characters that mean something to their provider only (RFC 6750 §2.1).
    Opaque,
}

/// What is used of a JOSE header.
#[derive(Debug)]
struct Header {
    algorithm: Algorithm,
    key_id: Option<String>,
    declared: Declared,
}

/// A signed token that nobody has verified: of its claims only the issuer can be asked for.
#[derive(Debug)]
pub(crate) struct Unverified<'a> {
    header: Header,
    issuer: String,
    signed_text: &'a str,
    signature: Vec<u8>,
    claims: ClaimMap,
}

impl Unverified<'_> {
    /// `alg` of the header.
    pub(crate) fn algorithm(&self) -> Algorithm {
        self.header.algorithm
    }

    /// What the header says that it is.
    pub(crate) fn declared(&self) -> Declared {
        self.header.declared
    }

    /// `kid` of the header.
    pub(crate) fn key_id(&self) -> Option<&str> {
        self.header.key_id.as_deref()
    }

    /// `iss` as the token claims it: good for looking up a configured provider, nothing else.
    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The octets that the signature covers (RFC 7515 §5.2 step 8).
    pub(crate) fn signed_octets(&self) -> &[u8] {
        self.signed_text.as_bytes()
    }

    /// The signature.
    pub(crate) fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// Hands out the claims. Only for the caller that has just verified the signature.
    pub(crate) fn into_claims(self) -> ClaimMap {
        self.claims
    }
}

/// Says what a text is and reads it as that.
///
/// # Errors
/// When it can't be a token, has the shape of a one-time password or code, or is a signed token that breaks
/// the rules of its form.
pub(crate) fn read(text: &str) -> Result<Presented<'_>, TokenRefusal> {
    if text.len() > MAX_TOKEN_BYTES {
        return Err(TokenFault::TooLong.into());
    }
    if text.is_empty() || !has_token_bytes_only(text) {
        return Err(NoIdentity::NotAToken.into());
    }
    if text.len() == ONE_TIME_PASSWORD_DIGITS && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(NoIdentity::OneTimePassword.into());
    }
    // Who presents a code where none is taken must not have it shown to a provider.
    if Code::parse(text).is_some() {
        return Err(NoIdentity::OneTimePassword.into());
    }
    if !has_jose_header(text) {
        return Ok(Presented::Opaque);
    }
    Ok(Presented::Signed(Box::new(read_signed(text)?)))
}

/// What a text shows without any rule being applied to it, for an admin who looks at it.
#[derive(Debug)]
pub(crate) struct Peek {
    pub(crate) kind: TokenKind,
    pub(crate) header: Option<ClaimMap>,
    pub(crate) claims: Option<ClaimMap>,
}

/// Looks into a text. Nothing of it may be believed, and nothing of it is the signature.
pub(crate) fn peek(text: &str) -> Peek {
    let nothing = |kind| Peek { kind, header: None, claims: None };
    match read(text) {
        Ok(Presented::Opaque) => nothing(TokenKind::Opaque),
        Err(TokenRefusal::NoIdentity(_)) => nothing(TokenKind::NotReadable),
        Err(TokenRefusal::Malformed(TokenFault::TooLong)) => nothing(TokenKind::NotReadable),
        presented => {
            let part = |number: usize| {
                let part = text.split('.').nth(number)?;
                parse_object(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
            };
            let kind = if presented.is_ok() { TokenKind::Signed } else { TokenKind::NotReadable };
            Peek { kind, header: part(0), claims: part(1) }
        }
    }
}

/// Looks at every byte, whatever the others are: so the compiler can look at many at a time.
fn has_token_bytes_only(text: &str) -> bool {
    text.bytes().fold(true, |all, byte| all & is_token_byte(byte))
}

fn is_token_byte(byte: u8) -> bool {
    let is_letter = (byte | 0x20).wrapping_sub(b'a') < 26;
    let is_digit = byte.wrapping_sub(b'0') < 10;
    let is_mark = |mark: u8| byte == mark;
    is_letter
        | is_digit
        | is_mark(b'-')
        | is_mark(b'.')
        | is_mark(b'_')
        | is_mark(b'~')
        | is_mark(b'+')
        | is_mark(b'/')
        | is_mark(b'=')
}

/// True when the text before the first dot is or begins a JSON object. Such a text is never taken
/// for an opaque token, however broken the rest is.
fn has_jose_header(text: &str) -> bool {
    let Some((first, _)) = text.split_once('.') else { return false };
    first.starts_with("ey")
        || URL_SAFE_NO_PAD
            .decode(first)
            .is_ok_and(|header| header.trim_ascii_start().first() == Some(&b'{'))
}

fn read_signed(text: &str) -> Result<Unverified<'_>, TokenFault> {
    let (signed_text, signature) = text.rsplit_once('.').ok_or(TokenFault::Parts)?;
    let (header, payload) = signed_text.split_once('.').ok_or(TokenFault::Parts)?;
    match payload.split('.').count() {
        1 => {}
        3 => return Err(TokenFault::Encrypted),
        _ => return Err(TokenFault::Parts),
    }
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenFault::Parts);
    let header = parse_object(&decode(header)?).map_err(|_| TokenFault::Header)?;
    let header = read_header(&header)?;
    let signature = decode(signature)?;
    let claims = parse_object(&decode(payload)?).map_err(|_| TokenFault::Payload)?;
    let issuer = match claims.get("iss") {
        None | Some(Value::Null) => return Err(TokenFault::NoIssuer),
        Some(Value::String(issuer)) => issuer.clone(),
        Some(_) => return Err(TokenFault::IssuerType),
    };
    Ok(Unverified { header, issuer, signed_text, signature, claims })
}

fn read_header(header: &ClaimMap) -> Result<Header, TokenFault> {
    if FORBIDDEN_PARAMETERS.iter().any(|name| header.contains_key(*name)) {
        return Err(TokenFault::HeaderParameter);
    }
    let declared = match header.get("typ") {
        None => Declared::Something,
        Some(Value::String(kind)) => {
            let known = KINDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(kind));
            known.ok_or(TokenFault::Kind)?.1
        }
        Some(_) => return Err(TokenFault::Kind),
    };
    let Some(Value::String(algorithm)) = header.get("alg") else {
        return Err(TokenFault::NoAlgorithm);
    };
    let algorithm = Algorithm::named(algorithm).ok_or(TokenFault::AlgorithmNotAllowed)?;
    let key_id = match header.get("kid") {
        None => None,
        Some(Value::String(id)) if id.len() <= MAX_KEY_ID_BYTES => Some(id.clone()),
        Some(_) => return Err(TokenFault::KeyId),
    };
    Ok(Header { algorithm, key_id, declared })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn compact(header: &str, payload: &str) -> String {
        format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload))
    }

    const BODY: &str = r#"{"iss":"https://op.example"}"#;

    fn fault(text: &str) -> TokenFault {
        match read(text) {
            Err(TokenRefusal::Malformed(fault)) => fault,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn r12_headers_that_bring_keys_or_change_the_reading_are_refused() {
        for extra in [
            r#""crit":["exp"]"#,
            r#""crit":[]"#,
            r#""b64":false"#,
            r#""zip":"DEF""#,
            r#""jwk":{"kty":"oct","k":"AA"}"#,
            r#""jku":"https://evil.example/jwks""#,
            r#""x5u":"https://evil.example/cert""#,
        ] {
            let token = compact(&format!(r#"{{"alg":"RS256",{extra}}}"#), BODY);
            assert_eq!(fault(&token), TokenFault::HeaderParameter, "{extra}");
        }
    }

    #[test]
    fn r12_algorithms_without_a_public_key_are_refused() {
        for algorithm in ["none", "None", "nOnE", "HS256", "HS384", "HS512", "rs256", "ES256K", ""]
        {
            let token = compact(&format!(r#"{{"alg":"{algorithm}"}}"#), BODY);
            assert_eq!(fault(&token), TokenFault::AlgorithmNotAllowed, "{algorithm}");
        }
        assert_eq!(fault(&compact("{}", BODY)), TokenFault::NoAlgorithm);
        assert_eq!(fault(&compact(r#"{"alg":["RS256"]}"#, BODY)), TokenFault::NoAlgorithm);
        let twice = r#"{"alg":"RS256","alg":"none"}"#;
        assert_eq!(fault(&compact(twice, BODY)), TokenFault::Header);
    }

    #[test]
    fn r12_only_three_parts_of_strict_base64url_are_a_signed_token() {
        let good = compact(r#"{"alg":"RS256"}"#, BODY);
        assert!(matches!(read(&good), Ok(Presented::Signed(_))));
        let (two, _) = good.rsplit_once('.').unwrap();
        assert_eq!(fault(two), TokenFault::Parts);
        assert_eq!(fault(&format!("{good}.AAAA")), TokenFault::Parts);
        assert_eq!(fault(&format!("{good}.AAAA.AAAA")), TokenFault::Encrypted);
        assert_eq!(fault(&format!("{good}.AAAA.AAAA.AAAA")), TokenFault::Parts);
        assert_eq!(fault(&format!("{good}=")), TokenFault::Parts);
        assert_eq!(fault(&format!("{good}+/")), TokenFault::Parts);
        // "c2k" leaves two bits over; only one of the four ways to write them is canonical.
        assert_eq!(fault(&good.replace(".c2ln", ".c2l")), TokenFault::Parts);
        assert_eq!(fault(&format!("ey.{two}")), TokenFault::Parts);
    }

    #[test]
    fn other_kinds_of_signed_token_are_refused_and_access_tokens_are_taken() {
        for kind in ["JWT", "jwt", "at+jwt", "application/at+jwt"] {
            let token = compact(&format!(r#"{{"alg":"ES256","typ":"{kind}"}}"#), BODY);
            assert!(read(&token).is_ok(), "{kind}");
        }
        for kind in [r#""dpop+jwt""#, r#""logout+jwt""#, "7", r#""secevent+jwt""#] {
            let token = compact(&format!(r#"{{"alg":"ES256","typ":{kind}}}"#), BODY);
            assert_eq!(fault(&token), TokenFault::Kind, "{kind}");
        }
    }

    #[test]
    fn r13_the_issuer_is_one_text() {
        let token = |body: &str| compact(r#"{"alg":"RS256"}"#, body);
        assert_eq!(fault(&token("{}")), TokenFault::NoIssuer);
        assert_eq!(fault(&token(r#"{"iss":4711}"#)), TokenFault::IssuerType);
        assert_eq!(fault(&token(r#"{"iss":["https://op.example"]}"#)), TokenFault::IssuerType);
        assert_eq!(fault(&token(r#"{"iss":"a","iss":"b"}"#)), TokenFault::Payload);
        assert_eq!(fault(&token("[]")), TokenFault::Payload);
    }

    #[test]
    fn r16_a_one_time_password_is_never_an_opaque_token() {
        for digits in [
            "0123456789abcdef".repeat(8),
            "0123456789ABCDEF".repeat(8),
            "k7dm-3xqp-9rtw-h2vn".to_owned(),
            "K7DM3XQP9RTWH2VN".to_owned(),
        ] {
            assert_eq!(
                read(&digits).err(),
                Some(TokenRefusal::NoIdentity(NoIdentity::OneTimePassword))
            );
        }
        assert!(matches!(read(&"0123456789abcdef".repeat(4)), Ok(Presented::Opaque)));
    }

    #[test]
    fn texts_that_are_no_token_are_refused_and_garbage_is_opaque() {
        for text in ["", "not a token", "t\u{f6}ken", "a\nb", "a\0"] {
            assert_eq!(read(text).err(), Some(NoIdentity::NotAToken.into()), "{text:?}");
        }
        for text in ["not-a-token", "aaaa.bbbb.cccc", "AAAA", "a.b", "..."] {
            assert!(matches!(read(text), Ok(Presented::Opaque)), "{text:?}");
        }
        assert_eq!(fault(&"a".repeat(MAX_TOKEN_BYTES + 1)), TokenFault::TooLong);
    }

    #[test]
    fn the_bytes_of_a_token_are_those_of_the_standard() {
        for byte in 0..=u8::MAX {
            let listed = byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
            assert_eq!(is_token_byte(byte), listed, "{byte:#x}");
        }
    }

    proptest! {
        #[test]
        fn r45_what_is_read_as_a_signed_token_has_a_public_keys_algorithm_and_brings_no_key(
            text in "\\PC{0,60}|[A-Za-z0-9_.=-]{0,200}|ey[A-Za-z0-9_-]{0,30}\\.[A-Za-z0-9_-]{0,30}\\.[A-Za-z0-9_-]{0,30}",
            header in "\\PC{0,40}|\\{\"alg\":\"(RS256|none|HS256)\"(,\"(kid|typ|jwk|crit|alg)\":(\"jwt\"|\\[\\]|1)){0,2}\\}",
            payload in "\\PC{0,40}",
        ) {
            for text in [text, compact(&header, &payload), compact(&header, BODY)] {
                let Ok(Presented::Signed(read)) = read(&text) else { continue };
                prop_assert_eq!(text.split('.').count(), 3);
                let header = URL_SAFE_NO_PAD.decode(text.split('.').next().unwrap()).unwrap();
                let header: ClaimMap = serde_json::from_slice(&header).unwrap();
                prop_assert_eq!(header["alg"].as_str(), Some(read.algorithm().name()));
                prop_assert!(FORBIDDEN_PARAMETERS.iter().all(|name| !header.contains_key(*name)));
            }
        }
    }
}
