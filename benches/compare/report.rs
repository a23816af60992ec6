//! The figures as Markdown tables, under a description of the machine.

use std::fmt::{self, Write as _};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::accounts::Person;
use crate::bare::Bare;
use crate::load::Sample;
use crate::stack::Which;
use crate::usage::Memory;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    Info,
    VerifyWarm,
    VerifyDistinct,
    GetStatus,
    GenerateOtp,
    Deploy,
    /// Each token once, and the provider is asked about it.
    VerifyNew,
    /// Each token once, and its claims suffice.
    VerifyNewUnasked,
}

impl What {
    /// What is measured with each number of accounts.
    pub(crate) const AT_EACH_SIZE: [Self; 6] = [
        Self::Info,
        Self::VerifyWarm,
        Self::VerifyDistinct,
        Self::GetStatus,
        Self::GenerateOtp,
        Self::Deploy,
    ];

    /// Path and query of the request.
    pub(crate) fn path(self) -> String {
        match self {
            Self::Info => "/info".to_owned(),
            Self::GetStatus => "/user/get_status".to_owned(),
            Self::GenerateOtp => "/user/generate_otp".to_owned(),
            Self::Deploy => "/user/deploy".to_owned(),
            _ => format!("/verify_user?username={}", Person::MEASURED.name()),
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Info => "`/info`",
            Self::VerifyWarm => "`/verify_user`, one warm token",
            Self::VerifyDistinct => "`/verify_user`, 1000 tokens in turn",
            Self::GetStatus => "`/user/get_status`",
            Self::GenerateOtp => "`/user/generate_otp`",
            Self::Deploy => "`/user/deploy`, account exists",
            Self::VerifyNew => "`/verify_user`, each token new, userinfo asked",
            Self::VerifyNewUnasked => "`/verify_user`, each token new, claims in the token",
        })
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ours => "motley",
            Self::Python => "Python stack",
        })
    }
}

/// One figure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) which: Which,
    pub(crate) accounts: usize,
    pub(crate) what: What,
    pub(crate) connections: u32,
    pub(crate) sample: Sample,
}

/// All figures of a run.
#[derive(Debug)]
pub(crate) struct Report {
    machine: String,
    pub(crate) entries: Vec<Entry>,
    /// When it was taken is said in words.
    pub(crate) memory: Vec<(Which, usize, &'static str, Memory)>,
    pub(crate) starts: Vec<(Which, usize, Duration)>,
    pub(crate) bare: Option<Bare>,
    pub(crate) notes: Vec<String>,
}

impl Report {
    /// An empty one, with the machine as it is now.
    pub(crate) fn new(venv: &Path) -> Self {
        Self {
            machine: machine(venv),
            entries: Vec::new(),
            memory: Vec::new(),
            starts: Vec::new(),
            bare: None,
            notes: Vec::new(),
        }
    }

    pub(crate) fn markdown(&self) -> String {
        let mut out = self.machine.clone();
        for connections in [16, 1] {
            self.requests(&mut out, connections);
        }
        self.bare(&mut out);
        self.memory(&mut out);
        self.starts(&mut out);
        for note in &self.notes {
            let _ = writeln!(out, "- {note}");
        }
        out
    }

    fn requests(&self, out: &mut String, connections: u32) {
        let of = |entry: &&Entry| entry.connections == connections;
        let mut rows: Vec<_> =
            self.entries.iter().filter(of).map(|it| (it.what, it.accounts)).collect();
        rows.sort_unstable();
        rows.dedup();
        if rows.is_empty() {
            return;
        }
        let busy = if connections == 1 { "One connection" } else { "16 connections" };
        let _ = writeln!(
            out,
            "\n{busy}; times in ms, processor time for each request:\n\n\
             | request | accounts | motley req/s | p50 | p99 | CPU | Python req/s | p50 | p99 | CPU | req/s × | CPU ÷ |\n\
             |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
        );
        for (what, accounts) in rows {
            let find = |which| {
                let mut all = self.entries.iter().filter(of);
                all.find(|it| (it.which, it.what, it.accounts) == (which, what, accounts))
                    .map(|entry| entry.sample)
            };
            let (ours, python) = (find(Which::Ours), find(Which::Python));
            let times = |of: fn(&Sample) -> f64| {
                let (ours, python) = (of(&ours?), of(&python?));
                (ours > 0.0 && python > 0.0).then_some((ours, python))
            };
            let rate = times(|it| it.rate).map(|(ours, python)| ours / python);
            let cpu = times(|it| it.cpu).map(|(ours, python)| python / ours);
            let _ = writeln!(
                out,
                "| {what} | {} | {} | {} | {} | {} |",
                thousands(accounts),
                cells(ours),
                cells(python),
                factor(rate),
                factor(cpu)
            );
        }
    }

