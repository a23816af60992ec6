//! What the site's `feudal_adapter.conf` names: groups, homes and shells that its admin wants used.
//!
//! The file belongs to root, so what stands in it is the admin's word and widens the limits as the
//! helper's own file does. Everything else in it is for the daemon.

use crate::{
    config::ConfigError,
    guard::{DirectoryUids, Limits},
    ownership::require_root_only,
};
use motley_proto::{
    names::{GroupName, is_protected_id},
    task::AccountPath,
};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Where the file is looked for when neither option nor environment name one.
const USUAL_PLACES: &[&str] =
    &["/etc/motley_cue/feudal_adapter.conf", "/etc/feudal/feudal_adapter.conf"];
/// Most that is read of it, in bytes.
const SIZE_LIMIT: u64 = 1024 * 1024;
const LOCAL_UNIX: &str = "backend.local_unix";

/// The file that counts: the named one, else the environment's, else the first that exists.
pub fn find(named: Option<&Path>, environment: Option<&str>) -> Option<PathBuf> {
    named
        .map(Path::to_owned)
        .or_else(|| environment.filter(|text| !text.is_empty()).map(PathBuf::from))
        .or_else(|| USUAL_PLACES.iter().map(PathBuf::from).find(|path| path.exists()))
}

/// What the file asks for beside limits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Script for each new account (`post_create_script` of the back end's section).
    pub hook: Option<PathBuf>,
    /// True if keys that a provider tells are written (`deploy_user_ssh_keys`, set to yes there).
    pub keys: bool,
    /// What becomes of the home of an account that is taken away (`undeploy_home`).
    pub homes: LeavingHomes,
}

/// What becomes of the home of an account that is taken away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeavingHomes {
    /// It is put aside where root alone can look.
    #[default]
    Archive,
    /// It is put aside, and deleted.
    Remove,
    /// It stays where it is.
    Keep,
}

/// Widens the limits by what the file names, and yields what else it asks for. Values that no account could have are passed over: the
/// daemon says what is wrong with them.
///
/// # Errors
/// When the file can't be read, or somebody other than root could change it.
pub fn widen(limits: &mut Limits, path: &Path) -> Result<Wishes, ConfigError> {
    let real = require_root_only(path)?;
    let failed = |source| ConfigError::Io { path: path.display().to_string(), source };
    let size = std::fs::metadata(&real).map_err(failed)?.len();
    if size > SIZE_LIMIT {
        let problem = format!("{size} bytes are too many for a configuration file");
        return Err(ConfigError::Whole { path: path.display().to_string(), problem });
    }
    let text = std::fs::read_to_string(&real).map_err(failed)?;
    let found = options(&text);
    if limits.directory_uids == DirectoryUids::Unset
        && let Some(uids) = directory_uids(&found)
    {
        limits.directory_uids = uids;
    }
    let wishes = wishes(&found);
    for (section, option, value) in found {
        match (section.as_str(), option.as_str()) {
            ("ldf_adapter", "primary_group" | "fallback_group" | "additional_groups") => {
                let named = value.split_whitespace().filter_map(|word| GroupName::new(word).ok());
                limits.allowed_groups.extend(named);
            }
            ("backend.local_unix", "home_base") => {
                limits.home_bases.extend(AccountPath::new(value.trim_end_matches('/')));
            }
            ("backend.local_unix", "shell" | "shell_limited" | "shell_restricted") => {
                limits.shells.extend(AccountPath::new(value));
            }
            _ => {}
        }
    }
    Ok(wishes)
}

fn wishes(found: &[(String, String, String)]) -> Wishes {
    let value = |section: &str, option: &str| {
        let named = |(s, o, _): &&(String, String, String)| s == section && o == option;
        found.iter().rev().find(named).map(|(_, _, value)| value.as_str())
    };
    let backend = value("ldf_adapter", "backend").unwrap_or("local_unix");
    let hook = value(&format!("backend.{backend}"), "post_create_script");
    let keys = value(LOCAL_UNIX, "deploy_user_ssh_keys").map(str::to_lowercase);
    Wishes {
        hook: hook.filter(|path| !path.is_empty()).map(PathBuf::from),
        keys: keys.is_some_and(|word| matches!(word.as_str(), "yes" | "true" | "on" | "1")),
        homes: match value(LOCAL_UNIX, "undeploy_home") {
            Some("remove") => LeavingHomes::Remove,
            Some("keep") => LeavingHomes::Keep,
            _ => LeavingHomes::Archive,
        },
    }
}

/// The uids of the directory that the file names as back end: `uid_min` to `uid_max` of its section.
/// Without both of them none count, for a range that nobody wrote down may hold local people's uids.
fn directory_uids(found: &[(String, String, String)]) -> Option<DirectoryUids> {
    let value = |section: &str, option: &str| {
        let named = |(s, o, _): &&(String, String, String)| s == section && o == option;
        found.iter().rev().find(named).map(|(_, _, value)| value.as_str())
    };
    let section = match value("ldf_adapter", "backend")? {
        "ldap" => "backend.ldap",
        "bonsai_ldap" => "backend.bonsai_ldap",
        _ => return None,
    };
    let uid = |option| value(section, option)?.parse().ok();
    let (min, max): (u32, u32) = (uid("uid_min")?, uid("uid_max")?);
    let sound = min <= max && !is_protected_id(min) && !is_protected_id(max);
    sound.then_some(DirectoryUids::Range(min..=max))
}

