//! Shared connections: one ssh per host in the background, whose socket all others use.

use crate::{
    error::{Error, Result},
    files, folders,
    source::environment,
};
use std::{
    ffi::OsString,
    fs,
    io::{self, ErrorKind, Read, Write},
    os::unix::{
        fs::{FileTypeExt, MetadataExt},
        net::UnixStream,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

/// Hosts for which no shared connection is to be started, as `host:port`, or `*` for all: the ssh
/// that makes one reads the same configuration.
pub(crate) const GUARD_VARIABLE: &str = "MCCLI_SSH_GUARD";
/// Longest path of a socket: `sun_path` of the BSDs, less its last byte and the ending that ssh puts
/// behind the path while the socket is not yet ready.
const MAX_PATH_BYTES: usize = 104 - 1 - 17;
/// Length of `%C`.
const HASH_BYTES: usize = 40;
/// First message of either side, and the version of the protocol, which has not changed since 5.x.
const MUX_HELLO: [u8; 4] = 1_u32.to_be_bytes();
const MUX_VERSION: [u8; 4] = 4_u32.to_be_bytes();
/// How long a connection may take to say that it is there; one that does not is as good as dead.
const CHECK_LIMIT: Duration = Duration::from_secs(5);

/// A host as ssh was told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Destination {
    /// Name or address, which means nothing to a shell or to ssh's parser.
    host: String,
    /// Port, if it is not the usual one: then the configuration decides.
    port: Option<u16>,
    /// `-F`, if the user gave it.
    pub(crate) config: Option<PathBuf>,
    /// Where the ssh that goes there looks for a connection, if not where ours are.
    pub(crate) control_path: Option<OsString>,
}

impl Destination {
    /// Takes what can be a name or an address, and nothing else.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub(crate) fn new(host: &str, port: u16) -> Result<Self> {
        let fits = |c: char| c.is_alphanumeric() || ".-_:%".contains(c);
        if host.is_empty() || host.starts_with('-') || !host.chars().all(fits) {
            return Err(Error::Usage(format!(
                "\"{}\" is no host name",
                motley_proto::text::escape(host, 255)
            )));
        }
        Ok(Self {
            host: host.to_owned(),
            port: (port != 22).then_some(port),
            config: None,
            control_path: None,
        })
    }

    /// Words by which ssh comes there.
    pub(crate) fn words(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = Vec::new();
        if let Some(path) = &self.config {
            words.extend(["-F".into(), path.into()]);
        }
        if let Some(port) = self.port {
            words.extend(["-p".into(), port.to_string().into()]);
        }
        words.push(self.host.clone().into());
        words
    }

    /// The value of [`GUARD_VARIABLE`] under which this connection is made, unless it is being made
    /// already.
    pub(crate) fn guard(&self, before: Option<&str>) -> Option<String> {
        let own = format!("{}:{}", self.host, self.port.unwrap_or(22));
        let before = before.unwrap_or_default();
        let stands = |entry: &str| entry == "*" || entry == own;
        let is_free = !before.split(' ').any(stands);
        is_free.then(|| format!("{before} {own}").trim_start().to_owned())
    }
}

/// A folder of sockets, named by ssh's hash of local host, host, port and user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sockets {
    folder: PathBuf,
}

impl Sockets {
    /// Where this user's are: in the runtime directory, else in `~/.ssh`.
    ///
    /// # Errors
    /// [`Error::Usage`] when the path is too long for a socket.
    pub(crate) fn usual() -> Result<Self> {
        let home = folders::ssh().join("mccli");
        let short = [folders::runtime().map(|folder| folder.join("mccli")), Some(home.clone())]
            .into_iter()
            .flatten()
            .find(|folder| folder.as_os_str().len() + 1 + HASH_BYTES <= MAX_PATH_BYTES);
        short.map(Self::at).ok_or_else(|| {
            Error::Usage(format!(
                "{} is too long a path for sockets; set XDG_RUNTIME_DIR to a shorter folder of yours",
                home.display()
            ))
        })
    }

