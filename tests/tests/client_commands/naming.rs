//! Hosts that a command was told by position, and who may log in there by itself afterwards.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use anyhow::Result;
use motley_tests::sandbox::{Mccli, Outcome, built};
use motley_tests::sandbox_test;

use super::place::{HOST, Place};

/// A user who has met nobody yet.
struct Newcomer<'a> {
    place: &'a Place<'a>,
    home: PathBuf,
}

impl<'a> Newcomer<'a> {
    fn new(place: &'a Place<'a>, name: &str) -> Result<Self> {
        let home = place.sb.dir().join(name);
        fs::create_dir_all(&home)?;
        Ok(Self { place, home })
    }

    fn run(&self, program: Mccli) -> Result<Outcome> {
        let token = self.place.token("alice");
        let home = self.home.to_string_lossy().into_owned();
        program
            .ca(self.place.world.ca.path())
            .env("HOME", &home)
            .env("ACCESS_TOKEN", &token)
            .run(self.place.sb)
    }

    /// A login by the name for other programs, without a terminal.
    fn link(&self) -> Result<Outcome> {
        let link = self.home.join("mccli-ssh");
        if !link.exists() {
            symlink(built("mccli")?, &link)?;
        }
        let mut words = self.place.sb.host_key_options();
        words.extend(["-oNumberOfPasswordPrompts=1", HOST, "id -un"].map(str::to_owned));
        self.run(Mccli::program(link, &words))
    }
}

sandbox_test! {
    fn a_host_in_its_position_is_found_and_named_for_the_programs_that_come_later(sb) {
        let place = Place::start(sb)?;
        let _front = place.usual_front()?;
        place.world.op.sign_in(Some("alice"));
        for (command, said) in [
            (&["login", HOST, "--device", "--store", "file"][..], ""),
            (&["token", HOST], "."),
            (&["whoami", HOST], "alice@example.org"),
            (&["status", HOST], "state: "),
            (&["deploy", HOST], "username: alice"),
            (&["otp", HOST], ""),
        ] {
            let user = Newcomer::new(&place, &format!("home-{}", command[0]))?;
            let before = user.link()?;
            assert!(!before.is_success() && before.stderr.contains("never named"), "{command:?}: {before:?}");
            let outcome = user.run(Mccli::new(command)?)?;
            assert!(outcome.is_success(), "{command:?}: {}", outcome.stderr);
            assert!(outcome.stdout.contains(said), "{command:?}: {}", outcome.stdout);
            let after = user.link()?;
            assert_eq!(after.stdout, "alice\n", "{command:?}: {}", after.stderr);
        }
        Ok(())
    }
}

sandbox_test! {
    fn a_look_at_a_host_that_needs_no_token_names_it_for_nobody(sb) {
        let place = Place::start(sb)?;
        let _front = place.usual_front()?;
        for command in [&["ops", HOST][..], &["endpoint", HOST], &["info", HOST], &["doctor", HOST]] {
            let user = Newcomer::new(&place, &format!("home-{}", command[0]))?;
            let outcome = user.run(Mccli::new(command)?)?;
            assert!(outcome.is_success(), "{command:?}: {}{}", outcome.stdout, outcome.stderr);
            let after = user.link()?;
            assert!(!after.is_success() && after.stderr.contains("never named"), "{command:?}: {after:?}");
        }
        assert!(!place.world.daemon.log(sb).contains("login granted"));
        Ok(())
    }
}
