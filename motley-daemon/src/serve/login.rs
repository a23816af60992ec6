//! The login socket: the daemon's side of the conversation with the PAM module.

use super::{
    exchange::{Exchange, ExchangeError},
    live::Live,
    request_id,
};
use crate::{
    account::Standing,
    admission::{Admission, Identified, Refusal},
    audit::{Event, field},
    measure,
    store::Use,
    throttle::Throttle,
};
use motley_proto::{
    GroupName, Identity, LoginName, Secret,
    frame::Cap,
    login::{
        Accept, AccountQuestion, Done, Hello, LoginRequest, LoginResult, MAX_TOKEN_BYTES, Nonce,
        Shape, Step, TOKEN_PROMPT, Withheld, chunk_prompt, shape, split_chunk,
    },
    peer::{Judge, WhoMay},
    rest::AccountState,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{Semaphore, watch},
    time::Instant,
};
use zeroize::Zeroizing;

/// Times and numbers of the login socket.
#[derive(Debug, Clone, Copy)]
pub struct LoginLimits {
    /// For a message that the module owes at once.
    pub answer_time: Duration,
    /// For a whole conversation, typing and the decision included.
    pub deadline: Duration,
    /// Conversations at a time.
    pub conversations: usize,
    /// Shortest opaque token that may leave sshd; `None`: none may.
    pub opaque_min_bytes: Option<u16>,
    /// What looks like a short code may leave sshd.
    pub codes: bool,
    /// Long tokens may come in pieces.
    pub chunked_prompts: bool,
}

impl Default for LoginLimits {
    fn default() -> Self {
        Self {
            answer_time: Duration::from_secs(12),
            deadline: Duration::from_secs(90),
            conversations: 512,
            opaque_min_bytes: None,
            codes: true,
            chunked_prompts: true,
        }
    }
}

/// What every conversation shares.
pub struct Login {
    /// Decides.
    pub admission: Arc<Admission>,
    /// Bounds failures by source.
    pub throttle: Arc<Throttle>,
    /// Times and numbers.
    pub limits: LoginLimits,
    /// Uid of this process, for the table of who may ask.
    pub own_uid: u32,
}

