//! What the kernel tells about this process.

use std::fs;

/// Sets the gauges of the process anew. What can't be read is left out.
pub(super) fn measure() {
    if let Some(kilobytes) = resident_kilobytes() {
        metrics::gauge!("process_resident_memory_bytes").set(f64::from(kilobytes) * 1024.0);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        let count = u32::try_from(open.count()).unwrap_or(u32::MAX);
        metrics::gauge!("process_open_fds").set(f64::from(count));
    }
}

/// `VmRSS` of proc_pid_status(5).
fn resident_kilobytes() -> Option<u32> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}
