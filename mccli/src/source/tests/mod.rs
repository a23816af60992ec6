//! Sources, their order and what is made of their tokens.

mod agent;
mod choose;
mod order;

use super::*;

/// A service that supports these issuers, and wants the same of all their tokens.
pub(super) struct Supports(pub(super) Vec<&'static str>, pub(super) OpInfo);

impl Requirements for Supports {
    fn of(&self, issuer: &str) -> Needs {
        match self.0.contains(&issuer) {
            true => Needs::Op(self.1.clone()),
            false => Needs::Unsupported,
        }
    }
    fn issuers(&self) -> Vec<String> {
        self.0.iter().map(|&issuer| issuer.to_owned()).collect()
    }
}

pub(super) fn two_issuers() -> Supports {
    Supports(vec!["https://op", "https://other"], OpInfo::default())
}
