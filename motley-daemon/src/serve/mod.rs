//! The doors: REST for clients, the login socket for sshd, the admin socket for the host's admins.

pub mod admin;
pub mod crowd;
pub mod exchange;
pub mod front;
pub mod gate;
pub mod health;
pub mod http;
mod impatient;
pub mod listen;
pub mod live;
pub mod login;
pub mod paths;
pub mod rest;
pub mod source;
mod strict;
pub mod tls;

pub use crate::request::id as request_id;

#[cfg(test)]
pub(crate) mod tests;
