//! Stored logins: what is kept of each, and in which of the stores.

mod file;
mod folder;
mod lock;
mod login;
mod memory;
mod secret_service;

pub(crate) use lock::Lock;
pub(crate) use login::{Access, Client, ClientSecret, Endpoints, Login, Origin};

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
        "the desktop's keyring: {0}\nUnlock it, or keep the login elsewhere: mccli login ISSUER --store file"
    )]
    Keyring(String),
    /// The kernel's key ring.
    #[error(
        "the kernel's key ring: {0}\nKeep the login elsewhere: mccli login ISSUER --store file"
    )]
    Memory(String),
}

impl StoreError {
    /// True where the store answers, and what it holds will never be of use again.
    pub(crate) fn is_about_content(&self) -> bool {
        matches!(self, Self::Sealed { .. } | Self::Content { .. } | Self::Unsafe { .. })
    }
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

/// Bytes by which a login may grow when its tokens are replaced.
const GROWTH: usize = 4096;

/// Room in a store for what a provider will answer; given up when dropped.
pub(crate) struct Room {
    _draft: Option<folder::Room>,
}

/// A place for the secret part of logins.
trait Store {
    /// What was written last; `None` when there is nothing.
    fn read(&self, id: &Id) -> Result<Option<Zeroizing<Vec<u8>>>>;
    /// Replaces it as a whole; when this comes back, it stays.
    fn write(&self, label: &Label, content: &[u8]) -> Result<()>;
    /// Makes sure that its successor, which may be somewhat longer, can be written; it stays what it
    /// is.
    fn make_room(&self, label: &Label, content: &[u8]) -> Result<Room> {
        // Spaces behind a JSON text mean nothing.
        let padded = [content, &[b' '; GROWTH]].concat();
        self.write(label, &Zeroizing::new(padded)).map(|()| Room { _draft: None })
    }
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
        self.write(label, login)?;
        let text = serde_json::to_vec(label).unwrap_or_default();
        self.folder.write(&name_of(&label.id(), LABEL), &text)
    }

    /// Makes sure, before a provider is asked, that what it answers can be kept.
    ///
    /// # Errors
    /// Why the store can't be written.
    pub(crate) fn make_room(&self, label: &Label, login: &Login) -> Result<Room> {
        let store = self.store(label.store)?;
        fitted(label.store, login, &|login| store.make_room(label, &login.to_bytes()))
    }

    /// Saves what changed in a login that is there already.
    ///
    /// # Errors
    /// Why the store can't be written.
    pub(crate) fn update(&self, label: &Label, login: &Login) -> Result<()> {
        self.write(label, login)
    }

    fn write(&self, label: &Label, login: &Login) -> Result<()> {
        let store = self.store(label.store)?;
        fitted(label.store, login, &|login| store.write(label, &login.to_bytes()))
    }

    /// Forgets a login; its label goes last, so that none is lost that is still kept.
    ///
    /// # Errors
    /// Why it stays.
    pub(crate) fn forget(&self, label: &Label) -> Result<()> {
        self.vacate(label)?;
        self.folder.remove(&name_of(&label.id(), LABEL))
    }

    /// Removes the secret part from the store that this label names, and leaves the label.
    ///
    /// # Errors
    /// Why it stays.
    pub(crate) fn vacate(&self, label: &Label) -> Result<()> {
        self.store(label.store)?.remove(&label.id())
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

/// Does it with a login that fits the store. The kernel gives a user little room: the newest access
/// token has a place there, and none if it is too much. Another one can be had; a refresh token not.
fn fitted<T>(store: Keeping, login: &Login, act: &dyn Fn(&Login) -> Result<T>) -> Result<T> {
    if store != Keeping::Memory {
        return act(login);
    }
    let newest =
        Login { access: login.access.last().cloned().into_iter().collect(), ..login.clone() };
    match act(&newest) {
        Err(StoreError::Memory(_)) if login.refresh_token.is_some() => {
            act(&Login { access: Vec::new(), ..newest })
        }
        done => done,
    }
}

/// Ending of the files with labels.
const LABEL: &str = "json";

fn name_of(id: &Id, ending: &str) -> String {
    format!("{}.{ending}", id.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use motley_proto::Secret;

    fn login(tokens: &[usize]) -> Login {
        let access = |(number, length): (usize, &usize)| Access {
            token: Secret::new("t".repeat(*length)),
            scopes: vec![number.to_string()],
            audience: None,
            expires_at_s: 1e12,
        };
        Login {
            issuer: "https://op.example".to_owned(),
            client: Client { id: "mccli".to_owned(), secret: None, secret_in_form: false },
            origin: Origin::Registered,
            endpoints: Endpoints {
                token: "https://op.example/token".to_owned(),
                revocation: None,
                userinfo: None,
            },
            scopes: Vec::new(),
            refresh_token: Some(Secret::new("rotated".to_owned())),
            access: tokens.iter().enumerate().map(access).collect(),
            subject: None,
            name: None,
        }
    }

    /// What of this login a store keeps that has room for so many bytes.
    fn kept(store: Keeping, room: usize, login: &Login) -> Result<Vec<usize>> {
        fitted(store, login, &|login| match login.to_bytes().len() {
            bytes if bytes > room => Err(StoreError::Memory("your share is used up".to_owned())),
            _ => Ok(login.access.iter().map(|kept| kept.token.expose().len()).collect()),
        })
    }

    #[test]
    fn the_kernel_keeps_the_newest_access_token_and_the_refresh_token_even_where_none_fits() {
        let full = login(&[5000, 6000, 7000]);
        assert_eq!(kept(Keeping::File, 20_000, &full).unwrap(), [5000, 6000, 7000]);
        assert_eq!(kept(Keeping::Memory, 20_000, &full).unwrap(), [7000]);
        assert_eq!(kept(Keeping::Memory, 5000, &full).unwrap(), [0usize; 0]);
        assert!(kept(Keeping::Memory, 50, &full).is_err());
        let alone = Login { refresh_token: None, ..full };
        assert!(kept(Keeping::Memory, 5000, &alone).is_err(), "its access token is all it has");
    }
}
