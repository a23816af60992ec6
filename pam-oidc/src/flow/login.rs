//! Obeys the daemon through one login: says who is there, asks, sends what looks like a token.
//!
//! The daemon drives; nothing here knows what a valid token is. What it does know are the facts of
//! sshd: names that the name service lacks arrive with junk for an answer, OpenSSH's client cuts
//! answers at 1023 bytes, and any difference in words or time tells a stranger who exists.

use crate::{
    codes::Ending,
    flow::{Caller, Draw, Echo, Entry, NoAnswer, Parts, Reply, Report, Trouble},
    options::{EarlierPassword, Options},
};
use motley_proto::{
    LoginName, Secret,
    login::{
        Accept, CLIENT_LIMIT_BYTES, Done, Hello, LoginRequest, LoginResult, MAX_TOKEN_BYTES, Shape,
        Step, TOKEN_PROMPT, Withheld, shape,
    },
    text::escape,
};
use std::time::{Duration, Instant};

/// Most prompts that a daemon may send in one login.
const MAX_PROMPTS: u32 = 100;
/// Longest prompt that is shown, in characters.
const MAX_PROMPT_CHARS: usize = 256;
/// Longest message that is shown or logged, in characters.
pub(crate) const MAX_MESSAGE_CHARS: usize = 512;

/// What every failed login is told. The reason is for the log: it would say which names exist.
pub(crate) const FAILURE_MESSAGE: &str = "OIDC login failed.";
/// Added when the answer was exactly as long as OpenSSH's client allows, known name or not.
pub(crate) const CUT_HINT: &str = "ssh passes on 1023 bytes at most and has probably cut your \
    token: use a one-time password.";

/// Leads one login from the first word to the verdict.
///
/// Every failure after an answer takes the floor time, counted from the answer, and carries the
/// same message. Only an empty answer ends at once: it says nothing about the name, and people
/// press Enter to reach the next prompt.
pub(crate) fn log_in(parts: Parts<'_>, caller: &Caller, options: &Options, draw: &Draw) -> Report {
    crate::panics::point("flow");
    if options.skips(caller.user.as_str()) {
        return Report::new(Ending::NotOurs, "named in skip_users");
    }
    let mut dialogue = Dialogue::new(parts, caller, options, draw);
    let mut report = match dialogue.run() {
        Ok(report) => return report,
        Err(report) => report,
    };
    let Some(answer) = dialogue.answer else { return report };
    report.message = failure_message(options, answer.bytes);
    if answer.bytes == CLIENT_LIMIT_BYTES {
        report.reason.push_str("; the answer had 1023 bytes: probably cut by the ssh client");
    }
    if answer.bytes > 0 {
        let then = answer.at.checked_add(floor_time(options, draw)).unwrap_or(answer.at);
        dialogue.parts.clock.sleep_until(then);
    }
    report
}

/// How long a failure takes from the answer on; no floor, no jitter.
fn floor_time(options: &Options, draw: &Draw) -> Duration {
    match options.fail_floor {
        Duration::ZERO => Duration::ZERO,
        floor => floor.saturating_add(draw.jitter),
    }
}

/// The one text for every failure; none where the next module tries the answer as a password.
fn failure_message(options: &Options, bytes: usize) -> Option<String> {
    if options.pass_non_token {
        return None;
    }
    let mut text = FAILURE_MESSAGE.to_owned();
    if bytes == CLIENT_LIMIT_BYTES {
        text.push(' ');
        text.push_str(CUT_HINT);
    }
    if let Some(contact) = &options.contact {
        text.push_str(" See ");
        text.push_str(contact);
    }
    Some(text)
}

/// The latest answer, as far as anybody may remember it.
#[derive(Clone, Copy)]
struct Answer {
    at: Instant,
    bytes: usize,
}

struct Dialogue<'a, 'p> {
    parts: Parts<'p>,
    caller: &'a Caller,
    options: &'a Options,
    draw: &'a Draw,
    /// The account at entry, if it is one that a token may open.
    entry: Option<Entry>,
    /// The name service knows the name.
    known: bool,
    /// Why the name service does not know the name, if it failed.
    outage: Option<String>,
    answer: Option<Answer>,
    /// An answer went to the daemon, so that a verdict can be about it.
    sent: bool,
}

