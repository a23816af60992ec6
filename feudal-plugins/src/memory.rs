//! An in-memory back end: a stand-in for tests of what uses a back end. It changes no account.

use crate::{
    backend::{Account, Backend, BackendError, Deployed, GroupChanges, Intent},
    host::Host,
    shells::is_nologin,
};
use async_trait::async_trait;
use motley_proto::{
    GroupName, Identity, SshKey, Uid, UserName,
    rest::AccountState,
    task::{
        AccountPath, AccountSessions, Held, HomeFate, HookRun, KeysKept, Removal, SessionFact,
        SessionsEnded,
    },
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Shell of limited accounts.
const NOLOGIN: &str = "/sbin/nologin";

/// Accounts in memory, with the same rules about names, uids and owners as a real back end.
#[derive(Debug, Default)]
pub struct MemoryBackend {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    accounts: BTreeMap<UserName, Kept>,
    foreign_names: BTreeSet<String>,
    /// Names of removed accounts, with their owners.
    retired: BTreeMap<UserName, Identity>,
    failures: VecDeque<BackendError>,
    /// Failures of one operation each.
    failures_of: Vec<(String, BackendError)>,
    sessions: BTreeMap<UserName, u32>,
    jobs: BTreeMap<UserName, u32>,
    calls: Vec<String>,
    scripts: Vec<UserName>,
    /// Accounts whose jobs are held.
    held: BTreeSet<UserName>,
}

#[derive(Debug, Clone)]
struct Kept {
    account: Account,
    /// Known of accounts that were made here.
    primary: Option<GroupName>,
    managed: Vec<GroupName>,
    shell_before: Option<String>,
    /// An admin has locked it by hand.
    by_hand: bool,
}

impl MemoryBackend {
    /// No accounts yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A name that somebody else has, in a directory or by hand.
    pub fn occupy(&self, name: &str) {
        self.lock().foreign_names.insert(name.to_owned());
    }

    /// An account that exists already, as the Python stack or an admin would have made it. One that is
    /// there is changed as by hand.
    pub fn insert(&self, account: Account) {
        let mut state = self.lock();
        if let Some(kept) = state.accounts.get_mut(&account.name) {
            kept.account = account;
            return;
        }
        let kept = Kept {
            primary: None,
            managed: Vec::new(),
            shell_before: None,
            by_hand: false,
            account,
        };
        state.accounts.insert(kept.account.name.clone(), kept);
    }

    /// An admin locks the account on the host.
    pub fn lock_by_hand(&self, name: &UserName) {
        if let Some(kept) = self.lock().accounts.get_mut(name) {
            kept.by_hand = true;
            kept.account.state = AccountState::Suspended;
        }
    }

    /// The next operation that changes something fails like this.
    pub fn fail_next(&self, error: BackendError) {
        self.lock().failures.push_back(error);
    }

    /// The next operation of this name, as [`MemoryBackend::calls`] has it, fails like this.
    pub fn fail_next_of(&self, call: &str, error: BackendError) {
        self.lock().failures_of.push((call.to_owned(), error));
    }

    /// So many sessions are running on the account.
    pub fn open_sessions(&self, name: &UserName, count: u32) {
        self.lock().sessions.insert(name.clone(), count);
    }

    /// So many jobs of cron and at wait for the account.
    pub fn give_jobs(&self, name: &UserName, count: u32) {
        self.lock().jobs.insert(name.clone(), count);
    }

    /// True while the jobs of the account are held.
    pub fn is_held(&self, name: &UserName) -> bool {
        self.lock().held.contains(name)
    }

    /// The accounts for which the script was asked for, oldest first.
    pub fn scripts(&self) -> Vec<UserName> {
        self.lock().scripts.clone()
    }

    /// The operations that were asked for and would change something, oldest first: `deploy jdoe`.
    pub fn calls(&self) -> Vec<String> {
        self.lock().calls.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, call: &str, name: &UserName) -> Result<MutexGuard<'_, State>, BackendError> {
        let mut state = self.lock();
        state.calls.push(format!("{call} {name}"));
        if let Some(at) = state.failures_of.iter().position(|(of, _)| of == call) {
            return Err(state.failures_of.remove(at).1);
        }
        match state.failures.pop_front() {
            Some(error) => Err(error),
            None => Ok(state),
        }
    }

    fn change<T>(
        &self,
        call: &str,
        identity: &Identity,
        name: &UserName,
        act: impl FnOnce(&mut Kept) -> T,
    ) -> Result<T, BackendError> {
        let mut state = self.begin(call, name)?;
        let kept = state.accounts.get_mut(name).ok_or(BackendError::NoAccount)?;
        if kept.account.identity.as_ref() == Some(identity) {
            Ok(act(kept))
        } else {
            Err(BackendError::Refused(format!("the account {name} is not of this identity")))
        }
    }
}

