//! The admin socket: what an admin of the host asks with `motleyctl`.

mod code;
mod knocks;

use super::{
    exchange::{Exchange, ExchangeError},
    live::Live,
    request_id,
};
use crate::{
    account::{AccountError, Accounts, Suspender},
    admission::Admission,
    config::Config,
    daemon::ReloadHandle,
    identity::TokenVerifier,
};
use motley_proto::{
    Identity,
    admin::{AccountRow, AdminAnswer, AdminRequest, DaemonStatus, Target},
    frame::Cap,
    peer::{Judge, Peer, WhoMay},
    rest::AccountState,
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
}

const TIME_LIMIT: Duration = Duration::from_secs(30);

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
        AdminAnswer::Refused("only root and the admin group may ask this".to_owned())
    };
    exchange.send(&answer, deadline).await
}

impl Admin {
    pub(super) fn accounts(&self) -> &Accounts {
        self.admission.accounts()
    }

    async fn answer(&self, request: AdminRequest, peer: Peer) -> AdminAnswer {
        let done = match request {
            AdminRequest::Status => self.status().await,
            AdminRequest::Accounts => self.rows().await,
            AdminRequest::Suspend { target } => self.suspend(target, peer).await,
            AdminRequest::Resume { target } => self.resume(target, peer).await,
            AdminRequest::Reload => Ok(match self.reload.reload().await {
                Ok(report) => AdminAnswer::Reloaded(report),
                Err(problems) => AdminAnswer::Refused(problems),
            }),
            AdminRequest::Reconcile => {
                self.accounts().reconcile().await.map(AdminAnswer::Reconciled)
            }
            AdminRequest::IssueCode { target } => self.issue_code(target, peer).await,
            AdminRequest::Knocks { after } => self.knocks(after.as_ref()).await,
            AdminRequest::ClearKnocks => self.clear_knocks(peer).await,
            AdminRequest::TestNotify => Ok(self.test_notify(peer).await),
        };
        done.unwrap_or_else(|error| AdminAnswer::Refused(error.to_string()))
    }

    async fn status(&self) -> Result<AdminAnswer, AccountError> {
        let accounts = self.accounts().store().accounts().await?.len();
        Ok(AdminAnswer::Status(DaemonStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            listening: self.listening.clone(),
            issuers: self.config.ops.iter().map(|op| op.issuer.to_string()).collect(),
            accounts: u64::try_from(accounts).unwrap_or(u64::MAX),
            root_helper: self.accounts().backend().check().await.is_ok(),
            notify: self.notify_status().await?,
        }))
    }

    async fn rows(&self) -> Result<AdminAnswer, AccountError> {
        let mut rows = Vec::new();
        for record in self.accounts().store().accounts().await? {
            let state = match self.accounts().standing(&record.identity).await {
                Ok(standing) => standing.state,
                Err(_) => AccountState::Unknown,
            };
            rows.push(AccountRow { identity: record.identity, name: record.name, state });
        }
        Ok(AdminAnswer::Accounts(rows))
    }

    pub(super) async fn identity(&self, target: Target) -> Result<Option<Identity>, AccountError> {
        match target {
            Target::Identity(identity) => Ok(Some(identity)),
            Target::Name(name) => {
                Ok(self.accounts().standing_of_name(&name).await?.map(|(identity, _)| identity))
            }
        }
    }

    async fn suspend(&self, target: Target, peer: Peer) -> Result<AdminAnswer, AccountError> {
        let Some(identity) = self.identity(target).await? else { return Ok(nobody()) };
        let by = Suspender::Host { uid: peer.uid };
        self.accounts().suspend(&identity, by, &request_id()).await.map(AdminAnswer::Receipt)
    }

    async fn resume(&self, target: Target, peer: Peer) -> Result<AdminAnswer, AccountError> {
        let Some(identity) = self.identity(target).await? else { return Ok(nobody()) };
        let by = Suspender::Host { uid: peer.uid };
        self.accounts().resume(&identity, by, &request_id()).await.map(AdminAnswer::Receipt)
    }
}

pub(super) fn nobody() -> AdminAnswer {
    AdminAnswer::Refused(
        "no account of that name belongs to an identity; name the person with --iss and --sub"
            .to_owned(),
    )
}
