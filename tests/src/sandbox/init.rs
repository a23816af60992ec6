//! Entering the namespaces, and process 1 inside them: furnish, collect syslog, reap.

use std::env;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio, exit};
use std::thread;

use anyhow::{Context, Result, bail};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, Uid};

use super::furnish::{self, Surroundings};
use super::{BASE, STAGE};

/// util-linux `unshare` options: new mount, process, network, host-name and IPC namespaces, and no
/// process survives when `unshare` itself is killed.
const NAMESPACES: [&str; 8] = ["-m", "-p", "-n", "-u", "-i", "-f", "--mount-proc", "--kill-child"];

/// The command under `unshare`, with the same environment.
pub(crate) fn unshared(command: &Command) -> Command {
    let mut unshare = Command::new("unshare");
    unshare.args(NAMESPACES).arg("--").arg(command.get_program()).args(command.get_args());
    unshare
}

/// The same, but in the network of the caller.
pub(crate) fn unshared_but_network(command: &Command) -> Command {
    let mut unshare = Command::new("unshare");
    unshare.args(NAMESPACES.iter().filter(|option| **option != "-n"));
    unshare.arg("--").arg(command.get_program()).args(command.get_args());
    unshare
}

/// Why this machine cannot make a sandbox; `None` when it can.
pub(crate) fn unavailable() -> Option<String> {
    if !Uid::effective().is_root() {
        return Some(
            "it needs root (run the tests with sudo, or in a privileged container)".into(),
        );
    }
    match unshared(&Command::new("true")).stdin(Stdio::null()).output() {
        Err(error) => Some(format!("unshare (package util-linux) does not start: {error}")),
        Ok(output) if !output.status.success() => Some(format!(
            "unshare failed: {}; it needs CAP_SYS_ADMIN",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
        Ok(_) => None,
    }
}

/// Runs `command` inside a new sandbox with this process's terminal; answers its exit code.
///
/// The calling program is started again as process 1: it must call `enter` first thing in `main`,
/// with the same arguments.
///
/// # Errors
/// When there can be no sandbox here, with the reason.
pub fn enter(command: Command, surroundings: &Surroundings) -> Result<i32> {
    if env::var(STAGE).as_deref() == Ok("init") {
        exit(furnish_and_supervise(command, surroundings)?);
    }
    if let Some(reason) = unavailable() {
        bail!("there can be no sandbox here: {reason}");
    }
    let mut again = Command::new(env::current_exe()?);
    again.args(env::args_os().skip(1));
    let status = unshared(&again).env(STAGE, "init").status().context("cannot start unshare")?;
    Ok(status.code().unwrap_or(1))
}

/// The life of process 1: answers the exit code of `command` once that has ended.
pub(crate) fn furnish_and_supervise(
    mut command: Command,
    surroundings: &Surroundings,
) -> Result<i32> {
    furnish::furnish(surroundings)?;
    collect_syslog(Path::new("/dev/log"), &Path::new(BASE).join("syslog"))?;
    let child = command
        .env(STAGE, "inside")
        .spawn()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    Ok(reap_until(Pid::from_raw(i32::try_from(child.id())?)))
}

/// Reaps orphans, as process 1 must, until `main` ends; returns its exit code as a shell would.
fn reap_until(main: Pid) -> i32 {
    loop {
        match waitpid(None, None) {
            Ok(WaitStatus::Exited(pid, code)) if pid == main => return code,
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == main => return 128 + signal as i32,
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(_) => return 127,
        }
    }
}

/// Plays syslog daemon: appends every datagram sent to `socket` to `file`, one per line.
fn collect_syslog(socket: &Path, file: &Path) -> Result<()> {
    let log = UnixDatagram::bind(socket).context("cannot make /dev/log")?;
    std::fs::set_permissions(socket, PermissionsExt::from_mode(0o666))?;
    let mut lines = OpenOptions::new().create(true).append(true).open(file)?;
    thread::spawn(move || {
        let mut datagram = vec![0_u8; 64 * 1024];
        while let Ok(length) = log.recv(&mut datagram) {
            let mut line: Vec<u8> = datagram.iter().copied().take(length).collect();
            while line.last().is_some_and(|&byte| byte == 0 || byte == b'\n') {
                line.pop();
            }
            line.push(b'\n');
            if lines.write_all(&line).is_err() {
                return;
            }
        }
    });
    Ok(())
}