impl Kept {
    /// The state follows the shell, but for a lock.
    fn show_shell(&mut self) {
        if self.account.state != AccountState::Suspended {
            self.account.state = state_of(&self.account.shell);
        }
    }
}

fn regroup(kept: &mut Kept, wanted: &[GroupName]) -> GroupChanges {
    let groups = &mut kept.account.groups;
    let left: Vec<GroupName> =
        kept.managed.iter().filter(|group| !wanted.contains(group)).cloned().collect();
    let joined: Vec<GroupName> = wanted
        .iter()
        .filter(|group| !groups.iter().any(|name| name == group.as_str()))
        .cloned()
        .collect();
    groups.retain(|name| !left.iter().any(|group| group.as_str() == name));
    groups.extend(joined.iter().map(|group| group.as_str().to_owned()));
    groups.sort_unstable();
    kept.managed.retain(|group| !left.contains(group));
    kept.managed.extend(joined.iter().cloned());
    GroupChanges { joined, left }
}

/// A primary group that was given here does not outlast the claim.
fn follow_primary(kept: &mut Kept, intent: &Intent) -> GroupChanges {
    let gone = kept.primary.clone().filter(|has| !intent.groups.contains(has));
    let Some(gone) = gone else {
        return regroup(kept, &supplementary(intent, kept.primary.as_ref()));
    };
    let new = intent.groups.primary.clone();
    let was_member = replace_primary(kept, &new);
    let mut changes = regroup(kept, &supplementary(intent, Some(&new)));
    changes.count_primary(Some(new).filter(|_| !was_member), Some(gone));
    changes
}

/// True if the account was a member of the group before.
fn replace_primary(kept: &mut Kept, group: &GroupName) -> bool {
    let was_member = kept.account.groups.iter().any(|name| name == group.as_str());
    if kept.managed.contains(group) {
        kept.managed.retain(|other| other != group);
        kept.account.groups.retain(|name| name != group.as_str());
    }
    kept.primary = Some(group.clone());
    was_member
}

fn supplementary(intent: &Intent, primary: Option<&GroupName>) -> Vec<GroupName> {
    let groups = intent.groups.supplementary.iter();
    groups.filter(|group| Some(*group) != primary).cloned().collect()
}

fn make(state: &mut State, intent: &Intent) -> Result<Deployed, BackendError> {
    let is_retired = state.retired.get(&intent.name).is_some_and(|owner| *owner != intent.identity);
    if is_retired || state.foreign_names.contains(intent.name.as_str()) {
        return Err(BackendError::NameTaken(intent.name.clone()));
    }
    let uid = intent.uid.ok_or_else(|| BackendError::Refused("no uid was offered".to_owned()))?;
    if state.accounts.values().any(|kept| kept.account.uid == Some(uid.get())) {
        return Err(BackendError::UidTaken(uid));
    }
    let account = Account {
        identity: Some(intent.identity.clone()),
        name: intent.name.clone(),
        uid: Some(uid.get()),
        gid: Some(uid.get()),
        home: format!("{}/{}", intent.home_base, intent.name),
        shell: intent.shell.as_str().to_owned(),
        state: state_of(intent.shell.as_str()),
        groups: Vec::new(),
    };
    let primary = Some(intent.groups.primary.clone());
    let wanted = supplementary(intent, primary.as_ref());
    let mut kept =
        Kept { account, primary, managed: Vec::new(), shell_before: None, by_hand: false };
    let changes = regroup(&mut kept, &wanted);
    let account = kept.account.clone();
    state.accounts.insert(intent.name.clone(), kept);
    Ok(Deployed { account, created: true, joined: changes.joined, left: changes.left })
}