    /// All places where they may be.
    pub(crate) fn everywhere() -> Vec<Self> {
        let runtime = folders::runtime().map(|folder| folder.join("mccli"));
        let home = folders::ssh().join("mccli");
        runtime.into_iter().chain([home]).map(Self::at).collect()
    }

    /// In this folder.
    pub(crate) fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes the folder, and makes sure that nobody else can enter it.
    ///
    /// # Errors
    /// [`Error::File`].
    pub(crate) fn prepare(&self) -> Result<()> {
        files::private_folder(&self.folder)
            .map_err(|source| Error::File { path: self.folder.clone(), source })
    }

    /// The connection to a destination: at this path, or in this folder, as ssh itself names it.
    ///
    /// # Errors
    /// [`Error::Ssh`] with what ssh said.
    pub(crate) fn of(&self, destination: &Destination, guard: &str) -> Result<Master> {
        let own = || format!("{}/%C", literally(&self.folder)).into();
        let output = Command::new("ssh")
            .args(["-G", "-S"])
            .arg(destination.control_path.clone().unwrap_or_else(own))
            .args(destination.words())
            .env(GUARD_VARIABLE, guard)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| Error::Ssh(format!("ssh can't be started: {error}")))?;
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        if !output.status.success() {
            return Err(Error::Ssh(format!("ssh does not understand this host: {said}")));
        }
        Master::read(&String::from_utf8_lossy(&output.stdout)).ok_or_else(|| {
            Error::Ssh("ssh -G does not tell the path of the socket; update OpenSSH".to_owned())
        })
    }

    /// The file that is locked while this connection is made: in this folder, wherever its socket is.
    pub(crate) fn lock_of(&self, master: &Master) -> PathBuf {
        use aws_lc_rs::digest;
        let path = master.socket.as_os_str().as_encoded_bytes();
        let digest = digest::digest(&digest::SHA256, path);
        let name: String =
            digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        self.folder.join(name).with_extension("lock")
    }

    /// Every socket in the folder.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn all(&self) -> io::Result<Vec<Master>> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_socket() {
                found.push(Master { socket: entry.path(), ..Master::default() });
            }
        }
        Ok(found)
    }
}

/// A path in a value in which ssh replaces `%h` and the like.
fn literally(path: &Path) -> String {
    path.to_string_lossy().replace('%', "%%")
}

/// One shared connection, whether it is there or not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Master {
    socket: PathBuf,
    /// Who logs in by the user's own configuration.
    pub(crate) user: String,
    watches_the_line: bool,
}

impl Master {
    fn read(text: &str) -> Option<Self> {
        let mut it = Self::default();
        for line in text.lines() {
            match line.split_once(' ') {
                Some(("controlpath", path)) => it.socket = path.into(),
                Some(("user", name)) => name.clone_into(&mut it.user),
                Some(("serveraliveinterval", seconds)) => it.watches_the_line = seconds != "0",
                _ => {}
            }
        }
        let is_whole = it.socket.is_absolute() && !it.socket.to_string_lossy().ends_with("%C");
        is_whole.then_some(it)
    }

    /// True if it answers.
    pub(crate) fn is_alive(&self) -> bool {
        self.is_socket_of_ours() && greets(&self.socket).unwrap_or(false)
    }

    fn is_socket_of_ours(&self) -> bool {
        fs::symlink_metadata(&self.socket).is_ok_and(|it| {
            it.file_type().is_socket() && it.uid() == nix::unistd::geteuid().as_raw()
        })
    }

    /// Ends it and all that goes over it; true if it was there.
    pub(crate) fn end(&self) -> bool {
        let was_there = self.is_alive() && self.exit();
        self.clear_away();
        was_there
    }

    /// Takes away the socket of one that is dead; it would keep the next from listening. A file that
    /// is no socket stays: the path may be one that the user gave.
    pub(crate) fn clear_away(&self) {
        if self.is_socket_of_ours() {
            let _ = fs::remove_file(&self.socket);
        }
    }

