//! The helper's own configuration: limits that hold whatever the daemon asks for.

use crate::{
    defaults::SiteDefaults,
    guard::{DirectoryUids, ExistingHomes, Limits},
    ownership::{OwnershipError, require_root_only},
};
use motley_proto::{
    names::{GroupName, is_protected_id},
    task::AccountPath,
};
use std::{io, path::Path};

/// Why the configuration can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody other than root could change it.
    #[error("configuration is not safe")]
    Ownership(#[from] OwnershipError),
    /// A line is wrong.
    #[error("{path}:{line}: {problem}")]
    Line {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong and what to write instead.
        problem: String,
    },
    /// The values do not go together.
    #[error("{path}: {problem}")]
    Whole {
        /// The file.
        path: String,
        /// What is wrong and what to write instead.
        problem: String,
    },
}

/// Every key of the file, with the meaning that `--help` and the sample file show.
pub const KEYS: &[(&str, &str)] = &[
    (
        "group_prefix",
        "groups that are made or joined must begin with this text (default: any name that is free)",
    ),
    ("allowed_groups", "existing local groups that may be joined or be primary (default: nogroup)"),
    ("home_bases", "directories in which homes may be made (default: /home)"),
    (
        "shells",
        "login shells that are allowed besides those of /etc/shells and nologin (default: none)",
    ),
    ("uid_min", "smallest uid that is made or adopted (default: UID_MIN of /etc/login.defs)"),
    ("uid_max", "largest uid that is made or adopted (default: UID_MAX of /etc/login.defs)"),
    (
        "directory_uids",
        "uids of accounts that a directory keeps, as MIN-MAX, whose sessions and jobs may be ended, or none (default: uid_min and uid_max of the directory that feudal_adapter.conf names as back end, where both are set there, else none)",
    ),
    (
        "directory_hooks",
        "yes, or no: whether post_create_script is run for accounts that a directory keeps, too; the daemon's word alone says then that such an account is new (default: no)",
    ),
    (
        "existing_homes",
        "refuse, or keep: whether a new account may take a home that exists and has its uid, as on shared file systems (default: refuse)",
    ),
];

/// The limits without any configuration file.
pub fn default_limits(site: &SiteDefaults) -> Limits {
    Limits {
        group_prefix: String::new(),
        allowed_groups: GroupName::new("nogroup").into_iter().collect(),
        home_bases: AccountPath::new("/home").into_iter().collect(),
        shells: Default::default(),
        uids: site.uid_min.max(1000)..=site.uid_max,
        directory_uids: DirectoryUids::Unset,
        directory_hooks: false,
        existing_homes: ExistingHomes::Refuse,
    }
}

/// Reads the file. It must belong to root and be closed to other writers, as must every directory
/// above it.
///
/// # Errors
/// With file, line and cure.
pub fn read_limits(path: &Path, site: &SiteDefaults) -> Result<Limits, ConfigError> {
    let real = require_root_only(path)?;
    let text = std::fs::read_to_string(&real)
        .map_err(|source| ConfigError::Io { path: path.display().to_string(), source })?;
    parse_limits(&text, &path.display().to_string(), site)
}

/// Parses the content of the file; `path` serves the errors only.
///
/// # Errors
/// As [`read_limits`].
pub fn parse_limits(text: &str, path: &str, site: &SiteDefaults) -> Result<Limits, ConfigError> {
    let mut limits = default_limits(site);
    let mut seen: Vec<(&str, usize)> = Vec::new();
    for (at, line) in text.lines().enumerate().map(|(at, line)| (at + 1, line.trim())) {
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let wrong = |problem| ConfigError::Line { path: path.to_owned(), line: at, problem };
        let (key, value) = line
            .split_once('=')
            .map(|(key, value)| (key.trim(), value.trim()))
            .ok_or_else(|| wrong("is not `key = value`".to_owned()))?;
        if let Some((_, first)) = seen.iter().find(|(other, _)| *other == key) {
            return Err(wrong(format!("`{key}` is already set in line {first}; remove one")));
        }
        seen.push((key, at));
        set(&mut limits, key, value).map_err(wrong)?;
    }
    if limits.uids.is_empty() {
        let problem = format!(
            "no uid lies between uid_min {} and uid_max {}; set both",
            limits.uids.start(),
            limits.uids.end()
        );
        return Err(ConfigError::Whole { path: path.to_owned(), problem });
    }
    Ok(limits)
}