fn state_of(shell: &str) -> AccountState {
    if is_nologin(shell) { AccountState::Limited } else { AccountState::Deployed }
}

#[async_trait]
impl Backend for MemoryBackend {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn is_shared(&self) -> bool {
        false
    }

    async fn find(&self, identity: &Identity) -> Result<Option<Account>, BackendError> {
        let state = self.lock();
        let mut accounts = state.accounts.values().map(|kept| &kept.account);
        Ok(accounts.find(|account| account.identity.as_ref() == Some(identity)).cloned())
    }

    async fn by_name(&self, name: &UserName) -> Result<Option<Account>, BackendError> {
        Ok(self.lock().accounts.get(name).map(|kept| kept.account.clone()))
    }

    async fn accounts(&self) -> Result<Vec<Account>, BackendError> {
        let state = self.lock();
        let accounts = state.accounts.values().map(|kept| &kept.account);
        Ok(accounts.filter(|account| account.identity.is_some()).cloned().collect())
    }

    async fn is_taken(&self, name: &UserName) -> Result<bool, BackendError> {
        let state = self.lock();
        Ok(state.accounts.contains_key(name) || state.foreign_names.contains(name.as_str()))
    }

    async fn is_uid_taken(&self, uid: Uid) -> Result<bool, BackendError> {
        Ok(self.lock().accounts.values().any(|kept| kept.account.uid == Some(uid.get())))
    }

    async fn deploy(&self, intent: &Intent) -> Result<Deployed, BackendError> {
        let has = self.find(&intent.identity).await?.map(|account| account.name);
        let mut state = self.begin("deploy", &intent.name)?;
        if let Some(name) = has.filter(|name| *name != intent.name) {
            return Err(BackendError::HasAccount(name));
        }
        let Some(kept) = state.accounts.get_mut(&intent.name) else {
            return make(&mut state, intent);
        };
        if kept.account.identity.as_ref() != Some(&intent.identity) {
            return Err(BackendError::NameTaken(intent.name.clone()));
        }
        let mut changes = GroupChanges::default();
        if kept.account.state != AccountState::Suspended {
            changes = follow_primary(kept, intent);
            kept.account.shell = intent.shell.as_str().to_owned();
            kept.account.state = state_of(&kept.account.shell);
        }
        let account = kept.account.clone();
        Ok(Deployed { account, created: false, joined: changes.joined, left: changes.left })
    }

    async fn set_groups(
        &self,
        identity: &Identity,
        name: &UserName,
        groups: &[GroupName],
    ) -> Result<GroupChanges, BackendError> {
        self.change("set_groups", identity, name, |kept| regroup(kept, groups))
    }

    async fn set_shell(
        &self,
        identity: &Identity,
        name: &UserName,
        shell: &AccountPath,
    ) -> Result<(), BackendError> {
        self.change("set_shell", identity, name, |kept| {
            kept.account.shell = shell.as_str().to_owned();
        })
    }

    async fn suspend(&self, identity: &Identity, name: &UserName) -> Result<(), BackendError> {
        self.change("suspend", identity, name, |kept| {
            kept.account.state = AccountState::Suspended;
        })
    }

    async fn resume(&self, identity: &Identity, name: &UserName) -> Result<(), BackendError> {
        self.change("resume", identity, name, |kept| {
            kept.by_hand = false;
            kept.account.state = state_of(&kept.account.shell);
        })
    }

    async fn lift_own_lock(
        &self,
        identity: &Identity,
        name: &UserName,
    ) -> Result<(), BackendError> {
        self.change("lift_own_lock", identity, name, |kept| {
            if !kept.by_hand {
                kept.account.state = state_of(&kept.account.shell);
            }
        })
    }

    async fn limit(&self, identity: &Identity, name: &UserName) -> Result<(), BackendError> {
        self.change("limit", identity, name, |kept| {
            kept.shell_before =
                Some(std::mem::replace(&mut kept.account.shell, NOLOGIN.to_owned()));
            kept.show_shell();
        })
    }

