//! Marks accounts expired in shadow(5), which stops every PAM login method, and takes marks back.
//!
//! During a migration the Python stack suspends the same accounts by `chage -E TODAY`: such a date
//! is taken back too, where an admin resumes the account. What tells it from a date of the local
//! admin's is told at [`is_suspension`].

use super::{Accounts, failed};
use crate::{
    database::Snapshot,
    ledger::{Event, ExpiryMark, Record},
    runner::Program,
};
use motley_proto::{
    Identity, UserName,
    task::{ExpiryMarks, TaskAnswer, TaskRefusal},
};

/// 1970-01-02. Day 0 means "expired" to some readers of shadow(5) and "never" to others.
const LONG_AGO: i64 = 1;

impl Accounts {
    pub(super) fn expire(&self, identity: &Identity, name: &UserName) -> TaskAnswer {
        let (record, _) = self.recorded(identity, name)?;
        self.note_expiry_ahead(name)?;
        let current = self.read()?.expiries.day(name.as_str());
        if current != Some(LONG_AGO) || record.expiry.is_none() {
            let previous = match record.expiry {
                // A mark upon a mark: what was inherited stays something to be taken back.
                Some(mark) if current == Some(mark.set) => mark.previous,
                _ => current,
            };
            let mark = ExpiryMark { set: LONG_AGO, previous };
            self.record(Event::Expired { name: name.clone(), mark })?;
            self.set_expiry(name, Some(LONG_AGO))?;
        }
        self.account_answer(name)
    }

    pub(super) fn unexpire(
        &self,
        identity: &Identity,
        name: &UserName,
        marks: ExpiryMarks,
    ) -> TaskAnswer {
        let (record, _) = self.managed(identity, name)?;
        // Before the look ahead: a date that becomes due in between is none of today's.
        let today = (self.world.today)();
        self.note_expiry_ahead(name)?;
        match marks {
            ExpiryMarks::Own => self.lift_own(&record, name)?,
            ExpiryMarks::OfSuspensions => self.lift_suspensions(&record, name, today)?,
        }
        self.account_answer(name)
    }

    /// Puts back what our mark replaced, whoever had set it. A date that came since is somebody else's
    /// lock: it stays, and so does what is on record below it.
    fn lift_own(&self, record: &Record, name: &UserName) -> Result<(), TaskRefusal> {
        let current = self.read()?.expiries.day(name.as_str());
        match record.expiry {
            Some(mark) if mark.set == LONG_AGO && current.is_none_or(|day| day == LONG_AGO) => {
                if current.is_some() {
                    self.set_expiry(name, mark.previous)?;
                }
                self.record(Event::Unexpired { name: name.clone() })
            }
            _ => Ok(()),
        }
    }

    fn lift_suspensions(
        &self,
        record: &Record,
        name: &UserName,
        today: i64,
    ) -> Result<(), TaskRefusal> {
        let previous = record.expiry.and_then(|mark| mark.previous);
        let previous = previous.filter(|day| !is_suspension(record, *day, today));
        // Any other date is one that the local admin set in the meantime.
        let liftable = |day: i64| {
            record.expiry.is_some_and(|mark| mark.set == day) || is_suspension(record, day, today)
        };
        if self.read()?.expiries.day(name.as_str()).is_some_and(liftable) {
            self.set_expiry(name, previous)?;
        }
        match record.expiry {
            Some(_) => self.record(Event::Unexpired { name: name.clone() }),
            None => Ok(()),
        }
    }

    /// A date that is still to come is nobody's suspension: once it is on record as such, it is
    /// not taken for one when its day has come.
    pub(super) fn note_expiry_ahead(&self, name: &UserName) -> Result<(), TaskRefusal> {
        let date = self.read()?.expiries.day(name.as_str());
        let Some(day) = date.filter(|day| *day > (self.world.today)()) else { return Ok(()) };
        let known = self.with_book(|book| {
            book.account_named(name).is_some_and(|(_, record)| record.ahead.contains(&day))
        });
        if known { Ok(()) } else { self.record(Event::ExpiryAhead { name: name.clone(), day }) }
    }

    /// An account that was expired when it was adopted counts as suspended by its former keeper.
    pub(super) fn inherit_expiry(
        &self,
        name: &UserName,
        seen: &Snapshot,
    ) -> Result<(), TaskRefusal> {
        match seen.expiries.day(name.as_str()) {
            Some(day) if day <= (self.world.today)() => {
                let mark = ExpiryMark { set: day, previous: None };
                self.record(Event::Expired { name: name.clone(), mark })
            }
            _ => Ok(()),
        }
    }

    fn set_expiry(&self, name: &UserName, day: Option<i64>) -> Result<(), TaskRefusal> {
        let date = day.map(|day| day.to_string()).unwrap_or_default();
        self.edit_or_fail(Program::Usermod, &["--expiredate", &date, "--", name.as_str()])?;
        if self.read()?.expiries.day(name.as_str()) == day {
            Ok(())
        } else {
            Err(failed("set the expiry date", "shadow shows another one"))
        }
    }
}

/// True for a date as a suspension from outside leaves it: the very day on which it was done, while
/// the account was in the ledger. A date that was seen ahead of its day, or that lies before the
/// account's time here (as by `usermod -e 1`), is the local admin's.
fn is_suspension(record: &Record, day: i64, today: i64) -> bool {
    let in_our_time = record.since.is_some_and(|since| since <= day && day <= today);
    in_our_time && !record.ahead.contains(&day)
}