fn set(limits: &mut Limits, key: &str, value: &str) -> Result<(), String> {
    let (min, max) = (*limits.uids.start(), *limits.uids.end());
    match key {
        "group_prefix" => limits.group_prefix = parse_prefix(value)?,
        "allowed_groups" => {
            limits.allowed_groups = parse_list(value, |text| GroupName::new(text))?;
        }
        "home_bases" => limits.home_bases = parse_list(value, |text| AccountPath::new(text))?,
        "shells" => limits.shells = parse_list(value, |text| AccountPath::new(text))?,
        "uid_min" => limits.uids = parse_uid(value)?..=max,
        "uid_max" => limits.uids = min..=parse_uid(value)?,
        "directory_uids" => limits.directory_uids = parse_directory_uids(value)?,
        "directory_hooks" => {
            limits.directory_hooks = match value {
                "yes" => true,
                "no" => false,
                _ => return Err("`directory_hooks` is `yes` or `no`".to_owned()),
            }
        }
        "existing_homes" => {
            limits.existing_homes = match value {
                "refuse" => ExistingHomes::Refuse,
                "keep" => ExistingHomes::Keep,
                _ => return Err("`existing_homes` is `refuse` or `keep`".to_owned()),
            }
        }
        _ => {
            let known: Vec<_> = KEYS.iter().map(|(name, _)| *name).collect();
            return Err(format!(
                "unknown key `{}`; known are: {}",
                motley_proto::text::escape(key, 64),
                known.join(", ")
            ));
        }
    }
    Ok(())
}

fn parse_prefix(value: &str) -> Result<String, String> {
    if value.is_empty() {
        return Ok(String::new());
    }
    // Any name with the prefix must itself be a name, so the prefix obeys the same grammar.
    match GroupName::new(format!("{value}x")) {
        Ok(_) => Ok(value.to_owned()),
        Err(error) => Err(format!("`group_prefix` {error}")),
    }
}

fn parse_uid(value: &str) -> Result<u32, String> {
    let uid = value.parse().map_err(|_| "is not a uid; write a number".to_owned())?;
    if is_protected_id(uid) {
        Err(format!("{uid} is a uid of the system; choose one from 1000 on, outside 61184-65519"))
    } else {
        Ok(uid)
    }
}

fn parse_directory_uids(value: &str) -> Result<DirectoryUids, String> {
    if value == "none" {
        return Ok(DirectoryUids::None);
    }
    let cure = || "`directory_uids` is `none` or two uids as 100000-199999".to_owned();
    let (min, max) = value.split_once('-').ok_or_else(cure)?;
    let (min, max) = (parse_uid(min.trim())?, parse_uid(max.trim())?);
    if min <= max { Ok(DirectoryUids::Range(min..=max)) } else { Err(cure()) }
}

