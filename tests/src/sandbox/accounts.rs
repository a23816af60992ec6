//! Local accounts and ssh keys made for a test.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::unistd::User;

use super::{Sandbox, check_run};

/// An ssh key pair without passphrase.
#[derive(Debug, Clone)]
pub struct SshKey {
    /// The private key file; the public one lies beside it with `.pub`.
    pub path: PathBuf,
}

impl SshKey {
    /// The line for `authorized_keys`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn public(&self) -> Result<String> {
        Ok(fs::read_to_string(self.path.with_extension("pub"))?.trim_end().to_owned())
    }
}

/// An account that useradd made in the sandbox.
#[derive(Debug, Clone)]
pub struct LocalUser {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Group id of the primary group.
    pub gid: u32,
    /// Home directory.
    pub home: PathBuf,
}

impl Sandbox {
    /// Makes an ordinary account with home and `/bin/bash`, and without password.
    ///
    /// # Errors
    /// What useradd says.
    pub fn add_user(&self, name: &str) -> Result<LocalUser> {
        check_run("useradd", &["-m", "-s", "/bin/bash", "--", name])?;
        self.user(name)?.with_context(|| format!("useradd made no {name}"))
    }

    /// Makes a system account without home and shell, as a package would, unless it exists.
    ///
    /// # Errors
    /// What useradd says.
    pub fn add_system_user(&self, name: &str) -> Result<LocalUser> {
        if let Some(user) = self.user(name)? {
            return Ok(user);
        }
        check_run(
            "useradd",
            &["-r", "-U", "-M", "-d", "/", "-s", "/usr/sbin/nologin", "--", name],
        )?;
        self.user(name)?.with_context(|| format!("useradd made no {name}"))
    }

    /// The account of that name, whoever made it.
    ///
    /// # Errors
    /// When the name service fails.
    pub fn user(&self, name: &str) -> Result<Option<LocalUser>> {
        Ok(User::from_name(name)?.map(|user| LocalUser {
            name: user.name,
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
            home: user.dir,
        }))
    }

    /// Sets a password, for `Password:` prompts.
    ///
    /// # Errors
    /// What usermod says.
    pub fn set_password(&self, name: &str, password: &str) -> Result<()> {
        let hash = check_run("openssl", &["passwd", "-6", password])?;
        check_run("usermod", &["-p", hash.trim(), "--", name]).map(drop)
    }

    /// Makes a key pair (Ed25519) in the scratch directory.
    ///
    /// # Errors
    /// What ssh-keygen says.
    pub fn make_key(&self, name: &str) -> Result<SshKey> {
        let dir = self.dir().join("keys");
        fs::create_dir_all(&dir)?;
        let path = dir.join(name);
        if !path.exists() {
            let file = path.to_string_lossy();
            check_run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", &file])?;
        }
        Ok(SshKey { path })
    }

    /// Makes a key pair and lets it log in as an existing user.
    ///
    /// # Errors
    /// When there is no such user, or its home cannot be written.
    pub fn authorise_key(&self, name: &str) -> Result<SshKey> {
        let user = self.user(name)?.with_context(|| format!("no user {name}"))?;
        let key = self.make_key(name)?;
        let dir = user.home.join(".ssh");
        let file = dir.join("authorized_keys");
        fs::create_dir_all(&dir)?;
        fs::write(&file, format!("{}\n", key.public()?))?;
        own(&dir, &user, 0o700)?;
        own(&file, &user, 0o600)?;
        Ok(key)
    }
}

fn own(path: &Path, user: &LocalUser, mode: u32) -> Result<()> {
    chown(path, Some(user.uid), Some(user.gid))?;
    Ok(fs::set_permissions(path, Permissions::from_mode(mode))?)
}
