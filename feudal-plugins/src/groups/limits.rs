//! Which groups outside this host may be joined.

use motley_proto::GroupName;
use std::collections::BTreeSet;

/// Which groups may have members of ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupLimits {
    /// Text with which groups must begin. With one, groups that the site made may be joined too.
    pub prefix: String,
    /// Groups that may be joined whatever they are called and whoever made them.
    pub allowed: BTreeSet<GroupName>,
}
