//! What mccli remembers of services: answers that anybody may get, each in a small file.
//!
//! Nothing that was asked with a token comes in here. A file that is damaged, old or somebody
//! else's counts as absent: everything in here can be asked again.

use crate::{files, http::Trust, report};
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// How long the place of a service is remembered, in seconds.
const ENDPOINT_S: u64 = 24 * 3600;
/// How long an answer is remembered, in seconds.
const ANSWER_S: u64 = 300;
/// Ending of the names of all files in here.
const ENDING: &str = "json";

/// What is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Key<'a> {
    /// Where the service is that belongs to a host, or to what the user gave instead.
    Endpoint(&'a str),
    /// What a URL answered to somebody without a token.
    Answer(&'a str),
}

impl Key<'_> {
    fn lasts_s(self) -> u64 {
        match self {
            Self::Endpoint(_) => ENDPOINT_S,
            Self::Answer(_) => ANSWER_S,
        }
    }
}

/// One file.
#[derive(Serialize, Deserialize)]
struct Memory {
    /// The whole key, so that a file under a wrong name is noticed.
    key: String,
    /// When it was learnt, in seconds since 1970.
    at_s: u64,
    text: String,
}

/// The files of one user, for one way of trusting servers.
pub(crate) struct Cache {
    folder: PathBuf,
    trust: String,
    now_s: fn() -> u64,
}

impl Cache {
    /// In this folder. What was learnt under another trust is not seen: whoever once accepted any
    /// certificate must not be led by what was heard then.
    pub(crate) fn new(folder: PathBuf, trust: &Trust, now_s: fn() -> u64) -> Self {
        let authorities: Vec<_> = ["SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"]
            .map(std::env::var_os)
            .map(|value| value.unwrap_or_default().to_string_lossy().into_owned())
            .into();
        let ca_file = trust.ca_file.as_deref().map(|path| path.to_string_lossy().into_owned());
        let parts = (ca_file, authorities, trust.any_certificate, trust.allow_http);
        Self { folder, trust: serde_json::json!(parts).to_string(), now_s }
    }

    /// What is remembered and still new enough.
    pub(crate) fn recall(&self, key: Key<'_>) -> Option<String> {
        let path = self.path(key);
        let memory: Memory = match files::read_own(&path) {
            Ok(text) => serde_json::from_str(&text)
                .inspect_err(|error| ignored(&path, &error.to_string()))
                .ok()?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                ignored(&path, &error.to_string());
                return None;
            }
        };
        let age_s = (self.now_s)().checked_sub(memory.at_s)?;
        (memory.key == self.whole(key) && age_s < key.lasts_s()).then_some(memory.text)
    }

    /// Remembers a text. A failure costs time later and nothing else.
    pub(crate) fn keep(&self, key: Key<'_>, text: &str) {
        let memory = Memory { key: self.whole(key), at_s: (self.now_s)(), text: text.to_owned() };
        let write = || {
            files::private_folder(&self.folder)?;
            self.drop_old()?;
            files::replace(&self.path(key), serde_json::to_string(&memory)?.as_bytes(), 0o600)
        };
        if let Err(error) = write() {
            report::debug(&format!("{} is not used: {error}", self.folder.display()));
        }
    }

    /// Forgets one thing.
    pub(crate) fn forget(&self, key: Key<'_>) {
        let _ = fs::remove_file(self.path(key));
    }

    /// Files that nothing will be read from any more.
    fn drop_old(&self) -> io::Result<()> {
        let now_s = (self.now_s)();
        for path in entries(&self.folder)? {
            let written_s = fs::symlink_metadata(&path).map_or(0, |it| it.mtime());
            if u64::try_from(written_s).is_ok_and(|at_s| at_s + ENDPOINT_S < now_s) {
                let _ = fs::remove_file(path);
            }
        }
        Ok(())
    }

    fn whole(&self, key: Key<'_>) -> String {
        serde_json::json!([key, self.trust]).to_string()
    }

    fn path(&self, key: Key<'_>) -> PathBuf {
        use aws_lc_rs::digest;
        let digest = digest::digest(&digest::SHA256, self.whole(key).as_bytes());
        let name: String =
            digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        self.folder.join(name).with_extension(ENDING)
    }
}

