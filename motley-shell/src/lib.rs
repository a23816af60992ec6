//! Login shells for people who earn less than a full one: listed commands only, or a message.
//!
//! Both run as the person who logs in and are all that stands between that person and the host, so
//! they start no other shell, read no file that the person could write, and take nothing from the
//! environment but a few checked texts.
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

pub mod commands;
pub mod environment;
pub mod ffi;
pub mod line;
pub mod owned;
mod rsync;

/// The commands of the limited shell.
pub const COMMANDS_FILE: &str = "/etc/motley_cue/limited_commands";
/// The text of the message shell.
pub const MESSAGE_FILE: &str = "/etc/motley_cue/message.txt";
/// What the message shell says without a file.
pub const DEFAULT_MESSAGE: &str = "\
This account may not log in to a shell on this host.

Your identity is known here, but what your home organisation says about it (its assurance) does not
reach what a shell needs. Ask the people who run this service.
";
/// Most that is read of either file, in bytes.
pub const MAX_FILE_BYTES: u64 = 64 * 1024;
