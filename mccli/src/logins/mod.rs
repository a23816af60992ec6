//! Stored logins: what is kept of each, and in which of the stores.

mod file;
mod folder;
mod lock;
mod login;
mod memory;
mod secret_service;

pub(crate) use lock::Lock;
pub(crate) use login::{Access, Client, ClientSecret, Endpoints, Login};

use crate::folders;
use clap::ValueEnum;
use folder::Folder;
use serde::{Deserialize, Serialize};
use std::{io, path::PathBuf};
use zeroize::Zeroizing;

/// Where a login is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Keeping {
    /// The Secret Service of the desktop.
    Keyring,
    /// An encrypted file of the user's.
    File,
    /// The kernel's key ring: gone when the last session ends.
    Memory,
}

impl Keeping {
    /// For people.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Keyring => "the desktop's keyring",
            Self::File => "an encrypted file",
            Self::Memory => "the kernel's memory, until your last session ends",
        }
    }
}

/// Why a stored login can't be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The system refuses.
    #[error("{path}: {source}", path = .path.display())]
    System {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody else could have read or written the file.
    #[error("{path} is not used: {reason}\n{cure}", path = .path.display())]
    Unsafe {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
        /// What to do.
        cure: String,
    },
    /// The file does not open with our key.
    #[error(
        "{path} can't be opened with the key in {key}: one of the two was changed or lost\nForget the login with: mccli logout ISSUER, then log in again", path = .path.display(), key = .key.display()
    )]
    Sealed {
        /// The file.
        path: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
    /// The content is not what was written.
    #[error(
        "the stored login at {issuer} can't be understood: {reason}\nForget it with: mccli logout {issuer}, then log in again"
    )]
    Content {
        /// Whose login.
        issuer: String,
        /// What serde says, without the content.
        reason: String,
    },
    /// Another mccli does not let go.
    #[error("another mccli has been refreshing this login for a minute ({path})\nTry again; if that does not help, end the other one.", path = .0.display())]
    Locked(PathBuf),
    /// The Secret Service.
    #[error(
        "the desktop's keyring: {0}\nUnlock it, or keep the login elsewhere: mccli login --store file"
    )]
    Keyring(String),
    /// The kernel's key ring.
    #[error("the kernel's key ring: {0}\nKeep the login elsewhere: mccli login --store file")]
    Memory(String),
}

/// Result of a store.
pub(crate) type Result<T> = std::result::Result<T, StoreError>;

/// What names a login in every store: a digest of issuer and client, so that neither becomes part
/// of a file name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Id(String);

impl Id {
    /// One login per issuer and client.
    pub(crate) fn of(issuer: &str, client_id: &str) -> Self {
        let text = format!("{issuer}\n{client_id}");
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
        Self(digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect())
    }

    /// As text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is known of a login without opening it; nothing in here is secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Label {
    /// Where.
    pub(crate) issuer: String,
    /// Client that the tokens are given to.
    pub(crate) client_id: String,
    /// Which store holds the rest.
    pub(crate) store: Keeping,
    /// Scopes that the provider granted.
    pub(crate) scopes: Vec<String>,
    /// When the user logged in, in seconds since 1970.
    pub(crate) since_s: u64,
}

impl Label {
    /// The login's name in the stores.
    pub(crate) fn id(&self) -> Id {
        Id::of(&self.issuer, &self.client_id)
    }
}

/// A place for the secret part of logins.
trait Store {
    /// What was written last; `None` when there is nothing.
    fn read(&self, id: &Id) -> Result<Option<Zeroizing<Vec<u8>>>>;
    /// Replaces it as a whole; when this comes back, it stays.
    fn write(&self, label: &Label, content: &[u8]) -> Result<()>;
    /// Forgets it; nothing happens when there is nothing.
    fn remove(&self, id: &Id) -> Result<()>;
}

/// The stored logins of the user.
pub(crate) struct Logins {
    folder: Folder,
    config: Folder,
}

impl Logins {
    /// Those of the user that runs this.
    pub(crate) fn of_user() -> Self {
        Self {
            folder: Folder::at(folders::state().join("logins")),
            config: Folder::at(folders::config()),
        }
    }

