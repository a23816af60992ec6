//! A spinner with a text on the terminal, for what takes longer than a moment.

use super::{Form, Level, manner};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    io::{IsTerminal, stderr},
    sync::{
        Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::JoinHandle,
    time::Duration,
};

/// What is done sooner than this shows no spinner.
const MOMENT: Duration = Duration::from_millis(400);
/// Time between two pictures.
const STEP: Duration = Duration::from_millis(100);

/// The spinner that is on the terminal now.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Something that goes on; the terminal is clean again when this is dropped. Nothing is shown
/// where standard error is no terminal, with `--quiet` and with `--json`.
pub(crate) struct Progress(Option<Running>);

struct Running {
    bar: ProgressBar,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Shows that something goes on. Drop it before another program takes the terminal.
pub(crate) fn progress(text: impl Into<String>) -> Progress {
    Progress::show(text.into())
}

/// Does something on the terminal while no spinner turns there.
pub(crate) fn aside<T>(work: impl FnOnce() -> T) -> T {
    let shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match shown {
        Some(bar) => bar.suspend(work),
        None => work(),
    }
}

impl Progress {
    /// Says what goes on now.
    pub(crate) fn say(&self, text: impl Into<String>) {
        if let Some(running) = &self.0 {
            running.bar.set_message(text.into());
        }
    }

    fn show(text: String) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let never = anstream::ColorChoice::global() == anstream::ColorChoice::Never;
        let wanted = manner().form == Form::Text && manner().lowest <= Level::Warning && !never;
        if !wanted || dumb || !stderr().is_terminal() {
            return Self(None);
        }
        let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") else { return Self(None) };
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden())
            .with_style(style)
            .with_message(text);
        let (stop, stopped) = channel();
        let own = bar.clone();
        let thread = std::thread::spawn(move || turn(&own, &stopped));
        Self(Some(Running { bar, stop: Some(stop), thread: Some(thread) }))
    }
}

fn turn(bar: &ProgressBar, stopped: &Receiver<()>) {
    // The thread that works decides when it may be interrupted.
    let _ = nix::sys::signal::SigSet::all().thread_block();
    if stopped.recv_timeout(MOMENT) != Err(RecvTimeoutError::Timeout) {
        return;
    }
    bar.set_draw_target(ProgressDrawTarget::stderr());
    *SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar.clone());
    while stopped.recv_timeout(STEP) == Err(RecvTimeoutError::Timeout) {
        bar.tick();
    }
    SHOWN.lock().unwrap_or_else(PoisonError::into_inner).take();
    bar.finish_and_clear();
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
