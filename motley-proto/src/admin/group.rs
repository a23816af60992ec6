//! What an admin is told about local groups and the texts of providers that they are made from.

use crate::{identity::Issuer, names::GroupName};
use serde::{Deserialize, Serialize};

/// One local group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRow {
    /// Its name.
    pub name: GroupName,
    /// The group of the provider that it is made from, in lower case; what would act on a terminal is
    /// escaped, and what is longer than 200 characters is cut.
    pub text: String,
    /// Provider of the person who asserted it first.
    pub issuer: Issuer,
    /// When, in seconds since 1970.
    pub noted_at: i64,
}

/// A part of the list, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupPage {
    /// The groups.
    pub rows: Vec<GroupRow>,
    /// True when there are more behind the last one.
    pub more: bool,
}
