//! The admin socket: what an admin of the host asks with `motleyctl`.

pub(super) mod approvals;
mod changes;
mod code;
mod groups;
mod knocks;
mod nodes;
mod people;
mod status;
mod trail;
mod why;

use super::{
    exchange::{Exchange, ExchangeError},
    live::Live,
    request_id,
};
use crate::{
    account::{AccountError, Accounts},
    admission::Admission,
    audit::Event,
    clock::Timestamp,
    config::Config,
    daemon::ReloadHandle,
    identity::TokenVerifier,
};
use motley_proto::{
    Identity,
    admin::{AdminAnswer, AdminRequest, Target},
    frame::{Cap, FrameError},
    peer::{Judge, Peer, WhoMay},
};
use std::{sync::Arc, time::Duration};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::watch,
    time::Instant,
};

/// What every admin request needs.
pub struct Admin {
    /// Decides about credentials, and keeps the accounts.
    pub admission: Arc<Admission>,
    /// Verifies tokens.
    pub verifier: Arc<TokenVerifier>,
    /// What holds now.
    pub config: Arc<Config>,
    /// Loads it anew.
    pub reload: ReloadHandle,
    /// Where the daemon listens.
    pub listening: Vec<String>,
    /// Uid of this process, for the table of who may ask.
    pub own_uid: u32,
    /// When it started.
    pub started: std::time::Instant,
    /// Since when this configuration holds.
    pub configured_at: Timestamp,
}

const TIME_LIMIT: Duration = Duration::from_secs(30);
/// Bytes of the entries of one page: the frame around them must stay below the cap.
const PAGE_BYTES: usize = 40 * 1024;

/// Serves the socket until told to stop.
pub async fn serve(listener: UnixListener, admin: Live<Admin>, mut stop: watch::Receiver<bool>) {
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.changed() => return,
        };
        match stream {
            Ok((stream, _)) => {
                let admin = admin.get();
                tokio::spawn(async move {
                    if let Err(error) = converse(stream, &admin).await {
                        tracing::warn!(%error, "admin request ended");
                    }
                });
            }
            Err(error) => {
                tracing::error!(%error, "admin socket");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn converse(stream: UnixStream, admin: &Admin) -> Result<(), ExchangeError> {
    let mut exchange = Exchange::new(stream, Cap::ADMIN);
    let peer = exchange.peer()?;
    let deadline = Instant::now() + TIME_LIMIT;
    let Some(request) = exchange.receive::<AdminRequest>(deadline).await? else { return Ok(()) };
    // The mode of the socket admits root and the admin group only, so whoever is here is one.
    let judge = Judge { daemon_uid: admin.own_uid, admin_socket: true };
    let answer = if request.who_may().admits(peer, judge) {
        admin.answer(request, peer).await
    } else {
        AdminAnswer::Refused("you may not ask this; become root".to_owned())
    };
    match exchange.send(&answer, deadline).await {
        Err(ExchangeError::Frame(FrameError::Length(..))) => {
            let why = "the answer is longer than this socket carries; ask for less at once";
            exchange.send(&AdminAnswer::Refused(why.to_owned()), deadline).await
        }
        sent => sent,
    }
}

impl Admin {
    pub(super) fn accounts(&self) -> &Accounts {
        self.admission.accounts()
    }

    async fn answer(&self, request: AdminRequest, peer: Peer) -> AdminAnswer {
        let done = match request {
            AdminRequest::Status => self.status().await,
            AdminRequest::Accounts(query) => self.list(&query).await,
            AdminRequest::Account { target } => self.show(target).await,
            AdminRequest::Change { change, target, reason } => {
                self.change(change, target, reason, peer).await
            }
            AdminRequest::Sessions { target } => self.sessions(target).await,
            AdminRequest::AllSessions { after } => self.all_sessions(after.as_ref()).await,
            AdminRequest::Trail { filter, start } => self.trail(filter, start).await,
            AdminRequest::VerifyTrail => self.verify_trail().await,
            AdminRequest::RotateTrail => self.rotate_trail(peer).await,
            AdminRequest::Reload => self.load_anew(peer).await,
            AdminRequest::Reconcile => self.reconcile(peer).await,
            AdminRequest::Import { apply, after } => self.import(apply, after.as_ref(), peer).await,
            AdminRequest::ImportRequests { apply, requests } => {
                self.import_requests(apply, &requests, peer).await
            }
            AdminRequest::Why { target } => self.why(target).await,
            AdminRequest::WhyToken { token } => self.why_token(&token.0, peer).await,
            AdminRequest::Token { token } => self.token(&token.0, peer).await,
            AdminRequest::Providers { probe } => self.providers(probe, peer).await,
            AdminRequest::IssueCode { target } => self.issue_code(target, peer).await,
            AdminRequest::Knocks { after } => self.knocks(after.as_ref()).await,
            AdminRequest::ClearKnocks => self.clear_knocks(peer).await,
            AdminRequest::TestNotify => self.test_notify(peer).await,
            AdminRequest::Nodes => self.nodes().await,
            AdminRequest::ForgetNode { node } => self.forget_node(&node, peer).await,
            AdminRequest::Groups { after } => self.groups(after.as_ref()).await,
            AdminRequest::ReleaseGroup { name } => self.release_group(&name, peer).await,
            AdminRequest::Approvals { after } => self.approvals(after.as_ref()).await,
            AdminRequest::Approval { id } => self.approval(&id).await,
            AdminRequest::Decide { decision, reference, reason } => {
                Ok(self.decide(decision, &reference, reason, peer).await)
            }
        };
        match done {
            Ok(answer) => answer,
            Err(AccountError::NoAccount) => AdminAnswer::Nobody(
                "this person has no account here; `motleyctl users list` shows who has".to_owned(),
            ),
            Err(error) => AdminAnswer::Refused(error.to_string()),
        }
    }

    pub(super) async fn identity(&self, target: Target) -> Result<Option<Identity>, AccountError> {
        match target {
            Target::Identity(identity) => Ok(Some(identity)),
            Target::Name(name) => self.accounts().identity_of_name(&name).await,
        }
    }

    /// Writes down who asks for what, before it is done.
    fn note(&self, peer: Peer, what: &str) -> Result<(), AccountError> {
        let (request, what) = (request_id(), what.to_owned());
        self.accounts().record(Event::AdminAsked { request, uid: peer.uid, what })
    }

    async fn load_anew(&self, peer: Peer) -> Result<AdminAnswer, AccountError> {
        self.note(peer, "reload")?;
        Ok(match self.reload.reload().await {
            Ok(report) => AdminAnswer::Reloaded(report),
            Err(problems) => AdminAnswer::Refused(problems),
        })
    }

    async fn import(
        &self,
        apply: bool,
        after: Option<&Identity>,
        peer: Peer,
    ) -> Result<AdminAnswer, AccountError> {
        // One line for the whole of it, not one for each page.
        if apply && after.is_none() {
            self.note(peer, "import accounts")?;
        }
        self.accounts().import(apply, after, &request_id()).await.map(AdminAnswer::Imported)
    }

    async fn reconcile(&self, peer: Peer) -> Result<AdminAnswer, AccountError> {
        self.note(peer, "reconcile")?;
        self.accounts().reconcile().await.map(AdminAnswer::Reconciled)
    }
}

pub(super) fn nobody() -> AdminAnswer {
    AdminAnswer::Nobody(
        "no account of that name belongs to an identity; name the person with --iss and --sub"
            .to_owned(),
    )
}
