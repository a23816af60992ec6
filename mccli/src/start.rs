//! How ssh is started so that it comes to the prompt of its login with an answer at hand.

use crate::{
    argv::SshWords,
    broker,
    entry::answer_prompts_of,
    error::{Error, Result},
    programs,
    ssh_config::Settings,
    tty,
};
use motley_proto::UserName;
use std::{
    convert::Infallible,
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

/// How long the connection of an old ssh stays when its user has ended, in seconds.
const PERSIST_S: &str = "5";

/// One ssh with its login.
pub(crate) struct Start<'a> {
    /// The user's words.
    pub(crate) line: &'a SshWords,
    /// What ssh makes of them.
    pub(crate) settings: &'a Settings,
    /// Who logs in.
    pub(crate) user: &'a UserName,
    /// Options that win over the user's.
    pub(crate) first: Vec<OsString>,
    /// Options that the user's win over.
    pub(crate) last: Vec<OsString>,
}

impl Start<'_> {
    /// Becomes ssh, with the broker at this socket.
    ///
    /// # Errors
    /// When ssh does not start.
    pub(crate) fn run(self, socket: &Path) -> Result<Infallible> {
        let words = self.line.with_last_options(&self.last);
        let mut command = programs::command("ssh");
        if self.settings.forces_askpass {
            command.args(["-l", self.user.as_str()]).args(self.settings.needed_options());
            answer_prompts_of(&mut command, socket);
        } else if self.line.has_option(b'M') {
            // The connection itself is what the user wants.
            let status = self.without_terminal(socket, &[&self.first[..], &words].concat())?;
            std::process::exit(status.code().unwrap_or(255));
        } else {
            command.arg("-S").arg(self.log_in_first(socket)?);
        }
        command.args(&self.first).args(words);
        leave_names_out(&mut command);
        programs::become_it(&mut command)
    }

    /// OpenSSH before 8.4 asks the terminal as long as it has one, so the login is made by an ssh
    /// without terminal, whose connection the user's ssh then takes.
    fn log_in_first(&self, socket: &Path) -> Result<PathBuf> {
        let control = socket.with_file_name(format!("master-{}", std::process::id()));
        let persist = format!("ControlPersist={PERSIST_S}");
        let own =
            ["-MNf", "-o", &persist, "-o", "ClearAllForwardings=yes", "-o", "RemoteCommand=none"];
        let words: Vec<OsString> = own
            .into_iter()
            .map(OsString::from)
            .chain(self.line.of_the_connection())
            .chain(self.last.clone())
            .chain(["-S".into(), control.clone().into()])
            .collect();
        if self.without_terminal(socket, &words)?.success() {
            Ok(control)
        } else {
            Err(Error::Ssh("the login failed; ssh has told why".to_owned()))
        }
    }

    /// Runs ssh where it has no terminal and must use its askpass, which knows the terminal's name.
    fn without_terminal(&self, socket: &Path, words: &[OsString]) -> Result<ExitStatus> {
        let mut command = programs::command("setsid");
        command
            .arg(programs::command("ssh").get_program())
            .args(["-l", self.user.as_str()])
            .args(self.settings.needed_options())
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        answer_prompts_of(&mut command, socket);
        if std::env::var_os("DISPLAY").is_none() {
            // Without it, such an ssh never starts its askpass.
            command.env("DISPLAY", ":0");
        }
        if let Some(terminal) = tty::name() {
            command.env(tty::TERMINAL_VARIABLE, terminal);
        }
        leave_names_out(&mut command);
        command.status().map_err(|error| programs::not_started(&command, &error))
    }
}

/// True if the connection that the user's configuration shares is there: nobody has to log in.
pub(crate) fn is_shared(settings: &Settings) -> bool {
    let Some(control) = settings.control_path.as_ref().filter(|path| path.exists()) else {
        return false;
    };
    // Nothing but the socket decides, so no configuration is read, and no hook in it runs.
    programs::command("ssh")
        .args(["-F", "none", "-O", "check", "-S"])
        .arg(control)
        .args(["--", &settings.hostname])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// What ssh starts itself, a ProxyCommand for instance, finds the programs and not our names for them.
pub(crate) fn leave_names_out(command: &mut Command) {
    let Some(socket) = std::env::var_os(broker::SOCKET_VARIABLE) else { return };
    let Some(path) = std::env::var_os("PATH") else { return };
    let ours = broker::programs_beside(Path::new(&socket));
    let others = std::env::split_paths(&path).filter(|folder| *folder != ours);
    // Fails for a folder with a colon in its name, which no PATH can hold.
    if let Ok(path) = std::env::join_paths(others) {
        command.env("PATH", path);
    }
}
