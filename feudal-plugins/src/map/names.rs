//! Which identity has which account, as lines of a file: `ISSUER SUBJECT NAME`.

use motley_proto::{
    Identity, Issuer, Subject, UserName, identity::IdentityError, names::NameError, text::escape,
};
use std::collections::HashMap;

/// How much of a line is told in an error.
const SHOWN: usize = 80;

/// Why a line can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct MapError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: MapProblem,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MapProblem {
    /// It has more or fewer words.
    #[error("must be three words: ISSUER SUBJECT NAME (a blank within a word is %20)")]
    Words,
    /// A word is not well encoded.
    #[error("`{0}`: a % must be followed by two hexadecimal digits, and all must be UTF-8")]
    Encoding(String),
    /// The first word is no issuer.
    #[error("the issuer `{0}` {1}")]
    Issuer(String, IdentityError),
    /// The second word is no subject.
    #[error("the subject `{0}` {1}")]
    Subject(String, IdentityError),
    /// The third word is no name.
    #[error("the name `{0}` {1}")]
    Name(String, NameError),
    /// The identity has an account already.
    #[error("line {0} maps this identity already")]
    IdentityTwice(usize),
    /// The account has an owner already.
    #[error("line {1} gives the account {0} away already")]
    NameTwice(UserName, usize),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    identity: Identity,
    name: UserName,
}

/// Identities and their accounts: nobody has two, and no account has two owners.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NameMap {
    entries: Vec<Entry>,
    by_identity: HashMap<(String, Subject), usize>,
    by_name: HashMap<UserName, usize>,
}

/// An issuer with and without slash at its end is one provider.
fn key(identity: &Identity) -> (String, Subject) {
    (identity.issuer.trimmed().to_owned(), identity.subject.clone())
}

impl NameMap {
    /// Reads the text of a file.
    ///
    /// Each line is empty, a comment that begins with `#`, or three words between blanks or tabs.
    /// `%XX` in a word is a byte in hexadecimal.
    ///
    /// # Errors
    /// Everything that is wrong in it.
    pub fn parse(text: &str) -> Result<Self, Vec<MapError>> {
        let mut map = Self::default();
        let mut lines = Vec::new();
        let mut errors = Vec::new();
        for (line, words) in (1..).zip(text.lines().map(str::trim)) {
            if words.is_empty() || words.starts_with('#') {
                continue;
            }
            let added = read_line(words).and_then(|entry| map.add(entry, &lines));
            match added {
                Ok(()) => lines.push(line),
                Err(problem) => errors.push(MapError { line, problem }),
            }
        }
        if errors.is_empty() { Ok(map) } else { Err(errors) }
    }

    fn add(&mut self, entry: Entry, lines: &[usize]) -> Result<(), MapProblem> {
        let line_of = |index: &usize| lines.get(*index).copied().unwrap_or_default();
        if let Some(index) = self.by_identity.get(&key(&entry.identity)) {
            return Err(MapProblem::IdentityTwice(line_of(index)));
        }
        if let Some(index) = self.by_name.get(&entry.name) {
            return Err(MapProblem::NameTwice(entry.name, line_of(index)));
        }
        self.by_identity.insert(key(&entry.identity), self.entries.len());
        self.by_name.insert(entry.name.clone(), self.entries.len());
        self.entries.push(entry);
        Ok(())
    }

    /// The account of an identity.
    pub fn name_of(&self, identity: &Identity) -> Option<&UserName> {
        let index = self.by_identity.get(&key(identity))?;
        self.entries.get(*index).map(|entry| &entry.name)
    }

    /// Whose account a name is.
    pub fn identity_of(&self, name: &UserName) -> Option<&Identity> {
        let index = self.by_name.get(name)?;
        self.entries.get(*index).map(|entry| &entry.identity)
    }

    /// Everybody, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = (&Identity, &UserName)> {
        self.entries.iter().map(|entry| (&entry.identity, &entry.name))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when nobody has an account.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

fn read_line(line: &str) -> Result<Entry, MapProblem> {
    let mut words = line.split_ascii_whitespace();
    let (Some(issuer), Some(subject), Some(name), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(MapProblem::Words);
    };
    let shown = |word: &str| escape(word, SHOWN);
    let decoded = |word: &str| decode(word).ok_or_else(|| MapProblem::Encoding(shown(word)));
    // A URL is written as it is: a % in it is part of it.
    let issuer = Issuer::new(issuer).map_err(|why| MapProblem::Issuer(shown(issuer), why))?;
    let subject =
        Subject::new(decoded(subject)?).map_err(|why| MapProblem::Subject(shown(subject), why))?;
    let name = UserName::new(name).map_err(|why| MapProblem::Name(shown(name), why))?;
    Ok(Entry { identity: Identity::new(issuer, subject), name })
}

fn decode(word: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let high = char::from(rest.next()?).to_digit(16)?;
        let low = char::from(rest.next()?).to_digit(16)?;
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(issuer: &str, subject: &str) -> Identity {
        Identity::new(Issuer::new(issuer).unwrap(), Subject::new(subject).unwrap())
    }

    #[test]
    fn a_line_gives_an_identity_its_account() {
        let text = "# who has what\n\n  https://op.example/ ada@x.example  ada\n\
                    https://op.example/realms/b%20c with%20blank%25%23é\tbob\r\n";
        let map = NameMap::parse(text).unwrap();
        let (ada, bob) = (
            identity("https://op.example/", "ada@x.example"),
            identity("https://op.example/realms/b%20c", "with blank%#é"),
        );
        assert_eq!(map.name_of(&ada).unwrap().as_str(), "ada");
        assert_eq!(map.name_of(&bob).unwrap().as_str(), "bob");
        assert_eq!(map.identity_of(&UserName::new("bob").unwrap()), Some(&bob));
        assert_eq!(
            map.name_of(&identity("https://op.example", "ada@x.example")),
            map.name_of(&ada)
        );
        assert_eq!(map.name_of(&identity("https://op.example/", "ADA@x.example")), None);
        assert_eq!(map.len(), 2);
    }

    #[test]
    fn everything_that_is_wrong_is_told_with_its_line() {
        let text = "https://op.example a ada\nhttps://op.example/ a eve\n\
                    https://op.example b ada\nhttp://op.example c carl\nhttps://op.example d root\n\
                    https://op.example e%0a eve\nhttps://op.example f%zz frank\n\
                    https://op.example g\nhttps://op.example h h # his\n";
        let errors = NameMap::parse(text).unwrap_err();
        let said: Vec<String> = errors.iter().map(MapError::to_string).collect();
        let expected = [
            "line 2: line 1 maps this identity already",
            "line 3: line 1 gives the account ada away already",
            "line 4: the issuer `http://op.example` must be an https URL",
            "line 5: the name `root` is a protected name of the system",
            "line 6: the subject `e%0a` has a control character",
            "line 7: `f%zz`: a % must be followed",
            "line 8: must be three words",
            "line 9: must be three words",
        ];
        assert_eq!(said.len(), expected.len(), "{said:#?}");
        for (said, expected) in said.iter().zip(expected) {
            assert!(said.starts_with(expected), "{said} / {expected}");
        }
    }
}
