//! What the user sees while a login goes on: link, code, QR picture, time left.

use super::device::Code;
use crate::{
    cli::Options,
    report::{self, Progress},
};
use qrcode::{EcLevel, QrCode, render::unicode::Dense1x2};
use std::{
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

/// Widest picture that is shown, in columns.
const WIDEST_QR: usize = 76;
/// How often the time left is counted down.
const TICK: Duration = Duration::from_millis(250);

/// Standard error, as a person or a program reads it.
pub(super) struct Screen {
    json: bool,
    qr: bool,
}

impl Screen {
    /// As the options want it.
    pub(super) fn of(options: &Options, qr: bool) -> Self {
        let person = std::io::stderr().is_terminal() || crate::tty::is_there();
        Self { json: options.json, qr: qr && !options.json && person }
    }

    /// Link and code of the device flow. They are shown even with --quiet: nothing works without.
    pub(super) fn show_code(&self, code: &Code<'_>) {
        let best = code.complete.unwrap_or(code.link);
        if self.json {
            let facts = serde_json::json!({
                "issuer": code.issuer,
                "verification_uri": code.link,
                "verification_uri_complete": code.complete,
                "user_code": code.code,
                "expires_in": code.lifetime.as_secs(),
            });
            report::event("login", facts);
            return;
        }
        report::always(&format!("Login at {}", code.issuer));
        report::always(&format!("Open this link in any browser: {}", code.link));
        report::always(&format!("and enter the code:            {}", code.code));
        if code.complete.is_some() {
            report::always(&format!("or open, with the code in it:   {best}"));
        }
        self.show_qr(best);
    }

    /// Link of the browser flow.
    pub(super) fn show_link(&self, issuer: &str, link: &str, opened: bool) {
        if self.json {
            report::event(
                "login",
                serde_json::json!({ "issuer": issuer, "authorization_uri": link }),
            );
            return;
        }
        report::always(&format!("Login at {issuer}"));
        report::always(match opened {
            true => "A browser opens for the login. If it does not, open this link in one:",
            false => "Open this link in a browser:",
        });
        report::always(link);
    }

    fn show_qr(&self, link: &str) {
        if !self.qr {
            return;
        }
        let Ok(code) = QrCode::with_error_correction_level(link.as_bytes(), EcLevel::L) else {
            return;
        };
        let coloured =
            anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
        let mut picture = code.render::<Dense1x2>();
        if !coloured {
            // Terminals are dark as a rule: what is printed is light.
            picture.dark_color(Dense1x2::Light).light_color(Dense1x2::Dark);
        }
        let text = picture.build();
        if text.lines().next().is_none_or(|line| line.chars().count() > WIDEST_QR) {
            return;
        }
        report::aside(|| {
            let mut err = std::io::stderr().lock();
            for line in text.lines() {
                let _ = match coloured {
                    // Black on white whatever the terminal's colours are: cameras want it so.
                    true => writeln!(err, "\x1b[30;107m{line}\x1b[0m"),
                    false => writeln!(err, "{line}"),
                };
            }
        });
    }

    /// Shows that something is waited for, and how long it will be.
    pub(super) fn wait(&self, limit: Duration) -> Waiting {
        let end = Instant::now() + limit;
        Waiting { progress: report::progress(left_until(end)), end }
    }
}

fn left_until(end: Instant) -> String {
    let left = end.saturating_duration_since(Instant::now()).as_secs();
    format!("waiting for the browser, {}:{:02} left", left / 60, left % 60)
}

/// A wait that is shown until this is dropped.
pub(super) struct Waiting {
    progress: Progress,
    end: Instant,
}

impl Waiting {
    /// Counts down.
    pub(super) fn tick(&self) {
        self.progress.say(left_until(self.end));
    }

    /// How long to sleep before the next [`Waiting::tick`].
    pub(super) fn step(&self) -> Duration {
        TICK
    }

    /// Waits, counting down.
    pub(super) fn sleep(&self, pause: Duration) {
        let until = Instant::now() + pause;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(TICK));
            self.tick();
        }
    }
}
