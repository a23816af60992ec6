//! What is in force and where it comes from, or what is wrong: for people and as JSON.

use super::options::{FEUDAL_ADAPTER, FileSpec, MOTLEY_CUE, OptionSpec, Status};
use super::{Config, ConfigError, EffectiveSetting, Finding, Warning};
use motley_proto::text::escape;
use serde::Serialize;
use std::fmt::Write;

/// Longest value that is shown, in characters.
const SHOWN: usize = 2000;
/// Column in which the origin of a value stands.
const ORIGIN_COLUMN: usize = 58;

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Nobody set it.
    Default,
    /// It stands in `[DEFAULT]`.
    DefaultSection,
    /// It stands in its section.
    Section,
}

/// One option as it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SettingReport {
    /// Section.
    pub section: String,
    /// Option.
    pub option: String,
    /// Value as text; secrets are not shown.
    pub value: String,
    /// Where it comes from.
    pub source: Source,
    /// Line in the file, if it is set there.
    pub line: Option<usize>,
    /// Why it does not act, if it does not.
    pub does_not_act: Option<&'static str>,
    /// True when a change counts from the next start on, not from a reload.
    pub at_start: bool,
}

/// One file with all its options.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileReport {
    /// Its path.
    pub path: String,
    /// Its options, section by section.
    pub settings: Vec<SettingReport>,
}

/// Something wrong or doubtful.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FindingReport {
    /// File as it was named.
    pub file: String,
    /// Line, if one is meant.
    pub line: Option<usize>,
    /// Section.
    pub section: Option<String>,
    /// Option.
    pub option: Option<String>,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub cure: String,
}

/// The outcome of reading both files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfigReport {
    /// True when the daemon would start with it.
    pub valid: bool,
    /// What stops it.
    pub problems: Vec<FindingReport>,
    /// What is doubtful.
    pub warnings: Vec<FindingReport>,
    /// What holds; empty when it is not valid.
    pub files: Vec<FileReport>,
}

impl ConfigReport {
    /// Reports on what [`super::load`] returned.
    pub fn of(loaded: &Result<(Config, Vec<Warning>), ConfigError>) -> Self {
        match loaded {
            Ok((config, warnings)) => Self {
                valid: true,
                problems: Vec::new(),
                warnings: warnings.iter().map(finding).collect(),
                files: files(config),
            },
            Err(error) => Self {
                valid: false,
                problems: error.problems.iter().map(finding).collect(),
                warnings: Vec::new(),
                files: Vec::new(),
            },
        }
    }

    /// The values in the form of the files, each with its origin as a remark.
    pub fn settings_text(&self, which: Which) -> String {
        let mut out = String::new();
        for file in &self.files {
            let _ = writeln!(out, "# {}", escape(&file.path, SHOWN));
            let mut section = "";
            for setting in file.settings.iter().filter(|it| which.shows(it)) {
                if setting.section != section {
                    section = &setting.section;
                    let _ = writeln!(out, "\n[{}]", escape(section, SHOWN));
                }
                setting_line(&mut out, setting);
            }
            out.push('\n');
        }
        out
    }
}

/// Which options are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// All.
    All,
    /// Those that a file sets.
    Set,
}

impl Which {
    fn shows(self, setting: &SettingReport) -> bool {
        self == Self::All || setting.source != Source::Default
    }
}

fn setting_line(out: &mut String, setting: &SettingReport) {
    let mut line = format!("{} = {}", setting.option, escape(&setting.value, SHOWN));
    let width = line.chars().count();
    line.extend(std::iter::repeat_n(' ', ORIGIN_COLUMN.saturating_sub(width)));
    let origin = match (setting.source, setting.line) {
        (Source::Section, Some(number)) => format!("line {number}"),
        (Source::DefaultSection, Some(number)) => format!("[DEFAULT], line {number}"),
        _ => "default".to_owned(),
    };
    let _ = write!(out, "{line} # {origin}");
    if let Some(why) = setting.does_not_act {
        let _ = write!(out, "; does not act: {why}");
    }
    out.push('\n');
}

fn finding(finding: &Finding) -> FindingReport {
    FindingReport {
        file: finding.file.to_string(),
        line: finding.line,
        section: finding.section.as_deref().map(str::to_owned),
        option: finding.option.as_deref().map(str::to_owned),
        what: escape(&finding.what, SHOWN),
        cure: escape(&finding.cure, SHOWN),
    }
}

fn files(config: &Config) -> Vec<FileReport> {
    let specs: [&FileSpec; 2] = [&MOTLEY_CUE, &FEUDAL_ADAPTER];
    let both = config.files.iter().zip(specs);
    both.map(|(path, spec)| {
        let path = path.display().to_string();
        let own = config.effective().iter().filter(|setting| setting.file == path);
        let settings = own.map(|setting| report(spec, setting)).collect();
        FileReport { path, settings }
    })
    .collect()
}

fn report(spec: &FileSpec, setting: &EffectiveSetting) -> SettingReport {
    let option = spec.section(&setting.section).and_then(|it| it.option(&setting.option));
    SettingReport {
        section: setting.section.clone(),
        option: setting.option.clone(),
        value: setting.value.clone(),
        source: match (setting.line, setting.inherited) {
            (None, _) => Source::Default,
            (Some(_), true) => Source::DefaultSection,
            (Some(_), false) => Source::Section,
        },
        line: setting.line,
        does_not_act: option.and_then(why_not),
        at_start: option.is_some_and(|it| it.at_start),
    }
}

fn why_not(option: &'static OptionSpec) -> Option<&'static str> {
    match option.status {
        Status::Acts => None,
        Status::Obsolete(why) | Status::Later(why) => Some(why),
    }
}