impl<'a, 'p> Dialogue<'a, 'p> {
    fn new(parts: Parts<'p>, caller: &'a Caller, options: &'a Options, draw: &'a Draw) -> Self {
        let (entry, outage) = match parts.names.look_up(caller.user.as_str()) {
            Ok(entry) => (entry, None),
            Err(error) => (None, Some(error.0)),
        };
        let known = entry.is_some();
        let entry = entry.filter(|it| is_open_to_tokens(it, caller, options));
        Self { parts, caller, options, draw, entry, known, outage, answer: None, sent: false }
    }

    fn run(&mut self) -> Result<Report, Report> {
        let caller = self.caller;
        let mut step = self.exchange(&LoginRequest::Hello(Hello {
            service: caller.service.clone(),
            user: caller.user.clone(),
            known: self.known,
            rhost: caller.rhost.clone(),
            tty: caller.tty.clone(),
            nonce: self.draw.nonce.clone(),
        }))?;
        for _ in 0..MAX_PROMPTS {
            step = match step {
                Step::Done(done) => return self.judge(&done),
                Step::Prompt { text, echo, accept } => {
                    let echo = if echo { Echo::On } else { Echo::Off };
                    self.answer(&text, echo, accept)?
                }
            };
        }
        Err(Report::new(Ending::BadReply, "the daemon asked 100 times without a verdict"))
    }

    fn exchange(&mut self, request: &LoginRequest) -> Result<Step, Report> {
        self.parts.daemon.exchange(request).map_err(Report::from)
    }

    /// Asks the user, sends what may leave the process, and brings back the next step.
    fn answer(&mut self, text: &str, echo: Echo, accept: Accept) -> Result<Step, Report> {
        let Ok(reply) = self.take_reply(text, echo) else {
            let _ = self.parts.daemon.tell(&LoginRequest::Withheld(Withheld::NoAnswer));
            return Err(Report::new(Ending::NoAnswer, self.describe(Withheld::NoAnswer)));
        };
        self.answer = Some(Answer { at: self.parts.clock.now(), bytes: reply.len() });
        match self.sort(reply, accept) {
            Ok(secret) => {
                self.sent = true;
                self.exchange(&LoginRequest::Answer(secret))
            }
            Err(why) => Err(self.withhold(why)),
        }
    }

    fn take_reply(&mut self, text: &str, echo: Echo) -> Result<Reply, NoAnswer> {
        let first = self.answer.is_none();
        let earlier = match self.options.earlier_password {
            EarlierPassword::Leave => None,
            EarlierPassword::Try | EarlierPassword::Use if !first => None,
            EarlierPassword::Try => self.parts.conversation.earlier_password(),
            EarlierPassword::Use => {
                return self.parts.conversation.earlier_password().ok_or(NoAnswer);
            }
        };
        if let Some(reply) = earlier {
            return Ok(reply);
        }
        let prompt = match text {
            TOKEN_PROMPT => self.options.prompt.clone(),
            other => escape(other, MAX_PROMPT_CHARS),
        };
        self.parts.conversation.ask(&prompt, echo)
    }

    /// The answer if it may leave the process. Passwords are typed at this prompt, too.
    fn sort(&mut self, reply: Reply, accept: Accept) -> Result<Secret, Withheld> {
        let bytes = reply.len();
        let Reply::Text(secret) = reply else {
            return Err(if self.entry.is_some() { Withheld::Shape } else { Withheld::UnknownUser });
        };
        let shape = shape(secret.expose());
        if shape == Shape::Empty {
            return Err(Withheld::Empty);
        }
        if self.entry.is_none() || shape == Shape::SshdJunk {
            return Err(Withheld::UnknownUser);
        }
        let taken = bytes <= MAX_TOKEN_BYTES
            && match shape {
                Shape::Jwt | Shape::OneTimePassword | Shape::Chunk { .. } => true,
                Shape::Code => accept.codes,
                Shape::Opaque(length) => {
                    accept.opaque_min_bytes.is_some_and(|least| length >= usize::from(least))
                }
                Shape::SshdJunk | Shape::Empty | Shape::Other => false,
            };
        // Some passwords look like a code: the next module tries those that no login came of.
        if self.options.pass_non_token && (!taken || shape == Shape::Code) {
            self.parts.conversation.hand_on(&secret);
        }
        if taken {
            return Ok(secret);
        }
        Err(if bytes == CLIENT_LIMIT_BYTES { Withheld::Cut } else { Withheld::Shape })
    }