    fn bare(&self, out: &mut String) {
        let Some(bare) = self.bare else { return };
        let _ = writeln!(
            out,
            "\nRS256 by the crypto library alone (2048 bits, all processors): {} verifications per s, \
             CPU {} ms each.",
            figure(bare.rate),
            figure(bare.cpu)
        );
    }

    fn memory(&self, out: &mut String) {
        let _ = writeln!(
            out,
            "\nMemory of all processes in MB (10⁶ bytes), resident (RSS) and proportional (PSS):\n\n\
             | service | accounts | when | RSS | PSS | RSS of each process |\n|---|--:|---|--:|--:|---|"
        );
        let megabytes = |kilobytes: u64| format!("{:.1}", kilobytes as f64 * 1024.0 / 1e6);
        for (which, accounts, when, memory) in &self.memory {
            let (rss, pss) = (megabytes(memory.rss), megabytes(memory.pss));
            let each = memory.each.iter().map(|(name, rss)| format!("{name} {}", megabytes(*rss)));
            let each = each.collect::<Vec<_>>().join(", ");
            let accounts = thousands(*accounts);
            let _ = writeln!(out, "| {which} | {accounts} | {when} | {rss} | {pss} | {each} |");
        }
    }

    fn starts(&self, out: &mut String) {
        let _ = writeln!(
            out,
            "\nStart to the first 200 on `/info`, median of up to {} starts:\n\n\
             | service | accounts | ms |\n|---|--:|--:|",
            crate::STARTS
        );
        for (which, accounts, time) in &self.starts {
            let time = figure(time.as_secs_f64() * 1000.0);
            let _ = writeln!(out, "| {which} | {} | {time} |", thousands(*accounts));
        }
        out.push('\n');
    }
}

fn cells(sample: Option<Sample>) -> String {
    match sample {
        None => "– | – | – | –".to_owned(),
        Some(it) => format!(
            "{} | {} | {} | {}",
            figure(it.rate),
            figure(it.p50),
            it.p99.map_or_else(|| "–".to_owned(), figure),
            figure(it.cpu)
        ),
    }
}

/// Three digits that count.
fn figure(value: f64) -> String {
    match value {
        value if value >= 100.0 => thousands(value.round() as usize),
        value if value >= 10.0 => format!("{value:.1}"),
        value if value >= 1.0 => format!("{value:.2}"),
        value => format!("{value:.3}"),
    }
}

fn factor(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), figure)
}

fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) && digits.len() > 4 {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

fn machine(venv: &Path) -> String {
    let field = |file: &str, label: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(label).map(str::to_owned));
        line.unwrap_or_default()
            .trim_start_matches(['\t', ' ', ':', '='])
            .trim_matches('"')
            .to_owned()
    };
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        let text = output.map(|it| String::from_utf8_lossy(&it.stdout).into_owned());
        text.unwrap_or_default().lines().next().unwrap_or_default().trim().to_owned()
    };
    let python = venv.join("bin/python");
    let version = |package: &str| {
        let code = format!("import importlib.metadata as m; print(m.version('{package}'))");
        format!("{package} {}", said(&python.to_string_lossy(), &["-c", &code]))
    };
    let stack = ["motley_cue", "feudalAdapter", "flaat", "gunicorn", "uvicorn"].map(version);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let mut out = String::new();
    let _ = writeln!(out, "- Measured: {}", said("date", &["--utc", "+%F %H:%M UTC"]));
    let _ = writeln!(
        out,
        "- Machine: {} × {}, {}, Linux {}, {}",
        std::thread::available_parallelism().map_or(0, usize::from),
        field("/proc/cpuinfo", "model name"),
        field("/proc/meminfo", "MemTotal"),
        said("uname", &["-r"]),
        field("/etc/os-release", "PRETTY_NAME"),
    );
    let _ = writeln!(
        out,
        "- Load of the machine before (1, 5, 15 minutes): {}",
        load.split_whitespace().take(3).collect::<Vec<_>>().join(", ")
    );
    let _ = writeln!(
        out,
        "- Python stack: {}, {}",
        said(&python.to_string_lossy(), &["--version"]),
        stack.join(", ")
    );
    out
}