fn parse_list<T, E, C>(value: &str, parse: impl Fn(&str) -> Result<T, E>) -> Result<C, String>
where
    E: std::fmt::Display,
    C: FromIterator<T>,
{
    let words = value.split([',', ' ', '\t']).filter(|word| !word.is_empty());
    let one = |word: &str| {
        let word_shown = motley_proto::text::escape(word, 64);
        parse(word).map_err(|error| format!("`{word_shown}` {error}; remove it"))
    };
    words.map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn site() -> SiteDefaults {
        SiteDefaults {
            uid_min: 1000,
            uid_max: 60_000,
            gids: 1000..=60_000,
            home_mode: 0o700,
            skel: "/etc/skel".into(),
        }
    }

    fn parse(text: &str) -> Result<Limits, String> {
        parse_limits(text, "root.conf", &site()).map_err(|error| error.to_string())
    }

    #[test]
    fn every_key_of_the_table_is_understood_and_no_other() {
        for (key, _) in KEYS {
            let error = parse(&format!("{key} = %\n")).unwrap_err();
            assert!(!error.contains("unknown key"), "{key}: {error}");
        }
        let error = parse("# ok\nshell = /bin/sh\n").unwrap_err();
        assert!(error.starts_with("root.conf:2: unknown key `shell`; known are: "), "{error}");
    }

    #[test]
    fn an_empty_file_means_the_defaults_and_values_replace_them() {
        let limits = parse("").unwrap();
        assert_eq!(limits.uids, 1000..=60_000);
        let text = "group_prefix = egi-\nallowed_groups = users, nogroup\nhome_bases=/srv/home\n\
                    shells = /opt/shell\nuid_min = 5000\nuid_max=5999\nexisting_homes = keep\n";
        let limits = parse(text).unwrap();
        assert_eq!((limits.uids, limits.group_prefix.as_str()), (5000..=5999, "egi-"));
        assert_eq!((limits.allowed_groups.len(), limits.home_bases.len()), (2, 1));
    }

    #[test]
    fn r21_uids_of_a_directory_are_none_by_default_and_never_those_of_the_system() {
        assert!(!parse("").unwrap().directory_uids.contains(100_000));
        assert_eq!(parse("directory_uids = none\n").unwrap().directory_uids, DirectoryUids::None);
        let uids = parse("directory_uids = 60000 - 70000\n").unwrap().directory_uids;
        let inside = [60_000, 61_183, 65_520, 70_000].map(|uid| uids.contains(uid));
        assert_eq!(inside, [true; 4]);
        let outside = [59_999, 61_184, 65_519, 65_534, 65_535, 70_001, 0, u32::MAX];
        assert_eq!(outside.map(|uid| uids.contains(uid)), [false; 8]);
    }

    #[test]
    fn r22_groups_of_the_system_can_not_even_be_configured() {
        for group in ["docker", "sudo", "shadow", "Staff"] {
            let error = parse(&format!("allowed_groups = users {group}\n")).unwrap_err();
            assert!(error.starts_with(&format!("root.conf:1: `{group}` ")), "{error}");
        }
    }

    #[test]
    fn r33_wrong_lines_are_refused_with_their_number() {
        for (text, part) in [
            ("uid_min\n", "root.conf:1: is not `key = value`"),
            ("uid_min = 5000\nuid_min = 6000\n", "root.conf:2: `uid_min` is already set in line 1"),
            ("uid_min = 500\n", "uid of the system"),
            ("uid_max = 65534\n", "uid of the system"),
            ("uid_min = 7000\nuid_max = 6000\n", "no uid lies between"),
            ("home_bases = /home/../etc\n", "`/home/../etc` has an empty component"),
            ("group_prefix = -x\n", "`group_prefix` has a character"),
            ("existing_homes = maybe\n", "`refuse` or `keep`"),
            ("directory_uids = 100000\n", "two uids as 100000-199999"),
            ("directory_uids = 7000-6000\n", "two uids as 100000-199999"),
            ("directory_uids = 500-6000\n", "uid of the system"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(part), "{text:?}: {error}");
        }
    }

    #[test]
    fn r33_a_file_that_others_can_write_is_refused_with_the_cure() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("root.conf");
        std::fs::write(&path, "uid_min = 5000\n").unwrap();
        let mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode));
        mode(0o666).unwrap();
        // As the start shows it: the error and its causes.
        let error = format!("{:#}", anyhow::Error::from(read_limits(&path, &site()).unwrap_err()));
        assert!(error.contains("run: chmod go-w") || error.contains("chown root"), "{error}");
        if nix::unistd::geteuid().is_root() {
            mode(0o644).unwrap();
            assert_eq!(*read_limits(&path, &site()).unwrap().uids.start(), 5000);
        }
    }
}
