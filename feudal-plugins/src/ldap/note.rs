//! What motley notes in the directory about its own doing, so that it can take it back and nothing else.

use motley_proto::UserName;

const PREFIX: &str = "motley:";

/// One note, kept as one value of the attribute that `attribute_notes` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Note {
    /// On a group: motley made it.
    Made,
    /// On a group: motley made this account a member of it.
    Member(UserName),
    /// On a user: motley gave this primary group, by its gid.
    Primary(u32),
    /// On a user: a suspension replaced this `shadowExpire`, or set the first one.
    Expiry(Option<i64>),
    /// On a user: a suspension set `pwdAccountLockedTime`.
    Locked,
}

impl Note {
    /// The value as it is kept.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Made => format!("{PREFIX}made"),
            Self::Member(name) => format!("{PREFIX}member:{name}"),
            Self::Primary(gid) => format!("{PREFIX}primary:{gid}"),
            Self::Expiry(Some(day)) => format!("{PREFIX}expiry:{day}"),
            Self::Expiry(None) => format!("{PREFIX}expiry:none"),
            Self::Locked => format!("{PREFIX}locked"),
        }
    }

    /// Reads a value; `None` for texts that are not ours.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix(PREFIX)?;
        match text.split_once(':') {
            None if text == "made" => Some(Self::Made),
            None if text == "locked" => Some(Self::Locked),
            Some(("member", name)) => UserName::new(name).ok().map(Self::Member),
            Some(("primary", gid)) => gid.parse().ok().map(Self::Primary),
            Some(("expiry", "none")) => Some(Self::Expiry(None)),
            Some(("expiry", day)) => day.parse().ok().map(|day| Self::Expiry(Some(day))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_reads_back_as_itself_and_other_texts_are_nobodys() {
        let name = UserName::new("jdoe").unwrap();
        let notes = [
            Note::Made,
            Note::Member(name),
            Note::Primary(30_001),
            Note::Expiry(Some(-1)),
            Note::Expiry(None),
            Note::Locked,
        ];
        for note in notes {
            assert_eq!(Note::parse(&note.text()), Some(note));
        }
        for text in [
            "",
            "made",
            "motley:",
            "motley:member:",
            "motley:expiry:x",
            "motley:primary:-1",
            "motley:member:root",
        ] {
            assert_eq!(Note::parse(text), None, "{text}");
        }
    }
}