/// Section, option in lower case, and value of every option; continued lines are joined by blanks.
fn options(text: &str) -> Vec<(String, String, String)> {
    let mut section = String::new();
    let mut found: Vec<(String, String, String)> = Vec::new();
    let mut continues = false;
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.starts_with(['#', ';']) {
            continue;
        }
        if trimmed.is_empty() {
            continue;
        }
        if line.starts_with([' ', '\t']) && continues {
            if let Some((_, _, value)) = found.last_mut() {
                value.push(' ');
                value.push_str(trimmed);
            }
        } else if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            name.0.clone_into(&mut section);
            continues = false;
        } else if let Some((option, value)) = trimmed.split_once(['=', ':']) {
            let option = option.trim().to_lowercase();
            found.push((section.clone(), option, value.trim().to_owned()));
            continues = true;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::default_limits, defaults::SiteDefaults};
    use std::os::unix::fs::PermissionsExt;

    fn widened(text: &str, mode: u32) -> (Limits, Result<Wishes, ConfigError>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("feudal_adapter.conf");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let mut limits = default_limits(&SiteDefaults::read(folder.path()));
        let result = widen(&mut limits, &path);
        (limits, result)
    }

    fn group(name: &str) -> GroupName {
        GroupName::new(name).unwrap()
    }

    #[test]
    fn groups_homes_and_shells_that_the_admin_named_may_be_used() {
        let text = "# site\n[ldf_adapter]\nbackend = local_unix\nFallback_Group: guests\n\
                    additional_groups = cluster\n  storage docker\n[groups]\nmapping = x -> sudo\n\
                    [backend.local_unix]\nhome_base = /srv/home/\nshell = /opt/bin/zsh\n";
        let (limits, result) = widened(text, 0o644);
        if !nix::unistd::geteuid().is_root() {
            return assert!(result.is_err(), "the file belongs to somebody else");
        }
        result.unwrap();
        for name in ["guests", "cluster", "storage", "nogroup"] {
            assert!(limits.allowed_groups.contains(&group(name)), "{name}");
        }
        assert_eq!(limits.allowed_groups.len(), 4, "r22: protected names never count");
        assert!(limits.home_bases.contains(&AccountPath::new("/srv/home").unwrap()));
        assert!(limits.shells.contains(&AccountPath::new("/opt/bin/zsh").unwrap()));
    }

    #[test]
    fn script_keys_and_homes_are_read_from_the_section_of_the_back_end_and_off_by_default() {
        let of = |text: &str| wishes(&options(text));
        assert_eq!(of("[backend.local_unix]\nshell = /bin/sh\n"), Wishes::default());
        let text = "[DEFAULT]\ndeploy_user_ssh_keys = yes\n[backend.local_unix]\n\
                    post_create_script = /opt/new.sh\nundeploy_home = remove\n";
        let hook = Some(PathBuf::from("/opt/new.sh"));
        let expected = Wishes { hook, keys: false, homes: LeavingHomes::Remove };
        assert_eq!(of(text), expected, "keys have to be asked for in the section itself");
        let keys =
            |word: &str| of(&format!("[backend.local_unix]\ndeploy_user_ssh_keys = {word}\n")).keys;
        assert_eq!(["yes", "On", "no", "", "maybe"].map(keys), [true, true, false, false, false]);
        let other =
            "[ldf_adapter]\nbackend = ldap\n[backend.ldap]\npost_create_script = /opt/l.py\n";
        assert_eq!(of(&format!("{other}{text}")).hook, Some(PathBuf::from("/opt/l.py")));
    }

    #[test]
    fn uids_of_the_directory_that_is_the_back_end_count_and_those_of_another_do_not() {
        let uids = |text: &str| {
            let mut limits = default_limits(&SiteDefaults::read(Path::new("/nowhere")));
            if let Some(uids) = directory_uids(&options(text)) {
                limits.directory_uids = uids;
            }
            limits.directory_uids
        };
        let ldap = "[backend.ldap]\nuid_min = 20000\nuid_max: 29999\n";
        let named = |backend: &str| format!("[ldf_adapter]\nbackend = {backend}\n{ldap}");
        assert_eq!(uids(&named("ldap")), DirectoryUids::Range(20_000..=29_999));
        let bonsai = "[ldf_adapter]\nbackend = bonsai_ldap\n[backend.bonsai_ldap]\n";
        for (text, expected) in [
            (named("bonsai_ldap"), DirectoryUids::Unset),
            (format!("{bonsai}uid_min = 3000\n"), DirectoryUids::Unset),
            (format!("{bonsai}uid_max = 3999\n"), DirectoryUids::Unset),
            (
                format!("{bonsai}uid_min = 3000\nuid_max = 3999\n"),
                DirectoryUids::Range(3000..=3999),
            ),
        ] {
            assert_eq!(uids(&text), expected, "r21: {text}");
        }
        for other in ["local_unix", "bwidm", ""] {
            assert_eq!(uids(&named(other)), DirectoryUids::Unset, "{other}");
        }
        assert_eq!(uids(ldap), DirectoryUids::Unset, "no back end is named");
        for unsound in ["uid_min = 0", "uid_max = 4294967295", "uid_min = x", "uid_max = 19999"] {
            let text = format!("{}{unsound}\n", named("ldap"));
            assert_eq!(uids(&text), DirectoryUids::Unset, "r21: {unsound}");
        }
    }

    #[test]
    fn r33_a_file_that_others_may_write_widens_nothing() {
        let (limits, result) = widened("[ldf_adapter]\nfallback_group = guests\n", 0o666);
        assert!(result.is_err());
        assert!(!limits.allowed_groups.contains(&group("guests")));
    }
}
