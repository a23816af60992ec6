//! Who may ask the broker: the ssh processes that were announced, each for its own login.
//!
//! A prompt alone does not tell who shows it. `scp`, `rsync`, git and a jump host all bring ssh
//! processes of their own, with the same askpass in their environment, and each of them speaks with
//! another server. So an answer needs two things: the kernel says that askpass was started by an ssh
//! that was announced beforehand, and that ssh shows the prompt which belongs to its login.
//!
//! `mccli ssh` announces the process that it becomes. Below `mccli scp`, `sftp`, `rsync` and `exec`
//! each ssh begins as `mccli-ssh`, which announces itself and then becomes ssh under the same number.
//! The ssh that OpenSSH starts for a jump host, or that a ProxyCommand starts, was announced by nobody:
//! it gets nothing, whatever its server makes it show, also when another login is open beside it. A
//! tree of processes or a command line would say less: the jump's ssh stands in the same tree, and a
//! command line is whatever its process writes there.
//!
//! Other programs of the same user could announce themselves too. They could as well ask where the token
//! came from; the broker keeps out other users and servers, not them.

use super::{
    process::{Process, Seen},
    script::Script,
    wire::{Asker, Invitation},
};

/// One ssh that is expected.
pub(super) struct Guest {
    announcer: Process,
    asker: Asker,
    /// Which of the logins is its own.
    pub(super) login: usize,
    /// What its prompts get.
    pub(super) script: Script,
    /// Other questions may go to the terminal.
    pub(super) terminal: bool,
    /// How many one-time passwords its login had got when it was given its own.
    pub(super) minted: u64,
}

impl Guest {
    /// The ssh that `announcer` becomes or starts.
    pub(super) fn new(
        announcer: Process,
        invitation: Invitation,
        login: usize,
        script: Script,
    ) -> Self {
        let Invitation { asker, terminal } = invitation;
        Self { announcer, asker, login, script, terminal, minted: 0 }
    }

    fn is(&self, asking: Seen) -> bool {
        match self.asker {
            Asker::Itself => asking.process == self.announcer,
            Asker::Child => asking.parent == self.announcer.pid() && self.announcer.is_there(),
        }
    }
}

/// All that are expected.
#[derive(Default)]
pub(super) struct Guests(Vec<Guest>);

impl Guests {
    /// Expects one more; a process that announces itself again goes somewhere else now.
    pub(super) fn expect(&mut self, guest: Guest) {
        self.0.retain(|it| it.announcer != guest.announcer && it.announcer.is_there());
        self.0.push(guest);
    }

    /// The one that this process is.
    pub(super) fn find(&mut self, asking: Seen) -> Option<&mut Guest> {
        self.0.iter_mut().find(|guest| guest.is(asking))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::{process::look, script::tests::login};
    use crate::credential::Way;
    use std::process::{Child, Command};

    fn sleeper() -> (Child, Seen) {
        let child = Command::new("sleep").arg("60").spawn().unwrap();
        let seen = look(i32::try_from(child.id()).unwrap()).unwrap();
        (child, seen)
    }

    fn expect(guests: &mut Guests, announcer: Process, asker: Asker, login_at: usize) {
        let script = Script::new(&login("secret", Way::Whole));
        let invitation = Invitation { asker, terminal: true };
        guests.expect(Guest::new(announcer, invitation, login_at, script));
    }

    #[test]
    fn r38_only_the_announced_ssh_is_a_guest_and_no_ssh_that_it_started() {
        let (mut first, one) = sleeper();
        let (mut second, other) = sleeper();
        let itself = look(one.parent).unwrap();
        let mut guests = Guests::default();
        expect(&mut guests, one.process, Asker::Itself, 0);
        assert!(guests.find(other).is_none() && guests.find(itself).is_none());
        // A child of the announced one, as the ssh to a jump host is.
        let child = Seen { parent: one.process.pid(), ..other };
        assert!(guests.find(child).is_none());
        expect(&mut guests, other.process, Asker::Itself, 1);
        assert_eq!(guests.find(one).map(|guest| guest.login), Some(0));
        assert_eq!(guests.find(other).map(|guest| guest.login), Some(1));
        expect(&mut guests, itself.process, Asker::Child, 2);
        assert_eq!(guests.find(one).map(|guest| guest.login), Some(0));
        for child in [&mut first, &mut second] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    #[test]
    fn the_child_of_an_announcer_is_a_guest_and_a_grandchild_is_not() {
        let (mut child, seen) = sleeper();
        let itself = look(seen.parent).unwrap();
        let mut guests = Guests::default();
        expect(&mut guests, itself.process, Asker::Child, 0);
        assert!(guests.find(seen).is_some());
        assert!(guests.find(Seen { parent: seen.process.pid(), ..seen }).is_none());
        assert!(guests.find(itself).is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
