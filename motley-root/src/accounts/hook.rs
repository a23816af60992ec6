//! Runs the site's script for new accounts: once for each, named by root's configuration alone.
//!
//! An account whose home came back or was there before is none of them: its owner has worked in there,
//! and the script works in there as root.
//!
//! The daemon asks for it before anybody may use the account. Of an account that a directory keeps the
//! ledger does not know whether it is new, so its script is run only where root's configuration says so.
//!
//! It is written down before it is started. A crash before that leaves it due, and the next start
//! runs it; a crash after that does not, for a script may not bear to be run twice.

use super::{Accounts, Asker, Patient};
use crate::{
    ledger::{Event, Stage},
    ownership::require_root_only,
    runner::Script,
    serve::log,
};
use motley_proto::{
    Identity, UserName,
    task::{HookRun, TaskRefusal},
    text::escape,
};
use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

/// How long a script may take.
const LIMIT: Duration = Duration::from_secs(25);
/// Most of what a script says that is logged, in characters.
const SAID_CHARS: usize = 800;

impl Accounts {
    /// Any number of scripts may run at once, one for each account; nobody waits for them but who asked.
    pub(super) fn run_hook(
        &self,
        identity: &Identity,
        name: &UserName,
        asker: &dyn Asker,
    ) -> Result<HookRun, TaskRefusal> {
        let Some(path) = self.world.wishes.hook.clone() else { return Ok(HookRun::NotDue) };
        // What is "not due" to the asker must have ended too, for the account is used next.
        let _alone = self.scripts.alone_with(name, asker, 2 * LIMIT)?;
        if !self.begin_hook(identity, name, asker)? {
            return Ok(HookRun::NotDue);
        }
        let run = match self.script(&path) {
            Ok(script) => match self.world.runner.run_script(&script, &[name.as_str()], LIMIT) {
                Ok(done) => {
                    let said = escape(&done.complaint, SAID_CHARS);
                    log(&format!("{} for {name}: {:?}: {said}", path.display(), done.status));
                    HookRun::Ended(done.status)
                }
                Err(error) => HookRun::Failed(escape(&error.to_string(), SAID_CHARS)),
            },
            Err(why) => HookRun::Failed(escape(&why, SAID_CHARS)),
        };
        if let HookRun::Failed(why) = &run {
            log(&format!("{} for {name} FAILED: {why}", path.display()));
        }
        Ok(run)
    }

    /// Runs what a crash left due. Ending at a failure of one would keep the others waiting.
    pub fn resume_hooks(&self) {
        for (identity, name) in self.with_book(|book| book.due_hooks()) {
            if let Err(refusal) = self.run_hook(&identity, &name, &Patient) {
                log(&format!("script for {name}: {refusal}"));
            }
        }
    }

    /// Notes that it is begun; false if it was before, or never was due.
    fn begin_hook(
        &self,
        identity: &Identity,
        name: &UserName,
        asker: &dyn Asker,
    ) -> Result<bool, TaskRefusal> {
        let _turn = self.take_turn_for(asker)?;
        let uid = self.present(identity, name)?;
        let of_ledger = self.with_book(|book| {
            let record = book.account_named(name).map(|(_, record)| record);
            record.map(|record| record.hook_due && record.stage == Stage::Complete)
        });
        if of_ledger.is_none() && !self.world.limits.directory_hooks {
            let reason = format!(
                "{name} is kept by a directory; for the script set directory_hooks = yes in motley-root.conf"
            );
            return Err(TaskRefusal::Forbidden(reason));
        }
        let is_due = of_ledger.unwrap_or_else(|| !self.with_book(|book| book.is_hooked(name, uid)));
        if is_due {
            self.record(Event::HookBegun { name: name.clone(), uid })?;
        }
        Ok(is_due)
    }

    /// The script, if root alone can change it and it can be started.
    fn script(&self, path: &Path) -> Result<Script, String> {
        if !path.is_absolute() {
            return Err("is not an absolute path".to_owned());
        }
        let below = self.world.root.join(path.strip_prefix("/").unwrap_or(path));
        let real = require_root_only(&below).map_err(|error| error.to_string())?;
        let meta = fs::metadata(&real).map_err(|error| error.to_string())?;
        if !meta.is_file() {
            return Err("is no file".to_owned());
        }
        let name = path.to_string_lossy();
        let interpreter = match meta.permissions().mode() & 0o111 != 0 {
            true => None,
            false if name.ends_with(".sh") => Some("/bin/bash"),
            false if name.ends_with(".py") => Some("/usr/bin/python3"),
            false => return Err(format!("can't be started; run: chmod +x {name}")),
        };
        Ok(Script { interpreter, path: real })
    }
}