/// Forgets everything; returns how many things that were.
///
/// # Errors
/// What the system says.
pub(crate) fn clear(folder: &Path) -> io::Result<usize> {
    let paths = match entries(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        other => other?,
    };
    paths.iter().try_for_each(fs::remove_file)?;
    Ok(paths.len())
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let paths = fs::read_dir(folder)?.map(|entry| entry.map(|it| it.path()));
    let is_ours = |path: &PathBuf| path.extension().is_some_and(|extension| extension == ENDING);
    paths.filter(|path| path.as_ref().map_or(true, is_ours)).collect()
}

fn ignored(path: &Path, why: &str) {
    report::warning(&format!(
        "{} is ignored: {why}\nIt is asked again; `mccli cache clear` removes such files.",
        path.display()
    ));
}

/// Seconds since 1970.
pub(crate) fn now_s() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const HOST: Key<'_> = Key::Endpoint("cue.example.org");

    fn trust() -> Trust {
        Trust { ca_file: None, any_certificate: false, allow_http: false, timeout_s: 5 }
    }

    fn at(folder: &Path, now_s: fn() -> u64) -> Cache {
        Cache::new(folder.join("mccli"), &trust(), now_s)
    }

    #[test]
    fn places_are_remembered_for_a_day_and_answers_for_five_minutes() {
        let folder = tempfile::tempdir().unwrap();
        let then = at(folder.path(), || 1_000_000);
        let answer = Key::Answer("https://cue.example.org/info");
        then.keep(HOST, "https://cue.example.org");
        then.keep(answer, "{}");
        let recall = |now_s: fn() -> u64| {
            let cache = at(folder.path(), now_s);
            (cache.recall(HOST).is_some(), cache.recall(answer).is_some())
        };
        assert_eq!(recall(|| 1_000_299), (true, true));
        assert_eq!(recall(|| 1_000_300), (true, false));
        assert_eq!(recall(|| 1_086_399), (true, false));
        assert_eq!(recall(|| 1_086_400), (false, false));
        assert_eq!(recall(|| 999_999), (false, false), "the clock went back");
        then.forget(HOST);
        assert_eq!(then.recall(HOST), None);
        assert_eq!(clear(&folder.path().join("mccli")).unwrap(), 1);
        assert_eq!(clear(&folder.path().join("none")).unwrap(), 0);
    }

    #[test]
    fn r38_what_was_learnt_under_another_trust_is_not_seen() {
        let folder = tempfile::tempdir().unwrap();
        let others = [
            Trust { any_certificate: true, ..trust() },
            Trust { allow_http: true, ..trust() },
            Trust { ca_file: Some("/ca.pem".into()), ..trust() },
        ];
        for other in &others {
            Cache::new(folder.path().join("mccli"), other, || 5).keep(HOST, "http://evil");
        }
        assert_eq!(at(folder.path(), || 5).recall(HOST), None);
    }

    #[test]
    fn files_are_private_and_damaged_or_foreign_ones_are_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let cache = at(folder.path(), || 5);
        cache.keep(HOST, "https://cue.example.org");
        let path = cache.path(HOST);
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        let good = fs::read(&path).unwrap();

        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        assert_eq!(cache.recall(HOST), None, "others can write it");
        fs::remove_file(&path).unwrap();
        fs::write(folder.path().join("elsewhere"), &good).unwrap();
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), &path).unwrap();
        assert_eq!(cache.recall(HOST), None, "a link");
        fs::remove_file(&path).unwrap();
        for damaged in [&good[..good.len() / 2], b"", b"\xff"] {
            fs::write(&path, damaged).unwrap();
            assert_eq!(cache.recall(HOST), None);
        }
        fs::write(cache.path(Key::Endpoint("other")), &good).unwrap();
        assert_eq!(cache.recall(Key::Endpoint("other")), None, "under another name");
        cache.keep(HOST, "https://cue.example.org");
        assert!(cache.recall(HOST).is_some(), "it heals");
    }
}
