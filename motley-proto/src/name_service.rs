//! Tells "there is none" from "nobody could say" in answers of the C library's name service.

use nix::errno::Errno;
use std::{io, path::Path};

/// Files of clients of a directory. Where one exists, names may be missing because it does not run.
const DIRECTORY_CLIENTS: [&str; 2] = ["/etc/sssd/sssd.conf", "/etc/nslcd.conf"];

/// What an answer means.
///
/// `getpwnam(3)` counts ENOENT and ESRCH as "not found", and so answers a host that lists a source of
/// names of which nothing but the library is installed. A client that is configured and does not run
/// answers alike, and then nobody knows whether the name is taken.
///
/// # Errors
/// When a source of names could not be asked: then the name must count as taken.
pub fn answered<T>(answer: nix::Result<Option<T>>) -> io::Result<Option<T>> {
    match answer {
        Err(Errno::ENOENT | Errno::ESRCH) => {
            let client = DIRECTORY_CLIENTS.iter().find(|file| may_exist(Path::new(file)));
            client.map_or(Ok(None), |file| {
                let what =
                    format!("the directory of {file} does not answer; is its client running?");
                Err(io::Error::new(io::ErrorKind::NotConnected, what))
            })
        }
        answer => Ok(answer?),
    }
}

/// Who may not look into its folder finds no file there, and it is there all the same.
fn may_exist(file: &Path) -> bool {
    !matches!(file.try_exists(), Ok(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_no_absence() {
        assert_eq!(answered(Ok(Some(7))).unwrap(), Some(7));
        assert_eq!(answered::<u32>(Ok(None)).unwrap(), None);
        for errno in [Errno::EIO, Errno::EMFILE, Errno::ETIMEDOUT, Errno::ECONNREFUSED] {
            assert!(answered::<u32>(Err(errno)).is_err(), "{errno}");
        }
    }
}
