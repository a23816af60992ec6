//! The unprivileged service: verifies tokens, authorises people and maps them to unix accounts.

pub mod account;
pub mod admission;
pub mod audit;
pub mod chance;
pub mod check_config;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod ffi;
pub mod identity;
pub mod knocks;
pub mod log;
pub mod measure;
pub mod notify;
pub mod otp;
pub mod policy;
pub mod replay;
pub mod request;
pub mod serve;
pub mod store;
pub mod throttle;
pub mod verified;

#[cfg(test)]
#[path = "../../tests/src/postgres.rs"]
#[allow(dead_code, unreachable_pub, reason = "the end-to-end tests use more of it")]
mod postgres;