    async fn unlimit(
        &self,
        identity: &Identity,
        name: &UserName,
        shell: &AccountPath,
    ) -> Result<(), BackendError> {
        self.change("unlimit", identity, name, |kept| {
            kept.account.shell = shell.as_str().to_owned();
            kept.show_shell();
        })
    }

    async fn primary_group(&self, name: &UserName) -> Result<Option<GroupName>, BackendError> {
        Ok(self.lock().accounts.get(name).and_then(|kept| kept.primary.clone()))
    }

    async fn managed_primary(&self, name: &UserName) -> Result<Option<GroupName>, BackendError> {
        self.primary_group(name).await
    }

    async fn set_primary_group(
        &self,
        identity: &Identity,
        name: &UserName,
        group: &GroupName,
    ) -> Result<(), BackendError> {
        self.change("set_primary_group", identity, name, |kept| match kept.primary {
            Some(_) => {
                replace_primary(kept, group);
                Ok(())
            }
            None => Err(BackendError::Refused("the primary group was not given here".to_owned())),
        })?
    }

    async fn managed_groups(&self, name: &UserName) -> Result<Vec<GroupName>, BackendError> {
        Ok(self.lock().accounts.get(name).map(|kept| kept.managed.clone()).unwrap_or_default())
    }

    async fn remove(&self, identity: &Identity, name: &UserName) -> Result<Removal, BackendError> {
        match self.change("remove", identity, name, |_| ()) {
            Ok(()) => {}
            Err(BackendError::NoAccount) => return Ok(Removal::default()),
            Err(error) => return Err(error),
        }
        let mut state = self.lock();
        let count = state.sessions.remove(name).unwrap_or_default();
        state.retired.insert(name.clone(), identity.clone());
        let home = match state.accounts.remove(name) {
            Some(_) => HomeFate::Archived(format!("/home/.removed/{name}")),
            None => HomeFate::Nothing,
        };
        let ended = SessionsEnded {
            sessions: count,
            processes: count,
            remaining: 0,
            ..SessionsEnded::default()
        };
        Ok(Removal { ended, home, group: None })
    }

    async fn roll_back(&self, _: &Identity, name: &UserName) -> Result<(), BackendError> {
        self.begin("roll_back", name).map(|_| ())
    }

    async fn check(&self) -> Result<(), BackendError> {
        Ok(())
    }
}

#[async_trait]
impl Host for MemoryBackend {
    async fn sessions(
        &self,
        identity: &Identity,
        name: &UserName,
    ) -> Result<AccountSessions, BackendError> {
        let state = self.lock();
        let kept = state.accounts.get(name).ok_or(BackendError::NoAccount)?;
        if kept.account.identity.as_ref() != Some(identity) {
            return Err(BackendError::Refused(format!(
                "the account {name} is not of this identity"
            )));
        }
        let session = |number: u32| SessionFact {
            id: number.to_string(),
            since: None,
            tty: None,
            remote_host: None,
            service: None,
        };
        let count = state.sessions.get(name).copied().unwrap_or_default();
        Ok(AccountSessions { sessions: (1..=count).map(session).collect(), ..Default::default() })
    }

    async fn end_sessions(
        &self,
        identity: &Identity,
        name: &UserName,
    ) -> Result<SessionsEnded, BackendError> {
        self.change("end_sessions", identity, name, |_| ())?;
        let count = self.lock().sessions.remove(name).unwrap_or_default();
        Ok(SessionsEnded {
            sessions: count,
            processes: count,
            remaining: 0,
            ..SessionsEnded::default()
        })
    }

    async fn hold(&self, identity: &Identity, name: &UserName) -> Result<Held, BackendError> {
        self.change("hold", identity, name, |_| ())?;
        self.lock().held.insert(name.clone());
        let jobs = self.lock().jobs.get(name).copied().unwrap_or_default();
        Ok(Held { jobs, ..Held::default() })
    }

    async fn release(&self, identity: &Identity, name: &UserName) -> Result<Held, BackendError> {
        if !self.lock().held.contains(name) {
            return Ok(Held::default());
        }
        self.change("release", identity, name, |_| ())?;
        self.lock().held.remove(name);
        let jobs = self.lock().jobs.get(name).copied().unwrap_or_default();
        Ok(Held { jobs, ..Held::default() })
    }

