//! Recorded cases of states (`tests/vectors/states.json`) with a directory, over a real one.
//!
//! Played is what the back end decides: whose an account is, what it is called, and what becomes of it.
//! Sentences and the order of the steps are the daemon's, which plays the cases with local accounts.
//! `MOTLEY_VECTORS` names another folder.

use crate::directory_test;
use crate::entries::Entries;
use crate::support::*;
use feudal_plugins::{
    Account, Backend, BackendError, Claims, Intent, Naming, Person, Shells,
    groups::Groups,
    ldap::{LdapConfig, LdapDirectory, Mode},
    names::{NameRules, ShadowVariant, Strategy, candidates},
};
use motley_proto::{GroupName, Identity, Issuer, Subject, rest::AccountState, task::AccountPath};
use motley_tests::slapd::Slapd;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::PathBuf,
};

/// Cases of each mode in the file of this repository.
const READ_ONLY_CASES: usize = 98;
const PRE_CREATED_CASES: usize = 95;
const FULL_ACCESS_CASES: usize = 102;
/// Cases with bwIDM in it: one, in which that back end does not even start.
const BWIDM_CASES: usize = 1;

const FIRST_COME: &str =
    "an entry without an owner goes to nobody without an agreement, whoever comes first";
const READ_ONLY: &str = "what a directory that is only read can't show is not said to be done";
const NOT_REMOVED: &str =
    "of an entry that the site made only the owner is taken away, where that is allowed";
const UPPER_CASE: &str =
    "an entry whose name no account can have is named in an error, and gives nobody anything";
const COUNTER: &str = "a counter that is missing is made, and one that is behind is passed over";
const NO_NAME: &str = "whom no entry belongs to is refused, whatever name the claims make";

const TIER: &str = "the shell follows the tier at each deployment";
const KEPT: &str = "a membership that motley did not give stays";
const GOES_ALONG: &str = "memberships go with the account";
/// Above users and groups.
const BASE: &str = "dc=example";
const LOCKS_SHOW: &str = "a suspension shows in the entry";
const SHELLS_SHOW: &str = "a limit shows in the shell";

struct Case(Value);

/// What a case comes to. `None` for the name: it is not said.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    state: String,
    user: Option<String>,
}

fn all() -> Vec<Value> {
    let folder = std::env::var_os("MOTLEY_VECTORS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/vectors")),
        PathBuf::from,
    );
    serde_json::from_str(&std::fs::read_to_string(folder.join("states.json")).unwrap()).unwrap()
}

fn cases(mode: Mode) -> Vec<Case> {
    let is_of = |case: &Value| {
        let text = case["config"]["feudal_adapter.conf"].as_str().unwrap_or_default();
        case["input"]["backend"] == "ldap" && text.contains(&format!("mode = {}\n", mode.as_str()))
    };
    all().into_iter().filter(is_of).map(Case).collect()
}

impl Case {
    fn word(&self, key: &str) -> &str {
        self.0["input"][key].as_str().unwrap_or_default()
    }

    fn userinfo(&self) -> serde_json::Map<String, Value> {
        self.0["input"]["userinfo"].as_object().cloned().unwrap_or_default()
    }

    fn identity(&self) -> Identity {
        let userinfo = self.userinfo();
        let word = |key: &str| userinfo[key].as_str().unwrap().to_owned();
        Identity::new(Issuer::new(word("iss")).unwrap(), Subject::new(word("sub")).unwrap())
    }

    fn recorded(&self) -> Outcome {
        let expected = &self.0["expected"];
        let body = &expected["http"]["body"];
        let status = expected["http"]["status"].as_u64().unwrap_or(200);
        let user = [&expected["credentials"], &body["credentials"]]
            .into_iter()
            .find_map(|it| it["ssh_user"].as_str());
        let state = expected["state"].as_str().or(body["state"].as_str());
        let state = match (status, state) {
            (401, _) => "rejected",
            (400.., _) | (_, None) => "failed",
            (_, Some(state)) => state,
        };
        Outcome { state: state.to_owned(), user: user.map(str::to_owned) }
    }

