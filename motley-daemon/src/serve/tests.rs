//! The doors under load and with slow or stuck peers.

mod admin;
mod door;
mod health;
mod limits;
mod login;
mod rest;
mod smuggling;
mod tls;
mod unix;

use crate::{
    account::tests::{Bench, bench, friendly},
    admission::Admission,
    clock::SystemClock,
    config::{Config, OpConfig, Owners, Source, validate},
    identity::{HttpSettings, TokenVerifier},
};
use std::{path::PathBuf, sync::Arc};

/// A daemon that can ask no provider: nobody gets in, but everybody can knock.
pub(super) async fn admission() -> (Arc<Admission>, Bench) {
    admission_for(&[]).await
}

/// The same with the policies of these providers.
pub(super) async fn admission_for(ops: &[OpConfig]) -> (Arc<Admission>, Bench) {
    let bench = bench(friendly()).await;
    let verifier =
        TokenVerifier::new(Vec::new(), &HttpSettings::default(), Arc::new(SystemClock)).unwrap();
    let admission = Admission::new(Arc::new(verifier), ops, None, bench.accounts.clone());
    (Arc::new(admission), bench)
}

pub(crate) fn config(text: &str) -> Arc<Config> {
    config_of(text, "")
}

/// The same with both files.
pub(super) fn config_of(text: &str, adapter: &str) -> Arc<Config> {
    let source = |name: &str, text: &str| Source {
        path: PathBuf::from(name),
        text: text.to_owned(),
        is_public: false,
    };
    let read = validate(
        source("motley_cue.conf", text),
        source("feudal_adapter.conf", adapter),
        Owners { service: 0 },
    );
    Arc::new(read.unwrap().0)
}
