//! Which uids are one account's: its own, and those that subuid(5) lends it for its containers.

use super::{SightError, table::read_start};
use std::{io, ops::RangeInclusive, path::Path};

/// Most bytes of subuid(5) that are read: a hundred thousand accounts with a range each.
const SUBUID_BYTES: u64 = 4 * 1024 * 1024;
/// Most ranges of one account.
const MAX_RANGES: usize = 64;
/// Below it accounts are, whatever the file says.
const FIRST_LENT: u32 = 65_536;

/// The uids of one account.
#[derive(Debug, Clone)]
pub struct Whose {
    /// The account's own.
    pub(super) uid: u32,
    lent: Vec<RangeInclusive<u32>>,
    /// How root's processes of sshd call themselves that serve the account, or somebody who asks
    /// for it: `sshd` before OpenSSH 9.8, `sshd-session` since.
    monitors: [String; 4],
}

impl Whose {
    /// The uids of the account of this name and uid. `root` holds `etc`.
    ///
    /// # Errors
    /// When subuid(5) is there and can't be read whole.
    pub fn read(root: &Path, name: &str, uid: u32) -> Result<Self, SightError> {
        let bytes = match read_start(&root.join("etc/subuid"), SUBUID_BYTES + 1) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(SightError::Lent(error)),
        };
        let (text, number) = (String::from_utf8_lossy(&bytes), uid.to_string());
        let lent: Vec<_> = text.lines().filter_map(|line| range(line, [name, &number])).collect();
        if bytes.len() as u64 > SUBUID_BYTES || lent.len() > MAX_RANGES {
            return Err(SightError::Lent(io::ErrorKind::FileTooLarge.into()));
        }
        let monitors = [
            format!("sshd: {name} [priv]"),
            format!("sshd: {name} [pam]"),
            format!("sshd-session: {name} [priv]"),
            format!("sshd-session: {name} [pam]"),
        ];
        Ok(Self { uid, lent, monitors })
    }

    /// True for the title of a process of root's by which sshd serves the account, or lets it in.
    pub(super) fn is_monitor(&self, title: &str) -> bool {
        let title = title.trim_end_matches([' ', '\0']);
        self.monitors.iter().any(|monitor| monitor == title)
    }

    /// True if the uid is lent to the account.
    pub(super) fn is_lent(&self, id: u32) -> bool {
        id >= FIRST_LENT && self.lent.iter().any(|range| range.contains(&id))
    }
}

fn range(line: &str, owners: [&str; 2]) -> Option<RangeInclusive<u32>> {
    let (owner, range) = line.split_once(':')?;
    let (first, count) = range.split_once(':').filter(|_| owners.contains(&owner))?;
    let (first, count): (u32, u32) = (first.trim().parse().ok()?, count.trim().parse().ok()?);
    Some(first..=first.saturating_add(count.checked_sub(1)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn uids_are_lent_by_name_and_by_number_and_none_of_the_accounts_of_others() {
        let root = tempfile::tempdir().unwrap();
        assert!(!Whose::read(root.path(), "jdoe", 5001).unwrap().is_lent(100_000));
        let subuid = root.path().join("etc/subuid");
        fs::create_dir(root.path().join("etc")).unwrap();
        let text = "kim:300000:10\njdoe:100000:10\n5001:200000:1\njdoe:0:70000\njdoe:400000:0\n\
                    jdoe:x:1\njdoe:\n\njdoe:4294967290:90\n";
        fs::write(&subuid, text).unwrap();
        let whose = Whose::read(root.path(), "jdoe", 5001).unwrap();
        let lent = [100_000, 100_009, 200_000, 65_536, 4_294_967_295];
        assert_eq!(lent.map(|id| whose.is_lent(id)), [true; 5]);
        let not = [99_999, 100_010, 200_001, 300_000, 400_000, 0, 1000, 5002];
        assert_eq!(not.map(|id| whose.is_lent(id)), [false; 8]);
        fs::remove_file(&subuid).unwrap();
        fs::create_dir(&subuid).unwrap();
        assert!(Whose::read(root.path(), "jdoe", 5001).is_err(), "nobody can say");
    }
}
