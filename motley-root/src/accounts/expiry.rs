//! Marks accounts expired in shadow(5), which stops every PAM login method, and takes the mark back.

use super::{Accounts, failed};
use crate::{
    database::Snapshot,
    ledger::{Event, ExpiryMark},
    runner::Program,
};
use motley_proto::{
    Identity, UserName,
    task::{TaskAnswer, TaskRefusal},
};

/// 1970-01-02. Day 0 means "expired" to some readers of shadow(5) and "never" to others.
const LONG_AGO: i64 = 1;

impl Accounts {
    pub(super) fn expire(&self, identity: &Identity, name: &UserName) -> TaskAnswer {
        let (record, _) = self.recorded(identity, name)?;
        let current = self.read()?.expiries.day(name.as_str());
        if current != Some(LONG_AGO) || record.expiry.is_none() {
            let mark = ExpiryMark { set: LONG_AGO, previous: current };
            self.record(Event::Expired { name: name.clone(), mark })?;
            self.set_expiry(name, Some(LONG_AGO))?;
        }
        self.account_answer(name)
    }

    pub(super) fn unexpire(&self, identity: &Identity, name: &UserName) -> TaskAnswer {
        let (record, _) = self.managed(identity, name)?;
        if let Some(mark) = record.expiry {
            let current = self.read()?.expiries.day(name.as_str());
            // A date that the local admin set in the meantime is theirs.
            if current == Some(mark.set) {
                self.set_expiry(name, mark.previous)?;
            }
            self.record(Event::Unexpired { name: name.clone() })?;
        }
        self.account_answer(name)
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
