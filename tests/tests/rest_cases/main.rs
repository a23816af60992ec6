//! Replays the recorded cases of the REST interface against the daemon on real accounts.

mod accounts;
mod approvals;
mod case;
mod contract;
mod divergence;
mod files;
mod matching;
mod replay;
mod setup;
mod story;
mod view;
mod wire;

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Result, bail, ensure};
use motley_tests::op::{Federation, TestCa};
use motley_tests::sandbox::{self, Daemon, DaemonBuilder, Root, Sandbox};

use case::{Case, Configuration, Recorded};
use divergence::{Answer, Mend, expected};
use matching::{body_of, differences};
use replay::Replay;
use setup::Setup;
use view::View;

/// Where the daemon listens.
const BASE: &str = "http://127.0.0.1:8080";
/// Counts of one file.
#[derive(Default)]
struct Counts {
    passed: usize,
    diverged: usize,
    failed: usize,
}

/// What has become of all cases.
#[derive(Default)]
struct Tally {
    files: BTreeMap<String, Counts>,
    reasons: BTreeMap<&'static str, usize>,
}

#[test]
fn the_rest_interface_answers_as_recorded_or_differs_for_a_reason() -> Result<()> {
    files::bring_along()?;
    let name = "the_rest_interface_answers_as_recorded_or_differs_for_a_reason";
    sandbox::run(name, replay_all)
}

fn replay_all(sb: &Sandbox) -> Result<()> {
    let (setup, files) = files::open()?;
    let ca = TestCa::new()?;
    let federation = Federation::start(&ca, &setup)?;
    let setup = Setup::new(setup, federation, BASE);
    allow_groups()?;
    furnish_host()?;
    let _root = Root::start(sb)?;
    let mut tally = Tally::default();
    let mut replay = Replay::new(&setup)?;
    for which in [Configuration::Main, Configuration::Alt, Configuration::Approval] {
        let _daemon = builder(&setup, which).ca(ca.path()).start(sb)?;
        for (file, cases) in &files {
            for case in cases.iter().filter(|case| case.request.config == which) {
                judge(&mut replay, &setup, file, case, &mut tally);
            }
        }
    }
    tally.report()
}

/// The recorder's accounts begin in a group of the host, which root has to be told about.
fn allow_groups() -> Result<()> {
    let file = Path::new("/etc/motley_cue/motley-root.conf");
    fs::create_dir_all("/etc/motley_cue")?;
    fs::write(file, format!("allowed_groups = {}\n", accounts::GROUP))?;
    Ok(fs::set_permissions(file, Permissions::from_mode(0o644))?)
}

/// One key of sshd, and a privacy statement.
fn furnish_host() -> Result<()> {
    fs::create_dir_all("/etc/ssh")?;
    for entry in fs::read_dir("/etc/ssh")? {
        let path = entry?.path();
        if path.extension().is_some_and(|kind| kind == "pub") {
            fs::remove_file(path)?;
        }
    }
    let (kind, key, _) = divergence::HOST_KEY;
    fs::write("/etc/ssh/ssh_host_ed25519_key.pub", format!("{kind} {key} root@inside\n"))?;
    Ok(fs::write(setup::PRIVACY_FILE, "# Privacy\n\nAsk {{privacy_contact}}.\n")?)
}

fn builder(setup: &Setup, which: Configuration) -> DaemonBuilder {
    Daemon::with(&setup.motley_cue(which)).adapter(&setup.feudal_adapter(which))
}

/// Runs one case, and once more as it would be answered as recorded, and counts it.
fn judge(replay: &mut Replay<'_>, setup: &Setup, file: &str, case: &Case, tally: &mut Tally) {
    let (reasons, wrong) = match examine(replay, setup, case) {
        Ok(found) => found,
        Err(error) => (Vec::new(), vec![format!("{error:#}")]),
    };
    if !wrong.is_empty() {
        println!("FAILED {file}: {}\n    {}", case.name, wrong.join("\n    "));
        println!("    {:?} note {:?} rules {reasons:?}", case.request, case.note);
    }
    tally.count(file, &reasons, &wrong);
}

type Findings = (Vec<&'static str>, Vec<String>);

/// Why the answer has to differ from the recorded one, and what is wrong with it all the same.
fn examine(replay: &mut Replay<'_>, setup: &Setup, case: &Case) -> Result<Findings> {
    let view = View { case, kind: case.request.token_kind.parse()?, setup };
    let recorded = resolved(setup, case);
    let first = expected(view, recorded.clone(), None);
    let mut wrong = attempt(replay, case, &first.answer, None)?;
    if let Some(mend) = first.mend.filter(|mend| mend.fits(view.kind)) {
        let mended = expected(view, recorded, Some(mend));
        let again = attempt(replay, case, &mended.answer, Some(mend))?;
        wrong.extend(again.into_iter().map(|what| format!("mended with {mend:?}: {what}")));
    }
    Ok((first.reasons, wrong))
}

fn resolved(setup: &Setup, case: &Case) -> Recorded {
    let Recorded { status, headers, body } = &case.response;
    let headers = headers.iter().map(|(name, value)| (name.clone(), setup.resolve(value)));
    Recorded { status: *status, headers: headers.collect(), body: setup.resolve_json(body) }
}

/// Sends a case and compares.
fn attempt(
    replay: &mut Replay<'_>,
    case: &Case,
    answer: &Answer,
    mend: Option<Mend>,
) -> Result<Vec<String>> {
    let method = case.request.method.as_str();
    let wanted = match answer {
        Answer::Fixed(wanted) => wanted.clone(),
        Answer::AsGet => {
            let reply = replay.run(case, "GET", mend)?;
            let kept = ["content-type", "www-authenticate"];
            let headers = reply.headers.iter().filter(|(name, _)| kept.contains(&name.as_str()));
            let body = if method == "HEAD" { "".into() } else { body_of(&reply) };
            let headers = headers.map(|(name, value)| (name.clone(), value.clone())).collect();
            Recorded { status: reply.status, headers, body }
        }
    };
    Ok(differences(&wanted, &replay.run(case, method, mend)?))
}

impl Tally {
    fn count(&mut self, file: &str, reasons: &[&'static str], wrong: &[String]) {
        let counts = self.files.entry(file.to_owned()).or_default();
        match (wrong.is_empty(), reasons.is_empty()) {
            (false, _) => counts.failed += 1,
            (true, true) => counts.passed += 1,
            (true, false) => counts.diverged += 1,
        }
        for reason in reasons {
            *self.reasons.entry(reason).or_default() += 1;
        }
    }

    /// Prints the counts.
    fn report(&self) -> Result<()> {
        for (reason, count) in &self.reasons {
            println!("{count:5} × {reason}");
        }
        let mut all = Counts::default();
        for (file, Counts { passed, diverged, failed }) in &self.files {
            println!("{file}: {passed} passed, {diverged} diverged, {failed} failed");
            all.passed += passed;
            all.diverged += diverged;
            all.failed += failed;
        }
        let Counts { passed, diverged, failed } = all;
        println!("all files: {passed} passed, {diverged} diverged, {failed} failed");
        ensure!(passed + diverged + failed > 0, "there are no cases");
        if failed > 0 {
            bail!("{failed} cases failed; each is described above");
        }
        Ok(())
    }
}
