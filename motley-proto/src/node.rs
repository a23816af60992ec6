//! Names of login nodes that share one database.

use crate::names::text_type;
use serde::{Deserialize, Serialize};

/// Longest name of a node, in bytes: that of a host name label and more.
pub const MAX_NODE_BYTES: usize = 64;

/// Why a text can't be the name of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NodeNameError {
    /// There is no text.
    #[error("is empty")]
    Empty,
    /// Longer than 64 bytes.
    #[error("is longer than 64 bytes")]
    TooLong,
    /// It has other characters.
    #[error(
        "has characters other than ASCII letters, digits, dots, - and _, or begins with a dot, - or _"
    )]
    Character,
}

fn check(text: &str) -> Result<(), NodeNameError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    match text.chars().next() {
        None => Err(NodeNameError::Empty),
        Some(_) if text.len() > MAX_NODE_BYTES => Err(NodeNameError::TooLong),
        Some(first) if !first.is_ascii_alphanumeric() => Err(NodeNameError::Character),
        Some(_) if !text.chars().all(fits) => Err(NodeNameError::Character),
        Some(_) => Ok(()),
    }
}

text_type! {
    /// Name of one login node, never of two: 1 to 64 letters, digits, dots, `-` and `_`.
    NodeName, check, NodeNameError
}

impl NodeName {
    /// The name of a node that is alone, and whose host has no better one.
    pub fn localhost() -> Self {
        Self("localhost".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r20_the_name_of_a_node_is_a_host_name() {
        for good in ["a", "node-1.example.org", "N_2", &"x".repeat(64)] {
            assert!(NodeName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", ".a", "a b", "a/b", "a\n", "ü", &"x".repeat(65)] {
            assert!(NodeName::new(bad).is_err(), "{bad:?}");
        }
    }
}
