//! Asks the daemon whether an account may be used now, whatever the login method was.
//!
//! sshd calls this for key and certificate logins too, so a suspension bites here. It never grants
//! on its own, and it leaves accounts that are not ours to the other modules.

use crate::{
    codes::Ending,
    flow::login::{MAX_MESSAGE_CHARS, check_echo, check_user},
    flow::{Caller, Draw, Entry, Parts, Report},
    options::{OnError, Options},
};
use motley_proto::{
    LoginName,
    login::{AccountQuestion, LoginRequest, LoginResult, Step},
    text::escape,
};

/// What a suspended user is told when the daemon has no words for it.
const SUSPENDED_MESSAGE: &str = "Your account is suspended.";

/// Brings the daemon's verdict about the account behind the name.
pub(crate) fn check_account(
    parts: Parts<'_>,
    caller: &Caller,
    options: &Options,
    draw: &Draw,
) -> Report {
    crate::panics::point("account");
    if options.skips(caller.user.as_str()) {
        return Report::new(Ending::NotOurs, "named in skip_users");
    }
    let entry = match parts.names.look_up(caller.user.as_str()) {
        Ok(Some(entry)) => entry,
        Ok(None) => return Report::new(Ending::NotOurs, "the name service knows no such name"),
        Err(error) => return without_verdict(options.account_on_error, None, error.0),
    };
    if entry.uid == 0 || entry.uid < options.min_uid {
        return Report::new(Ending::NotOurs, "uid below min_uid");
    }
    ask(parts, caller, &entry, draw).unwrap_or_else(|trouble| {
        without_verdict(options.account_on_error, Some(&entry), trouble.reason)
    })
}

/// A verdict, or in `Err` the reason why there is none.
fn ask(parts: Parts<'_>, caller: &Caller, entry: &Entry, draw: &Draw) -> Result<Report, Report> {
    // Not the name as it was typed: under another spelling a suspended account would be unknown.
    let user = LoginName::new(entry.name.as_str())
        .map_err(|error| Report::new(Ending::BadReply, format!("name service: a name {error}")))?;
    let step = parts.daemon.exchange(&LoginRequest::Account(AccountQuestion {
        service: caller.service.clone(),
        user: user.clone(),
        uid: entry.uid,
        rhost: caller.rhost.clone(),
        nonce: draw.nonce.clone(),
    }))?;
    let Step::Done(done) = step else {
        return Err(Report::new(Ending::BadReply, "the daemon asked instead of answering"));
    };
    check_echo(&done, &user, draw)?;
    let said = done.message.as_deref().map(|it| escape(it, MAX_MESSAGE_CHARS));
    Ok(match done.result {
        LoginResult::Allow => match check_user(&parts, caller) {
            Ok(()) => Report::new(Ending::Granted, "the daemon allows the account"),
            Err(changed) => changed,
        },
        LoginResult::Unmanaged => Report::new(Ending::NotOurs, "not an account of ours"),
        LoginResult::Suspended => Report {
            ending: Ending::Suspended,
            reason: "the daemon says suspended".to_owned(),
            message: Some(said.unwrap_or_else(|| SUSPENDED_MESSAGE.to_owned())),
        },
        LoginResult::Deny | LoginResult::TooManyTries => Report {
            ending: Ending::Denied,
            reason: "the daemon denied it".to_owned(),
            message: said,
        },
        LoginResult::Error => {
            return Err(Report::new(Ending::Unavailable, "the daemon could not decide"));
        }
    })
}

/// What happens to an account about which nobody could be asked.
///
/// Where the back end locks accounts, a suspended one has expired in the shadow file or directory as
/// well, and pam_unix refuses it. Where it can't (`read_only`, `map`), or accounts have no comment that
/// names their owner, only `deny` keeps a suspended person out whose key sshd has accepted.
pub(crate) fn without_verdict(on_error: OnError, entry: Option<&Entry>, why: String) -> Report {
    let refuse = match on_error {
        OnError::Ignore => false,
        OnError::Deny => true,
        OnError::DenyManaged => entry.is_some_and(Entry::names_an_identity),
    };
    if refuse {
        Report {
            ending: Ending::Unavailable,
            reason: format!("no verdict, so refused: {why}"),
            message: Some("Your account can't be checked now. Try again later.".to_owned()),
        }
    } else {
        Report::new(Ending::LetPass, format!("no verdict, left to the other modules: {why}"))
    }
}

#[cfg(test)]
mod tests;