    /// Entries of the case, with the classes that a server with a schema asks for.
    fn ldif(&self) -> String {
        let mut text = String::new();
        let entries = self.0["input"]["directory_before"].as_object().unwrap();
        for (dn, attributes) in entries {
            writeln!(text, "dn: {dn}").unwrap();
            let classes: &[&str] = match dn.split('=').next() {
                Some("uid") => &["inetOrgPerson", "posixAccount"],
                _ if dn.starts_with("cn=uidNext") => &["device", "uidObject", "extensibleObject"],
                _ => &["posixGroup"],
            };
            classes.iter().for_each(|class| writeln!(text, "objectClass: {class}").unwrap());
            for (attribute, values) in attributes.as_object().unwrap() {
                let values = values.as_array().unwrap().iter().filter_map(Value::as_str);
                let own = values.filter(|_| attribute != "entryDN");
                own.for_each(|value| writeln!(text, "{attribute}: {value}").unwrap());
            }
            if classes.contains(&"uidObject") {
                text.push_str("uid: uidNext\n");
            }
            text.push('\n');
        }
        text
    }

    /// Yields what comes of it, and what is in the directory then.
    async fn play(&self, mode: Mode) -> (Outcome, Entries) {
        let slapd = Slapd::builder().entries(&self.ldif()).start().unwrap();
        let path = |text: &str| AccountPath::new(text).unwrap();
        let shells = Shells {
            full: path("/bin/bash"),
            limited: path("/bin/rbash"),
            ..Shells::standard().unwrap()
        };
        let base = config(&slapd, mode);
        let mut config = LdapConfig { shells, uids: 5000..=5003, gids: 6000..=9999, ..base };
        config.groups.allowed.extend(groups(&["wlcg", "old"]));
        let stage = Stage { ldap: back_end(config), identity: self.identity() };
        let before = Entries::found(&slapd, BASE);
        let outcome = stage.act(self).await;
        let after = Entries::found(&slapd, BASE);
        if self.suspends() && after != before {
            // A lock is taken back without a trace.
            let account = stage.found().await.unwrap().unwrap();
            stage.ldap.resume(&stage.identity, &account.name).await.unwrap();
            assert_eq!(Entries::found(&slapd, BASE), before, "{}", self.0["name"]);
        }
        (outcome, after)
    }

    fn is_restricted(&self) -> bool {
        self.word("shell_tier") == "restricted"
    }

    fn suspends(&self) -> bool {
        matches!(self.word("action"), "suspended" | "suspend" | "admin_suspend")
    }

    /// Why what is left in the directory may differ from what was recorded.
    fn reason_of_entries(
        &self,
        mode: Mode,
        ours: &Entries,
        recorded: &Entries,
    ) -> Option<&'static str> {
        let deploys = matches!(self.word("action"), "deployed" | "deploy");
        let setup = self.word("setup");
        let nobody_joins =
            ours.members.values().flatten().count() <= recorded.members.values().flatten().count();
        match (mode, self.word("action")) {
            _ if self.suspends() && ours.unlocked() == *recorded => Some(LOCKS_SHOW),
            (_, "limited") if ours.without_shells() == recorded.without_shells() => {
                Some(SHELLS_SHOW)
            }
            _ if setup == "mapped name in upper case" => Some(UPPER_CASE),
            (Mode::PreCreated, _) if deploys && self.is_restricted() => {
                (ours.without_shells() == recorded.without_shells()).then_some(TIER)
            }
            (Mode::PreCreated, "not_deployed")
                if ours.without_owners() == recorded.without_owners() =>
            {
                Some(NOT_REMOVED)
            }
            (Mode::PreCreated, _)
                if deploys && ours.without_owners() == recorded.without_owners() =>
            {
                Some(FIRST_COME)
            }
            (Mode::FullAccess, _) if deploys && setup.contains("no counters") => Some(COUNTER),
            (Mode::FullAccess, _) if deploys && setup.contains("member of another group") => {
                (ours.people == recorded.people).then_some(KEPT)
            }
            (Mode::FullAccess, "not_deployed")
                if ours.people == recorded.people && nobody_joins =>
            {
                Some(GOES_ALONG)
            }
            _ => None,
        }
    }

    fn reason(&self, mode: Mode, ours: &Outcome, recorded: &Outcome) -> Option<&'static str> {
        let deploys = matches!(self.word("action"), "deployed" | "deploy");
        let setup = self.word("setup");
        match mode {
            _ if setup == "mapped name in upper case" => Some(UPPER_CASE),
            Mode::PreCreated if deploys && ours.state == "rejected" => Some(FIRST_COME),
            Mode::PreCreated | Mode::FullAccess if deploys && self.is_restricted() => {
                (ours.state == "limited").then_some(TIER)
            }
            Mode::ReadOnly if ours.state == "deployed" && !deploys => Some(READ_ONLY),
            Mode::PreCreated | Mode::ReadOnly if self.word("action") == "not_deployed" => {
                Some(NOT_REMOVED)
            }
            Mode::ReadOnly if deploys && recorded.state == "failed" => Some(NO_NAME),
            Mode::FullAccess if deploys && recorded.state == "failed" => Some(COUNTER),
            _ => None,
        }
    }
}

