//! Scripted doubles of user, daemon, name service and clock for the tests of the flows.

use super::{
    Caller, Clock, Conversation, Daemon, Draw, Echo, Entry, NameService, NameServiceError,
    NoAnswer, Parts, Reply, Report, Trouble, account, login,
};
use crate::{codes::Ending, options::Options};
use motley_proto::{
    LoginName, Secret,
    login::{Accept, Done, LoginRequest, LoginResult, Nonce, Step},
};
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    time::{Duration, Instant},
};

/// What the scripted user types, and what it was shown.
#[derive(Default)]
pub(super) struct User {
    /// Answers in order; none left: the conversation fails.
    pub(super) types: VecDeque<&'static [u8]>,
    /// Prompts that it saw.
    pub(super) saw: Vec<(String, Echo)>,
    /// `PAM_USER`.
    pub(super) name: String,
    /// `PAM_USER` from the first answer on.
    pub(super) becomes: Option<&'static str>,
    /// `PAM_AUTHTOK`.
    pub(super) authtok: Option<String>,
}

impl Conversation for User {
    fn ask(&mut self, prompt: &str, echo: Echo) -> Result<Reply, NoAnswer> {
        self.saw.push((prompt.to_owned(), echo));
        if let Some(other) = self.becomes {
            self.name = other.to_owned();
        }
        let bytes = self.types.pop_front().ok_or(NoAnswer)?;
        Ok(match String::from_utf8(bytes.to_vec()) {
            Ok(text) => Reply::Text(Secret::new(text)),
            Err(_) => Reply::Binary(bytes.len()),
        })
    }

    fn earlier_password(&mut self) -> Option<Reply> {
        self.authtok.clone().map(|text| Reply::Text(Secret::new(text)))
    }

    fn hand_on(&mut self, password: &Secret) {
        self.authtok = Some(password.expose().to_owned());
    }

    fn user_now(&self) -> Option<Vec<u8>> {
        Some(self.name.clone().into_bytes())
    }
}

/// What the scripted daemon says, and what it heard as JSON.
#[derive(Default)]
pub(super) struct Service {
    /// Steps in order; none left: it is down.
    pub(super) says: VecDeque<Result<Step, Trouble>>,
    /// Requests that it heard.
    pub(super) heard: Vec<serde_json::Value>,
}

impl Daemon for Service {
    fn exchange(&mut self, request: &LoginRequest) -> Result<Step, Trouble> {
        self.tell(request)?;
        let down = || Err(Trouble { ending: Ending::Unavailable, reason: "down".to_owned() });
        self.says.pop_front().unwrap_or_else(down)
    }

    fn tell(&mut self, request: &LoginRequest) -> Result<(), Trouble> {
        self.heard.push(serde_json::to_value(request.wire()).unwrap());
        Ok(())
    }
}

/// Answers of the name service, the last one for ever; none: it fails.
pub(super) struct Names(pub(super) RefCell<VecDeque<Option<Entry>>>);

impl Names {
    /// From now on the name service is out of order.
    pub(super) fn fail(&self) {
        self.0.borrow_mut().clear();
    }
}

impl NameService for Names {
    fn look_up(&self, _: &str) -> Result<Option<Entry>, NameServiceError> {
        let mut answers = self.0.borrow_mut();
        let next = answers.pop_front().ok_or_else(|| NameServiceError("EIO".to_owned()))?;
        if answers.is_empty() {
            answers.push_back(next.clone());
        }
        Ok(next)
    }
}

/// A clock that stands still except while somebody sleeps.
pub(super) struct Still {
    start: Instant,
    slept: Cell<Duration>,
}

impl Clock for Still {
    fn now(&self) -> Instant {
        self.start + self.slept.get()
    }

    fn sleep_until(&self, then: Instant) {
        self.slept.set(then - self.start);
    }
}

/// A login with everything scripted: `alice`, uid 1000, the default options.
pub(super) struct Stage {
    pub(super) user: User,
    pub(super) service: Service,
    pub(super) names: Names,
    pub(super) clock: Still,
    pub(super) options: Options,
    pub(super) caller: Caller,
}

pub(super) fn nonce(byte: u8) -> Nonce {
    Nonce::from_bytes([byte; 16])
}

pub(super) fn entry(uid: u32) -> Option<Entry> {
    Some(Entry { name: "alice".to_owned(), uid, gecos: String::new() })
}

impl Stage {
    pub(super) fn new() -> Self {
        Self {
            user: User { name: "alice".to_owned(), ..User::default() },
            service: Service::default(),
            names: Names(RefCell::new([entry(1000)].into())),
            clock: Still { start: Instant::now(), slept: Cell::default() },
            options: Options::default(),
            caller: Caller {
                service: "sshd".to_owned(),
                user: LoginName::new("alice").unwrap(),
                rhost: Some("192.0.2.1".to_owned()),
                tty: Some("ssh".to_owned()),
            },
        }
    }

    /// The user types this.
    pub(super) fn types(mut self, text: &'static str) -> Self {
        self.user.types.push_back(text.as_bytes());
        self
    }

    /// The daemon asks for a token.
    pub(super) fn prompts(self) -> Self {
        self.prompts_with("Access Token:", None)
    }

    pub(super) fn prompts_with(self, text: &str, opaque_min_bytes: Option<u16>) -> Self {
        self.asks(text, Accept { opaque_min_bytes, codes: false })
    }

    /// The daemon asks, and takes short codes, too.
    pub(super) fn prompts_for_codes(self) -> Self {
        self.asks("Access Token:", Accept { opaque_min_bytes: None, codes: true })
    }

    fn asks(mut self, text: &str, accept: Accept) -> Self {
        self.service.says.push_back(Ok(Step::Prompt {
            text: text.to_owned(),
            echo: false,
            accept,
        }));
        self
    }

    /// The daemon ends it, about the right name and question.
    pub(super) fn ends(self, result: LoginResult) -> Self {
        self.ends_with(result, "alice", 7, None)
    }

    pub(super) fn ends_with(
        mut self,
        result: LoginResult,
        user: &str,
        nonce_byte: u8,
        message: Option<&str>,
    ) -> Self {
        self.service.says.push_back(Ok(Step::Done(Done {
            result,
            user: LoginName::new(user).unwrap(),
            nonce: nonce(nonce_byte),
            message: message.map(str::to_owned),
        })));
        self
    }

    /// What the name service answers, in order.
    pub(super) fn names(self, answers: impl IntoIterator<Item = Option<Entry>>) -> Self {
        self.names.0.replace(answers.into_iter().collect());
        self
    }

    pub(super) fn option(mut self, set: impl FnOnce(&mut Options)) -> Self {
        set(&mut self.options);
        self
    }

    fn run(&mut self, flow: fn(Parts<'_>, &Caller, &Options, &Draw) -> Report) -> Report {
        let parts = Parts {
            conversation: &mut self.user,
            daemon: &mut self.service,
            names: &self.names,
            clock: &self.clock,
        };
        let draw = Draw { nonce: nonce(7), jitter: Duration::from_millis(9) };
        flow(parts, &self.caller, &self.options, &draw)
    }

    pub(super) fn log_in(&mut self) -> Report {
        self.run(login::log_in)
    }

    pub(super) fn check_account(&mut self) -> Report {
        self.run(account::check_account)
    }

    /// Milliseconds that the failure was held back.
    pub(super) fn waited(&self) -> u128 {
        self.clock.slept.get().as_millis()
    }

    /// All that the daemon heard, in one text.
    pub(super) fn heard(&self) -> String {
        self.service.heard.iter().map(ToString::to_string).collect()
    }
}
