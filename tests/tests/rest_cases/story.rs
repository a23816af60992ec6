//! What the recorder did before or with a request and wrote into the name of the case only.

use super::case::Case;

/// Reads the phrases in the name of a case that no other member repeats.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Story<'a>(&'a str);

/// How a one-time password is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As it should be.
    Plain,
    /// With the scheme in lower case.
    LowerCaseScheme,
    /// In upper-case letters.
    UpperCase,
}

/// A use of a one-time password that must not use it up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Misuse<'a> {
    /// As bearer token on a path that takes none.
    OnPath(&'a str),
    /// Written in another way.
    InForm(Form),
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
        if self.0.contains("after missing one") {
            return Some(Misuse::NoUsername);
        }
        let (_, before) = self.0.split_once(": after ")?;
        Some(Misuse::InForm(form_in(before)))
            .filter(|misuse| *misuse != Misuse::InForm(Form::Plain))
    }

    /// How the one-time password is written in the request itself.
    pub(crate) fn form(self) -> Form {
        if self.0.contains(": after ") { Form::Plain } else { form_in(self.0) }
    }
}

fn form_in(phrase: &str) -> Form {
    match phrase {
        _ if phrase.contains("lower case scheme") => Form::LowerCaseScheme,
        _ if phrase.contains("upper case OTP") => Form::UpperCase,
        _ => Form::Plain,
    }
}