    async fn created(&self, _: &Identity, name: &UserName) -> Result<HookRun, BackendError> {
        self.lock().scripts.push(name.clone());
        Ok(HookRun::NotDue)
    }

    async fn set_keys(
        &self,
        identity: &Identity,
        name: &UserName,
        keys: &[SshKey],
    ) -> Result<KeysKept, BackendError> {
        self.change("set_keys", identity, name, |_| ())?;
        let keys = u32::try_from(keys.len()).unwrap_or(u32::MAX);
        Ok(KeysKept { keys, changed: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{groups::Groups, person::Person};
    use motley_proto::{Issuer, Subject};

    fn intent(subject: &str, name: &str, uid: u32) -> Intent {
        let group = |name: &str| GroupName::new(name).unwrap();
        Intent {
            identity: Identity::new(
                Issuer::new("https://op.example").unwrap(),
                Subject::new(subject).unwrap(),
            ),
            name: UserName::new(name).unwrap(),
            uid: Some(Uid::new(uid).unwrap()),
            uid_floor: None,
            person: Person::default(),
            groups: Groups {
                primary: group("wlcg"),
                supplementary: vec![group("alpha"), group("wlcg")],
                dropped: Vec::new(),
            },
            shell: AccountPath::new("/bin/sh").unwrap(),
            home_base: AccountPath::new("/home").unwrap(),
        }
    }

    #[tokio::test]
    async fn the_stand_in_keeps_the_rules_of_a_back_end() {
        let backend = MemoryBackend::new();
        backend.occupy("taken");
        let mine = intent("a", "alice", 2000);
        let done = backend.deploy(&mine).await.unwrap();
        assert_eq!(done.message(), "User was created and was added to groups alpha.");
        assert_eq!(backend.deploy(&mine).await.unwrap().message(), "User already existed.");
        for (other, error) in [
            (intent("b", "taken", 2001), BackendError::NameTaken(UserName::new("taken").unwrap())),
            (intent("b", "alice", 2001), BackendError::NameTaken(mine.name.clone())),
            (intent("b", "bob", 2000), BackendError::UidTaken(Uid::new(2000).unwrap())),
            (intent("a", "al", 2001), BackendError::HasAccount(mine.name.clone())),
        ] {
            assert_eq!(backend.deploy(&other).await.unwrap_err(), error);
        }
        let (id, name) = (&mine.identity, &mine.name);
        backend.suspend(id, name).await.unwrap();
        let state = backend.find(id).await.unwrap().unwrap().state;
        assert_eq!(state, AccountState::Suspended);
        backend.resume(id, name).await.unwrap();
        backend.fail_next(BackendError::Busy);
        assert_eq!(backend.suspend(id, name).await.unwrap_err(), BackendError::Busy);
        let state = backend.by_name(name).await.unwrap().unwrap().state;
        assert_eq!(state, AccountState::Deployed);
    }

    #[tokio::test]
    async fn the_stand_in_limits_lists_and_removes_like_a_back_end() {
        let backend = MemoryBackend::new();
        let mine = intent("a", "alice", 2000);
        let (id, name) = (&mine.identity, &mine.name);
        backend.deploy(&mine).await.unwrap();
        backend.open_sessions(name, 2);
        backend.limit(id, name).await.unwrap();
        assert_eq!(backend.find(id).await.unwrap().unwrap().state, AccountState::Limited);
        backend.unlimit(id, name, &mine.shell).await.unwrap();
        assert_eq!(backend.find(id).await.unwrap().unwrap().shell, "/bin/sh");
        assert_eq!(backend.managed_groups(name).await.unwrap().len(), 1);
        assert_eq!(backend.sessions(id, name).await.unwrap().sessions.len(), 2);
        let stranger = intent("b", "bob", 2001).identity;
        assert!(backend.sessions(&stranger, name).await.is_err());
        assert!(backend.remove(&stranger, name).await.is_err());
        let removal = backend.remove(id, name).await.unwrap();
        assert_eq!(removal.ended.sessions, 2);
        assert!(backend.find(id).await.unwrap().is_none());
        assert_eq!(backend.remove(id, name).await.unwrap(), Removal::default());
    }
}
