//! The back end map under the suite for all back ends.

#[macro_use]
mod behaviour;

use async_trait::async_trait;
use behaviour::{Abilities, Rig};
use feudal_plugins::{
    Backend,
    local_unix::{HostEntry, NameService},
    map::{MapFile, Mapped},
};
use motley_proto::{Identity, Uid, UserName};
use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::{self, Write},
    path::PathBuf,
    sync::{Arc, Mutex},
};
use tempfile::TempDir;

/// A host on which somebody else makes the accounts.
#[derive(Default)]
struct Host(Mutex<BTreeMap<UserName, u32>>);

impl Host {
    fn add(&self, name: &UserName) {
        let mut names = self.0.lock().unwrap();
        let uid = 50_000 + u32::try_from(names.len()).unwrap();
        names.insert(name.clone(), uid);
    }
}

impl NameService for Host {
    fn has_user(&self, name: &UserName) -> io::Result<bool> {
        Ok(self.0.lock().unwrap().contains_key(name))
    }
    fn has_uid(&self, uid: Uid) -> io::Result<bool> {
        Ok(self.0.lock().unwrap().values().any(|known| *known == uid.get()))
    }
    fn entry(&self, name: &UserName) -> io::Result<Option<HostEntry>> {
        let Some(uid) = self.0.lock().unwrap().get(name).copied() else { return Ok(None) };
        let (home, shell) = (format!("/home/{name}"), "/bin/bash".to_owned());
        Ok(Some(HostEntry { uid, gid: uid, home, shell }))
    }
}

struct Map {
    backend: Mapped,
    host: Arc<Host>,
    path: PathBuf,
    _folder: TempDir,
}

async fn map() -> Map {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("accounts.map");
    fs::write(&path, "# nobody yet\n").unwrap();
    let read = Arc::new(|path: &std::path::Path| {
        fs::read_to_string(path).map_err(|error| error.to_string())
    });
    let host = Arc::new(Host::default());
    let file = MapFile::open(&path, read).unwrap();
    Map { backend: Mapped::with_names(file, host.clone()), host, path, _folder: folder }
}

impl Map {
    fn write(&self, identity: &Identity, name: &UserName) {
        let mut file = OpenOptions::new().append(true).open(&self.path).unwrap();
        writeln!(file, "{} {} {name}", identity.issuer, identity.subject).unwrap();
    }
}

#[async_trait]
impl Rig for Map {
    fn backend(&self) -> &dyn Backend {
        &self.backend
    }

    fn abilities(&self) -> Abilities {
        Abilities { lists: true, ..Abilities::NONE }
    }

    async fn prepare(&self, identity: &Identity, name: &UserName) {
        self.host.add(name);
        self.write(identity, name);
    }

    async fn foreign_account(&self, name: &UserName) -> bool {
        self.host.add(name);
        true
    }
}

behaviour_tests!(map);

#[tokio::test]
async fn a_mapped_name_that_the_host_does_not_know_is_no_account() {
    let rig = map().await;
    let ada = behaviour::Someone::new(&rig, "absent");
    rig.write(&ada.identity, &ada.name);
    assert_eq!(ada.found(&rig).await, None);
    let error = rig.backend.deploy(&ada.intent(&rig)).await.unwrap_err();
    assert!(error.to_string().contains("not on this host"), "{error}");
    rig.host.add(&ada.name);
    assert_eq!(ada.account(&rig).await.name, ada.name);
}

#[tokio::test]
async fn who_is_taken_out_of_the_map_has_no_account_any_more() {
    let rig = map().await;
    let ada = behaviour::Someone::new(&rig, "former");
    ada.deploy(&rig).await;
    fs::write(&rig.path, "").unwrap();
    assert_eq!(ada.found(&rig).await, None);
    assert_eq!(rig.backend.by_name(&ada.name).await.unwrap().unwrap().identity, None);
}
