//! `mccli doctor`: checks everything that a login needs, and says how to mend what fails.

mod home;
mod identity;
mod service;
mod ssh;

use crate::{
    cli::Options,
    context,
    error::{Error, Result},
    http::Http,
    report::{self, Progress, painted},
    tty,
};
use anstyle::AnsiColor;
use motley_proto::text::escape;
use serde::Serialize;

/// What came of one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    /// As it should be.
    Ok,
    /// Works, but not as it should, or not for everything.
    Warn,
    /// Keeps the user from logging in.
    Fail,
    /// Could not be looked at, because of another check or because it does not apply.
    Skip,
}

impl Outcome {
    fn painted(self) -> String {
        match self {
            Self::Ok => painted(AnsiColor::Green, "ok  "),
            Self::Warn => painted(AnsiColor::Yellow, "warn"),
            Self::Fail => painted(AnsiColor::Red, "fail"),
            Self::Skip => painted(AnsiColor::BrightBlack, "skip"),
        }
    }
}

/// One check: its name, what came of it, and what to do.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    outcome: Outcome,
    detail: String,
    hint: Option<String>,
    #[serde(skip)]
    code: u8,
}

impl Check {
    fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Ok, detail: detail.into(), hint: None, code: 0 }
    }

    fn skip(name: &'static str, why: impl Into<String>) -> Self {
        Self { outcome: Outcome::Skip, ..Self::ok(name, why) }
    }

    fn warn(name: &'static str, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { outcome: Outcome::Warn, hint: Some(hint.into()), ..Self::ok(name, detail) }
    }

    fn fail(name: &'static str, error: &Error) -> Self {
        Self {
            name,
            outcome: Outcome::Fail,
            detail: error.message(),
            hint: error.hint(),
            code: error.code(),
        }
    }

    fn text(&self) -> String {
        // Remote text can't act on the terminal.
        let plain = |text: &str| {
            text.lines()
                .map(|line| escape(line, 4096))
                .collect::<Vec<_>>()
                .join("\n                      ")
        };
        let hint = self.hint.iter().map(|hint| format!("                   -> {}\n", plain(hint)));
        let line =
            format!("{}  {:<14} {}\n", self.outcome.painted(), self.name, plain(&self.detail));
        line + &hint.collect::<String>()
    }
}

/// The checks so far, and what the user sees meanwhile.
struct Examination {
    checks: Vec<Check>,
    progress: Progress,
}

impl Examination {
    fn add(&mut self, check: Check) {
        self.checks.push(check);
    }

    fn about(&self, what: &str) {
        self.progress.say(format!("checking {what}"));
    }
}

/// What is printed as JSON.
#[derive(Serialize)]
struct Told<'a> {
    host: Option<&'a str>,
    checks: &'a [Check],
}

/// Prints one line per check; the exit code is that of the first that failed.
pub(super) fn run(options: &Options, host: Option<&str>) -> Result<()> {
    // Nobody is asked: a doctor that waits for an answer in a script would never come back.
    tty::ask_nobody();
    let mut examination =
        Examination { checks: Vec::new(), progress: report::progress("checking") };
    let it = &mut examination;
    home::configuration(it, options);
    let version = ssh::version(it);
    let destination = ssh::destination(it, host);
    // What was remembered is no proof that it works now.
    let fresh = Options { no_cache: true, ..options.clone() };
    let hostname = destination.as_ref().map(|it| it.settings.hostname.as_str());
    match context::http(&fresh, hostname) {
        Ok(http) => {
            let account = network(it, &fresh, &http, destination.as_ref());
            ssh::methods(it, destination.as_ref(), account.as_deref());
        }
        Err(error) => it.add(Check::fail("service", &error)),
    }
    home::rest(it, options, destination.as_ref(), version);
    let Examination { checks, progress } = examination;
    drop(progress);
    report::facts(&Told { host, checks: &checks }, || checks.iter().map(Check::text).collect())?;
    verdict(&checks)
}

/// Service, token and account; the name of the account, if there is one.
fn network(
    it: &mut Examination,
    options: &Options,
    http: &Http,
    destination: Option<&ssh::Destination>,
) -> Option<String> {
    if let Some(destination) = destination {
        service::address(it, destination);
    }
    let found = service::find(it, options, http, destination);
    identity::examine(it, options, destination, found.as_ref())
}

fn verdict(checks: &[Check]) -> Result<()> {
    let failed: Vec<&Check> =
        checks.iter().filter(|check| check.outcome == Outcome::Fail).collect();
    match failed.as_slice() {
        [] => Ok(()),
        [first, ..] => Err(Error::Checks {
            count: if failed.len() == 1 {
                "1 check".to_owned()
            } else {
                format!("{} checks", failed.len())
            },
            first: first.name,
            code: first.code,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_check_that_failed_decides_the_exit_code() {
        let bad = |error: &Error| Check::fail("x", error);
        let fine = || Check::ok("fine", "");
        assert!(verdict(&[fine(), Check::warn("w", "", "")]).is_ok());
        let checks = [
            fine(),
            bad(&Error::NoToken("none\nget one".to_owned())),
            bad(&Error::TokenTooLong(2000)),
        ];
        let error = verdict(&checks).unwrap_err();
        assert_eq!(error.code(), 3);
        assert_eq!(error.to_string(), "2 checks failed; the first is: x");
    }

    #[test]
    fn what_others_say_can_not_act_on_the_terminal() {
        let text = Check::warn("x", "a\u{1b}[2Jb", "c\u{7}").text();
        assert!(text.contains("a\\u{1b}[2Jb") && !text.contains('\u{7}'), "{text:?}");
    }
}
