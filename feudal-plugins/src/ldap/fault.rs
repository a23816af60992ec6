//! What goes wrong between us and a directory server, and what to do about it.

use crate::backend::BackendError;
use ldap3::{LdapError, LdapResult};
use motley_proto::text::escape;
use std::time::Duration;

/// Result codes (RFC 4511 §A.1, RFC 4528 §3).
pub(super) mod code {
    pub(crate) const SUCCESS: u32 = 0;
    pub(crate) const TIME_LIMIT_EXCEEDED: u32 = 3;
    pub(crate) const SIZE_LIMIT_EXCEEDED: u32 = 4;
    pub(crate) const ADMIN_LIMIT_EXCEEDED: u32 = 11;
    pub(crate) const NO_SUCH_ATTRIBUTE: u32 = 16;
    pub(crate) const CONSTRAINT_VIOLATION: u32 = 19;
    pub(crate) const ATTRIBUTE_OR_VALUE_EXISTS: u32 = 20;
    pub(crate) const NO_SUCH_OBJECT: u32 = 32;
    pub(crate) const INSUFFICIENT_ACCESS: u32 = 50;
    pub(crate) const BUSY: u32 = 51;
    pub(crate) const UNAVAILABLE: u32 = 52;
    pub(crate) const ENTRY_ALREADY_EXISTS: u32 = 68;
    pub(crate) const ASSERTION_FAILED: u32 = 122;
}

/// Longest text of a server that is shown, in characters.
const SHOWN: usize = 300;

/// Why an operation has no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// There is no connection, or it ended: whether the operation was carried out is not known.
    Lost(String),
    /// No answer came in time: neither is it known.
    Slow(Duration),
    /// The server was reached and must not be spoken to: certificate, name, StartTLS or bind.
    Unfit(String),
    /// The server answered with an error.
    Refused {
        /// Result code.
        code: u32,
        /// In words, escaped.
        text: String,
    },
}

impl Fault {
    /// What the crate that speaks the protocol says. Its texts hold no credentials.
    pub(super) fn of(error: &LdapError) -> Self {
        match error {
            LdapError::LdapResult { result } => Self::of_result(result),
            LdapError::Rustls { .. } | LdapError::DNSName { .. } => Self::Unfit(error.to_string()),
            // A handshake that fails comes as an I/O error around the reason.
            LdapError::Io { source } if source.kind() == std::io::ErrorKind::InvalidData => {
                Self::Unfit(source.to_string())
            }
            error => Self::Lost(escape(&error.to_string(), SHOWN)),
        }
    }

    /// The result of an operation that did not succeed.
    pub(super) fn of_result(result: &LdapResult) -> Self {
        let text = escape(&result.to_string(), SHOWN);
        Self::Refused { code: result.rc, text }
    }

    /// True for this result code.
    pub(super) fn is(&self, wanted: u32) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == wanted)
    }

    /// True when the connection is to be thrown away.
    pub(super) fn ends_connection(&self) -> bool {
        matches!(self, Self::Lost(_) | Self::Slow(_) | Self::Unfit(_))
    }

    /// As the error of a back end: `server` is its address, `step` what was being done.
    pub(super) fn into_error(self, server: &str, step: &str) -> BackendError {
        let unavailable = |what: String, cure: &str| BackendError::Unavailable {
            what: format!("the directory {server} {what}"),
            cure: cure.to_owned(),
        };
        match self {
            Self::Lost(why) => unavailable(
                format!("can't be reached: {why}"),
                "check that it runs, and host and port in the section of the back end",
            ),
            Self::Slow(limit) => unavailable(
                format!("gave no answer within {} s", limit.as_secs()),
                "check its load, the indexes of its database, and timeout in the section of the \
                 back end",
            ),
            Self::Unfit(why) => unavailable(
                format!("can't be trusted or will not have us: {}", escape(&why, SHOWN)),
                "check ca_file, host, tls, starttls, admin_user and admin_password in the section \
                 of the back end",
            ),
            Self::Refused { code, text } => match code {
                code::BUSY | code::UNAVAILABLE | code::TIME_LIMIT_EXCEEDED => unavailable(
                    format!("is too busy for: {step} ({text})"),
                    "check its load and the indexes of its database",
                ),
                code::SIZE_LIMIT_EXCEEDED | code::ADMIN_LIMIT_EXCEEDED => unavailable(
                    format!("gives only a part of the answer to: {step} ({text})"),
                    "raise its limits for the DN of admin_user",
                ),
                code::INSUFFICIENT_ACCESS => BackendError::Failed {
                    step: step.to_owned(),
                    detail: format!("{text}; give the DN of admin_user the right to do it"),
                },
                _ => BackendError::Failed { step: step.to_owned(), detail: text },
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_names_the_server_and_a_cure() {
        let server = "ldaps://ldap.example:636";
        let refused = |code| Fault::Refused { code, text: "rc".to_owned() };
        for (fault, cure) in [
            (Fault::Lost("refused".to_owned()), "host and port"),
            (Fault::Slow(Duration::from_secs(5)), "within 5 s"),
            (Fault::Unfit("unknown issuer".to_owned()), "ca_file"),
            (refused(code::BUSY), "load"),
            (refused(code::SIZE_LIMIT_EXCEEDED), "raise its limits"),
        ] {
            let error = fault.into_error(server, "find the account");
            assert!(matches!(error, BackendError::Unavailable { .. }), "{error}");
            let text = error.to_string();
            assert!(text.contains(server) && text.contains(cure), "{text}");
        }
        let error = refused(code::INSUFFICIENT_ACCESS).into_error(server, "make the account");
        assert!(error.to_string().contains("make the account failed: rc; give the DN"), "{error}");
    }
}
