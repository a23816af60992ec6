//! The command `check-config`: says what holds and where it comes from, or everything that is wrong.

use crate::config::{
    self, Config, Finding, Owners, Paths, Surroundings,
    report::{ConfigReport, FindingReport, Which},
};
use crate::notify::Letters;
use clap::Args;
use motley_proto::text::escape;
use serde::Serialize;
use std::{path::PathBuf, process::ExitCode};

mod online;

use online::{OnlineReport, Outcome};

/// The user that the daemon runs as, who may own the files too.
const DAEMON_USER: &str = "motley";
/// Exit code for a wrong configuration (EX_CONFIG of sysexits(3)).
const WRONG: u8 = 78;
/// Exit code when the configuration is valid, but a part that it names does not answer as it must
/// (EX_UNAVAILABLE of sysexits(3)).
const OFFLINE: u8 = 69;

/// What to check and how to tell.
#[derive(Debug, Clone, Args)]
pub struct CheckConfig {
    /// Configuration of the service. Else $MOTLEY_CUE_CONFIG, ~/.config/motley_cue/motley_cue.conf,
    /// /etc/motley_cue/motley_cue.conf.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Configuration of names, groups and accounts. Else $FEUDAL_ADAPTER_CONFIG and the usual places.
    #[arg(long, value_name = "FILE")]
    pub adapter_config: Option<PathBuf>,
    /// Ask the providers, the database and the mail server too: are they there, and do they offer
    /// what is needed?
    #[arg(long)]
    pub online: bool,
    /// Show only the options that a file sets.
    #[arg(long)]
    pub set: bool,
    /// Say whether it is valid, and do not show the options.
    #[arg(long, short, conflicts_with = "set")]
    pub quiet: bool,
}

#[derive(Serialize)]
struct Whole {
    #[serde(flatten)]
    config: ConfigReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    online: Option<OnlineReport>,
}

/// How the outcome is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// What is wrong with the site's own texts of mails: those stand aside for ours.
fn letter_findings(config: &Config, owners: Owners) -> Vec<Finding> {
    Letters::load(&config.adapter.email, config.adapter.login_info.ssh_host(), owners).1
}

impl CheckConfig {
    /// Checks and tells. Problems go to standard error, what holds to standard output.
    pub fn run(&self, form: Form) -> ExitCode {
        let paths = Paths { config: self.config.clone(), adapter: self.adapter_config.clone() };
        let around = surroundings();
        let loaded = config::load(&paths, &around).map(|(config, mut warnings)| {
            warnings.extend(letter_findings(&config, around.owners));
            (config, warnings)
        });
        let report = ConfigReport::of(&loaded);
        let online = match &loaded {
            Ok((config, _)) if self.online => Some(ask(config, around.owners)),
            _ => None,
        };
        let code = match (&report.valid, &online) {
            (false, _) => ExitCode::from(WRONG),
            (true, Some(online)) if !online.all_well() => ExitCode::from(OFFLINE),
            (true, _) => ExitCode::SUCCESS,
        };
        let whole = Whole { config: report, online };
        match form {
            Form::Json => print_json(&whole),
            Form::Text => self.print(&whole),
        }
        code
    }

    fn print(&self, whole: &Whole) {
        let Whole { config, online } = whole;
        config.warnings.iter().for_each(|it| eprintln!("warning: {}", line(it)));
        config.problems.iter().for_each(|it| eprintln!("{}", line(it)));
        if !config.valid {
            let count = config.problems.len();
            let noun = if count == 1 { "problem" } else { "problems" };
            eprintln!("{count} {noun}: the daemon will not start with this configuration");
            return;
        }
        if !self.quiet {
            let which = if self.set { Which::Set } else { Which::All };
            print!("{}", config.settings_text(which));
        }
        for answer in online.iter().flat_map(|online| &online.answers) {
            let mark = match answer.outcome {
                Outcome::Well => "ok      ",
                Outcome::Doubtful => "doubtful",
                Outcome::Wrong => "WRONG   ",
            };
            println!("{mark}  {}: {}", escape(&answer.what, 500), escape(&answer.says, 1000));
        }
        println!("the configuration is valid");
    }
}

/// As the daemon sees its files, also when root asks.
fn surroundings() -> Surroundings<'static> {
    let mut around = Surroundings::of_process();
    if around.owners.service == 0
        && let Ok(Some(user)) = nix::unistd::User::from_name(DAEMON_USER)
    {
        around.owners = Owners { service: user.uid.as_raw() };
    }
    around
}

fn ask(config: &Config, owners: Owners) -> OnlineReport {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(online::ask(config, owners)),
        Err(error) => OnlineReport::failed(&error.to_string()),
    }
}

fn line(finding: &FindingReport) -> String {
    let mut out = escape(&finding.file, 500);
    if let Some(number) = finding.line {
        out += &format!(":{number}");
    }
    out += ": ";
    if let Some(section) = &finding.section {
        out += &format!("[{}] ", escape(section, 200));
    }
    if let Some(option) = &finding.option {
        out += &format!("{}: ", escape(option, 200));
    }
    format!("{out}{}; {}", finding.what, finding.cure)
}

fn print_json(whole: &Whole) {
    match serde_json::to_string_pretty(whole) {
        Ok(text) => println!("{text}"),
        Err(error) => eprintln!("the report can't be written: {error}"),
    }
}
