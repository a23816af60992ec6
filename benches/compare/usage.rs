//! What a service uses: processor time and memory of all its processes, as the kernel counts them.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::unistd::{SysconfVar, sysconf};

/// Less processor time than this in [`PAUSE`] counts as rest.
const REST: Duration = Duration::from_millis(20);
const PAUSE: Duration = Duration::from_millis(250);
/// How long a service may take to work off what was left when a load ended.
const DRAIN_LIMIT: Duration = Duration::from_secs(90);

/// Memory of a service.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory {
    /// Resident size of each process, in kB, with its name.
    pub(crate) each: Vec<(String, u64)>,
    /// Sum of the resident sizes, in kB.
    pub(crate) rss: u64,
    /// Sum of the proportional sizes, in kB: what is shared counts once.
    pub(crate) pss: u64,
}

/// Process ids in these process groups.
fn processes(groups: &[u32]) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // A process may end while we look.
        let Some(stat) = Stat::of(pid) else { continue };
        if groups.contains(&stat.group) {
            found.push(pid);
        }
    }
    Ok(found)
}

/// What we read of /proc/PID/stat (proc(5)).
struct Stat {
    group: u32,
    /// User and system time, of the process and of the children it waited for, in clock ticks.
    ticks: u64,
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name may hold blanks; fields count from the one after its bracket, the third.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        let ticks = (14..=17).filter_map(number).sum();
        Some(Self { group: u32::try_from(number(5)?).ok()?, ticks })
    }
}

/// Processor time of these process groups, with the children they waited for.
pub(crate) fn cpu(groups: &[u32]) -> Result<Duration> {
    let ticks: u64 =
        processes(groups)?.into_iter().filter_map(Stat::of).map(|stat| stat.ticks).sum();
    let per_second = sysconf(SysconfVar::CLK_TCK)?.context("no clock tick")?;
    Ok(Duration::from_secs_f64(ticks as f64 / per_second as f64))
}

/// Memory of these process groups.
pub(crate) fn memory(groups: &[u32]) -> Result<Memory> {
    let mut sum = Memory::default();
    for pid in processes(groups)? {
        // A child that was just ending may be gone by now.
        let (Ok(text), Ok(name)) = (
            fs::read_to_string(format!("/proc/{pid}/smaps_rollup")),
            fs::read_to_string(format!("/proc/{pid}/comm")),
        ) else {
            continue;
        };
        let kilobytes = |label: &str| {
            let line = text.lines().find(|line| line.starts_with(label))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        };
        let rss = kilobytes("Rss:").context("no Rss")?;
        sum.each.push((name.trim().to_owned(), rss));
        sum.rss += rss;
        sum.pss += kilobytes("Pss:").context("no Pss")?;
    }
    Ok(sum)
}

/// Waits until these process groups do nothing any more.
pub(crate) fn wait_for_rest(groups: &[u32]) -> Result<()> {
    let begin = Instant::now();
    let mut before = cpu(groups)?;
    while begin.elapsed() < DRAIN_LIMIT {
        std::thread::sleep(PAUSE);
        let now = cpu(groups)?;
        if now.saturating_sub(before) < REST {
            return Ok(());
        }
        before = now;
    }
    eprintln!("the service does not come to rest; going on");
    Ok(())
}