struct Stage {
    ldap: LdapDirectory,
    identity: Identity,
}

impl Stage {
    async fn found(&self) -> Result<Option<Account>, BackendError> {
        self.ldap.find(&self.identity).await
    }

    async fn seen(&self) -> Outcome {
        let state = match self.found().await {
            Ok(Some(account)) => account.state.as_str(),
            Ok(None) => AccountState::NotDeployed.as_str(),
            Err(_) => "failed",
        };
        Outcome { state: state.to_owned(), user: None }
    }

    async fn act(&self, case: &Case) -> Outcome {
        let state = |word: &str| Outcome { state: word.to_owned(), user: None };
        let before = self.seen().await;
        let account = match self.found().await {
            Ok(Some(account)) => account,
            Ok(None) if matches!(case.word("action"), "deployed" | "deploy") => {
                return self.deploy(case).await;
            }
            Ok(None) | Err(_) => return before,
        };
        let (who, name) = (&self.identity, &account.name);
        let done = match case.word("action") {
            "deployed" | "deploy" => return self.deploy(case).await,
            "suspended" | "suspend" | "admin_suspend" => self.ldap.suspend(who, name).await,
            "resumed" | "admin_resume" => self.ldap.resume(who, name).await,
            "limited" => match self.ldap.limit(who, name).await {
                // The daemon's mark says so, whatever the shell.
                Ok(()) => return state("limited"),
                error => error,
            },
            "not_deployed" => match self.ldap.can_remove() {
                Ok(()) => self.ldap.remove(who, name).await.map(drop),
                Err(_) => return state("rejected"),
            },
            _ => Ok(()),
        };
        match done {
            Ok(()) | Err(BackendError::Unsupported(_)) => self.seen().await,
            Err(error) => panic!("{}: {error}", case.0["name"]),
        }
    }

    async fn deploy(&self, case: &Case) -> Outcome {
        let userinfo = case.userinfo();
        let claims = Claims::merge(Some(&userinfo), None, None);
        let person = Person::from_claims(&claims);
        let name = match self.found().await.unwrap() {
            Some(account) => Some(account.name),
            None if self.ldap.naming() == Naming::Known => {
                self.ldap.prepared_name(&self.identity, &person).await.unwrap()
            }
            None => self.free_name(&claims).await,
        };
        let Some(name) = name else {
            return Outcome { state: "rejected".to_owned(), user: None };
        };
        // No case names a shell of its own for a tier.
        let shell = match case.word("shell_tier") {
            "restricted" => "/sbin/nologin",
            _ => "/bin/bash",
        };
        let primary = GroupName::new("wlcg").unwrap();
        let supplementary = vec![primary.clone()];
        let intent = Intent {
            identity: self.identity.clone(),
            name,
            uid: None,
            uid_floor: None,
            person,
            groups: Groups { primary, supplementary, dropped: Vec::new() },
            shell: AccountPath::new(shell).unwrap(),
            home_base: AccountPath::new("/home").unwrap(),
        };
        match self.ldap.deploy(&intent).await {
            Ok(done) => Outcome {
                state: done.account.state.as_str().to_owned(),
                user: Some(done.account.name.to_string()),
            },
            Err(_) => Outcome { state: "failed".to_owned(), user: None },
        }
    }

