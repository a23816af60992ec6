//! The built program, running in the sandbox, and connections to it.

use super::{DAEMON, STATE, ffi};
use motley_proto::{
    client::Connection,
    frame::Cap,
    task::{Task, TaskAnswer},
};
use std::{
    fs,
    io::Read,
    os::unix::net::UnixStream,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

pub const SOCKET: &str = "/run/motley_cue/task.sock";
const PATIENCE: Duration = Duration::from_secs(20);

/// A running helper; it is killed when dropped.
pub struct Helper {
    child: Child,
}

pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_motley-root"));
    command.args(["--socket", SOCKET, "--state", STATE]);
    command
}

impl Helper {
    /// Starts it and waits until it listens.
    pub fn start() -> Self {
        Self::start_with(&mut command())
    }

    pub fn start_with(command: &mut Command) -> Self {
        let log = fs::File::options().create(true).append(true).open("/mnt/helper.log").unwrap();
        let _ = fs::remove_file(SOCKET);
        let mut child = command.stderr(log).stdin(Stdio::null()).spawn().unwrap();
        let until = Instant::now() + PATIENCE;
        while !Path::new(SOCKET).exists() {
            assert!(child.try_wait().unwrap().is_none(), "helper ended: {}", log_text());
            assert!(Instant::now() < until, "helper does not listen: {}", log_text());
            thread::sleep(Duration::from_millis(2));
        }
        Self { child }
    }

    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// kill -9, as a crash would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; yields the exit code.
    pub fn stop(mut self) -> Option<i32> {
        let pid = nix::unistd::Pid::from_raw(self.pid());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn log_text() -> String {
    fs::read_to_string("/mnt/helper.log").unwrap_or_default()
}

/// Starts the helper where it must refuse to start; yields what it says.
pub fn refusal_to_start(args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_motley-root"));
    for (option, value) in [("--socket", SOCKET), ("--state", STATE)] {
        if !args.contains(&option) {
            command.args([option, value]);
        }
    }
    let mut child = command.args(args).stderr(Stdio::piped()).spawn().unwrap();
    let until = Instant::now() + PATIENCE;
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if Instant::now() > until => {
                child.kill().unwrap();
                panic!("it started");
            }
            None => thread::sleep(Duration::from_millis(5)),
        }
    };
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(!status.success(), "{said}");
    said
}

/// Connects as this user. The kernel notes who connects, so the thread for it becomes that user.
pub fn connect_as(uid: u32, gid: u32) -> std::io::Result<UnixStream> {
    thread::spawn(move || {
        ffi::become_user(uid, gid)?;
        UnixStream::connect(SOCKET)
    })
    .join()
    .unwrap()
}

fn connect() -> std::io::Result<Connection> {
    let stream = connect_as(DAEMON, DAEMON)?;
    Ok(Connection::from_stream(stream, Cap::TASK, Instant::now() + 6 * PATIENCE).unwrap())
}

/// One task on a connection of its own; `None` when the helper died over it or before.
pub fn ask(task: &Task) -> Option<TaskAnswer> {
    let mut connection = connect().ok()?;
    connection.send(task).ok()?;
    connection.receive().ok()
}
