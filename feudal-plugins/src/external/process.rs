//! One run of the program: a request on standard input, an answer on standard output, bounded.

use super::{ExternalConfig, ffi::keep_descriptors};
use crate::backend::BackendError;
use motley_proto::text::escape;
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use std::process::{ExitStatus, Stdio};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
    time::timeout,
};

/// Longest answer, in bytes.
const MAX_ANSWER: usize = 64 << 10;
/// Longest text on standard error that is read, in bytes.
const MAX_NOTES: usize = 16 << 10;
/// Lines of it that are logged, and characters of each.
const NOTED_LINES: usize = 20;
const NOTED_LENGTH: usize = 300;
/// The one variable that the program finds in its environment.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// Kills what the program started and left behind, unless it came to its end by itself.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw))
    }

    fn leave(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may have ended between the question and the signal.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

/// Runs the program once.
///
/// # Errors
/// [`BackendError::Unavailable`] when it does not start, end in time, end well, or keep to the limits.
pub(super) async fn run(config: &ExternalConfig, request: &[u8]) -> Result<Vec<u8>, BackendError> {
    let mut child = start(config)?;
    let group = Group::of(&child);
    let outcome = timeout(config.timeout, converse(config, &mut child, request)).await;
    let (status, answer, notes) = match outcome {
        Ok(Ok(done)) => done,
        Ok(Err(error)) => return Err(error),
        Err(_) => {
            return Err(unavailable(config, &format!("has not ended within {:?}", config.timeout)));
        }
    };
    group.leave();
    note(config, &notes);
    if !status.success() {
        return Err(unavailable(config, &format!("failed ({status})")));
    }
    Ok(answer)
}

fn start(config: &ExternalConfig) -> Result<Child, BackendError> {
    let mut command = Command::new(&config.program);
    keep_descriptors(&mut command);
    command
        .args(&config.arguments)
        .env_clear()
        .env("PATH", PATH)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| unavailable(config, &format!("can't be started: {error}")))
}

async fn converse(
    config: &ExternalConfig,
    child: &mut Child,
    request: &[u8],
) -> Result<(ExitStatus, Vec<u8>, Vec<u8>), BackendError> {
    let (Some(mut input), Some(output), Some(notes)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(unavailable(config, "has no standard input or output"));
    };
    let say = async move {
        // A program that answers without reading to the end is none the worse for it.
        let _ = input.write_all(request).await;
    };
    let ((), answer, notes) =
        tokio::join!(say, read_up_to(output, MAX_ANSWER), read_and_cut(notes, MAX_NOTES));
    let broken = |error: std::io::Error| unavailable(config, &format!("breaks off: {error}"));
    let (answer, is_whole) = answer.map_err(broken)?;
    if !is_whole {
        return Err(unavailable(config, &format!("answers more than {MAX_ANSWER} bytes")));
    }
    let status = child.wait().await.map_err(broken)?;
    Ok((status, answer, notes.map_err(broken)?))
}

/// What comes, up to a limit, and whether that was all.
async fn read_up_to(
    from: impl AsyncRead + Unpin,
    limit: usize,
) -> std::io::Result<(Vec<u8>, bool)> {
    let mut bytes = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    from.take(most).read_to_end(&mut bytes).await?;
    let is_whole = bytes.len() <= limit;
    bytes.truncate(limit);
    Ok((bytes, is_whole))
}

/// The beginning of what comes. The rest is read too, as the program would wait for it for ever.
async fn read_and_cut(mut from: impl AsyncRead + Unpin, limit: usize) -> std::io::Result<Vec<u8>> {
    let (bytes, is_whole) = read_up_to(&mut from, limit).await?;
    if !is_whole {
        tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    }
    Ok(bytes)
}

/// Hands on what the program says on standard error.
fn note(config: &ExternalConfig, notes: &[u8]) {
    let program = config.program.display();
    for line in String::from_utf8_lossy(notes).lines().take(NOTED_LINES) {
        tracing::warn!(%program, says = escape(line, NOTED_LENGTH), "the external back end");
    }
}

pub(super) fn unavailable(config: &ExternalConfig, what: &str) -> BackendError {
    BackendError::Unavailable {
        what: format!("the program {} {what}", config.program.display()),
        cure: "run it by hand as the service's user, and see the log for what it said".to_owned(),
    }
}
