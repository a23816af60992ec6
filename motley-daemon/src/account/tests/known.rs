//! Where the back end knows who has which name, nothing is chosen, and no name is lost.

use super::*;
use feudal_plugins::{
    local_unix::{HostEntry, NameService},
    map::{GuardedRead, MapFile, Mapped},
};
use motley_proto::Uid;
use std::{collections::BTreeMap, fs, io, path::PathBuf};

const HOST: Suspender = Suspender::Host { uid: 0 };

/// Accounts that the site made on the host.
#[derive(Default)]
struct Names(Mutex<BTreeMap<String, u32>>);

impl NameService for Names {
    fn has_user(&self, name: &UserName) -> io::Result<bool> {
        Ok(self.entry(name)?.is_some())
    }
    fn has_uid(&self, uid: Uid) -> io::Result<bool> {
        Ok(self.0.lock().unwrap().values().any(|known| *known == uid.get()))
    }
    fn entry(&self, name: &UserName) -> io::Result<Option<HostEntry>> {
        let Some(uid) = self.0.lock().unwrap().get(name.as_str()).copied() else { return Ok(None) };
        let (home, shell) = (format!("/home/{name}"), "/bin/bash".to_owned());
        Ok(Some(HostEntry { uid, gid: uid, home, shell }))
    }
}

struct Site {
    accounts: Accounts,
    names: Arc<Names>,
    map: PathBuf,
    _folders: [tempfile::TempDir; 2],
}

impl Site {
    fn map(&self, lines: &str) {
        fs::write(&self.map, lines).unwrap();
    }

    fn make(&self, name: &str, uid: u32) {
        self.names.0.lock().unwrap().insert(name.to_owned(), uid);
    }
}

async fn site() -> Site {
    let folder = tempfile::tempdir().unwrap();
    let map = folder.path().join("accounts.map");
    fs::write(&map, "").unwrap();
    let read: GuardedRead =
        Arc::new(|path| fs::read_to_string(path).map_err(|error| error.to_string()));
    let names = Arc::new(Names::default());
    let file = MapFile::open(&map, read).unwrap();
    let Bench { mut accounts, _folder: store, .. } = bench(friendly()).await;
    Arc::get_mut(&mut accounts).unwrap().backend =
        Arc::new(Mapped::with_names(file, names.clone()));
    let accounts = Arc::into_inner(accounts).unwrap();
    Site { accounts, names, map, _folders: [folder, store] }
}

const ADA: &str = "https://op.example 1 ada\n";

#[tokio::test]
async fn who_is_in_the_map_has_the_account_and_nobody_else_gets_one() {
    let site = site().await;
    site.map(ADA);
    site.make("ada", 2001);
    // The names that the claims would make play no part.
    let done = site.accounts.deploy(&person("1", "jdoe"), Tier::Full, "r").await.unwrap();
    assert_eq!((done.name.as_str(), done.message.as_str()), ("ada", "User already existed."));
    assert_eq!(done.state, AccountState::Deployed);
    let error = site.accounts.deploy(&person("2", "free"), Tier::Full, "r").await.unwrap_err();
    assert!(matches!(&error, DeployError::Rejected(why) if why.contains("prepared")), "{error}");
    let preview = site.accounts.preview(&person("1", "jdoe")).await.unwrap();
    assert_eq!(preview.name.unwrap().as_str(), "ada");
    assert!(preview.candidates.is_empty());
    assert_eq!(site.accounts.preview(&person("2", "free")).await.unwrap().name, None);
}

#[tokio::test]
async fn a_name_that_is_not_there_yet_is_not_retired() {
    let site = site().await;
    site.map(ADA);
    let ada = person("1", "jdoe");
    for _ in 0..2 {
        assert!(site.accounts.deploy(&ada, Tier::Full, "r").await.is_err());
    }
    site.make("ada", 2001);
    assert_eq!(site.accounts.deploy(&ada, Tier::Full, "r").await.unwrap().name.as_str(), "ada");
}

#[tokio::test]
async fn a_line_that_changes_in_the_middle_leaves_the_name_to_whom_it_is_meant_for() {
    let site = site().await;
    let (ada, bob) = (person("1", "x"), person("2", "y"));
    site.map("https://op.example 1 shared\n");
    // Promised to one, who never gets it, and then meant for the other.
    assert!(site.accounts.deploy(&ada, Tier::Full, "r").await.is_err());
    site.map("https://op.example 2 shared\nhttps://op.example 1 ada\n");
    site.make("ada", 2001);
    assert_eq!(site.accounts.deploy(&ada, Tier::Full, "r").await.unwrap().name.as_str(), "ada");
    site.make("shared", 2002);
    // What was once promised to somebody is given to nobody else.
    let error = site.accounts.deploy(&bob, Tier::Full, "r").await.map(|done| done.name);
    assert!(error.is_err(), "{error:?}");
}

