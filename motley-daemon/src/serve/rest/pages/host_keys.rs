//! The public keys of sshd, which clients are told so that they know the host before they connect.

use super::files;
use aws_lc_rs::digest;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, Engine};
use motley_proto::rest::SshHostKey;
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long keys are told without looking again.
const FRESH: Duration = Duration::from_secs(60);
/// Files that are looked at; sshd has a handful.
const MOST_FILES: usize = 32;
/// Longest file, in bytes; the longest key has a few kilobytes.
const LONGEST_FILE: u64 = 16 * 1024;

/// The keys in a folder, as `/etc/ssh`.
pub(in crate::serve::rest) struct HostKeys {
    folder: Option<PathBuf>,
    kept: Mutex<Option<(Instant, Arc<Vec<SshHostKey>>)>>,
}

impl HostKeys {
    /// The keys `ssh_host_*_key.pub` of a folder; without a folder there are none.
    pub(super) fn in_folder(folder: Option<PathBuf>) -> Self {
        Self { folder, kept: Mutex::new(None) }
    }

    /// The keys as they were within the last minute.
    pub(in crate::serve::rest) fn current(&self) -> Arc<Vec<SshHostKey>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, keys)) = kept.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
            return keys.clone();
        }
        let keys = Arc::new(self.folder.as_deref().map(read_folder).unwrap_or_default());
        *kept = Some((Instant::now(), keys.clone()));
        keys
    }
}

fn read_folder(folder: &Path) -> Vec<SshHostKey> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let is_key = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("ssh_host_") && name.ends_with("_key.pub")
    };
    let mut paths: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(is_key).take(MOST_FILES).collect();
    paths.sort();
    let texts = paths.iter().filter_map(|path| files::read(path, LONGEST_FILE).ok());
    texts.filter_map(|(_, text)| text.lines().find_map(read_key)).collect()
}

/// Reads `TYPE BASE64 [COMMENT]`, where the key itself must begin with its type (RFC 4253 §6.6). The
/// comment, which often names an admin and his machine, is dropped.
fn read_key(line: &str) -> Option<SshHostKey> {
    let mut words = line.split_whitespace();
    let (kind, key) = (words.next()?, words.next()?);
    let blob = BASE64_STANDARD.decode(key).ok()?;
    let (length, rest) = blob.split_first_chunk::<4>()?;
    let named = rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    if named != kind.as_bytes() || rest.len() == named.len() {
        return None;
    }
    let digest = digest::digest(&digest::SHA256, &blob);
    let fingerprint = format!("SHA256:{}", BASE64_STANDARD_NO_PAD.encode(digest));
    Some(SshHostKey { kind: kind.to_owned(), key: key.to_owned(), fingerprint })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";

    #[test]
    fn the_fingerprint_is_that_of_ssh_keygen_and_the_comment_is_dropped() {
        let key = read_key(&format!("ssh-ed25519 {KEY} root@internal-name")).unwrap();
        assert_eq!(key.kind, "ssh-ed25519");
        assert_eq!(key.key, KEY);
        assert_eq!(key.fingerprint, "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU");
    }

    #[test]
    fn what_is_no_public_key_is_not_told() {
        for line in [
            "",
            "# comment",
            "ssh-ed25519",
            "ssh-ed25519 !!!!",
            "ssh-ed25519 AAAA",
            &format!("ssh-rsa {KEY}"),
            "-----BEGIN OPENSSH PRIVATE KEY-----",
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5",
            "ssh-ed25519 /////3NzaC1lZDI1NTE5AAAA",
        ] {
            assert_eq!(read_key(line), None, "{line}");
        }
    }

    #[test]
    fn only_public_host_keys_of_the_folder_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let line = format!("ssh-ed25519 {KEY} a@b\n");
        for name in ["ssh_host_ed25519_key.pub", "ssh_host_ed25519_key", "id_ed25519.pub", "other"]
        {
            std::fs::write(folder.path().join(name), &line).unwrap();
        }
        std::fs::write(folder.path().join("ssh_host_rsa_key.pub"), "rubbish\n").unwrap();
        let keys = HostKeys::in_folder(Some(folder.path().to_owned()));
        assert_eq!(keys.current().len(), 1);
        assert_eq!(HostKeys::in_folder(None).current().len(), 0);
        let missing = folder.path().join("missing");
        assert_eq!(HostKeys::in_folder(Some(missing)).current().len(), 0);
    }
}
