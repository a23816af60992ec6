//! A death at a chosen step: of a task, or before or after a program that it runs.

use super::{Setup, open};
use motley_root::{
    accounts::{Accounts, Step, Witness},
    runner::{CommandRunner, Finished, Program, RunError, SystemRunner},
};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// Ends everything at the step with this number; what unwinds does no cleaning, as after kill -9.
#[derive(Clone)]
pub struct Fate {
    left: Arc<AtomicUsize>,
}

impl Fate {
    fn after(steps: usize) -> Self {
        Self { left: Arc::new(AtomicUsize::new(steps)) }
    }

    fn step(&self) {
        let before = self.left.fetch_sub(1, Ordering::SeqCst);
        assert!(before != 0, "fate");
    }
}

impl Witness for Fate {
    fn reached(&self, _: Step) {
        self.step();
    }
}

impl CommandRunner for Fate {
    fn run(&self, program: Program, args: &[&str], limit: Duration) -> Result<Finished, RunError> {
        self.step();
        let done = SystemRunner::new(Path::new("/")).run(program, args, limit);
        self.step();
        done
    }
}

/// The helper's insides, which die after so many steps.
pub fn doomed(steps: usize) -> Accounts {
    let fate = Fate::after(steps);
    open(Setup { runner: Box::new(fate.clone()), witness: Box::new(fate), ..Setup::default() })
}

/// Keeps the deaths that are meant out of the output.
pub fn be_quiet() {
    std::panic::set_hook(Box::new(|info| {
        let fate = info.payload().downcast_ref::<&str>() == Some(&"fate");
        if !fate {
            eprintln!("{info}");
        }
    }));
}