    fn exit(&self) -> bool {
        let status = Command::new("ssh")
            .args(["-F", "none", "-O", "exit", "-S"])
            .arg(literally(&self.socket))
            .arg("shared")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|it| it.success())
    }

    /// Words with which ssh becomes this connection: in the background once it is logged in, ended
    /// so many seconds after its last user, without forwardings, which belong to each user of it.
    pub(crate) fn words(&self, persist_s: u64) -> Vec<OsString> {
        let mut words: Vec<OsString> = ["-M", "-N", "-f", "-S"].map(Into::into).to_vec();
        words.push(literally(&self.socket).into());
        let mut set = |option: String| words.extend(["-o".into(), option.into()]);
        // 0 would mean for ever.
        set(format!("ControlPersist={}", persist_s.max(1)));
        set("ClearAllForwardings=yes".to_owned());
        set("RemoteCommand=none".to_owned());
        if !self.watches_the_line {
            // A line that is dead ends within a minute instead of taking everybody along.
            set("ServerAliveInterval=15".to_owned());
        }
        words
    }
}

/// True if a connection says hello, by the protocol that OpenSSH's PROTOCOL.mux describes: what
/// `ssh -O check` asks, without another process on the way of every ssh.
fn greets(socket: &Path) -> io::Result<bool> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(CHECK_LIMIT))?;
    stream.set_write_timeout(Some(CHECK_LIMIT))?;
    let hello = [&8_u32.to_be_bytes()[..], &MUX_HELLO, &MUX_VERSION].concat();
    stream.write_all(&hello)?;
    let mut answer = [0_u8; 12];
    stream.read_exact(&mut answer)?;
    Ok(answer.get(4..) == Some(&[MUX_HELLO, MUX_VERSION].concat()[..]))
}

/// The guard of the environment.
pub(crate) fn guard() -> Option<String> {
    environment(GUARD_VARIABLE)
}

/// True for the command that logs in on behalf of plain ssh.
pub(crate) fn is_being_made() -> bool {
    guard().is_some_and(|guard| guard != "*")
}

/// Starts no shared connection for a command that logs in by itself, unless it is one.
pub(crate) fn keep_out_of(command: &mut Command) {
    if guard().is_none() {
        command.env(GUARD_VARIABLE, "*");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r38_a_hostile_host_name_is_none() {
        for host in [
            "",
            "-oProxyCommand=id",
            "a b",
            "a;id",
            "$(id)",
            "`id`",
            "a'b",
            "a\"b",
            "a\\b",
            "a\nb",
            "a|b",
            "a@b",
            "a/b",
            "a*",
        ] {
            assert!(Destination::new(host, 22).is_err(), "{host:?}");
        }
        for host in ["cue", "cue.example.org", "192.0.2.1", "fe80::1%eth0", "b\u{fc}cher.example"] {
            assert!(Destination::new(host, 22).is_ok(), "{host:?}");
        }
    }

    #[test]
    fn a_connection_is_not_made_within_its_own_making() {
        let jump = Destination::new("jump", 22).unwrap();
        let host = Destination::new("cue", 2222).unwrap();
        let first = host.guard(None).unwrap();
        assert_eq!(first, "cue:2222");
        assert_eq!(host.guard(Some(&first)), None);
        let second = jump.guard(Some(&first)).unwrap();
        assert_eq!(second, "cue:2222 jump:22");
        assert_eq!(host.guard(Some(&second)), None);
        assert_eq!(jump.guard(Some("*")), None);
    }

    #[test]
    fn the_ssh_of_this_machine_names_the_socket() {
        let sockets = Sockets::at("/run/100%/mccli".into());
        let destination = Destination {
            config: Some("/dev/null".into()),
            ..Destination::new("cue.example.org", 2222).unwrap()
        };
        let master = sockets.of(&destination, "*").unwrap();
        let name = master.socket.file_name().unwrap().to_str().unwrap();
        assert_eq!(master.socket.parent(), Some(sockets.folder()));
        assert!(name.len() == HASH_BYTES && name.bytes().all(|b| b.is_ascii_hexdigit()));
        assert_eq!(master.user, folders::user_name().unwrap());
        assert!(!master.is_alive());
        let words = master.words(0);
        assert!(words.iter().any(|word| word == "ControlPersist=1"), "{words:?}");
    }
}