#[tokio::test]
async fn r23_an_account_that_was_once_somebodys_is_not_given_to_another() {
    let site = site().await;
    site.map(ADA);
    site.make("ada", 2001);
    site.accounts.deploy(&person("1", "x"), Tier::Full, "r").await.unwrap();
    site.map("https://op.example 2 ada\n");
    let error = site.accounts.deploy(&person("2", "y"), Tier::Full, "r").await;
    assert!(error.is_err(), "{error:?}");
}

#[tokio::test]
async fn r28_the_mark_alone_suspends_where_the_account_can_not_be_locked_and_the_receipt_says_so() {
    let site = site().await;
    site.map(ADA);
    site.make("ada", 2001);
    let ada = person("1", "x");
    site.accounts.deploy(&ada, Tier::Full, "r").await.unwrap();
    let receipt = site.accounts.suspend(ada.identity(), HOST, "r").await.unwrap();
    assert_eq!((receipt.state, receipt.pending.len()), (AccountState::Suspended, 0));
    assert_eq!(receipt.not_done.len(), 1, "{receipt:?}");
    let standing = site.accounts.standing(ada.identity()).await.unwrap();
    assert_eq!(standing.state, AccountState::Suspended);
    assert!(!standing.admits());
    assert!(site.accounts.reconcile().await.unwrap().is_empty(), "nothing is retried");
    let state = site.accounts.deploy(&ada, Tier::Full, "r").await.unwrap().state;
    assert_eq!(state, AccountState::Suspended);
    site.accounts.resume(ada.identity(), HOST, "r").await.unwrap();
    assert!(site.accounts.standing(ada.identity()).await.unwrap().admits());
}

#[tokio::test]
async fn an_account_that_others_keep_is_not_said_to_be_removed() {
    let site = site().await;
    site.map(ADA);
    site.make("ada", 2001);
    let ada = person("1", "x");
    site.accounts.deploy(&ada, Tier::Full, "r").await.unwrap();
    let error = site.accounts.undeploy(ada.identity(), HOST, "r").await.unwrap_err();
    let refused = matches!(error, AccountError::Backend(BackendError::Unsupported(_)));
    assert!(refused, "{error}");
    let state = site.accounts.standing(ada.identity()).await.unwrap().state;
    assert_eq!(state, AccountState::Deployed);
}

#[tokio::test]
async fn a_mapped_account_of_the_system_lets_nobody_in() {
    let site = site().await;
    site.map("https://op.example 1 toolbox\n");
    site.make("toolbox", 101);
    let error = site.accounts.deploy(&person("1", "x"), Tier::Full, "r").await.unwrap_err();
    assert!(error.to_string().contains("uid of the system"), "{error}");
}

/// Ada had the account; then the site gives it to bob, who never asks for a deployment.
async fn moved() -> Site {
    let site = site().await;
    site.map(ADA);
    site.make("ada", 2001);
    site.accounts.deploy(&person("1", "x"), Tier::Full, "r").await.unwrap();
    site.map("https://op.example 2 ada\n");
    site
}

#[tokio::test]
async fn r23_an_account_that_was_once_somebodys_lets_nobody_else_in_without_a_deployment() {
    let site = moved().await;
    let standing = site.accounts.standing(person("2", "y").identity()).await.unwrap();
    assert_eq!((standing.state, standing.admits()), (AccountState::NotDeployed, false));
    // By key neither, whoever asks by the name of the account.
    let name = UserName::new("ada").unwrap();
    let (_, standing) = site.accounts.standing_of_name(&name).await.unwrap().unwrap();
    assert!(!standing.admits());
    // Who never was promised anything is admitted as before.
    site.map("https://op.example 3 kim\n");
    site.make("kim", 2003);
    assert!(site.accounts.standing(person("3", "z").identity()).await.unwrap().admits());
}

#[tokio::test]
async fn a_former_name_may_come_back_to_whom_it_was() {
    let site = moved().await;
    let ada = person("1", "x");
    site.map("https://op.example 1 augusta\n");
    site.make("augusta", 2002);
    assert_eq!(site.accounts.deploy(&ada, Tier::Full, "r").await.unwrap().name.as_str(), "augusta");
    site.map(ADA);
    let back = site.accounts.deploy(&ada, Tier::Full, "r").await.unwrap();
    assert_eq!((back.name.as_str(), back.state), ("ada", AccountState::Deployed));
    site.map("https://op.example 2 augusta\n");
    let error = site.accounts.deploy(&person("2", "y"), Tier::Full, "r").await;
    assert!(matches!(error, Err(DeployError::Rejected(_))), "{error:?}");
}
