//! Time as a parameter, and the one of this host.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

/// Tells the time in seconds since 1970-01-01, UTC.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// The clock of this host; one that stands before 1970 counts as 1970.
pub fn of_this_host() -> Clock {
    Arc::new(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
}
