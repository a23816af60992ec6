//! Signals that wait while something must not be cut in the middle.

use nix::sys::signal::{SigSet, Signal};

/// Signals by which somebody ends a question.
pub(crate) const ENDS: [Signal; 4] =
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];
/// Signals that would end or stop this process in the middle of a change.
const CUTS: [Signal; 6] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGTSTP,
    Signal::SIGPIPE,
];

/// Signals that wait until this is dropped; a program that this process becomes later has none of
/// them blocked.
pub(crate) struct Waiting(Option<SigSet>);

impl Waiting {
    /// Lets these wait.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn begin(signals: &[Signal]) -> nix::Result<Self> {
        let before = SigSet::thread_get_mask()?;
        set(signals).thread_block()?;
        Ok(Self(Some(before)))
    }

    /// Lets all wait that would cut a change in two. Where that fails, the change is made all the same.
    pub(crate) fn through_a_change() -> Self {
        Self::begin(&CUTS).unwrap_or(Self(None))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = before.thread_set_mask();
        }
    }
}

/// Signals as a set.
pub(crate) fn set(signals: &[Signal]) -> SigSet {
    signals.iter().copied().collect()
}
