//! Processes told apart for good: by their number and the moment of their start.
//!
//! Where /proc is mounted with `hidepid`, nobody sees a process that keeps others out of its memory, as
//! all of ours do; so each of them tells its own facts along. They count only where the kernel tells
//! nothing, and beside the number, which is always the kernel's.

use nix::{sys::signal::kill, unistd::Pid};
use serde::{Deserialize, Serialize};

/// One process, and no later one with the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    pid: i32,
    started: u64,
}

/// A process and the one that started it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(super) process: Process,
    pub(super) parent: i32,
}

impl Process {
    /// Its number.
    pub(super) fn pid(self) -> i32 {
        self.pid
    }

    /// True until it has ended; one that is hidden from us counts while its number is in use.
    pub(super) fn is_there(self) -> bool {
        match look(self.pid) {
            Some(seen) => seen.process == self,
            None => kill(Pid::from_raw(self.pid), None).is_ok(),
        }
    }
}

impl Seen {
    /// This process, which its /proc never hides from itself.
    pub(crate) fn itself() -> Option<Self> {
        let pid = nix::unistd::getpid().as_raw();
        read("/proc/self/stat", pid)
    }

    /// The process with this number, as the kernel tells, else as it told itself.
    pub(super) fn with_number(pid: i32, told: Option<Self>) -> Option<Self> {
        look(pid).or_else(|| told.filter(|told| told.process.pid == pid))
    }
}

/// Looks a process up; a program that it becomes changes neither number nor start.
pub(super) fn look(pid: i32) -> Option<Seen> {
    read(&format!("/proc/{pid}/stat"), pid)
}

fn read(path: &str, pid: i32) -> Option<Seen> {
    let stat = std::fs::read_to_string(path).ok()?;
    let (parent, started) = facts_in(&stat)?;
    Some(Seen { process: Process { pid, started }, parent })
}

/// Parent and start out of proc_pid_stat(5), fields 4 and 22; the name before them may hold anything.
fn facts_in(stat: &str) -> Option<(i32, u64)> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    Some((parent, fields.nth(17)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parent_and_start_are_found_behind_any_name() {
        let numbers: Vec<String> = (4..=52).map(|n| n.to_string()).collect();
        let stat = format!("77 (a) S 1 9 (x)) S {}", numbers.join(" "));
        assert_eq!(facts_in(&stat), Some((4, 22)));
        assert_eq!(facts_in("77 (a"), None);
    }

    #[test]
    fn a_hidden_process_is_who_it_says_under_the_number_that_the_kernel_tells() {
        let own = Seen::itself().unwrap();
        assert_eq!(look(own.process.pid), Some(own));
        // A number that no process can have stands for one that /proc hides.
        let hidden = Seen { process: Process { pid: i32::MAX, started: 7 }, parent: 1 };
        assert_eq!(Seen::with_number(i32::MAX, Some(hidden)), Some(hidden));
        assert_eq!(Seen::with_number(i32::MAX, Some(own)), None);
        let liar = Seen { process: Process { started: 7, ..own.process }, parent: 1 };
        assert_eq!(Seen::with_number(own.process.pid, Some(liar)), Some(own));
    }

    #[test]
    fn a_process_is_itself_until_it_has_ended() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let seen = look(pid).unwrap();
        assert_eq!(seen.parent, i32::try_from(std::process::id()).unwrap());
        assert!(seen.process.is_there());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!seen.process.is_there());
    }
}
