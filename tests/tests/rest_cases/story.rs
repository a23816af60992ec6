//! What the recorder did before or with a request and wrote into the name of the case only.

use super::case::Case;

/// Reads the phrases in the name of a case that no other member repeats.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Story<'a>(&'a str);

/// A use of a one-time password that must not use it up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Misuse<'a> {
    /// As bearer token on a path that takes none.
    OnPath(&'a str),
    /// With the scheme in lower case.
    LowerCaseScheme,
    /// In upper-case letters.
    UpperCase,
    /// Without a user name.
    NoUsername,
}

impl<'a> Story<'a> {
    /// The story of a case.
    pub(crate) fn of(case: &'a Case) -> Self {
        Self(&case.name)
    }

    /// Characters of the token.
    pub(crate) fn token_size(self) -> Option<usize> {
        let (before, _) = self.0.split_once(" byte token")?;
        before.rsplit(' ').next()?.parse().ok()
    }

    /// The one-time password stands for an opaque token.
    pub(crate) fn has_opaque_token(self) -> bool {
        self.0.ends_with("opaque token")
    }

    /// The token ends after the one-time password was made.
    pub(crate) fn token_expires(self) -> bool {
        self.0.contains("token expired meanwhile")
    }

    /// Userinfo names a user of another provider.
    pub(crate) fn userinfo_names_another_user(self) -> bool {
        self.0.contains("whose userinfo names a user of another OP")
    }

    /// Userinfo answers nothing useful.
    pub(crate) fn userinfo_fails(self) -> bool {
        self.0.contains("userinfo failing")
    }

    /// A header with garbage comes before the one with the credential.
    pub(crate) fn has_two_headers(self) -> bool {
        self.0.contains("two Authorization headers")
    }

    /// The one-time password was used with a wrong name before.
    pub(crate) fn was_used_with_other_name(self) -> bool {
        self.0.contains("after mismatch")
    }

    /// What was tried with the one-time password before.
    pub(crate) fn misuse(self) -> Option<Misuse<'a>> {
        if let Some((_, path)) = self.0.split_once("after use on ") {
            return Some(Misuse::OnPath(path));
        }
        let phrases = [
            ("after lower case scheme", Misuse::LowerCaseScheme),
            ("after upper case OTP", Misuse::UpperCase),
            ("after missing one", Misuse::NoUsername),
        ];
        phrases.into_iter().find(|(phrase, _)| self.0.contains(phrase)).map(|(_, misuse)| misuse)
    }
}