    /// All, the newest first. Labels that can't be used are passed over with a warning.
    pub(crate) fn list(&self) -> Vec<Label> {
        let warn = |error: StoreError| crate::report::warning(&error.to_string());
        let names = self.folder.names(LABEL).map_err(warn).unwrap_or_default();
        let mut labels: Vec<Label> = names
            .iter()
            .filter_map(|name| self.folder.read(name).map_err(warn).ok().flatten())
            .filter_map(|text| serde_json::from_slice(&text).ok())
            .collect();
        labels.sort_by_key(|label| std::cmp::Reverse(label.since_s));
        labels
    }

    /// Those at an issuer, the newest first.
    pub(crate) fn at(&self, issuer: &str) -> Vec<Label> {
        let wanted = motley_proto::Issuer::canonical(issuer);
        let mut labels = self.list();
        labels.retain(|label| motley_proto::Issuer::canonical(&label.issuer) == wanted);
        labels
    }

    /// Keeps other processes from changing this login until dropped.
    ///
    /// # Errors
    /// [`StoreError::Locked`].
    pub(crate) fn lock(&self, id: &Id) -> Result<Lock> {
        self.folder.make()?;
        Lock::take(self.folder.path_of(&format!("{}.lock", id.as_str())))
    }

    /// Opens a login; `None` when its store has lost it.
    ///
    /// # Errors
    /// Why the store can't be read.
    pub(crate) fn open(&self, label: &Label) -> Result<Option<Login>> {
        let Some(content) = self.store(label.store)?.read(&label.id())? else { return Ok(None) };
        let wrong = |reason: String| StoreError::Content { issuer: label.issuer.clone(), reason };
        let login: Login = serde_json::from_slice(&content).map_err(|error| {
            wrong(format!("{:?} at column {}", error.classify(), error.column()))
        })?;
        if login.issuer != label.issuer || login.client.id != label.client_id {
            return Err(wrong("it is another login's".to_owned()));
        }
        Ok(Some(login))
    }

    /// Saves a login; its label is written last, so that none is listed that can't be opened.
    ///
    /// # Errors
    /// Why the store can't be written.
    pub(crate) fn save(&self, label: &Label, login: &Login) -> Result<()> {
        self.folder.make()?;
        self.store(label.store)?.write(label, &login.to_bytes())?;
        let text = serde_json::to_vec(label).unwrap_or_default();
        self.folder.write(&name_of(&label.id(), LABEL), &text)
    }

    /// Saves what changed in a login that is there already.
    ///
    /// # Errors
    /// Why the store can't be written.
    pub(crate) fn update(&self, label: &Label, login: &Login) -> Result<()> {
        self.store(label.store)?.write(label, &login.to_bytes())
    }

    /// Forgets a login in whatever store it is. A store that can't be reached keeps a secret that
    /// nobody looks for any more.
    ///
    /// # Errors
    /// Why the label stays.
    pub(crate) fn forget(&self, label: &Label) -> Result<()> {
        let id = label.id();
        if let Err(error) = self.store(label.store).and_then(|store| store.remove(&id)) {
            crate::report::warning(&error.to_string());
        }
        self.folder.remove(&name_of(&id, LABEL))
    }

    /// The store that is used when the user names none: a Secret Service that answers, else a file.
    pub(crate) fn usual_store(&self) -> Keeping {
        if secret_service::SecretService::is_open() { Keeping::Keyring } else { Keeping::File }
    }

    fn store(&self, keeping: Keeping) -> Result<Box<dyn Store + '_>> {
        Ok(match keeping {
            Keeping::File => Box::new(file::SealedFiles::new(&self.folder, &self.config)),
            Keeping::Keyring => Box::new(secret_service::SecretService::connect()?),
            Keeping::Memory => Box::new(memory::KernelKeys),
        })
    }
}

/// Ending of the files with labels.
const LABEL: &str = "json";

fn name_of(id: &Id, ending: &str) -> String {
    format!("{}.{ending}", id.as_str())
}
