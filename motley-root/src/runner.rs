//! Runs the programs that change accounts: absolute path, argument list, empty environment, bounded time and output.

use crate::ffi;
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use std::{
    fmt,
    fs::File,
    io::Read,
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// A program that this process may start. There are no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Program {
    /// useradd(8).
    Useradd,
    /// usermod(8).
    Usermod,
    /// userdel(8).
    Userdel,
    /// groupadd(8).
    Groupadd,
    /// groupdel(8).
    Groupdel,
    /// loginctl(1).
    Loginctl,
}

impl Program {
    /// Where it is installed.
    pub fn path(self) -> &'static str {
        match self {
            Program::Useradd => "/usr/sbin/useradd",
            Program::Usermod => "/usr/sbin/usermod",
            Program::Userdel => "/usr/sbin/userdel",
            Program::Groupadd => "/usr/sbin/groupadd",
            Program::Groupdel => "/usr/sbin/groupdel",
            Program::Loginctl => "/usr/bin/loginctl",
        }
    }

    /// Name without its directory.
    pub fn name(self) -> &'static str {
        self.path().rsplit('/').next().unwrap_or_default()
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A script of the site's, which root's configuration names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// Program that reads it; without one it is started itself.
    pub interpreter: Option<&'static str>,
    /// Absolute path of the script.
    pub path: PathBuf,
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Exit status; `None` when a signal ended it.
    pub status: Option<i32>,
    /// The beginning of what it wrote to its standard error, a script's standard output included.
    pub complaint: String,
}

/// Why a program did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It could not be started.
    #[error("{program} can't be started: {source}; is the package installed?")]
    Start {
        /// Absolute path.
        program: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It did not end in time and was killed.
    #[error("{program} did not end within {seconds} s and was killed")]
    TooSlow {
        /// Absolute path.
        program: String,
        /// The limit.
        seconds: u64,
    },
}

/// Starts programs; a parameter, so that tests can watch.
pub trait CommandRunner: Send + Sync {
    /// Runs the program to its end.
    ///
    /// # Errors
    /// When it can't be started or takes longer than `limit`.
    fn run(&self, program: Program, args: &[&str], limit: Duration) -> Result<Finished, RunError>;

    /// Runs a script of the site's to its end. A runner that knows none starts none.
    ///
    /// # Errors
    /// As [`CommandRunner::run`].
    fn run_script(
        &self,
        script: &Script,
        _args: &[&str],
        _limit: Duration,
    ) -> Result<Finished, RunError> {
        let source = std::io::ErrorKind::Unsupported.into();
        Err(RunError::Start { program: script.path.display().to_string(), source })
    }
}

/// Where a script looks for programs.
const SCRIPT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Most of a program's complaint that is kept, in bytes.
const COMPLAINT_BYTES: usize = 2048;

/// Starts the installed programs.
#[derive(Debug, Clone)]
pub struct SystemRunner {
    root: PathBuf,
}

impl SystemRunner {
    /// Programs are looked for below `root`, which is `/` on a real system.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    fn locate(&self, program: Program) -> PathBuf {
        self.root.join(program.path().trim_start_matches('/'))
    }
}

impl CommandRunner for SystemRunner {
    fn run(&self, program: Program, args: &[&str], limit: Duration) -> Result<Finished, RunError> {
        let mut command = Command::new(self.locate(program));
        command.args(args).stdout(Stdio::null()).stderr(Stdio::piped());
        run_confined(command, None, limit)
    }

    fn run_script(
        &self,
        script: &Script,
        args: &[&str],
        limit: Duration,
    ) -> Result<Finished, RunError> {
        let start = |source| RunError::Start { program: script.path.display().to_string(), source };
        let below = |path: &Path| self.root.join(path.strip_prefix("/").unwrap_or(path));
        let mut command = match script.interpreter {
            None => Command::new(below(&script.path)),
            Some(interpreter) => {
                let mut command = Command::new(below(Path::new(interpreter)));
                command.arg(below(&script.path));
                command
            }
        };
        let (reader, writer) = std::io::pipe().map_err(start)?;
        command.args(args).stdout(writer.try_clone().map_err(start)?).stderr(writer);
        run_confined(command, Some(File::from(OwnedFd::from(reader))), limit)
    }
}