    async fn free_name(&self, claims: &Claims) -> Option<motley_proto::UserName> {
        let strategy = Strategy::Friendly;
        let rules = NameRules { strategy, shadow: ShadowVariant::Ldap, prefix: String::new() };
        for candidate in candidates(&rules, claims, "wlcg") {
            if !self.ldap.is_taken(&candidate.name).await.unwrap() {
                return Some(candidate.name);
            }
        }
        None
    }
}

/// How many cases were equal, and how often each reason held.
struct Played {
    equal: usize,
    used: BTreeMap<&'static str, usize>,
    /// The same of what was left in the directory.
    entries: BTreeMap<&'static str, usize>,
}

/// Plays all cases of a mode.
async fn play(mode: Mode) -> Played {
    let (mut equal, mut used, mut wrong) = (0, BTreeMap::new(), Vec::new());
    let mut used_entries: BTreeMap<&str, usize> = BTreeMap::new();
    for case in cases(mode) {
        let ((ours, entries), recorded) = (case.play(mode).await, case.recorded());
        let told = Entries::told(&case.0["expected"]["directory_after"]);
        if entries != told {
            match case.reason_of_entries(mode, &entries, &told) {
                Some(reason) => *used_entries.entry(reason).or_default() += 1,
                None => wrong.push(format!(
                    "{}\n  ours:     {entries:?}\n  recorded: {told:?}",
                    case.0["name"]
                )),
            }
        }
        let same_user =
            ours.user.is_none() || recorded.user.is_none() || ours.user == recorded.user;
        if ours.state == recorded.state && same_user {
            equal += 1;
        } else if let Some(reason) = case.reason(mode, &ours, &recorded) {
            *used.entry(reason).or_default() += 1;
        } else {
            let name = case.0["name"].as_str().unwrap_or_default();
            wrong.push(format!("{name}\n  ours:     {ours:?}\n  recorded: {recorded:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
    eprintln!("{equal} equal; {used:#?}; entries: {used_entries:#?}");
    Played { equal, used, entries: used_entries }
}

/// None is left out of this repository's file, and each reason holds as often as it did.
fn require_all(
    Played { equal, used, entries }: &Played,
    reasons: &[(&'static str, usize)],
    of_entries: &[&'static str],
    total: usize,
) {
    if std::env::var_os("MOTLEY_VECTORS").is_some() {
        return;
    }
    assert_eq!(equal + used.values().sum::<usize>(), total);
    assert_eq!(*used, reasons.iter().copied().collect());
    assert_eq!(entries.keys().collect::<BTreeSet<_>>(), of_entries.iter().collect::<BTreeSet<_>>());
}

directory_test! {
    async fn states_of_accounts_in_a_directory_that_is_only_read_are_the_recorded_ones() {
        let played = play(Mode::ReadOnly).await;
        require_all(&played, &[(READ_ONLY, 13), (UPPER_CASE, 7), (NO_NAME, 1)], &[], READ_ONLY_CASES);
    }
}

directory_test! {
    async fn states_of_accounts_that_the_site_makes_are_the_recorded_ones() {
        let played = play(Mode::PreCreated).await;
        require_all(&played, &[(FIRST_COME, 4), (NOT_REMOVED, 2), (UPPER_CASE, 6), (TIER, 1)], &[LOCKS_SHOW, SHELLS_SHOW, FIRST_COME, NOT_REMOVED, TIER], PRE_CREATED_CASES);
    }
}

directory_test! {
    async fn states_of_accounts_in_a_directory_of_ours_are_the_recorded_ones() {
        let played = play(Mode::FullAccess).await;
        require_all(&played, &[(COUNTER, 1), (UPPER_CASE, 9), (TIER, 1)], &[LOCKS_SHOW, SHELLS_SHOW, COUNTER, UPPER_CASE, KEPT, GOES_ALONG], FULL_ACCESS_CASES);
    }
}

#[test]
fn every_recorded_case_with_another_back_end_than_local_accounts_is_of_a_directory() {
    if std::env::var_os("MOTLEY_VECTORS").is_some() {
        return;
    }
    let of = |name: &str| all().iter().filter(|case| case["input"]["backend"] == name).count();
    assert_eq!(of("ldap"), READ_ONLY_CASES + PRE_CREATED_CASES + FULL_ACCESS_CASES);
    assert_eq!(of("bwidm"), BWIDM_CASES);
    assert_eq!(of("ldap") + of("bwidm") + of("local_unix"), all().len());
}
