//! Real parts to test motley with: a private sandbox (sshd, PAM, useradd, oidc-agent) and an OpenID provider.
//!
//! ```no_run
//! use motley_tests::sandbox::World;
//! use motley_tests::sandbox_test;
//!
//! sandbox_test! {
//!     fn a_pasted_token_logs_in(sb) {
//!         let world = World::start(sb)?;
//!         let token = world.op.token("alice").claim("aud", "ssh").lifetime(600).sign();
//!         let name = world.deploy(&token)?;
//!         let outcome = world.paste(sb, &name, &token)?;
//!         assert!(outcome.is_success(), "{}", outcome.stdout);
//!         Ok(())
//!     }
//! }
//! # fn main() {}
//! ```
//!
//! Each part can be had alone, with other settings: [`sandbox::Sshd`], [`sandbox::Root`],
//! [`sandbox::Daemon`], [`sandbox::Ssh`], [`sandbox::Mccli`], [`sandbox::OidcAgent`],
//! [`sandbox::Terminal`] and [`op::TestOp`]. When a test fails inside the sandbox, syslog and the log
//! of every part are printed.
//!
//! The parts are started from the binaries beside the test (`target/debug`, or `MOTLEY_BIN_DIR`), so
//! build the workspace first: `cargo build --workspace`.

pub mod browser;
pub mod op;
pub mod postgres;
pub mod sandbox;
pub mod slapd;
