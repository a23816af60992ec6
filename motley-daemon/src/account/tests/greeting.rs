//! The site's script for new accounts is run before anybody can use the account.

use super::*;
use crate::{clock::Timestamp, store::Phase};
use async_trait::async_trait;
use feudal_plugins::Host;
use motley_proto::{
    SshKey, Uid,
    task::{AccountSessions, Held, HookRun, KeysKept, SessionsEnded},
};

/// A host that notes how far the store was when the script was asked for.
struct Watching {
    inner: Arc<MemoryBackend>,
    store: Store,
    seen: Mutex<Vec<Phase>>,
    failures: Mutex<Vec<BackendError>>,
}

#[async_trait]
impl Host for Watching {
    async fn sessions(
        &self,
        id: &Identity,
        name: &UserName,
    ) -> Result<AccountSessions, BackendError> {
        self.inner.sessions(id, name).await
    }
    async fn end_sessions(
        &self,
        id: &Identity,
        name: &UserName,
    ) -> Result<SessionsEnded, BackendError> {
        self.inner.end_sessions(id, name).await
    }
    async fn hold(&self, id: &Identity, name: &UserName) -> Result<Held, BackendError> {
        self.inner.hold(id, name).await
    }
    async fn release(&self, id: &Identity, name: &UserName) -> Result<Held, BackendError> {
        self.inner.release(id, name).await
    }
    async fn created(&self, id: &Identity, _: &UserName) -> Result<HookRun, BackendError> {
        let record = self.store.account_of(id).await.unwrap().unwrap();
        self.seen.lock().unwrap().push(record.phase);
        if let Some(error) = self.failures.lock().unwrap().pop() {
            return Err(error);
        }
        Ok(HookRun::Ended(Some(0)))
    }
    async fn set_keys(
        &self,
        id: &Identity,
        name: &UserName,
        keys: &[SshKey],
    ) -> Result<KeysKept, BackendError> {
        self.inner.set_keys(id, name, keys).await
    }
}

async fn watched() -> (Accounts, Arc<Watching>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&format!("sqlite:{}/db", folder.path().display())).await.unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let inner = Arc::new(MemoryBackend::new());
    let backend = inner.clone();
    let (seen, failures) = Default::default();
    let host = Arc::new(Watching { inner, store: store.clone(), seen, failures });
    let accounts = Accounts::new(AccountParts {
        passwords: Arc::new(OneTimePasswords::new(store.clone(), clock.clone(), 600)),
        audit: Arc::new(Audit::open(&folder.path().join("audit.log"), clock.clone()).unwrap()),
        store,
        backend,
        host: host.clone(),
        clock,
        forget: Arc::new(Forgotten::default()),
        locks: Arc::default(),
        rules: rules(friendly()),
        approval: None,
        lifecycle: Lifecycle::default(),
    });
    (accounts, host, folder)
}

#[tokio::test]
async fn r25_the_script_is_run_before_the_account_counts_as_deployed_and_once() {
    let (accounts, host, _folder) = watched().await;
    let jane = person("1", "jdoe");
    for _ in 0..2 {
        accounts.deploy(&jane, Tier::Full, "r").await.unwrap();
    }
    assert_eq!(*host.seen.lock().unwrap(), [Phase::Reserved]);
}

#[tokio::test]
async fn r24_after_a_crash_the_script_is_asked_for_again_before_the_account_is_used() {
    for repaired in [true, false] {
        let (accounts, host, _folder) = watched().await;
        let jane = person("1", "jdoe");
        let name = UserName::new("jdoe").unwrap();
        let uid = Uid::new(2000).unwrap();
        let promised = accounts.store().reserve(jane.identity(), &name, Some(uid), Timestamp(1));
        promised.await.unwrap();
        // The account was made, and then the process ended.
        host.inner.insert(Account {
            identity: Some(jane.identity().clone()),
            name: name.clone(),
            uid: Some(2000),
            shell: "/bin/sh".to_owned(),
            home: "/home/jdoe".to_owned(),
            state: AccountState::Deployed,
            gid: None,
            groups: Vec::new(),
        });
        match repaired {
            true => drop(accounts.reconcile().await.unwrap()),
            false => drop(accounts.deploy(&jane, Tier::Full, "r").await.unwrap()),
        }
        assert_eq!(*host.seen.lock().unwrap(), [Phase::Reserved], "{repaired}");
        let record = accounts.store().account_of(jane.identity()).await.unwrap().unwrap();
        assert_eq!(record.phase, Phase::Deployed);
    }
}

#[tokio::test]
async fn r25_nobody_is_let_in_before_the_script_has_ended() {
    let (accounts, host, _folder) = watched().await;
    let jane = person("1", "jdoe");
    let restarting = BackendError::Unavailable { what: "x".to_owned(), cure: "y".to_owned() };
    for error in [BackendError::Busy, restarting] {
        host.failures.lock().unwrap().push(error);
        assert!(accounts.deploy(&jane, Tier::Full, "r").await.is_err());
        let standing = accounts.standing(jane.identity()).await.unwrap();
        assert!(!standing.admits(), "{standing:?}");
    }
    host.failures.lock().unwrap().push(BackendError::Busy);
    accounts.reconcile().await.unwrap();
    assert!(!accounts.standing(jane.identity()).await.unwrap().admits());
    accounts.reconcile().await.unwrap();
    assert!(accounts.standing(jane.identity()).await.unwrap().admits());
}
