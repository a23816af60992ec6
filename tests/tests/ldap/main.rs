//! Accounts in a real directory: slapd, in all modes, with its faults.

#[macro_use]
#[path = "../../../feudal-plugins/tests/behaviour/mod.rs"]
mod behaviour;

mod entries;
mod figures;
mod full_access;
mod groups;
mod locks;
mod numbers;
mod pre_created;
mod read_only;
mod server;
mod states;
mod suite;
mod support;

/// Declares a test that has a directory server, or is skipped loudly where there is none.
#[macro_export]
macro_rules! directory_test {
    ($(#[$meta:meta])* async fn $name:ident() $body:block) => {
        $(#[$meta])*
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            if motley_tests::slapd::Slapd::is_there(stringify!($name)) $body
        }
    };
}
