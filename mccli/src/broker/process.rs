//! Processes told apart for good: by their number and the moment of their start.

/// One process, and no later one with the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    pid: i32,
    started: u64,
}

/// A process and the one that started it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) process: Process,
    pub(super) parent: i32,
}

impl Process {
    /// The process with this number now; `None` if there is none.
    pub(super) fn of(pid: i32) -> Option<Self> {
        Some(look(pid)?.process)
    }

    /// Its number.
    pub(super) fn pid(self) -> i32 {
        self.pid
    }

    /// True until it has ended.
    pub(super) fn is_there(self) -> bool {
        Self::of(self.pid) == Some(self)
    }
}

/// Looks a process up; a program that it becomes changes neither number nor start.
pub(super) fn look(pid: i32) -> Option<Seen> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
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
