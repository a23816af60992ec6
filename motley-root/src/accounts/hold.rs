//! Holds what would start something for a suspended account without a login, and puts it back.
//!
//! PAM refuses the jobs of an expired account, but cron and at drop those that they may not run, and
//! the account of a directory expires where neither of them looks. User services that linger come
//! back with each boot.

use super::{Accounts, Asker, failed};
use crate::{
    jobs::{Jobs, JobsError, PutBack},
    ledger::{Event, Hold},
    runner::Program,
    sessions,
};
use motley_proto::{
    Identity, Uid, UserName,
    task::{Held, SessionsEnded, TaskAnswer, TaskDone, TaskRefusal},
};
use std::{sync::MutexGuard, time::Duration};

/// How long logind may take to answer.
const LOGIND_LIMIT: Duration = Duration::from_millis(1500);

/// Why not all jobs were moved.
enum Broken {
    /// It was broken off in a pause.
    Off(TaskRefusal),
    /// One could not be moved.
    Jobs(JobsError),
}

impl From<JobsError> for Broken {
    fn from(error: JobsError) -> Self {
        Self::Jobs(error)
    }
}

impl Broken {
    fn refusal(self) -> TaskRefusal {
        match self {
            Self::Off(refusal) => refusal,
            Self::Jobs(error) => failed("move jobs", error),
        }
    }
}

impl Accounts {
    /// Both parts are tried, whatever becomes of the other.
    pub(super) fn hold(
        &self,
        identity: &Identity,
        name: &UserName,
        asker: &dyn Asker,
    ) -> TaskAnswer {
        let turn = self.take_turn_for(asker)?;
        let uid = self.present(identity, name)?;
        let known = self.held(name, uid);
        let linger = known.is_some_and(|hold| hold.linger) || self.lingers(name);
        let hold = Hold { uid, linger };
        // Written down first: a crash after it loses nothing of what there was.
        if known != Some(hold) {
            self.record(Event::Held { name: name.clone(), hold })?;
        }
        // The shorter part first: the longer one gives up its turn again and again.
        let linger = self.end_linger(name);
        let jobs = self.hold_jobs(name, uid, turn, asker);
        Ok(TaskDone::Held(Held { jobs: jobs?, linger: linger?, left: 0 }))
    }

    pub(super) fn release(
        &self,
        identity: &Identity,
        name: &UserName,
        asker: &dyn Asker,
    ) -> TaskAnswer {
        let turn = self.take_turn_for(asker)?;
        let uid = self.present(identity, name)?;
        let Some(hold) = self.held(name, uid) else {
            return Ok(TaskDone::Released(Held::default()));
        };
        let mut turn = Some(turn);
        let back = match self.jobs()? {
            Some(jobs) => jobs
                .put_back(name.as_str(), uid.get(), || self.pause(&mut turn, name, uid, asker))
                .map_err(Broken::refusal)?,
            None => PutBack::default(),
        };
        if back.of_at {
            sessions::wake_at(&self.world.root);
        }
        if hold.linger {
            self.switch_linger(name, true)?;
        }
        self.record(Event::Unheld { name: name.clone() })?;
        Ok(TaskDone::Released(Held { jobs: back.jobs, linger: hold.linger, left: back.left }))
    }

    /// Ends what runs; for a held account also what was begun or made since it was held.
    pub(super) fn end_sessions_of(
        &self,
        identity: &Identity,
        name: &UserName,
        asker: &dyn Asker,
    ) -> Result<SessionsEnded, TaskRefusal> {
        let uid = self.present(identity, name)?;
        let mut ended = self.end_sessions(name, uid)?;
        let turn = self.take_turn_for(asker)?;
        if self.held(name, uid).is_some() {
            ended.linger_ended = self.end_linger(name)?;
            ended.jobs_held = self.hold_jobs(name, uid, turn, asker)?;
        }
        Ok(ended)
    }

    /// Lets others have their turn. Meanwhile the asker may have gone, or the hold may have ended.
    fn pause<'a>(
        &'a self,
        turn: &mut Option<MutexGuard<'a, ()>>,
        name: &UserName,
        uid: Uid,
        asker: &dyn Asker,
    ) -> Result<(), Broken> {
        drop(turn.take());
        // Whoever waits would hardly ever be quicker than this thread.
        std::thread::sleep(Duration::from_millis(1));
        *turn = Some(self.take_turn_for(asker).map_err(Broken::Off)?);
        match self.held(name, uid) {
            Some(_) => Ok(()),
            None => Err(Broken::Off(TaskRefusal::Busy)),
        }
    }

    /// Holds what would start while the sessions of an account end that is taken away. None of it is put
    /// back: [`Accounts::archive_jobs`] comes later.
    pub(super) fn keep_from_starting(&self, name: &UserName, uid: Uid) -> Result<(), TaskRefusal> {
        // Without the account it has no effect, so a failure is no reason to keep the account.
        let _ = self.end_linger(name);
        let Some(jobs) = self.jobs()? else { return Ok(()) };
        let held = jobs.hold(name.as_str(), uid.get(), || Ok::<(), JobsError>(()));
        held.map(drop).map_err(|error| failed("hold jobs", error))
    }

    /// Puts aside for good what waits for an account that is taken away.
    pub(super) fn archive_jobs(
        &self,
        name: &UserName,
        uid: Uid,
        archive: &str,
    ) -> Result<(), TaskRefusal> {
        let Some(jobs) = self.jobs()? else { return Ok(()) };
        let done = jobs.archive(name.as_str(), uid.get(), archive);
        done.map_err(|error| failed("put jobs aside", error))
    }

    fn held(&self, name: &UserName, uid: Uid) -> Option<Hold> {
        self.with_book(|book| book.held(name)).filter(|hold| hold.uid == uid)
    }

    fn jobs(&self) -> Result<Option<Jobs>, TaskRefusal> {
        Jobs::open(&self.world.root).map_err(|error| failed("look for jobs", error))
    }

    fn hold_jobs<'a>(
        &'a self,
        name: &UserName,
        uid: Uid,
        turn: MutexGuard<'a, ()>,
        asker: &dyn Asker,
    ) -> Result<u32, TaskRefusal> {
        let Some(jobs) = self.jobs()? else { return Ok(0) };
        let mut turn = Some(turn);
        let pause = || self.pause(&mut turn, name, uid, asker);
        jobs.hold(name.as_str(), uid.get(), pause).map_err(Broken::refusal)
    }

    /// True if logind starts the account's services at boot.
    fn lingers(&self, name: &UserName) -> bool {
        self.world.root.join("var/lib/systemd/linger").join(name.as_str()).exists()
    }

    /// True if it lingered until now.
    pub(super) fn end_linger(&self, name: &UserName) -> Result<bool, TaskRefusal> {
        if !self.lingers(name) {
            return Ok(false);
        }
        self.switch_linger(name, false).map(|()| true)
    }

    fn switch_linger(&self, name: &UserName, on: bool) -> Result<(), TaskRefusal> {
        let verb = if on { "enable-linger" } else { "disable-linger" };
        let args = [verb, "--", name.as_str()];
        let done = self.world.runner.run(Program::Loginctl, &args, LOGIND_LIMIT);
        let done = done.map_err(|error| failed(verb, error))?;
        if self.lingers(name) == on {
            Ok(())
        } else {
            Err(super::ended_badly(Program::Loginctl, &done))
        }
    }
}
