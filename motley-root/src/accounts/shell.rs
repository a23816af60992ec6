//! Sets login shells.

use super::Accounts;
use crate::{guard, runner::Program};
use motley_proto::{
    Identity, UserName,
    task::{AccountPath, TaskAnswer},
};

impl Accounts {
    pub(super) fn set_shell(
        &self,
        identity: &Identity,
        name: &UserName,
        shell: &AccountPath,
    ) -> TaskAnswer {
        let (_, entry) = self.managed(identity, name)?;
        self.note_expiry_ahead(name)?;
        guard::check_shell(shell, &self.world.limits, &self.listed_shells())?;
        if entry.shell != shell.as_str() {
            let args = ["--shell", shell.as_str(), "--", name.as_str()];
            self.edit_or_fail(Program::Usermod, &args)?;
        }
        self.account_answer(name)
    }
}
