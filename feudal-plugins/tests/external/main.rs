//! The back end external: the documented example under the suite for all back ends, and programs that misbehave.

#[macro_use]
#[path = "../behaviour/mod.rs"]
mod behaviour;
mod misbehaving;

use async_trait::async_trait;
use behaviour::{Abilities, Rig, Someone};
use feudal_plugins::{
    Backend, Naming,
    external::{External, ExternalConfig},
    local_unix::NameService,
};
use motley_proto::{GroupName, Identity, Uid, UserName};
use serde_json::{Value, json};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;

/// A host on which nobody lives, and whose groups list somebody who is gone.
struct Nobody;

impl NameService for Nobody {
    fn has_user(&self, _: &UserName) -> io::Result<bool> {
        Ok(false)
    }
    fn has_uid(&self, _: Uid) -> io::Result<bool> {
        Ok(false)
    }
    fn is_member(&self, name: &UserName) -> io::Result<bool> {
        Ok(name.as_str() == "gone")
    }
}

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/how-to/external_backend.py")
}

fn external(program: &Path, arguments: &[&str], timeout: Duration) -> External {
    let config = ExternalConfig {
        program: program.to_owned(),
        arguments: arguments.iter().map(|word| (*word).to_owned()).collect(),
        timeout,
        naming: Naming::Numbered,
    };
    External::with_names(config, Arc::new(Nobody))
}

struct Example {
    backend: External,
    file: PathBuf,
    _folder: TempDir,
}

async fn documented_example() -> Example {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("accounts.json");
    let program = example();
    let arguments = [file.to_str().unwrap()];
    let backend = external(&program, &arguments, Duration::from_secs(60));
    Example { backend, file, _folder: folder }
}

impl Example {
    fn edit(&self, change: impl FnOnce(&mut Value)) {
        let text = fs::read_to_string(&self.file);
        let empty = || json!({ "accounts": {}, "removed": {}, "next_uid": 30000 });
        let mut state = text.map_or_else(|_| empty(), |text| serde_json::from_str(&text).unwrap());
        change(&mut state);
        fs::write(&self.file, state.to_string()).unwrap();
    }

    fn insert(&self, identity: Option<&Identity>, name: &UserName, uid: u32) {
        self.edit(|state| {
            state["accounts"][name.as_str()] = json!({
                "identity": identity, "name": name, "uid": uid, "gid": uid,
                "home": format!("/home/{name}"), "shell": "/bin/sh", "locked": false,
                "groups": [], "managed": [],
            });
        });
    }
}

#[async_trait]
impl Rig for Example {
    fn backend(&self) -> &dyn Backend {
        &self.backend
    }

    fn abilities(&self) -> Abilities {
        Abilities { primary_groups: false, ..Abilities::ALL }
    }

    async fn foreign_account(&self, name: &UserName) -> bool {
        self.insert(None, name, 1500);
        true
    }

    async fn inherited_account(&self, identity: &Identity, name: &UserName) -> bool {
        self.insert(Some(identity), name, 1501);
        true
    }

    async fn give_membership(&self, name: &UserName, group: &GroupName) -> bool {
        self.edit(|state| {
            let groups = &mut state["accounts"][name.as_str()]["groups"];
            groups.as_array_mut().unwrap().push(json!(group));
        });
        true
    }
}

behaviour_tests!(documented_example);

#[tokio::test]
async fn accounts_come_in_pages() {
    let rig = documented_example().await;
    let people: Vec<Someone> = (0..120).map(|_| Someone::new(&rig, "page")).collect();
    for (uid, person) in (40_000..).zip(&people) {
        rig.insert(Some(&person.identity), &person.name, uid);
    }
    let mut names: Vec<_> = people.into_iter().map(|person| person.name).collect();
    names.sort();
    let listed = rig.backend.accounts().await.unwrap();
    assert_eq!(listed.into_iter().map(|account| account.name).collect::<Vec<_>>(), names);
}

#[tokio::test]
async fn r23_a_name_that_a_group_of_the_host_still_lists_is_taken() {
    let example = documented_example().await;
    for (text, taken) in [("gone", true), ("free", false)] {
        let name = UserName::new(text).unwrap();
        assert_eq!(example.backend.is_taken(&name).await.unwrap(), taken, "{text}");
    }
}
