//! What PAM calls: each hook wires the real parts together, and no panic leaves it.

use crate::{
    codes::{Ending, Phase, pam_code},
    ffi::Call,
    flow::{Caller, Draw, Entry, NameService, Parts, Report, account, login},
    options::{self, BadOptions, Options},
    system::{Monotonic, SocketDaemon, Switch, draw},
    trusted_file::read_trusted,
};
use motley_proto::{LoginName, text::escape};
use pamsm::{LogLvl, Pam, PamError, PamFlags, PamLibExt, PamServiceModule};
use std::{
    panic::{AssertUnwindSafe, catch_unwind, set_hook},
    sync::Once,
};

/// The module as PAM sees it.
pub(crate) struct PamOidc;

impl PamServiceModule for PamOidc {
    fn authenticate(pam: Pam, flags: PamFlags, args: Vec<String>) -> PamError {
        guard(Phase::Auth, &pam, args, |args| authenticate(&pam, flags, args))
    }

    fn acct_mgmt(pam: Pam, flags: PamFlags, args: Vec<String>) -> PamError {
        guard(Phase::Account, &pam, args, |args| check_account(&pam, flags, args))
    }

    // Success, not "ignore": sshd would end a login that it has announced as accepted.
    fn setcred(pam: Pam, _: PamFlags, args: Vec<String>) -> PamError {
        guard(Phase::Credentials, &pam, args, |_| {
            crate::panics::point("setcred");
            Ending::Granted
        })
    }

    fn open_session(pam: Pam, _: PamFlags, args: Vec<String>) -> PamError {
        guard(Phase::Session, &pam, args, |_| {
            crate::panics::point("session");
            Ending::Granted
        })
    }

    fn close_session(pam: Pam, _: PamFlags, args: Vec<String>) -> PamError {
        guard(Phase::Session, &pam, args, |_| {
            crate::panics::point("session");
            Ending::Granted
        })
    }
}

/// Runs the body of a hook; a panic becomes a failure code.
///
/// Unwinding into C is undefined behaviour, and aborting would end sshd's process and with it the
/// chance of every other module. The default hook of panics would write to the user's terminal.
fn guard(
    phase: Phase,
    pam: &Pam,
    args: Vec<String>,
    body: impl FnOnce(&[String]) -> Ending,
) -> PamError {
    static SILENCE: Once = Once::new();
    let ending = catch_unwind(AssertUnwindSafe(|| {
        SILENCE.call_once(|| set_hook(Box::new(|_| {})));
        #[cfg(feature = "test-panic")]
        let args = {
            let mut args = args;
            crate::panics::take_request(&mut args);
            args
        };
        body(&args)
    }));
    let ending = ending.unwrap_or_else(|payload| {
        // Dropping the payload could panic again.
        std::mem::forget(payload);
        let _ = catch_unwind(AssertUnwindSafe(|| {
            write_log(pam, LogLvl::CRIT, "internal error, refused; please report it");
        }));
        Ending::Panicked
    });
    pam_code(phase, ending)
}

fn authenticate(pam: &Pam, flags: PamFlags, args: &[String]) -> Ending {
    let Some(caller) = read_caller(pam) else { return Ending::BadName };
    let options = match load_options(pam, args) {
        Ok(options) => options,
        Err(_) => return Ending::BadOptions,
    };
    let report = run(pam, &caller, &options, login::log_in);
    finish(pam, flags, &caller, &options, &report);
    report.ending
}

fn check_account(pam: &Pam, flags: PamFlags, args: &[String]) -> Ending {
    let Some(caller) = read_caller(pam) else { return Ending::BadName };
    let (options, report) = match load_options(pam, args) {
        Ok(options) => {
            let report = run(pam, &caller, &options, account::check_account);
            (options, report)
        }
        Err(bad) => {
            let options = Options::default();
            let report = judge_without_options(&caller, &bad, &options);
            (options, report)
        }
    };
    finish(pam, flags, &caller, &options, &report);
    report.ending
}

