//! The PAM module that logs people in to sshd with an OpenID Connect token or one-time password.
//!
//! It runs inside sshd, as root: synchronous, without network, knowing one Unix socket. It says
//! who stands at the door, asks what the daemon tells it to ask, keeps back what does not look like
//! a token, and lets somebody in only on the daemon's word about exactly this name.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss
    )
)]

mod codes;
mod ffi;
mod flow;
mod hooks;
mod options;
mod panics;
mod system;
mod trusted_file;
