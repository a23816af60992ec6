//! Finishes or takes back what a crash left half-made.

use super::{Accounts, Patient};
use crate::{
    guard,
    ledger::{Event, HomePlan, Stage},
    runner::Program,
};
use motley_proto::{
    Identity, UserName,
    task::{NewAccount, TaskAnswer, TaskDone, TaskRefusal},
};

/// What became of one account that was half-made or half-gone.
#[derive(Debug)]
pub struct Recovered {
    /// The account.
    pub name: UserName,
    /// How it ended; on a failure it stays as it is and can be tried again.
    pub result: Result<Outcome, TaskRefusal>,
}

/// How such an account ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was completed.
    Finished,
    /// It was removed, or had never come to be.
    TakenBack,
    /// Its removal was finished.
    Removed,
}

impl Accounts {
    /// Repairs what the previous process left, before the first task is taken.
    ///
    /// An account that is in passwd is completed; a mere reservation is given up.
    pub fn recover(&self) -> Vec<Recovered> {
        let _turn = self.take_turn();
        for group in self.with_book(|book| book.unfinished_groups()) {
            // A group that can't be settled now is refused later, with a reason.
            let _ = self.settle_group(&group);
        }
        for name in self.with_book(|book| book.unsettled_primaries()) {
            // What can't be settled now is before the next change of it.
            let _ = self.settle_primary(&name);
        }
        let plans = self.with_book(|book| book.unfinished_accounts());
        let one = |(plan, home): (NewAccount, HomePlan)| Recovered {
            name: plan.name.clone(),
            result: self.settle_account(&plan, home),
        };
        plans.into_iter().map(one).collect()
    }

    /// Finishes the removals that the previous process began. Ending sessions takes its time, so
    /// tasks are taken meanwhile.
    pub fn resume_removals(&self) -> Vec<Recovered> {
        let leaving = self.with_book(|book| book.unfinished_removals());
        let one = |(identity, name): (Identity, UserName)| Recovered {
            result: self.remove_in_turns(&identity, &name, &Patient).map(|_| Outcome::Removed),
            name,
        };
        leaving.into_iter().map(one).collect()
    }

    fn settle_account(&self, plan: &NewAccount, home: HomePlan) -> Result<Outcome, TaskRefusal> {
        let seen = self.read()?;
        let entry = seen.users.named(plan.name.as_str());
        let whole = entry.is_some_and(|entry| {
            entry.uid == plan.uid.get() && guard::names_identity(&entry, &plan.identity)
        }) && seen.expiries.knows(plan.name.as_str());
        if whole {
            match self.complete(plan, home) {
                Ok(()) => return Ok(Outcome::Finished),
                // Nothing is wrong with it, and what is locked now could not be taken back either.
                Err(TaskRefusal::Busy) => return Err(TaskRefusal::Busy),
                Err(_) => {}
            }
        }
        self.take_back(plan, home)?;
        Ok(Outcome::TakenBack)
    }

    pub(super) fn roll_back_task(&self, identity: &Identity, name: &UserName) -> TaskAnswer {
        let owner = self.with_book(|book| book.owner_of_name(name).cloned());
        match owner {
            Some(owner) if owner != *identity => return Err(TaskRefusal::NotManaged(name.clone())),
            _ => {}
        }
        let stage =
            self.with_book(|book| book.account_named(name).map(|(_, record)| record.stage.clone()));
        match stage {
            None => {}
            Some(Stage::Creating(plan, home)) => self.take_back(&plan, home)?,
            Some(Stage::Removing(_)) => return Err(super::remove::is_leaving(name)),
            Some(Stage::Complete) => {
                let reason =
                    format!("{name} was completed, and only half-made accounts are removed");
                return Err(TaskRefusal::Forbidden(reason));
            }
        }
        Ok(TaskDone::RolledBack)
    }

    /// Removes the account if it is the one that was planned, its home if it was made for it, and
    /// the reservation.
    pub(super) fn take_back(&self, plan: &NewAccount, home: HomePlan) -> Result<(), TaskRefusal> {
        let seen = self.read()?;
        let entry = seen.users.named(plan.name.as_str());
        let ours = entry.is_some_and(|entry| {
            entry.uid == plan.uid.get() && guard::names_identity(&entry, &plan.identity)
        });
        // The home goes first: without a line in passwd nobody could say whose it is.
        if ours && home == HomePlan::Make {
            self.home_base(&plan.home_base)?.remove(plan.name.as_str(), plan.uid.get())?;
        }
        if ours {
            self.edit_or_fail(Program::Userdel, &["--", plan.name.as_str()])?;
        }
        let name = plan.name.clone();
        self.record(if ours { Event::RolledBack { name } } else { Event::Released { name } })
    }
}
