//! Measures our services and the Python stack one after the other, alike: `./run figures --compare`.

mod accounts;
mod bare;
mod load;
mod report;
mod stack;
mod usage;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use motley_tests::op::{Endpoint, TestCa, TestOp};
use motley_tests::sandbox::{Rest, Sandbox};
use serde_json::json;

use accounts::{AccountFiles, Person};
use load::{Load, Order, Sample};
use report::{Entry, Report, What};
use stack::{Ours, Python, Stack, Which};

/// Connections of the loads: one for the time of a request, many for the rate.
const CONNECTIONS: [u32; 2] = [1, 16];
/// Tokens that come in turn.
const DISTINCT: usize = 1000;
/// Tokens of which each comes once.
const NEW: usize = 20_000;
/// Starts of which the median counts.
const STARTS: usize = 5;
/// When they have taken this long, there are no more of them.
const STARTS_LIMIT: Duration = Duration::from_secs(12);
/// Most runs of [`FILL_SECONDS`] in which caches are filled.
const FILLS: u32 = 15;
const FILL_SECONDS: u32 = 5;
/// Caches count as filled when the provider was asked about less than one in so many requests.
const FILLED: u64 = 50;
/// The system's authorities, to which the provider's is added.
const SYSTEM_BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Inside the sandbox only. Progress goes to standard error, the tables to standard output.
#[derive(Debug, Parser)]
struct Arguments {
    /// Virtual environment with the Python stack.
    #[arg(long, value_name = "DIR")]
    venv: PathBuf,
    /// Measure only this service.
    #[arg(long)]
    only: Option<Which>,
    /// Local accounts.
    #[arg(long, value_delimiter = ',', default_value = "100,10000,100000")]
    accounts: Vec<usize>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let sb = Sandbox::current().context("run this with ./run figures --compare")?;
    let ca = TestCa::new()?;
    let op = TestOp::builder(&ca).start()?;
    let bundle = sb.dir().join("authorities.pem");
    let system = fs::read_to_string(SYSTEM_BUNDLE).unwrap_or_default();
    fs::write(&bundle, system + ca.pem())?;

    let mut ours = Ours::install(&sb, &op, &bundle, "always")?;
    let mut python = Python::install(&arguments.venv, &op, &bundle)?;
    let bench = Bench { sb: &sb, op: &op, files: AccountFiles::read()?, begin: Instant::now() };
    let mut report = Report::new(&arguments.venv);
    let stacks: [&mut dyn Stack; 2] = [&mut ours, &mut python];
    let mut failed = Ok(());
    for stack in stacks {
        if arguments.only.is_none_or(|only| only == stack.which()) {
            let done = bench.measure(stack, &arguments.accounts, &mut report);
            // The figures of the other one are worth having all the same.
            failed = failed.and(done.with_context(|| stack.last_words()));
            stack.stop();
        }
    }
    if arguments.only != Some(Which::Python) {
        failed = failed.and(bench.measure_signed_only(&bundle, &mut report));
    }
    print!("{}", report.markdown());
    failed
}

/// What both services are measured with.
struct Bench<'a> {
    sb: &'a Sandbox,
    op: &'a TestOp,
    files: AccountFiles,
    begin: Instant,
}