/// Serves the socket until told to stop; running conversations go on for a while.
pub async fn serve(listener: UnixListener, login: Live<Login>, mut stop: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(login.get().limits.conversations));
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted.map(|(stream, _)| stream),
            _ = stop.changed() => return,
        };
        match (stream, places.clone().try_acquire_owned()) {
            (Ok(stream), Ok(place)) => {
                let login = login.clone();
                tokio::spawn(async move {
                    let _place = place;
                    converse(stream, login).await;
                });
            }
            // Dropping the stream tells the module at once that nobody will answer.
            (Ok(_), Err(_)) => tracing::warn!("too many logins at a time; one was turned away"),
            (Err(error), _) => {
                tracing::error!(%error, "login socket");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn converse(stream: UnixStream, login: Live<Login>) {
    let mut conversation = Conversation::new(stream, login);
    if let Err(error) = conversation.run().await {
        tracing::warn!(request = conversation.request, %error, "login conversation ended");
    }
}

pub(super) struct Conversation {
    exchange: Exchange,
    live: Live<Login>,
    login: Arc<Login>,
    deadline: Instant,
    request: String,
}

/// What the user's side of a prompt came to.
enum Typed {
    Credential(Secret),
    Withheld(Withheld),
    Malformed(&'static str),
}

impl Conversation {
    /// Begins with the module's first message.
    pub(super) fn new(stream: UnixStream, live: Live<Login>) -> Self {
        let login = live.get();
        let deadline = Instant::now() + login.limits.deadline;
        let exchange = Exchange::new(stream, Cap::LOGIN);
        Self { exchange, live, login, deadline, request: request_id() }
    }

    /// When a message that the module owes at once must be there.
    fn at_once(&self) -> Instant {
        self.deadline.min(Instant::now() + self.login.limits.answer_time)
    }

    async fn run(&mut self) -> Result<(), ExchangeError> {
        let peer = self.exchange.peer()?;
        let judge = Judge { daemon_uid: self.login.own_uid, admin_socket: false };
        let at_once = self.at_once();
        let Some(first) = self.exchange.receive::<LoginRequest>(at_once).await? else {
            return Ok(());
        };
        if !first.who_may().admits(peer, judge) {
            tracing::error!(uid = peer.uid, "somebody other than root spoke on the login socket");
            return Ok(());
        }
        match first {
            LoginRequest::Hello(hello) => self.log_in(hello).await,
            LoginRequest::Account(question) => self.judge_account(question).await,
            LoginRequest::Answer(_) | LoginRequest::Withheld(_) => Ok(()),
        }
    }

    /// Tells the outcome. A module that did not wait for it, as after an empty answer, is no fault.
    async fn finish(&mut self, done: Done) -> Result<(), ExchangeError> {
        let deadline = Instant::now() + Duration::from_secs(2);
        let refused = done.result != LoginResult::Allow;
        match self.exchange.send(&Step::Done(done), deadline).await {
            Err(ExchangeError::Io(_)) if refused => Ok(()),
            other => other,
        }
    }

    pub(super) async fn log_in(&mut self, hello: Hello) -> Result<(), ExchangeError> {
        let source = source(&hello);
        let mut message = None;
        let result = if self.login.throttle.must_wait(&source) {
            self.note_refusal(&hello, "throttled", "too many failures from this source");
            LoginResult::TooManyTries
        } else {
            match self.ask(&hello).await? {
                Typed::Credential(credential) => {
                    // Who waits at the prompt must not be judged by a policy that an admin has
                    // replaced meanwhile.
                    self.login = self.live.get();
                    let (result, told) = self.decide(&hello, &credential, &source).await;
                    message = told;
                    result
                }
                Typed::Withheld(why) => {
                    self.login.throttle.failed(&source);
                    self.note_refusal(&hello, "withheld", withheld_reason(why));
                    LoginResult::Deny
                }
                Typed::Malformed(why) => {
                    self.login.throttle.failed(&source);
                    self.note_refusal(&hello, "malformed", why);
                    LoginResult::Deny
                }
            }
        };
        measure::login(match result {
            LoginResult::Allow => "granted",
            LoginResult::Error => "error",
            _ => "refused",
        });
        self.finish(Done { result, user: hello.user, nonce: hello.nonce, message }).await
    }

    /// Prompts, and puts the pieces together when the client sends the token in chunks.
    async fn ask(&mut self, _hello: &Hello) -> Result<Typed, ExchangeError> {
        let first = match self.prompt(TOKEN_PROMPT.to_owned()).await? {
            Typed::Credential(first) => first,
            other => return Ok(other),
        };
        let first_shape = shape(first.expose());
        if matches!(first_shape, Shape::Chunk { .. }) && !self.login.limits.chunked_prompts {
            return Ok(Typed::Malformed("a piece of a token came, and chunked_prompts is off"));
        }
        let Shape::Chunk { part: 1, parts } = first_shape else {
            return Ok(match first_shape {
                Shape::Chunk { .. } => Typed::Malformed("the first chunk is not part 1"),
                _ => Typed::Credential(first),
            });
        };
        let mut token = Zeroizing::new(String::with_capacity(MAX_TOKEN_BYTES));
        let mut piece = first;
        for part in 1..=parts {
            if part > 1 {
                piece = match self.prompt(chunk_prompt(part)).await? {
                    Typed::Credential(next) => next,
                    other => return Ok(other),
                };
            }
            match split_chunk(piece.expose()) {
                Some((n, of, text))
                    if n == part && of == parts && token.len() + text.len() <= MAX_TOKEN_BYTES =>
                {
                    token.push_str(text);
                }
                _ => {
                    return Ok(Typed::Malformed(
                        "a chunk is out of order or the token is too long",
                    ));
                }
            }
        }
        Ok(Typed::Credential(Secret::new(std::mem::take(&mut *token))))
    }

    async fn prompt(&mut self, text: String) -> Result<Typed, ExchangeError> {
        let LoginLimits { opaque_min_bytes, codes, .. } = self.login.limits;
        let accept = Accept { opaque_min_bytes, codes };
        let step = Step::Prompt { text, echo: false, accept };
        let at_once = self.at_once();
        self.exchange.send(&step, at_once).await?;
        match self.exchange.receive::<LoginRequest>(self.deadline).await? {
            Some(LoginRequest::Answer(secret)) => Ok(Typed::Credential(secret)),
            Some(LoginRequest::Withheld(why)) => Ok(Typed::Withheld(why)),
            Some(_) => Ok(Typed::Malformed("the module spoke out of turn")),
            None => Err(ExchangeError::Closed),
        }
    }

    async fn decide(
        &mut self,
        hello: &Hello,
        credential: &Secret,
        source: &str,
    ) -> (LoginResult, Option<String>) {
        let decision = tokio::time::timeout_at(
            self.deadline,
            self.login.admission.admit(credential, &hello.user),
        );
        let refusal = match decision.await {
            Ok(Ok(identified)) => {
                let by = identified.proof().as_str();
                let granted = self.grant(hello, identified.identity().clone(), by);
                self.login.throttle.succeeded(source);
                if !granted {
                    return (LoginResult::Error, None);
                }
                return (LoginResult::Allow, self.follow_up(&identified).await);
            }
            Ok(Err(refusal)) => refusal,
            Err(_) => {
                self.note_refusal(hello, "slow", "the decision took too long");
                return (LoginResult::Error, None);
            }
        };
        self.note_refusal(hello, refusal.code(), &refusal.to_string());
        let result = match refusal {
            // Not the user's fault: a broken store or an unreachable provider owes nobody anything.
            Refusal::Account(_) | Refusal::Password(_) => LoginResult::Error,
            Refusal::Token(token) if token.is_transient() => LoginResult::Deny,
            _ => {
                self.login.throttle.failed(source);
                LoginResult::Deny
            }
        };
        (result, None)
    }

    /// What follows from a login, and the line that the user is told about it. It keeps nobody out,
    /// and does not take longer than the login may.
    async fn follow_up(&self, identified: &Identified) -> Option<String> {
        let accounts = self.login.admission.accounts();
        let verified = identified.verified();
        let address = verified.and_then(|verified| accounts.address_of(verified));
        accounts.note_use(identified.identity(), Use::Login, address);
        let leaving = accounts.leave_lost_groups(verified?, &self.request);
        match tokio::time::timeout_at(self.deadline, leaving).await {
            Ok(Ok(left)) if left.is_empty() => None,
            Ok(Ok(left)) => Some(left_message(&left)),
            Ok(Err(error)) => {
                tracing::warn!(request = self.request, %error, "groups could not be held against the token");
                None
            }
            Err(_) => None,
        }
    }

    fn grant(&self, hello: &Hello, identity: motley_proto::Identity, by: &str) -> bool {
        let Ok(name) = hello.user.to_user_name() else { return false };
        tracing::info!(request = self.request, user = %name, identity = %identity.unique_id(), by, "login granted");
        let event = Event::LoginGranted {
            request: self.request.clone(),
            identity,
            name,
            rhost: hello.rhost.as_deref().map(field),
            by: by.to_owned(),
        };
        match self.login.admission.accounts().record(event) {
            Ok(()) => true,
            Err(error) => {
                measure::login_refusal("audit");
                tracing::error!(%error, "login refused because it could not be recorded");
                false
            }
        }
    }

    fn note_refusal(&self, hello: &Hello, code: &'static str, reason: &str) {
        measure::login_refusal(code);
        let (user, rhost) = (field(hello.user.as_str()), hello.rhost.as_deref().map(field));
        let reason = field(reason);
        tracing::info!(request = self.request, user, rhost, reason, "login refused");
        let event = Event::LoginRefused { request: self.request.clone(), user, rhost, reason };
        if let Err(error) = self.login.admission.accounts().record(event) {
            tracing::error!(%error, "audit log");
        }
    }

    /// The account phase, for every login method: is this name one of ours, and may it log in?
    pub(super) async fn judge_account(
        &mut self,
        question: AccountQuestion,
    ) -> Result<(), ExchangeError> {
        let judged = tokio::time::timeout_at(self.deadline, self.standing(&question.user)).await;
        let result = match judged {
            Ok(Ok(None)) => LoginResult::Unmanaged,
            Ok(Ok(Some((identity, standing)))) => {
                let result = self.judge(&question, &standing);
                if result == LoginResult::Allow {
                    self.login.admission.accounts().note_use(&identity, Use::Key, None);
                }
                result
            }
            Ok(Err(error)) => {
                tracing::error!(request = self.request, %error, "account question");
                LoginResult::Error
            }
            Err(_) => LoginResult::Error,
        };
        let message = (result == LoginResult::Suspended).then(|| {
            "This account is suspended. Please contact the administrators of this service."
                .to_owned()
        });
        self.finish(done(result, question.user, question.nonce, message)).await
    }

    async fn standing(
        &self,
        user: &LoginName,
    ) -> Result<Option<(Identity, Standing)>, crate::account::AccountError> {
        let Ok(name) = user.to_user_name() else { return Ok(None) };
        self.login.admission.accounts().standing_of_name(&name).await
    }

    fn judge(&self, question: &AccountQuestion, standing: &Standing) -> LoginResult {
        let user = field(question.user.as_str());
        let uid = standing.account.as_ref().map(|account| account.uid);
        // A back end that does not number its accounts leaves that to the sources of names.
        let fits = uid.is_some_and(|uid| uid.is_none_or(|uid| uid == question.uid))
            // The person's account may have another name here than the one that was promised.
            && standing.name().is_some_and(|name| name.as_str() == question.user.as_str());
        match standing.state {
            AccountState::Deployed | AccountState::Limited if fits => LoginResult::Allow,
            AccountState::Deployed | AccountState::Limited => {
                tracing::warn!(
                    request = self.request,
                    user,
                    asked = question.uid,
                    "name or uid are not the account's"
                );
                LoginResult::Deny
            }
            AccountState::Suspended => {
                tracing::info!(request = self.request, user, "account refused: suspended");
                LoginResult::Suspended
            }
            state => {
                tracing::info!(request = self.request, user, %state, "account refused");
                LoginResult::Deny
            }
        }
    }
}

/// Who fails: an address under one name, so that nobody is kept out by others behind his address.
fn source(hello: &Hello) -> String {
    format!("{} {}", hello.user, hello.rhost.as_deref().unwrap_or("local"))
}

/// Longest line that the PAM module shows, in bytes.
const MESSAGE_BYTES: usize = 512;

fn left_message(left: &[GroupName]) -> String {
    let names: Vec<&str> = left.iter().map(GroupName::as_str).collect();
    let text = format!("Your account was removed from groups {}.", names.join(","));
    if text.len() <= MESSAGE_BYTES {
        return text;
    }
    format!("Your account was removed from {} groups.", names.len())
}

fn done(result: LoginResult, user: LoginName, nonce: Nonce, message: Option<String>) -> Done {
    Done { result, user, nonce, message }
}

fn withheld_reason(why: Withheld) -> &'static str {
    match why {
        Withheld::Empty => "nothing was typed",
        Withheld::UnknownUser => "no such user on this host",
        Withheld::Shape => {
            "the answer is neither a token nor a one-time password; nothing was sent"
        }
        Withheld::Cut => {
            "the token was probably cut by the ssh client; a one-time password is needed"
        }
        Withheld::NoAnswer => "the conversation with the client failed",
    }
}
