//! What each command takes besides the options of all.

use super::Options;
use crate::logins::Keeping;
use clap::{Args, Subcommand, ValueEnum};
use std::{ffi::OsString, path::PathBuf};

/// A host, or the endpoint in its place.
#[derive(Args)]
pub(crate) struct Target {
    /// Options.
    #[command(flatten)]
    pub(crate) options: Options,
    /// Host as ssh knows it
    #[arg(value_name = "HOST")]
    pub(crate) host: Option<String>,
}

/// A host and the user's yes.
#[derive(Args)]
pub(crate) struct Confirmed {
    /// Where.
    #[command(flatten)]
    pub(crate) target: Target,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
}

/// One identity on one host.
#[derive(Args)]
pub(crate) struct Person {
    /// Where, and the user's yes.
    #[command(flatten)]
    pub(crate) confirmed: Confirmed,
    /// Subject of the identity
    #[arg(long, value_name = "SUB")]
    pub(crate) sub: String,
}

/// The line for ssh.
#[derive(Args)]
pub(crate) struct SshLine {
    /// Options before the host or directly after it.
    #[command(flatten)]
    pub(crate) options: Options,
    /// Tell the remote side where the forwarded socket of oidc-agent is (needs AcceptEnv OIDC_SOCK there)
    #[arg(long, help_heading = "Additional options")]
    pub(crate) set_remote_env: bool,
    /// Options, host and command as for ssh; they reach ssh as they are
    #[arg(value_name = "SSH ARGS", required = true)]
    pub(crate) words: Vec<OsString>,
}

/// How and where to log in.
#[derive(Args)]
pub(crate) struct LoginLine {
    /// Options.
    #[command(flatten)]
    pub(crate) options: Options,
    /// Issuer, or a host whose service names its providers
    #[arg(value_name = "ISSUER|HOST")]
    pub(crate) place: Option<String>,
    /// Show a link and a code for a browser anywhere (default without a browser here)
    #[arg(long, conflicts_with = "browser")]
    pub(crate) device: bool,
    /// Open a browser on this machine
    #[arg(long)]
    pub(crate) browser: bool,
    /// Client that mccli is registered as at the provider
    #[arg(long, value_name = "ID")]
    pub(crate) client_id: Option<String>,
    /// File with the client's secret, for clients that have one
    #[arg(long, value_name = "FILE")]
    pub(crate) client_secret_file: Option<PathBuf>,
    /// Scopes, instead of those that the service wants; may be given several times
    #[arg(long, value_name = "SCOPE")]
    pub(crate) scope: Vec<String>,
    /// Audience of the tokens
    #[arg(long, value_name = "AUDIENCE")]
    pub(crate) audience: Option<String>,
    /// Where the login is kept: in the desktop's Secret Service, an encrypted file, or the kernel's memory
    #[arg(long, value_enum, value_name = "WHERE")]
    pub(crate) store: Option<Keeping>,
    /// Show no QR code
    #[arg(long)]
    pub(crate) no_qr: bool,
}

/// Which login to end.
#[derive(Args)]
pub(crate) struct LogoutLine {
    /// Options.
    #[command(flatten)]
    pub(crate) options: Options,
    /// Issuer of the login; may be left out when there is only one
    #[arg(value_name = "ISSUER")]
    pub(crate) issuer: Option<String>,
    /// End all logins
    #[arg(long)]
    pub(crate) all: bool,
}

/// Which token, and what about it.
#[derive(Args)]
pub(crate) struct TokenLine {
    /// Options.
    #[command(flatten)]
    pub(crate) options: Options,
    /// Host that the token is for, or issuer that it comes from
    #[arg(value_name = "HOST|ISSUER")]
    pub(crate) place: Option<String>,
    /// Print nothing; exit code 0 if there is a token that is valid, else 3
    #[arg(long, conflicts_with = "decode")]
    pub(crate) check: bool,
    /// Show what the token says instead of the token
    #[arg(long)]
    pub(crate) decode: bool,
    /// How long it must still be valid
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) min_valid: u64,
}

/// Words that go to another program as they are.
#[derive(Args)]
pub(crate) struct Passed {
    /// Options.
    #[command(flatten)]
    pub(crate) options: Options,
    /// Options and operands as the program itself takes them
    #[arg(value_name = "ARGS", required = true)]
    pub(crate) words: Vec<OsString>,
}

/// What to write into the configuration of ssh.
#[derive(Args)]
pub(crate) struct SshConfigLine {
    /// Options.
    #[command(flatten)]
    pub(crate) options: Options,
    /// Hosts that log in by mccli, as a pattern of ssh_config(5); may be given several times
    #[arg(long = "host", value_name = "PATTERN")]
    pub(crate) hosts: Vec<String>,
    /// mux: one login in the background is shared by all; askpass: each connection logs in
    #[arg(long, value_enum, value_name = "MODE", default_value_t = Sharing::Mux)]
    pub(crate) mode: Sharing,
    /// Write the block into ~/.ssh/config, in the place of an earlier one
    #[arg(long, conflicts_with = "remove")]
    pub(crate) install: bool,
    /// Take the block out of ~/.ssh/config
    #[arg(long)]
    pub(crate) remove: bool,
    /// How long a shared connection outlives its last user
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub(crate) persist: u64,
}

/// How plain ssh comes to its login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sharing {
    /// Over a shared connection.
    Mux,
    /// By itself, with mccli as its askpass.
    Askpass,
}

/// The host as ssh sees it.
#[derive(Args)]
pub(crate) struct SshPrepareLine {
    /// Options.
    #[command(flatten)]
    pub(crate) options: Options,
    /// Host name, aliases resolved
    #[arg(long)]
    pub(crate) host: String,
    /// Port
    #[arg(long)]
    pub(crate) port: u16,
    /// How long the connection outlives its last user
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub(crate) persist: u64,
    /// Folder of the sockets
    #[arg(long, value_name = "FOLDER")]
    pub(crate) sockets: Option<PathBuf>,
}

/// What mccli remembers of services.
#[derive(Subcommand)]
pub(crate) enum CacheCommand {
    /// Forget it all
    Clear,
}

/// What admins of the service may do.
#[derive(Subcommand)]
pub(crate) enum AdminCommand {
    /// Lock somebody's account and end the sessions
    Suspend(Person),
    /// Unlock somebody's account
    Resume(Person),
}
