//! Waiting for a condition by asking for it again and again, with a limit.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Asks `probe` every 10 ms until it answers something.
///
/// # Errors
/// When it still answers `None` after `limit`; the text names `what` was waited for.
pub fn until<T>(what: &str, limit: Duration, mut probe: impl FnMut() -> Option<T>) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = probe() {
            return Ok(found);
        }
        if start.elapsed() >= limit {
            bail!("waited {limit:?} in vain for {what}");
        }
        thread::sleep(Duration::from_millis(10));
    }
}
