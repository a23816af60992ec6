//! A PostgreSQL server of one test: real, private, and gone with the test.
//!
//! Made for a short life: nothing is synced to the disk, and the files of an empty server are made once
//! and copied. The database's programs refuse to run as root, so root lends them another user.

use std::{
    fs, io,
    net::TcpListener,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Who the server runs as when a test is root: `nobody`, who owns nothing else here.
const UNPRIVILEGED: u32 = 65_534;
/// How long it may take to answer.
const START: Duration = Duration::from_secs(30);

/// A running server.
pub struct Postgres {
    programs: PathBuf,
    folder: tempfile::TempDir,
    port: u16,
    uid: Option<u32>,
    child: Option<Child>,
}

impl Postgres {
    /// Starts a server with an empty database `motley`, whose user `motley` needs no password.
    ///
    /// # Errors
    /// When PostgreSQL is not installed or does not start.
    pub fn start() -> io::Result<Self> {
        let programs = newest_programs()?;
        let uid = nix::unistd::geteuid().is_root().then_some(UNPRIVILEGED);
        let folder = tempfile::Builder::new().prefix("motley-postgres-").tempdir()?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let template = template(&programs, uid)?;
        run(Command::new("cp").arg("-a").arg(&template).arg(folder.path().join("data")))?;
        let sockets = folder.path().join("sockets");
        fs::create_dir(&sockets)?;
        if let Some(uid) = uid {
            chown(&sockets, Some(uid), Some(uid))?;
        }
        // Between here and the start somebody else may take the port; then the start fails, loudly.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut server = Self { programs, folder, port, uid, child: None };
        server.resume()?;
        server.psql("postgres", "CREATE ROLE motley LOGIN CREATEDB")?;
        server.create("motley")?;
        Ok(server)
    }

    /// Makes another empty database.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn create(&self, database: &str) -> io::Result<()> {
        self.psql("postgres", &format!("CREATE DATABASE {database} OWNER motley"))
    }

    /// The URL of the database `motley`, over TCP on this host.
    pub fn url(&self) -> String {
        format!("postgresql://motley@127.0.0.1:{}/motley?sslmode=disable", self.port)
    }

    /// The folder of its Unix socket.
    pub fn sockets(&self) -> PathBuf {
        self.folder.path().join("sockets")
    }

    /// The URL of the database `motley`, over the Unix socket when its folder is seen there.
    pub fn socket_url(&self, sockets: &Path) -> String {
        let sockets = sockets.display();
        format!("postgresql://motley@localhost/motley?host={sockets}&port={}", self.port)
    }

    /// Stops the server at once; what was committed stays.
    ///
    /// # Errors
    /// When it can't be stopped.
    pub fn stop(&mut self) -> io::Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
        // Clients are cut off, as when the host goes down in order.
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT)?;
        child.wait().map(drop)
    }

    /// Starts it again after [`Postgres::stop`].
    ///
    /// # Errors
    /// When it does not answer in time.
    pub fn resume(&mut self) -> io::Result<()> {
        let log = fs::File::create(self.folder.path().join("log"))?;
        let mut command = self.command("postgres");
        command
            .arg("-D")
            .arg(self.folder.path().join("data"))
            .arg("-k")
            .arg(self.sockets())
            .args(["-p", &self.port.to_string()])
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"])
            .args(["-c", "max_connections=100", "-c", "shared_buffers=16MB"])
            .args(["-c", "unix_socket_permissions=0777"])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        self.child = Some(command.spawn()?);
        let deadline = Instant::now() + START;
        while self.psql("postgres", "SELECT 1").is_err() {
            if Instant::now() > deadline {
                let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                return Err(io::Error::other(format!("PostgreSQL did not start: {log}")));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Runs a statement as the owner of the server.
    ///
    /// # Errors
    /// When it fails.
    pub fn psql(&self, database: &str, statement: &str) -> io::Result<()> {
        let sockets = self.sockets().display().to_string();
        run(self
            .command("psql")
            .args(["-qX", "-v", "ON_ERROR_STOP=1", "-h", &sockets, "-p", &self.port.to_string()])
            .args(["-U", "postgres", "-d", database, "-c", statement]))
    }

    /// One of its programs, which ends with whoever started it.
    fn command(&self, program: &str) -> Command {
        with_user(&self.programs.join(program), self.uid)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn with_user(program: &Path, uid: Option<u32>) -> Command {
    let mut command = Command::new("setpriv");
    if let Some(uid) = uid {
        command.args([format!("--reuid={uid}"), format!("--regid={uid}")]).arg("--clear-groups");
    }
    command.args(["--pdeathsig", "KILL", "--"]).arg(program).env_clear().current_dir("/");
    command
}

fn run(command: &mut Command) -> io::Result<()> {
    let done = command.stdin(Stdio::null()).output()?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    Err(io::Error::other(format!("{command:?}: {said}")))
}

/// Debian keeps them beside each other, by version.
fn newest_programs() -> io::Result<PathBuf> {
    let missing = || io::Error::other("PostgreSQL is not installed: apt-get install postgresql");
    let versions = fs::read_dir("/usr/lib/postgresql").map_err(|_| missing())?;
    let version = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let folders = versions.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let newest = folders.filter(|path| path.join("bin/initdb").exists()).max_by_key(version);
    newest.map(|path| path.join("bin")).ok_or_else(missing)
}

/// The files of an empty server, made once for each version and user.
fn template(programs: &Path, uid: Option<u32>) -> io::Result<PathBuf> {
    let owner = uid.unwrap_or_else(|| nix::unistd::geteuid().as_raw());
    let version = programs.parent().and_then(Path::file_name).unwrap_or_default();
    let base = std::env::temp_dir();
    let path = base.join(format!("motley-postgres-{}-of-{owner}", version.display()));
    if let Ok(found) = fs::symlink_metadata(&path) {
        // Somebody else's would be run as ours.
        return match found.is_dir() && found.uid() == owner && found.mode() & 0o077 == 0 {
            true => Ok(path),
            false => Err(io::Error::other(format!("{} is not ours", path.display()))),
        };
    }
    let made = tempfile::Builder::new().prefix("motley-initdb-").tempdir_in(&base)?;
    let data = made.path().join("data");
    fs::create_dir(&data)?;
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700))?;
    fs::set_permissions(made.path(), fs::Permissions::from_mode(0o711))?;
    if let Some(uid) = uid {
        chown(&data, Some(uid), Some(uid))?;
    }
    run(with_user(&programs.join("initdb"), uid)
        .arg("-D")
        .arg(&data)
        .args(["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8"])
        // A language whose order of letters differs from that of bytes, if there is one.
        .arg("--locale=C.UTF-8"))?;
    match fs::rename(&data, &path) {
        // Another test was quicker.
        Err(_) if path.exists() => Ok(path),
        done => done.map(|()| path),
    }
}
