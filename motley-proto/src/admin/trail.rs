//! What an admin asks about the audit trail.

use super::Target;
use crate::names::UserName;
use serde::{Deserialize, Serialize};

/// Which lines are wanted. What is not named does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrailFilter {
    /// Of this kind, as `login_granted`.
    pub event: Option<String>,
    /// About this person.
    pub whom: Option<Target>,
}

impl TrailFilter {
    /// True if the person was named by this local name.
    pub fn names(&self, name: &str) -> bool {
        matches!(&self.whom, Some(Target::Name(named)) if UserName::as_str(named) == name)
    }
}

/// A place in the audit trail. It stays the same when a file is put aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrailCursor {
    /// Number that the file has, or will have once it is put aside.
    pub file: u32,
    /// Bytes from the beginning of that file.
    pub offset: u64,
}

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TrailStart {
    /// So many wanted lines before the end.
    Last(u32),
    /// Where a page ended.
    After(TrailCursor),
}

/// Lines of the audit trail, as many as fit into one answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrailPage {
    /// JSON objects as they stand in the file, oldest first.
    pub lines: Vec<String>,
    /// Where to go on.
    pub next: TrailCursor,
    /// True if there may be more just now.
    pub more: bool,
}

/// What reading the audit trail through came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrailCheck {
    /// Lines that follow from one another.
    pub lines: u64,
    /// Files that they are in.
    pub files: u32,
    /// The file after which the chain begins, if that one is not here any more.
    pub after: Option<String>,
    /// The first line that does not fit, if there is one.
    pub broken: Option<BrokenLine>,
}

/// A line of the audit trail that was changed, or before which lines are missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokenLine {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
}
