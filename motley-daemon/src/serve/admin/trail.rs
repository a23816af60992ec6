//! The audit trail, read, verified and put aside for an admin of the host.

use super::Admin;
use crate::{
    account::AccountError,
    audit::{self, AuditError, Begins, Checked, read::Wanted},
    store::spellings,
};
use motley_proto::{
    admin::{AdminAnswer, BrokenLine, Target, TrailCheck, TrailFilter, TrailStart},
    peer::Peer,
};
use std::{io, path::PathBuf};

/// Most lines that may be asked for at the end.
const MOST_LINES: u32 = 10_000;

impl Admin {
    pub(super) async fn trail(
        &self,
        filter: TrailFilter,
        start: TrailStart,
    ) -> Result<AdminAnswer, AccountError> {
        let identities = match &filter.whom {
            None => Vec::new(),
            Some(Target::Identity(identity)) => spellings(identity),
            // Lines about somebody of that name count even when it is nobody's any more.
            Some(target @ Target::Name(_)) => self
                .identity(target.clone())
                .await?
                .map(|identity| spellings(&identity))
                .unwrap_or_default(),
        };
        let start = match start {
            TrailStart::Last(count) => TrailStart::Last(count.min(MOST_LINES)),
            after => after,
        };
        let wanted = Wanted { filter, identities };
        let read = self.in_background(move |path| audit::read::page(&path, start, &wanted)).await;
        Ok(AdminAnswer::Trail(read.and_then(|page| page).map_err(|error| self.unreadable(error))?))
    }

    pub(super) async fn verify_trail(&self) -> Result<AdminAnswer, AccountError> {
        let checked = self.in_background(|path| audit::verify(&path)).await;
        match checked.map_err(|error| self.unreadable(error))? {
            Ok(checked) => Ok(AdminAnswer::TrailChecked(whole(checked))),
            Err(AuditError::Broken { path, line }) => {
                Ok(AdminAnswer::TrailChecked(broken(path, line)))
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn rotate_trail(&self, peer: Peer) -> Result<AdminAnswer, AccountError> {
        self.note(peer, "audit rotate")?;
        let aside = self.accounts().audit.rotate()?;
        Ok(AdminAnswer::TrailRotated(aside.display().to_string()))
    }

    /// Files of many megabytes must not hold up those who log in.
    async fn in_background<T: Send + 'static>(
        &self,
        read: impl FnOnce(PathBuf) -> T + Send + 'static,
    ) -> io::Result<T> {
        let path = self.accounts().audit.path().to_owned();
        tokio::task::spawn_blocking(move || read(path)).await.map_err(io::Error::other)
    }

    fn unreadable(&self, source: io::Error) -> AccountError {
        AuditError::File { path: self.accounts().audit.path().to_owned(), source }.into()
    }
}

fn whole(checked: Checked) -> TrailCheck {
    let after = match checked.begins {
        Begins::AtTheStart => None,
        Begins::After(file) => Some(file),
    };
    TrailCheck { lines: checked.lines, files: checked.files, after, broken: None }
}

fn broken(path: PathBuf, line: usize) -> TrailCheck {
    let line = u64::try_from(line).unwrap_or(u64::MAX);
    let broken = Some(BrokenLine { file: path.display().to_string(), line });
    TrailCheck { lines: 0, files: 0, after: None, broken }
}
