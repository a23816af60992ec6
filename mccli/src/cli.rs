//! The command line: options with the names that users know, and one entry per command.

use crate::{credential::OtpMode, report::Level};
use clap::{Args, CommandFactory, Parser, Subcommand};
use motley_proto::Secret;
use std::{convert::Infallible, ffi::OsString, path::PathBuf};

/// Default limit for one request, in seconds.
const TIMEOUT_S: u64 = 10;

/// Log in over ssh with your home organisation's identity.
#[derive(Parser)]
#[command(
    name = "mccli",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    after_help = "MCCLI_COMPAT=0.7 restores two habits of version 0.7: token variables beat options of another kind, and the socket of oidc-agent is forwarded to every host."
)]
pub(crate) struct Cli {
    /// Options before the command.
    #[command(flatten)]
    pub(crate) options: Options,
    /// The command.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Show the service, your account there, and what your token says
    Info(Target),
    /// Log in: finds the service, makes the account if needed, and becomes ssh
    #[command(
        override_usage = "mccli [OPTIONS] ssh [OPTIONS] [SSH OPTIONS] HOST [OPTIONS] [COMMAND]..."
    )]
    Ssh(SshLine),
    /// Show where the service of a host is, and what each candidate answered
    Endpoint(Target),
    /// Show the state of your account
    Status(Target),
    /// Make your account
    Deploy(Target),
    /// Lock your own account; only an admin can unlock it
    Suspend(Confirmed),
    /// Make a one-time password and print it
    Otp(Target),
    /// What admins of the service may do
    #[command(subcommand)]
    Admin(AdminCommand),
    /// Write a completion script for a shell to standard output
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write the manual page of mccli, or of one command, to standard output
    Man {
        /// The command
        command: Option<String>,
    },
}

/// What admins of the service may do.
#[derive(Subcommand)]
pub(crate) enum AdminCommand {
    /// Lock somebody's account and end the sessions
    Suspend(Person),
    /// Unlock somebody's account
    Resume(Person),
}

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

