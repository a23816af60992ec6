//! The only root process of motley: carries out typed account tasks, with no network.
//!
//! A [`motley_proto::task::Task`] comes in over a Unix socket from the daemon, which is not
//! trusted here: [`guard`] says what may be touched at all, [`ledger`] remembers what was made for
//! whom, and [`accounts`] does it through the programs of shadow-utils. There is no shell, no
//! network, and no task that carries a command.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_possible_wrap
    )
)]

pub mod accounts;
pub mod adapter;
pub mod authorized_keys;
pub mod config;
pub mod database;
pub mod defaults;
mod ffi;
pub mod guard;
pub mod hardening;
pub mod homes;
pub mod jobs;
pub mod ledger;
pub mod ownership;
pub mod runner;
pub mod serve;
pub mod sessions;
pub mod socket;
