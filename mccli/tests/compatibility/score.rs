//! Counts cases: as they were, different for a reason, or wrong.

use std::collections::BTreeMap;

/// Where this client differs on purpose: a word for the case, and why.
const DIVERGENCES: [(&str, &str); 15] = [
    ("own ssh", "ssh itself runs: its exit code, words, streams and terminal are untouched"),
    ("scp", "scp itself runs, with and without a terminal and with all its options"),
    ("scp usage", "a line that lacks a word is a usage error"),
    ("sftp", "sftp works"),
    (
        "order",
        "what the command line names beats a variable; MCCLI_COMPAT=0.7 restores the old order",
    ),
    ("log", "a bad value of LOG is no reason to stop"),
    ("http last", "https comes before http, and http only where it is allowed"),
    ("position", "own options are recognised up to the remote command, not in it"),
    ("tls text", "the text names the URL, and the option for a site's own authority"),
    ("one error", "one error says what is wrong; no second line follows"),
    ("locked", "a suspended account is an error, not a login that must fail"),
    ("no version check", "no package index is ever asked"),
    ("warnings", "warnings are shown unless --quiet or --log-level says otherwise"),
    ("userinfo", "the userinfo of any provider is found by discovery"),
    ("signature", "the signature is left out: with it, what is shown would be the token itself"),
];

#[derive(Default)]
pub(crate) struct Score {
    passed: u32,
    diverged: BTreeMap<&'static str, u32>,
    failed: Vec<String>,
}

impl Score {
    /// A case that has to be as it was.
    pub(crate) fn same(&mut self, case: impl ToString, passed: bool) {
        if passed {
            self.passed += 1;
        } else {
            self.failed.push(case.to_string());
        }
    }

    /// A case that differs on purpose, and does what it should instead.
    pub(crate) fn differs(&mut self, case: impl ToString, why: &'static str, as_meant: bool) {
        let known = DIVERGENCES.iter().any(|(word, _)| *word == why);
        if known && as_meant {
            *self.diverged.entry(why).or_default() += 1;
        } else {
            self.failed.push(format!("{why}: {}", case.to_string()));
        }
    }

    pub(crate) fn print(&self, what: &str) {
        println!(
            "mccli-cli.json, {what}: {} passed, {} diverged, {} failed",
            self.passed,
            self.diverged.values().sum::<u32>(),
            self.failed.len()
        );
        for (word, count) in &self.diverged {
            let reason = DIVERGENCES.iter().find(|(known, _)| known == word).map(|(_, why)| why);
            println!("  {count}: {}", reason.unwrap());
        }
        assert_eq!(self.failed, Vec::<String>::new());
        assert!(self.passed > 0, "no cases");
    }
}