    /// Tells the daemon that an answer stays here, and how that ends.
    ///
    /// The daemon counts the attempt; its word is waited for, so that an unknown name takes the
    /// same road as a wrong token. Whatever it says, this is a refusal.
    fn withhold(&mut self, why: Withheld) -> Report {
        let request = LoginRequest::Withheld(why);
        if why == Withheld::Empty {
            let _ = self.parts.daemon.tell(&request);
            return Report::new(Ending::Denied, self.describe(why));
        }
        match self.parts.daemon.exchange(&request) {
            Ok(Step::Done(Done { result: LoginResult::TooManyTries, .. })) => {
                Report::new(Ending::TooManyTries, "too many tries")
            }
            Ok(_) => Report::new(Ending::Denied, self.describe(why)),
            Err(Trouble { ending, reason }) => {
                Report::new(ending, format!("{}; {reason}", self.describe(why)))
            }
        }
    }

    fn describe(&self, why: Withheld) -> String {
        let text = match why {
            Withheld::Empty => "the answer was empty",
            Withheld::UnknownUser => "no account that a token could open",
            Withheld::Shape => "the answer looks neither like a token nor like a one-time password",
            Withheld::Cut => "the answer is no token",
            Withheld::NoAnswer => "the user could not be asked",
        };
        let outage = self.outage.as_deref().map(|it| format!(" ({it})")).unwrap_or_default();
        format!("{text}{outage}")
    }

    fn judge(&mut self, done: &Done) -> Result<Report, Report> {
        check_echo(done, &self.caller.user, self.draw)?;
        let said = done.message.as_deref().map(|it| escape(it, MAX_MESSAGE_CHARS));
        let refuse = |ending, reason: &str| {
            let said = said.as_deref().map(|it| format!(": {it}")).unwrap_or_default();
            Err(Report::new(ending, format!("{reason}{said}")))
        };
        match done.result {
            LoginResult::Allow if !self.sent => {
                refuse(Ending::BadReply, "the daemon allowed a login without an answer")
            }
            LoginResult::Allow => {
                self.check_still_the_same()?;
                let reason = "the daemon allowed it".to_owned();
                Ok(Report { ending: Ending::Granted, reason, message: said })
            }
            LoginResult::Deny => refuse(Ending::Denied, "the daemon denied it"),
            LoginResult::Suspended => refuse(Ending::Suspended, "suspended"),
            LoginResult::Unmanaged => refuse(Ending::Denied, "not an account of ours"),
            LoginResult::TooManyTries => refuse(Ending::TooManyTries, "too many tries"),
            LoginResult::Error => refuse(Ending::Unavailable, "the daemon could not decide"),
        }
    }

    /// The name must still be the one at entry, and still mean the account that it meant then.
    fn check_still_the_same(&self) -> Result<(), Report> {
        check_user(&self.parts, self.caller)?;
        let now = self.parts.names.look_up(self.caller.user.as_str()).ok().flatten();
        match (&self.entry, now) {
            (Some(then), Some(now)) if now.uid == then.uid && now.name == then.name => Ok(()),
            // sshd has asked before, and would run the session under the uid that it got then.
            _ => Err(Report::new(Ending::Denied, "the uid of the name changed during the login")),
        }
    }
}

/// True if the daemon may open this account at all, whatever it says.
fn is_open_to_tokens(entry: &Entry, caller: &Caller, options: &Options) -> bool {
    entry.uid != 0
        && entry.uid >= options.min_uid
        && entry.name == caller.user.as_str()
        && (!options.require_identity || entry.names_an_identity())
}

/// A verdict about another name or another question is none.
pub(crate) fn check_echo(done: &Done, user: &LoginName, draw: &Draw) -> Result<(), Report> {
    if done.nonce != draw.nonce {
        return Err(Report::new(Ending::BadReply, "the verdict echoes another nonce"));
    }
    if done.user != *user {
        let other = escape(done.user.as_str(), 64);
        return Err(Report::new(Ending::BadReply, format!("the verdict is about {other}")));
    }
    Ok(())
}

/// `PAM_USER` must still be what it was at entry.
pub(crate) fn check_user(parts: &Parts<'_>, caller: &Caller) -> Result<(), Report> {
    if parts.conversation.user_now().as_deref() == Some(caller.user.as_str().as_bytes()) {
        Ok(())
    } else {
        Err(Report::new(Ending::UserChanged, "PAM_USER changed during the call"))
    }
}

#[cfg(test)]
mod tests;
