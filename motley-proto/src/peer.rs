//! Who may ask what: one row for every kind of request, checked with the peer's credentials.

use crate::{admin::AdminRequest, login::LoginRequest, task::Task};

/// Effective uid of the process at the other end of a socket, as the kernel says (`SO_PEERCRED`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Effective uid when the socket was connected.
    pub uid: u32,
    /// Effective gid when the socket was connected.
    pub gid: u32,
}

/// Who may send a kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Root only: sshd runs the PAM module as root.
    Root,
    /// The daemon's own user only.
    Daemon,
    /// Root and members of the admin group, which the socket's mode lets in.
    Admin,
}

/// What the receiving process knows about itself when it judges a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judge {
    /// Uid of the daemon's user.
    pub daemon_uid: u32,
    /// True when the peer came in through a socket that only the admin group can open.
    pub admin_socket: bool,
}

impl Who {
    /// True if the peer is one of those.
    pub fn admits(self, peer: Peer, judge: Judge) -> bool {
        match self {
            Who::Root => peer.uid == 0,
            Who::Daemon => peer.uid == judge.daemon_uid,
            Who::Admin => peer.uid == 0 || judge.admin_socket,
        }
    }
}

/// A request that has its row in the table. A new kind without a row does not compile.
pub trait WhoMay {
    /// The row.
    fn who_may(&self) -> Who;
}

impl WhoMay for LoginRequest {
    fn who_may(&self) -> Who {
        match self {
            LoginRequest::Hello(_)
            | LoginRequest::Answer(_)
            | LoginRequest::Withheld(_)
            | LoginRequest::Account(_) => Who::Root,
        }
    }
}

impl WhoMay for Task {
    fn who_may(&self) -> Who {
        match self {
            Task::Inspect { .. }
            | Task::Create(_)
            | Task::Adopt { .. }
            | Task::SetGroups { .. }
            | Task::SetPrimaryGroup { .. }
            | Task::SetShell { .. }
            | Task::Expire { .. }
            | Task::Unexpire { .. }
            | Task::EndSessions { .. }
            | Task::Sessions { .. }
            | Task::Hold { .. }
            | Task::Release { .. }
            | Task::RunHook { .. }
            | Task::SetKeys { .. }
            | Task::Remove { .. }
            | Task::RollBack { .. } => Who::Daemon,
        }
    }
}

impl WhoMay for AdminRequest {
    fn who_may(&self) -> Who {
        match self {
            AdminRequest::Status
            | AdminRequest::Accounts(_)
            | AdminRequest::Account { .. }
            | AdminRequest::Change { .. }
            | AdminRequest::Sessions { .. }
            | AdminRequest::AllSessions { .. }
            | AdminRequest::Why { .. }
            | AdminRequest::WhyToken { .. }
            | AdminRequest::Token { .. }
            | AdminRequest::Providers { .. }
            | AdminRequest::Trail { .. }
            | AdminRequest::VerifyTrail
            | AdminRequest::RotateTrail
            | AdminRequest::Reconcile
            | AdminRequest::Import { .. }
            | AdminRequest::ImportRequests { .. }
            | AdminRequest::Reload
            | AdminRequest::Knocks { .. }
            | AdminRequest::ClearKnocks
            | AdminRequest::TestNotify
            | AdminRequest::Nodes
            | AdminRequest::ForgetNode { .. }
            | AdminRequest::Groups { .. }
            | AdminRequest::ReleaseGroup { .. }
            | AdminRequest::Approvals { .. }
            | AdminRequest::Approval { .. }
            | AdminRequest::Decide { .. } => Who::Admin,
            // A code opens the account like its owner's token: who may give it to himself could
            // become anybody, which the admin group is not meant to.
            AdminRequest::IssueCode { .. } => Who::Root,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAEMON: u32 = 990;

    #[test]
    fn r01_the_table_admits_exactly_whom_it_names() {
        let judge = |admin_socket| Judge { daemon_uid: DAEMON, admin_socket };
        let peers = [0, DAEMON, 1000, 65_534];
        let admitted = |who: Who, admin: bool| -> Vec<u32> {
            peers
                .into_iter()
                .filter(|uid| who.admits(Peer { uid: *uid, gid: *uid }, judge(admin)))
                .collect()
        };
        assert_eq!(admitted(Who::Root, false), [0]);
        assert_eq!(admitted(Who::Daemon, false), [DAEMON]);
        assert_eq!(admitted(Who::Admin, false), [0]);
        assert_eq!(admitted(Who::Admin, true), peers);
    }

    #[test]
    fn r01_a_code_for_another_is_given_out_by_root_alone() {
        let name = crate::UserName::new("kim").unwrap();
        let target = crate::admin::Target::Name(name);
        let request = AdminRequest::IssueCode { target };
        assert_eq!(request.who_may(), Who::Root);
        assert_eq!(AdminRequest::Status.who_may(), Who::Admin);
    }
}