/// Starts the program with nothing of ours and waits for its end. What it says comes from `pipe`,
/// else from its standard error.
fn run_confined(
    mut command: Command,
    pipe: Option<File>,
    limit: Duration,
) -> Result<Finished, RunError> {
    // An environment would let LD_*, IFS or a locale change what root's programs do.
    command.env_clear().current_dir("/").stdin(Stdio::null()).process_group(0);
    if pipe.is_some() {
        command.env("PATH", SCRIPT_PATH);
    }
    ffi::confine_child(&mut command);
    let program = command.get_program().display().to_string();
    let mut child =
        command.spawn().map_err(|source| RunError::Start { program: program.clone(), source })?;
    let pipe = pipe.or_else(|| child.stderr.take().map(|pipe| File::from(OwnedFd::from(pipe))));
    let complaint = listen_until_exit(&mut child, pipe, Instant::now() + limit);
    match child.try_wait() {
        Ok(Some(status)) => Ok(Finished { status: status.code(), complaint }),
        _ => {
            end(&mut child);
            Err(RunError::TooSlow { program, seconds: limit.as_secs() })
        }
    }
}

/// Collects the complaint until the child has exited or the time is over.
///
/// The end of the pipe is no sign: a cache daemon that the program woke may keep it open.
fn listen_until_exit(child: &mut Child, mut pipe: Option<File>, deadline: Instant) -> String {
    let mut kept = Vec::new();
    let process = i32::try_from(child.id()).ok().and_then(|pid| ffi::open_process(pid).ok());
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        // Without a handle on the process the poll is only a short nap.
        let nap = if process.is_some() { left } else { left.min(Duration::from_millis(5)) };
        let exited = wait_for_event(&mut pipe, process.as_ref(), nap, &mut kept);
        if exited || left.is_zero() || !matches!(child.try_wait(), Ok(None)) {
            break;
        }
    }
    let _ = child.try_wait();
    drain(&mut pipe, &mut kept);
    String::from_utf8_lossy(&kept).trim().to_owned()
}

/// True when the process has exited; reads what the pipe has.
fn wait_for_event(
    pipe: &mut Option<File>,
    process: Option<&std::os::fd::OwnedFd>,
    nap: Duration,
    kept: &mut Vec<u8>,
) -> bool {
    let mut watched = Vec::with_capacity(2);
    if let Some(process) = process {
        watched.push(PollFd::new(process.as_fd(), PollFlags::POLLIN));
    }
    if let Some(pipe) = pipe.as_ref() {
        watched.push(PollFd::new(pipe.as_fd(), PollFlags::POLLIN));
    }
    let timeout = PollTimeout::try_from(nap).unwrap_or(PollTimeout::MAX);
    let _ = poll(&mut watched, timeout);
    let ready = |fd: Option<&PollFd>| fd.and_then(PollFd::any).unwrap_or_default();
    let exited = process.is_some() && ready(watched.first());
    let spoke = pipe.is_some() && ready(watched.last()) && (!exited || watched.len() > 1);
    drop(watched);
    if spoke && !exited {
        read_once(pipe, kept);
    }
    exited
}

fn read_once(pipe: &mut Option<File>, kept: &mut Vec<u8>) -> bool {
    let mut buffer = [0u8; 1024];
    match pipe.as_mut().map(|pipe| pipe.read(&mut buffer)) {
        Some(Ok(count)) if count > 0 => {
            let room = COMPLAINT_BYTES.saturating_sub(kept.len()).min(count);
            kept.extend_from_slice(buffer.get(..room).unwrap_or_default());
            true
        }
        Some(Err(error)) if error.kind() == std::io::ErrorKind::Interrupted => true,
        _ => {
            *pipe = None;
            false
        }
    }
}

