//! The site's own defaults for new accounts: login.defs(5), useradd(8) defaults and shells(5).

use std::{
    collections::BTreeSet,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

/// What the files of the distribution say about new accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteDefaults {
    /// Smallest uid of a person (`UID_MIN`).
    pub uid_min: u32,
    /// Largest uid of a person (`UID_MAX`).
    pub uid_max: u32,
    /// Gids of new groups (`GID_MIN` to `GID_MAX`).
    pub gids: RangeInclusive<u32>,
    /// Permission bits of a new home (`HOME_MODE`, else from `UMASK`), never writable by others.
    pub home_mode: u32,
    /// Directory whose content a new home begins with (`SKEL`).
    pub skel: PathBuf,
}

impl SiteDefaults {
    /// Reads the files below `root`. A missing file or value means the default of shadow-utils.
    pub fn read(root: &Path) -> Self {
        let login = read(&root.join("etc/login.defs"));
        let add = read(&root.join("etc/default/useradd"));
        let octal = |key| word(&login, key).and_then(|text| u32::from_str_radix(text, 8).ok());
        let number = |key| word(&login, key).and_then(|text| text.parse().ok());
        let mode = octal("HOME_MODE").or_else(|| octal("UMASK").map(|mask| 0o777 & !mask));
        let skel = add.lines().rev().find_map(|line| line.trim().strip_prefix("SKEL="));
        let skel = skel.map(|text| text.trim_matches('"')).unwrap_or("/etc/skel");
        Self {
            uid_min: number("UID_MIN").unwrap_or(1000),
            uid_max: number("UID_MAX").unwrap_or(60_000),
            gids: number("GID_MIN").unwrap_or(1000)..=number("GID_MAX").unwrap_or(60_000),
            home_mode: mode.unwrap_or(0o700) & 0o755 | 0o700,
            skel: root.join(skel.trim_start_matches('/')),
        }
    }
}

/// The login shells that the site lists in shells(5).
pub fn listed_shells(root: &Path) -> BTreeSet<String> {
    let text = read(&root.join("etc/shells"));
    let lines = text.lines().map(str::trim).filter(|line| line.starts_with('/'));
    lines.map(str::to_owned).collect()
}

fn read(path: &Path) -> String {
    std::fs::read(path).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default()
}

/// The value of a key; the last line that sets it counts.
fn word<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().rev().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some(key)).then(|| words.next()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(login: &str, add: &str) -> SiteDefaults {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("etc/default")).unwrap();
        std::fs::write(root.path().join("etc/login.defs"), login).unwrap();
        std::fs::write(root.path().join("etc/default/useradd"), add).unwrap();
        let mut site = SiteDefaults::read(root.path());
        site.skel = Path::new("/").join(site.skel.strip_prefix(root.path()).unwrap());
        site
    }

    #[test]
    fn values_come_from_the_files_and_comments_do_not_count() {
        let text = "GID_MIN 4000\nGID_MAX 4999\n#UID_MIN 5\nUID_MIN\t\t 2000\nUID_MAX 3000\nUMASK 027\nHOME_MODE 0711\n";
        let site = site(text, "# SKEL=/x\nSKEL=/etc/skel-site\n");
        assert_eq!((site.uid_min, site.uid_max, site.home_mode), (2000, 3000, 0o711));
        assert_eq!(site.gids, 4000..=4999);
        assert_eq!(site.skel, Path::new("/etc/skel-site"));
    }

    #[test]
    fn a_home_is_never_writable_by_others_and_private_without_any_value() {
        assert_eq!(site("UMASK 000\n", "").home_mode, 0o755);
        assert_eq!(site("UMASK 022\n", "").home_mode, 0o755);
        assert_eq!(site("", "").home_mode, 0o700);
        assert_eq!(site("HOME_MODE rubbish\n", "").skel, Path::new("/etc/skel"));
    }
}
