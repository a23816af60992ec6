//! The command line: options with the names that users know, and one entry per command.

mod lines;
mod options;
mod usage;

pub(crate) use lines::*;
pub(crate) use options::Options;
pub(crate) use usage::{Wish, explain};

use clap::{CommandFactory, Parser, Subcommand};

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
    /// Log in at your home organisation and keep what gets tokens later
    Login(LoginLine),
    /// Give a stored login back to its provider and forget it
    Logout(LogoutLine),
    /// Print an access token, say whether there is one, or show what it says
    Token(TokenLine),
    /// Show who you are: the stored logins, and what your token says about you
    Whoami(Target),
    /// Show the service, your account there, and what your token says
    Info(Target),
    /// Log in: finds the service, makes the account if needed, and becomes ssh
    #[command(
        override_usage = "mccli [OPTIONS] ssh [OPTIONS] [SSH OPTIONS] HOST [OPTIONS] [COMMAND]..."
    )]
    Ssh(SshLine),
    /// Copy files, as scp does; hosts without a user name are yours
    #[command(override_usage = "mccli [OPTIONS] scp [OPTIONS] [SCP OPTIONS] SOURCE... TARGET")]
    Scp(Passed),
    /// Move files, as sftp does
    #[command(override_usage = "mccli [OPTIONS] sftp [OPTIONS] [SFTP OPTIONS] HOST[:PATH]")]
    Sftp(Passed),
    /// Synchronise files, as rsync does
    #[command(override_usage = "mccli [OPTIONS] rsync [OPTIONS] [RSYNC ARGS]...")]
    Rsync(Passed),
    /// Run a program whose ssh, git and rsync log in like mccli
    #[command(override_usage = "mccli [OPTIONS] exec [OPTIONS] -- COMMAND [ARGS]...")]
    Exec(Passed),
    /// Show the providers that a service takes, and what their tokens need
    Ops(Target),
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
    /// Have plain ssh, and all that uses it, log in without mccli in front
    SshConfig(SshConfigLine),
    /// Start or check the shared connection to a host; ssh runs this
    #[command(hide = true)]
    SshPrepare(SshPrepareLine),
    /// End shared connections
    SshStop(Target),
    /// Check everything that a login needs, and say how to mend what fails
    Doctor(Target),
    /// What mccli remembers of services
    #[command(subcommand)]
    Cache(CacheCommand),
    /// Write a completion script for a shell to standard output
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write the manual page of mccli, or of one command, to standard output
    Man {
        /// The command, or a command and what is below it
        command: Vec<String>,
        /// Write the pages of all commands into this folder
        #[arg(long, value_name = "FOLDER", conflicts_with = "command")]
        into: Option<std::path::PathBuf>,
    },
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
