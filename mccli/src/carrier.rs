//! One broker for a program that starts ssh itself: every ssh below it logs in, each by its own token.

use crate::{
    broker::{self, Login, Order},
    cli::Options,
    error::{Error, Result},
    programs, source,
};
use motley_proto::Secret;
use std::{
    convert::Infallible,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

/// A running broker that waits for ssh processes to announce themselves.
pub(crate) struct Carrier {
    socket: PathBuf,
}

impl Carrier {
    /// Starts the broker with what is known already; it finds the way into further hosts itself, if
    /// the user named them: on this line, or earlier.
    ///
    /// # Errors
    /// When it does not start, or standard input holds no token though the options say so.
    pub(crate) fn start(options: &Options, logins: Vec<Login>, named: Vec<String>) -> Result<Self> {
        let (mut options, silent) = (options.clone(), options.no_input);
        // Standard input belongs to the program, and no terminal to the broker.
        if options.token_file.as_deref() == Some("-") {
            options.token_file = None;
            options.token = Some(token_from_input()?);
        }
        options.no_input = true;
        let owner = broker::owner()?;
        let order = Order { owner, guest: None, logins, options: Some(options), named, silent };
        Ok(Self { socket: broker::start(&order)? })
    }

    /// The broker of a command above this one, else a new one that knows what the environment and the
    /// configuration say.
    ///
    /// # Errors
    /// As [`Carrier::start`].
    pub(crate) fn at_hand() -> Result<Self> {
        let above = std::env::var_os(broker::SOCKET_VARIABLE).map(PathBuf::from);
        match above.filter(|socket| broker::is_ours(socket) && socket.exists()) {
            Some(socket) => Ok(Self { socket }),
            None => Self::start(&Options::default(), Vec::new(), Vec::new()),
        }
    }

    /// The `ssh` that logs in by this broker.
    pub(crate) fn ssh(&self) -> PathBuf {
        broker::programs_beside(&self.socket).join("ssh")
    }

    /// Becomes the program.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) fn become_program(&self, mut command: Command) -> Result<Infallible> {
        command.env(broker::SOCKET_VARIABLE, &self.socket);
        programs::become_it(&mut command)
    }

    /// Becomes the program, with names in PATH and variables under which it finds our ssh where it
    /// would take any. What the user has set stays, and comes to our ssh by its name.
    ///
    /// `SSH_ASKPASS` is not among them: git, sudo and others would bring their questions to it, and
    /// each ssh gets it from us anyway.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) fn become_program_of_programs(&self, mut command: Command) -> Result<Infallible> {
        let ssh = self.ssh();
        command.env("PATH", path_behind(&broker::programs_beside(&self.socket)));
        for name in ["GIT_SSH_COMMAND", "RSYNC_RSH"] {
            if std::env::var_os(name).is_none() {
                command.env(name, &ssh);
            }
        }
        self.become_program(command)
    }
}

fn path_behind(folder: &Path) -> OsString {
    let mut path = folder.as_os_str().to_owned();
    if let Some(others) = std::env::var_os("PATH").filter(|path| !path.is_empty()) {
        path.push(":");
        path.push(others);
    }
    path
}

fn token_from_input() -> Result<Secret> {
    source::token_from_input().map_err(|text| Error::NoToken(format!("--token-file -: {text}")))
}