impl Bench<'_> {
    fn say(&self, what: &str) {
        eprintln!("[{:4.0} s] {what}", self.begin.elapsed().as_secs_f64());
    }

    fn measure(&self, stack: &mut dyn Stack, sizes: &[usize], report: &mut Report) -> Result<()> {
        self.measure_starts(stack, sizes, report)?;
        self.measure_loads(stack, sizes, report)
    }

    /// How long a service takes to start with each number of accounts, and what it needs at rest.
    fn measure_starts(
        &self,
        stack: &mut dyn Stack,
        sizes: &[usize],
        report: &mut Report,
    ) -> Result<()> {
        let which = stack.which();
        for &accounts in sizes {
            self.say(&format!("{which}, {accounts} local accounts: starting {STARTS} times"));
            self.files.write(accounts, self.op.issuer())?;
            report.starts.push((which, accounts, self.start_repeatedly(stack)?));
            thread::sleep(Duration::from_secs(2));
            let memory = usage::memory(&stack.groups())?;
            report.memory.push((which, accounts, "after the start", memory));
            stack.stop();
        }
        Ok(())
    }

    /// All loads on a service that runs through, with more and more accounts beside the same person's.
    fn measure_loads(
        &self,
        stack: &mut dyn Stack,
        sizes: &[usize],
        report: &mut Report,
    ) -> Result<()> {
        let which = stack.which();
        self.op.add_user(Person::MEASURED.user());
        let warm = self.tokens(1);
        let distinct = self.tokens(DISTINCT);
        stack.launch(self.sb)?;
        stack.wait_for_info()?;
        for (at, &accounts) in sizes.iter().enumerate() {
            self.say(&format!("{which}, {accounts} local accounts"));
            self.files.write(accounts, self.op.issuer())?;
            self.fill(stack, &warm, FILLS)?;
            self.check(stack, &warm)?;
            if at == 0 {
                self.measure_new(stack, accounts, What::VerifyNew, report);
            }
            for what in What::AT_EACH_SIZE {
                let tokens = if what == What::VerifyDistinct { &distinct } else { &warm };
                self.measure_requests(stack, accounts, what, tokens, report)?;
            }
            let memory = usage::memory(&stack.groups())?;
            report.memory.push((which, accounts, "after the loads", memory));
        }
        stack.stop();
        Ok(())
    }

    fn measure_requests(
        &self,
        stack: &dyn Stack,
        accounts: usize,
        what: What,
        tokens: &[String],
        report: &mut Report,
    ) -> Result<()> {
        let path = what.path();
        let pace = Pace::of(self.time_one(stack, &path, tokens)?);
        if what == What::VerifyDistinct {
            if pace == Pace::Creeping {
                // At a second for each request they would not come round once.
                return Ok(());
            }
            self.fill(stack, tokens, FILLS)?;
        }
        for connections in CONNECTIONS {
            let seconds = pace.seconds(connections);
            let load = Load { path: &path, tokens, order: Order::Turn, connections, seconds };
            self.enter(stack, accounts, what, &load, report);
        }
        Ok(())
    }

    /// The figures that only our daemon has: tokens that are verified without a question.
    fn measure_signed_only(&self, bundle: &Path, report: &mut Report) -> Result<()> {
        let accounts = 100;
        self.files.write(accounts, self.op.issuer())?;
        self.op.add_user(Person::MEASURED.user());
        let tokens = self.tokens(1);
        self.say("the crypto library alone");
        report.bare = Some(bare::measure(self.op, &tokens.concat())?);
        let mut ours = Ours::install(self.sb, self.op, bundle, "when_needed")?;
        ours.launch(self.sb)?;
        ours.wait_for_info()?;
        self.check(&ours, &tokens)?;
        self.measure_new(&ours, accounts, What::VerifyNewUnasked, report);
        ours.stop();
        Ok(())
    }

    fn start_repeatedly(&self, stack: &mut dyn Stack) -> Result<Duration> {
        let mut times = Vec::new();
        while times.len() < STARTS && times.iter().sum::<Duration>() < STARTS_LIMIT {
            stack.stop();
            let begin = Instant::now();
            stack.launch(self.sb)?;
            stack.wait_for_info()?;
            times.push(begin.elapsed());
        }
        times.sort();
        Ok(times[times.len() / 2])
    }

    /// Good tokens of the measured person, signed on all processors.
    fn tokens(&self, count: usize) -> Vec<String> {
        let threads = thread::available_parallelism().map_or(1, usize::from).min(count);
        let sign = |_| self.op.token(&Person::MEASURED.name()).sign();
        let share = count.div_ceil(threads);
        let parts = thread::scope(|scope| {
            let part = || (0..share).map(sign).collect::<Vec<_>>();
            let running: Vec<_> = (0..threads).map(|_| scope.spawn(part)).collect();
            running.into_iter().filter_map(|thread| thread.join().ok()).collect::<Vec<_>>()
        });
        parts.concat()
    }

    /// Lets every process of the service meet every token, by a request without account work.
    fn fill(&self, stack: &dyn Stack, tokens: &[String], runs: u32) -> Result<()> {
        for _ in 0..runs {
            let before = self.op.count(Endpoint::Userinfo);
            let seconds = if tokens.len() == 1 { 2 } else { FILL_SECONDS };
            let load = Load {
                path: "/info/authorisation",
                tokens,
                order: Order::Random,
                connections: 16,
                seconds,
            };
            let sample = load::run(self.sb, stack, &load)?;
            let asked = self.op.count(Endpoint::Userinfo) - before;
            self.say(&format!(
                "  filling: {} requests in {seconds} s, {asked} questions to the provider",
                sample.requests
            ));
            if asked as u64 * FILLED < sample.requests {
                break;
            }
        }
        Ok(())
    }

    /// The first deployment, which takes the account over, and a look at what is answered.
    fn check(&self, stack: &dyn Stack, tokens: &[String]) -> Result<()> {
        let rest = Rest::with_timeout(stack.url(), None, Duration::from_secs(120))?;
        for (what, member, wanted) in [
            (What::Deploy, "state", json!("deployed")),
            (What::GetStatus, "state", json!("deployed")),
            (What::VerifyWarm, "verified", json!(true)),
            (What::GenerateOtp, "successful", json!(true)),
        ] {
            let reply = rest.get(&what.path(), tokens.first().map(String::as_str))?;
            let found = reply.json()[member].clone();
            ensure!(
                reply.status == 200 && found == wanted,
                "{}: {what} answered {}: {}",
                stack.which(),
                reply.status,
                reply.text
            );
            if what == What::Deploy {
                self.say(&format!("  {}", reply.text));
            }
        }
        Ok(())
    }

    fn time_one(&self, stack: &dyn Stack, path: &str, tokens: &[String]) -> Result<Duration> {
        let rest = Rest::with_timeout(stack.url(), None, Duration::from_secs(120))?;
        let token = tokens.first().map(String::as_str);
        rest.get(path, token)?;
        let begin = Instant::now();
        rest.get(path, token)?;
        Ok(begin.elapsed())
    }

    /// Tokens of which each comes once.
    fn measure_new(&self, stack: &dyn Stack, accounts: usize, what: What, report: &mut Report) {
        // So short that our daemon does not come to the end of the tokens.
        let (count, seconds) = match stack.which() {
            Which::Ours => (NEW, 1),
            Which::Python => (NEW / 40, 5),
        };
        self.say(&format!("  signing {count} tokens"));
        let (path, tokens) = (what.path(), self.tokens(count));
        let load =
            Load { path: &path, tokens: &tokens, order: Order::Turn, connections: 16, seconds };
        if let Some(sample) = self.enter(stack, accounts, what, &load, report)
            && sample.requests >= tokens.len() as u64
        {
            report.notes.push(format!("{what}: the tokens came round; the figure is too good"));
        }
    }

    /// Runs a load and notes it; a load that fails must not cost the figures of the others.
    fn enter(
        &self,
        stack: &dyn Stack,
        accounts: usize,
        what: What,
        load: &Load<'_>,
        report: &mut Report,
    ) -> Option<Sample> {
        let (which, connections) = (stack.which(), load.connections);
        match load::run(self.sb, stack, load) {
            Ok(sample) if sample.requests == 0 => {
                report
                    .notes
                    .push(format!("{which}, {accounts} accounts, {what}: no answer in time"));
                None
            }
            Ok(sample) => {
                self.say(&format!(
                    "  {what}, {connections} connections: {:.1} per s, p50 {:.2} ms, CPU {:.3} ms",
                    sample.rate, sample.p50, sample.cpu
                ));
                report.entries.push(Entry { which, accounts, what, connections, sample });
                Some(sample)
            }
            Err(error) => {
                self.say(&format!("  {what}, {connections} connections: failed: {error:#}"));
                report.notes.push(format!("{which}, {accounts} accounts, {what}: {error:#}"));
                None
            }
        }
    }
}

/// How long one request takes decides how long a load lasts: the same rule for both services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    Running,
    Walking,
    Creeping,
}

impl Pace {
    fn of(one: Duration) -> Self {
        match one.as_millis() {
            0..50 => Self::Running,
            50..600 => Self::Walking,
            _ => Self::Creeping,
        }
    }

    fn seconds(self, connections: u32) -> u32 {
        match (self, connections) {
            (Self::Running, 1) => 2,
            (Self::Running, _) => 4,
            (Self::Walking, 1) => 4,
            (Self::Walking, _) => 8,
            (Self::Creeping, 1) => 12,
            (Self::Creeping, _) => 20,
        }
    }
}
