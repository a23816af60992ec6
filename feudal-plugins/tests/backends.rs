//! The in-memory back end under the suite for all back ends.

#[macro_use]
mod behaviour;

use async_trait::async_trait;
use behaviour::{Abilities, Rig};
use feudal_plugins::{Account, Backend, memory::MemoryBackend};
use motley_proto::{GroupName, Identity, UserName, rest::AccountState};

struct Memory(MemoryBackend);

fn account(identity: Option<&Identity>, name: &UserName, uid: u32) -> Account {
    Account {
        identity: identity.cloned(),
        name: name.clone(),
        uid: Some(uid),
        gid: Some(uid),
        home: format!("/home/{name}"),
        shell: "/bin/sh".to_owned(),
        state: AccountState::Deployed,
        groups: Vec::new(),
    }
}

#[async_trait]
impl Rig for Memory {
    fn backend(&self) -> &dyn Backend {
        &self.0
    }

    fn abilities(&self) -> Abilities {
        Abilities::ALL
    }

    async fn foreign_account(&self, name: &UserName) -> bool {
        self.0.insert(account(None, name, 1500));
        true
    }

    async fn inherited_account(&self, identity: &Identity, name: &UserName) -> bool {
        self.0.insert(account(Some(identity), name, 1501));
        true
    }

    async fn give_membership(&self, name: &UserName, group: &GroupName) -> bool {
        let mut account = self.0.by_name(name).await.unwrap().unwrap();
        account.groups.push(group.as_str().to_owned());
        self.0.insert(account);
        true
    }
}

async fn memory() -> Memory {
    Memory(MemoryBackend::new())
}

behaviour_tests!(memory);
