//! The back end local_unix with a real root process under the suite for all back ends.

#[macro_use]
#[path = "../../feudal-plugins/tests/behaviour/mod.rs"]
mod behaviour;

use std::path::Path;

use anyhow::{Context, Result};
use async_trait::async_trait;
use behaviour::{Abilities, Rig};
use feudal_plugins::{
    Backend,
    local_unix::{LocalUnix, LocalUnixConfig},
};
use motley_proto::{GroupName, Identity, UserName};
use motley_tests::sandbox::{Root, Sandbox, TASK_SOCKET, check_run};
use motley_tests::sandbox_test;
use nix::unistd::{Gid, Uid, User, setegid, seteuid};

/// The back end runs as the daemon's user, whom alone the root process serves.
struct Local {
    backend: LocalUnix,
    daemon: User,
}

impl Local {
    fn new() -> Result<Self> {
        let daemon = User::from_name("motley")?.context("no daemon user")?;
        setegid(daemon.gid)?;
        seteuid(daemon.uid)?;
        let backend = LocalUnix::new(LocalUnixConfig::standard()?, Path::new(TASK_SOCKET));
        Ok(Self { backend, daemon })
    }

    /// Does what a local admin does, who is root.
    fn as_root(&self, act: impl FnOnce() -> Result<String>) -> String {
        seteuid(Uid::from_raw(0)).unwrap();
        setegid(Gid::from_raw(0)).unwrap();
        let done = act();
        setegid(self.daemon.gid).unwrap();
        seteuid(self.daemon.uid).unwrap();
        done.unwrap()
    }
}

#[async_trait]
impl Rig for Local {
    fn backend(&self) -> &dyn Backend {
        &self.backend
    }

    fn abilities(&self) -> Abilities {
        Abilities::ALL
    }

    async fn foreign_account(&self, name: &UserName) -> bool {
        self.as_root(|| check_run("useradd", &["-m", "-s", "/bin/bash", "--", name.as_str()]));
        true
    }

    async fn inherited_account(&self, identity: &Identity, name: &UserName) -> bool {
        let comment = identity.unique_id();
        let args = ["-m", "-s", "/bin/sh", "-c", comment.as_str(), "--", name.as_str()];
        self.as_root(|| check_run("useradd", &args));
        true
    }

    async fn list_in_group(&self, name: &UserName) -> bool {
        self.as_root(|| {
            check_run("groupadd", &["of-the-gone"])?;
            check_run("sed", &["-i", &format!("/^of-the-gone:/s/$/{name}/"), "/etc/group"])
        });
        true
    }

    async fn give_membership(&self, name: &UserName, group: &GroupName) -> bool {
        self.as_root(|| {
            check_run("groupadd", &["--", group.as_str()])?;
            check_run("usermod", &["-a", "-G", group.as_str(), "--", name.as_str()])
        });
        true
    }

    async fn give_primary(&self, name: &UserName, group: &GroupName) -> bool {
        self.as_root(|| {
            check_run("groupadd", &["--", group.as_str()])?;
            check_run("usermod", &["-g", group.as_str(), "--", name.as_str()])
        });
        true
    }

    async fn picture(&self, name: &UserName) -> String {
        self.as_root(|| {
            let files = ["/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow"];
            check_run("grep", &[&["-w", name.as_str()], &files[..]].concat())
        })
    }
}

fn behaves(sb: &Sandbox) -> Result<()> {
    let _root = Root::start(sb)?;
    let local = Local::new()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(behaviour::run_all(&local));
    seteuid(Uid::from_raw(0))?;
    Ok(())
}

sandbox_test! {
    fn local_unix_behaves_like_every_back_end(sb) {
        behaves(sb)
    }
}