/// The definition of the command line.
pub(crate) fn definition() -> clap::Command {
    let person = |command: clap::Command| {
        // Behind `admin`, --iss names the other identity's issuer and no token source.
        command
            .group(clap::ArgGroup::new("source").multiple(true))
            .mut_arg("iss", |iss| iss.help("Issuer of the identity").help_heading(None::<&str>))
    };
    let mut command = Cli::command().mut_subcommand("admin", |admin| {
        admin.mut_subcommand("suspend", person).mut_subcommand("resume", person)
    });
    command.build();
    command
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

/// Options of all commands. Given before and after the command, the one before wins.
#[derive(Args, Clone, Default)]
pub(crate) struct Options {
    /// Access token [env: ACCESS_TOKEN, OIDC, OS_ACCESS_TOKEN, OIDC_ACCESS_TOKEN, WATTS_TOKEN, WATTSON_TOKEN]. Others on this machine can read a command line: prefer the options below
    #[arg(long, value_name = "TOKEN", value_parser = secret, allow_hyphen_values = true, group = "source", help_heading = "Access token sources")]
    pub(crate) token: Option<Secret>,
    /// Account of oidc-agent [env: OIDC_AGENT_ACCOUNT]
    #[arg(
        long,
        visible_alias = "oidc",
        value_name = "SHORTNAME",
        group = "source",
        help_heading = "Access token sources"
    )]
    pub(crate) oa_account: Option<String>,
    /// Issuer whose default account of oidc-agent is used [env: OIDC_ISS, OIDC_ISSUER]
    #[arg(
        long,
        visible_alias = "issuer",
        value_name = "URL",
        group = "source",
        help_heading = "Access token sources"
    )]
    pub(crate) iss: Option<String>,
    /// File with an access token; - is the first line of standard input [env: MCCLI_TOKEN_FILE]
    #[arg(long, value_name = "FILE|-", group = "source", help_heading = "Access token sources")]
    pub(crate) token_file: Option<String>,
    /// Shell command that prints an access token [env: MCCLI_TOKEN_CMD]
    #[arg(long, value_name = "CMD", group = "source", help_heading = "Access token sources")]
    pub(crate) token_cmd: Option<String>,

    /// URL of the service, instead of looking for it on the host
    #[arg(long, value_name = "URL", help_heading = "Service")]
    pub(crate) mc_endpoint: Option<String>,
    /// Accept any certificate of the service: whoever sits on the way gets the token
    #[arg(long, help_heading = "Service")]
    pub(crate) insecure: bool,
    /// Trust the certificate authorities in this PEM file too (SSL_CERT_FILE replaces the system's)
    #[arg(long, value_name = "FILE", help_heading = "Service")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Allow plain http beyond this machine
    #[arg(long, help_heading = "Service")]
    pub(crate) allow_http: bool,
    /// Ask the service again instead of remembering its answers
    #[arg(long, help_heading = "Service")]
    pub(crate) no_cache: bool,
    /// Limit for one request [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600), help_heading = "Service")]
    pub(crate) timeout: Option<u64>,
    /// Do not make or change the account
    #[arg(long, help_heading = "Service")]
    pub(crate) no_deploy: bool,
    /// Use a one-time password for the login: auto does so for tokens that ssh can't carry
    #[arg(long, value_enum, value_name = "WHEN", help_heading = "Service")]
    pub(crate) otp: Option<OtpMode>,
    /// Forward the socket of oidc-agent: the remote root can use your accounts meanwhile
    #[arg(long, overrides_with = "no_agent_forward", help_heading = "Service")]
    pub(crate) agent_forward: bool,
    /// Do not forward the socket of oidc-agent (default)
    #[arg(long, overrides_with = "agent_forward", help_heading = "Service")]
    pub(crate) no_agent_forward: bool,

    /// Show every step (never a token)
    #[arg(long, help_heading = "Verbosity")]
    pub(crate) debug: bool,
    /// Least level of messages [env: LOG] [default: WARNING]
    #[arg(long, value_enum, ignore_case = true, value_name = "LEVEL", help_heading = "Verbosity")]
    pub(crate) log_level: Option<Level>,
    /// Accepted for old scripts; no version is ever looked up
    #[arg(long, hide = true)]
    pub(crate) disable_version_check: bool,
    /// Print the ssh command, with what it takes to answer its prompt, instead of running it
    #[arg(long, help_heading = "Verbosity")]
    pub(crate) dry_run: bool,
}

fn secret(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text.to_owned()))
}

impl Options {
    /// These options, completed by those after the command.
    pub(crate) fn over(self, later: Options) -> Options {
        Options {
            token: self.token.or(later.token),
            oa_account: self.oa_account.or(later.oa_account),
            iss: self.iss.or(later.iss),
            token_file: self.token_file.or(later.token_file),
            token_cmd: self.token_cmd.or(later.token_cmd),
            mc_endpoint: self.mc_endpoint.or(later.mc_endpoint),
            insecure: self.insecure || later.insecure,
            ca_file: self.ca_file.or(later.ca_file),
            allow_http: self.allow_http || later.allow_http,
            no_cache: self.no_cache || later.no_cache,
            timeout: self.timeout.or(later.timeout),
            no_deploy: self.no_deploy || later.no_deploy,
            otp: self.otp.or(later.otp),
            agent_forward: self.agent_forward || later.agent_forward,
            no_agent_forward: self.no_agent_forward || later.no_agent_forward,
            debug: self.debug || later.debug,
            log_level: self.log_level.or(later.log_level),
            disable_version_check: self.disable_version_check || later.disable_version_check,
            dry_run: self.dry_run || later.dry_run,
        }
    }

    /// How servers are trusted.
    pub(crate) fn trust(&self) -> crate::http::Trust {
        crate::http::Trust {
            ca_file: self.ca_file.clone(),
            any_certificate: self.insecure,
            allow_http: self.allow_http,
            timeout_s: self.timeout.unwrap_or(TIMEOUT_S),
        }
    }

    /// The least level of messages; a bad value of `LOG` is no reason to stop.
    pub(crate) fn level(&self, lookup: crate::source::Lookup<'_>) -> Level {
        let from_variable =
            || lookup("LOG").and_then(|text| clap::ValueEnum::from_str(&text, true).ok());
        if self.debug {
            Level::Debug
        } else {
            self.log_level.or_else(from_variable).unwrap_or(Level::Warning)
        }
    }
}