/// Reads what an ended process left in the pipe, and no more than it can hold.
fn drain(pipe: &mut Option<File>, kept: &mut Vec<u8>) {
    while kept.len() < COMPLAINT_BYTES {
        let Some(open) = pipe.as_ref() else { return };
        let mut watched = [PollFd::new(open.as_fd(), PollFlags::POLLIN)];
        let ready = poll(&mut watched, PollTimeout::ZERO).is_ok_and(|count| count > 0);
        if !ready || !read_once(pipe, kept) {
            return;
        }
    }
}

fn end(child: &mut Child) {
    if let Ok(pid) = i32::try_from(child.id()) {
        let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const SECOND: Duration = Duration::from_secs(1);

    fn stub(body: &str) -> (tempfile::TempDir, SystemRunner) {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("usr/sbin/useradd");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, body).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let runner = SystemRunner::new(root.path());
        (root, runner)
    }

    #[test]
    fn r26_a_child_sees_no_environment_no_input_and_no_descriptor_of_ours() {
        let body = "#!/bin/sh\nread -r x; echo \"pwd=$PWD input=$x\" >&2\n\
                    tr '\\0' ' ' </proc/$$/environ >&2; exec /bin/ls /proc/self/fd >&2\n";
        let (_root, runner) = stub(body);
        let leak = std::fs::File::open("/etc/passwd").unwrap();
        // As a careless parent would leave it.
        let flags = nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty());
        nix::fcntl::fcntl(&leak, flags).unwrap();
        let done = runner.run(Program::Useradd, &[], 10 * SECOND).unwrap();
        drop(leak);
        // Descriptor 3 is the directory that `ls` itself has open.
        assert_eq!(done.complaint, "pwd=/ input=\n0\n1\n2\n3");
    }

    #[test]
    fn r26_arguments_arrive_one_by_one_whatever_they_hold() {
        let (_root, runner) = stub("#!/bin/sh\nfor a; do echo \"<$a>\" >&2; done\n");
        let args = ["--", "a b", "$(id)", "; rm", ""];
        let done = runner.run(Program::Useradd, &args, 10 * SECOND).unwrap();
        assert_eq!(done.complaint, "<-->\n<a b>\n<$(id)>\n<; rm>\n<>");
    }

    #[test]
    fn r26_a_child_that_takes_too_long_is_killed_with_its_children() {
        let (root, runner) = stub("#!/bin/sh\nsleep 600 & echo $! >\"$0.pid\"; wait\n");
        let begun = Instant::now();
        let error = runner.run(Program::Useradd, &[], SECOND).unwrap_err();
        assert!(matches!(error, RunError::TooSlow { .. }), "{error}");
        assert!(begun.elapsed() < 5 * SECOND);
        let grandchild = std::fs::read_to_string(root.path().join("usr/sbin/useradd.pid")).unwrap();
        let runs = || {
            let title = std::fs::read(format!("/proc/{}/cmdline", grandchild.trim()));
            title.is_ok_and(|title| title.starts_with(b"sleep"))
        };
        while runs() {
            assert!(begun.elapsed() < 5 * SECOND, "{grandchild} still runs");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_background_process_that_keeps_the_pipe_does_not_hold_us_up() {
        let (_root, runner) = stub("#!/bin/sh\nsleep 3 &\necho done >&2\n");
        let begun = Instant::now();
        let done = runner.run(Program::Useradd, &[], 10 * SECOND).unwrap();
        assert_eq!((done.status, done.complaint.as_str()), (Some(0), "done"));
        assert!(begun.elapsed() < 2 * SECOND);
    }

    #[test]
    fn endless_complaints_are_cut() {
        let (_root, runner) = stub("#!/bin/sh\nhead -c 1000000 /dev/zero | tr '\\0' x >&2\n");
        let done = runner.run(Program::Useradd, &[], 10 * SECOND).unwrap();
        assert_eq!(done.status, Some(0));
        assert_eq!(done.complaint.len(), COMPLAINT_BYTES);
    }

    #[test]
    fn a_missing_program_is_named() {
        let root = tempfile::tempdir().unwrap();
        let error = SystemRunner::new(root.path()).run(Program::Loginctl, &[], SECOND).unwrap_err();
        assert!(error.to_string().contains("/usr/bin/loginctl"), "{error}");
    }
}
