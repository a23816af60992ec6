//! People by the thousand: identities of the provider, and their accounts in the account files.

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result};
use motley_proto::identity::quote_plus;
use motley_tests::op::User;

/// The first uid, above what useradd and the host's own people use.
const FIRST_UID: usize = 200_000;
/// Gid of the primary group of all of them.
const PRIMARY_GID: usize = 200_000;
/// Members of each further group.
const PROJECT_SIZE: usize = 100;
/// The group that both stacks make of [`MEMBERSHIP`].
const SCIENCE: &str = "example-org_science";
/// The membership that everybody has and that authorises.
pub(crate) const MEMBERSHIP: &str = "urn:geant:example.org:group:science#login.example.org";
/// Files with one line for each account or group, and their modes.
const FILES: [(&str, u32); 4] =
    [("passwd", 0o644), ("shadow", 0o640), ("group", 0o644), ("gshadow", 0o640)];

/// One person who has an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Person(usize);

impl Person {
    /// The one whose requests are measured. Whatever the number of accounts, the line of this one
    /// stands in the middle.
    pub(crate) const MEASURED: Self = Self(0);

    /// Login name.
    pub(crate) fn name(self) -> String {
        format!("user{:06}", self.0)
    }

    /// The person as the provider knows it; subjects look like those of common providers.
    pub(crate) fn user(self) -> User {
        User::new(&self.name())
            .subject(&self.subject())
            .claim("eduperson_entitlement", vec![MEMBERSHIP])
    }

    fn subject(self) -> String {
        format!("{:08x}-5d3c-4b7e-9a41-0f6e2c8d{:04x}", self.0 * 40_503, self.0 % 65_536)
    }

    fn passwd(self, issuer: &str) -> String {
        let (name, uid) = (self.name(), FIRST_UID + self.0);
        let gecos = format!("{}@{}", quote_plus(&self.subject()), quote_plus(issuer));
        format!("{name}:x:{uid}:{PRIMARY_GID}:{gecos}:/home/{name}:/bin/bash\n")
    }
}

/// The account files as they were before.
#[derive(Debug)]
pub(crate) struct AccountFiles([String; 4]);

impl AccountFiles {
    /// Reads them.
    pub(crate) fn read() -> Result<Self> {
        let mut texts = <[String; 4]>::default();
        for (text, (file, _)) in texts.iter_mut().zip(FILES) {
            *text = fs::read_to_string(format!("/etc/{file}")).with_context(|| file.to_owned())?;
        }
        Ok(Self(texts))
    }

    /// Writes them with this many people of the provider besides.
    pub(crate) fn write(&self, accounts: usize, issuer: &str) -> Result<()> {
        let [mut passwd, mut shadow, mut group, mut gshadow] = self.0.clone();
        let people = (1..accounts.div_ceil(2)).chain([0]).chain(accounts.div_ceil(2)..accounts);
        let people: Vec<Person> = people.map(Person).collect();
        for person in &people {
            passwd += &person.passwd(issuer);
            writeln!(shadow, "{}:!:20000:0:99999:7:::", person.name())?;
        }
        writeln!(group, "people:x:{PRIMARY_GID}:")?;
        writeln!(gshadow, "people:!::")?;
        // Not the measured one: the stacks differ in whom they take out of groups, and nobody shall
        // change anything while being measured.
        for (at, members) in people.chunks(PROJECT_SIZE).enumerate() {
            let others = members.iter().filter(|person| **person != Person::MEASURED);
            let members: Vec<String> = others.map(|person| person.name()).collect();
            let members = members.join(",");
            writeln!(group, "project{at:04}:x:{}:{members}", PRIMARY_GID + 1 + at)?;
            writeln!(gshadow, "project{at:04}:!::{members}")?;
        }
        let measured = Person::MEASURED.name();
        writeln!(group, "{SCIENCE}:x:{}:{measured}", PRIMARY_GID - 1)?;
        writeln!(gshadow, "{SCIENCE}:!::{measured}")?;
        for ((file, mode), text) in FILES.into_iter().zip([passwd, shadow, group, gshadow]) {
            let fresh = format!("/etc/{file}.fresh");
            fs::write(&fresh, text)?;
            fs::set_permissions(&fresh, Permissions::from_mode(mode))?;
            fs::rename(&fresh, format!("/etc/{file}"))?;
        }
        Ok(())
    }
}
