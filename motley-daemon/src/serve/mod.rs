//! The doors: REST for clients, the login socket for sshd, the admin socket for the host's admins.

pub mod admin;
pub mod exchange;
pub mod http;
mod impatient;
pub mod listen;
pub mod live;
pub mod login;
pub mod paths;
pub mod rest;

use rand::RngExt;

/// A short random text that ties log lines, audit events and answers of one request together.
pub fn request_id() -> String {
    format!("{:012x}", rand::rng().random::<u64>() >> 16)
}

#[cfg(test)]
mod tests;