/// The account phase with unusable options: system accounts keep their way in.
fn judge_without_options(caller: &Caller, bad: &BadOptions, defaults: &Options) -> Report {
    let entry: Option<Entry> = Switch.look_up(caller.user.as_str()).ok().flatten();
    let of_system = entry.as_ref().is_some_and(|it| it.uid < defaults.min_uid);
    if of_system || defaults.skips(caller.user.as_str()) {
        return Report::new(Ending::NotOurs, "an account of the system");
    }
    account::without_verdict(bad.account_on_error, entry.as_ref(), "bad options".to_owned())
}

/// Who stands at the door; `None` after a line in the log when the name can't name anybody.
fn read_caller(pam: &Pam) -> Option<Caller> {
    let text = |item: Result<Option<&std::ffi::CStr>, PamError>| {
        item.ok().flatten().map(|it| it.to_string_lossy().into_owned())
    };
    let user = text(pam.get_user(None)).unwrap_or_default();
    match LoginName::new(user.as_str()) {
        // Lossy reading puts U+FFFD in place of bytes that are no text: no account has that.
        Ok(user) if !user.as_str().contains('\u{fffd}') => Some(Caller {
            service: text(pam.get_service()).unwrap_or_default(),
            user,
            rhost: text(pam.get_rhost()).filter(|it| !it.is_empty()),
            tty: Call::new(pam).tty(),
        }),
        _ => {
            let line = format!("refused: {:?} is no name of a user", escape(&user, 64));
            write_log(pam, LogLvl::NOTICE, &line);
            None
        }
    }
}

fn load_options(pam: &Pam, args: &[String]) -> Result<Options, BadOptions> {
    let own_uid = nix::unistd::geteuid().as_raw();
    match options::load(args, |path| read_trusted(path, own_uid)) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                write_log(pam, LogLvl::WARNING, &escape(warning, 1000));
            }
            Ok(loaded.options)
        }
        Err(bad) => {
            write_log(pam, LogLvl::ERR, &escape(&bad.problem.to_string(), 1000));
            Err(bad)
        }
    }
}

type Flow = fn(Parts<'_>, &Caller, &Options, &Draw) -> Report;

fn run(pam: &Pam, caller: &Caller, options: &Options, flow: Flow) -> Report {
    let Some(draw) = draw() else {
        return Report::new(Ending::Unavailable, "the kernel gives no randomness");
    };
    let server = Switch.look_up(&options.daemon_user).ok().flatten().map(|entry| entry.uid);
    if options.debug {
        let (socket, seconds) = (options.socket.display(), options.timeout.as_secs());
        let user = server.map(|uid| format!(" or uid {uid}")).unwrap_or_default();
        let line = format!("asking {socket}, served by root{user}, for at most {seconds} s");
        write_log(pam, LogLvl::DEBUG, &escape(&line, 300));
    }
    let mut daemon = SocketDaemon::new(options.socket.clone(), server, options.timeout);
    let mut call = Call::new(pam);
    let parts =
        Parts { conversation: &mut call, daemon: &mut daemon, names: &Switch, clock: &Monotonic };
    flow(parts, caller, options, &draw)
}

/// Tells the log why and the user what.
fn finish(pam: &Pam, flags: PamFlags, caller: &Caller, options: &Options, report: &Report) {
    let (level, verb) = match report.ending {
        Ending::Granted => (LogLvl::INFO, "granted"),
        Ending::NotOurs if !options.debug => return,
        Ending::NotOurs => (LogLvl::DEBUG, "left alone"),
        Ending::LetPass => (LogLvl::WARNING, "let pass"),
        Ending::Denied | Ending::Suspended | Ending::TooManyTries | Ending::NoAnswer => {
            (LogLvl::NOTICE, "refused")
        }
        _ => (LogLvl::ERR, "refused"),
    };
    let user = escape(caller.user.as_str(), 64);
    let rhost = escape(caller.rhost.as_deref().unwrap_or("-"), 128);
    let reason = escape(&report.reason, 1000);
    write_log(pam, level, &format!("{verb} user={user} rhost={rhost}: {reason}"));
    if let Some(message) = report.message.as_deref().filter(|_| !flags.contains(PamFlags::SILENT)) {
        let call = Call::new(pam);
        match report.ending {
            Ending::Granted => call.show_note(message),
            _ => call.show_error(message),
        }
    }
}

/// Writes one line to the system log, facility `authpriv`, with module, service and phase.
fn write_log(pam: &Pam, level: LogLvl, line: &str) {
    let _ = pam.syslog(level, line);
}
