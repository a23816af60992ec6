//! A parsed file held against the option table: typed values, each with its origin.

use super::check::check;
use super::finding::{Finding, FindingKind, Findings, quoted};
use super::ini::{DEFAULT_SECTION, Entry, Ini, Section};
use super::interpolate::{interpolate, lookup};
use super::options::{
    Extras, FileSpec, Inheritance, Kind, OptionSpec, SectionName, SectionSpec, Status,
};
use super::values::Value;
use crate::store::StoreUrl;
use motley_proto::Secret;
use std::time::Duration;

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The option is not set.
    BuiltIn,
    /// Line of `[DEFAULT]`.
    Default(usize),
    /// Line of the section itself.
    Section(usize),
}

impl Origin {
    /// The line, if there is one.
    pub fn line(self) -> Option<usize> {
        match self {
            Self::BuiltIn => None,
            Self::Default(line) | Self::Section(line) => Some(line),
        }
    }
}

/// One option's value.
#[derive(Clone)]
pub struct Setting {
    /// The option.
    pub spec: &'static OptionSpec,
    /// Its value.
    pub value: Value,
    /// Where that comes from.
    pub origin: Origin,
}

/// A section with a value for each of its options.
#[derive(Clone)]
pub struct Settings {
    /// File as it is named in messages.
    pub file: String,
    /// Name of the section.
    pub name: String,
    /// Its kind.
    pub spec: &'static SectionSpec,
    /// Line of the header; `None` when the file does not have it.
    pub line: Option<usize>,
    /// One setting for each option of the table.
    pub settings: Vec<Setting>,
    /// Texts beyond the table, where the section takes them, in order.
    pub extras: Vec<(String, String)>,
}

/// All sections of a file: those of the table, whether present or not, and those named by a prefix.
#[derive(Clone)]
pub struct RawFile {
    /// File as it is named in messages.
    pub file: String,
    /// In the order of the table, repeated sections in the order of the file.
    pub sections: Vec<Settings>,
    /// What `[DEFAULT]` means for a repeated section that sets nothing itself.
    pub defaults: Option<Settings>,
}

impl RawFile {
    /// The section of that name.
    pub fn section(&self, name: &str) -> Option<&Settings> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// The sections whose name starts so, in the order of the file.
    pub fn repeated<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a Settings> {
        self.sections.iter().filter(move |section| section.name.starts_with(prefix))
    }
}

/// Reads a parsed file by its table.
pub fn read(spec: &'static FileSpec, ini: &Ini, found: &mut Findings) -> RawFile {
    check(spec, ini, found);
    let reader = Reader { spec, ini };
    let mut sections = Vec::new();
    for kind in spec.sections {
        match kind.name {
            SectionName::Exact(name) => {
                let present = ini.sections.iter().find(|section| section.name == name);
                sections.push(reader.settings(kind, name, present, found));
            }
            SectionName::Prefix(..) => {
                for section in ini.sections.iter().filter(|s| kind.name.matches(&s.name)) {
                    sections.push(reader.settings(kind, &section.name, Some(section), found));
                }
            }
        }
    }
    let defaults = spec
        .sections
        .iter()
        .find(|kind| matches!(kind.name, SectionName::Prefix(..)))
        .map(|kind| reader.settings(kind, DEFAULT_SECTION, Some(&ini.defaults), found));
    RawFile { file: ini.file.clone(), sections, defaults }
}

struct Reader<'a> {
    spec: &'static FileSpec,
    ini: &'a Ini,
}

impl Reader<'_> {
    fn finding(
        &self,
        kind: FindingKind,
        what: impl Into<String>,
        cure: impl Into<String>,
    ) -> Finding {
        Finding::new(kind, &self.ini.file, what, cure)
    }

    /// The settings of one section.
    fn settings(
        &self,
        kind: &'static SectionSpec,
        name: &str,
        present: Option<&Section>,
        found: &mut Findings,
    ) -> Settings {
        let settings =
            kind.options.iter().map(|option| self.setting(kind, option, present, found)).collect();
        let extras = match (kind.extras, present) {
            (Extras::Texts, Some(section)) => self.extras(kind, section, found),
            _ => Vec::new(),
        };
        Settings {
            file: self.ini.file.clone(),
            name: name.to_owned(),
            spec: kind,
            line: present.map(|section| section.line).filter(|line| *line > 0),
            settings,
            extras,
        }
    }

    fn setting(
        &self,
        kind: &SectionSpec,
        option: &'static OptionSpec,
        present: Option<&Section>,
        found: &mut Findings,
    ) -> Setting {
        let built_in = || Setting {
            spec: option,
            value: built_in(option, self.spec),
            origin: Origin::BuiltIn,
        };
        let Some(section) = present else { return built_in() };
        let nothing = Section::default();
        let inherited = match (self.spec.inheritance, kind.name) {
            (Inheritance::Repeated, SectionName::Exact(_)) => &nothing,
            _ => &self.ini.defaults,
        };
        let Some(entry) = lookup(section, inherited, option.name) else { return built_in() };
        let own = section.entry(option.name).is_some() && section.name != DEFAULT_SECTION;
        let origin = if own { Origin::Section(entry.line) } else { Origin::Default(entry.line) };
        if !own && !option.inherits {
            return built_in();
        }
        let place = |finding: Finding| {
            let named = if own { &section.name } else { DEFAULT_SECTION };
            finding.section(named).option(option.name).at(entry.line)
        };
        match self.value(option, entry, section) {
            Ok(value) => {
                if own && let Some(finding) = self.without_effect(option, &value) {
                    found.warn(place(finding));
                }
                Setting { spec: option, value, origin }
            }
            Err(finding) => {
                found.problem(place(finding));
                built_in()
            }
        }
    }

    fn value(
        &self,
        option: &OptionSpec,
        entry: &Entry,
        section: &Section,
    ) -> Result<Value, Finding> {
        let text = interpolate(entry, section, &self.ini.defaults).map_err(|error| {
            self.finding(FindingKind::Interpolation, error.to_string(), error.cure())
        })?;
        option.kind.read(&text, self.spec.bool_words).map_err(|error| {
            // What is no URL may be a password that slipped.
            let hidden = matches!(option.kind, Kind::Secret | Kind::Database);
            let shown = if hidden { String::new() } else { quoted(&text) + " " };
            self.finding(FindingKind::Value, format!("{shown}{error}"), error.cure())
        })
    }

    /// A warning for an option that is set and does nothing.
    fn without_effect(&self, option: &OptionSpec, value: &Value) -> Option<Finding> {
        let same = *value == built_in(option, self.spec);
        match option.status {
            Status::Acts => None,
            Status::Obsolete(_) | Status::Later(_) if same => None,
            Status::Obsolete(why) => {
                Some(self.finding(FindingKind::Obsolete, "the option does not act any more", why))
            }
            Status::Later(why) => {
                Some(self.finding(FindingKind::NotAvailable, "the option does not act yet", why))
            }
        }
    }

    fn extras(
        &self,
        kind: &SectionSpec,
        section: &Section,
        found: &mut Findings,
    ) -> Vec<(String, String)> {
        let mut texts = Vec::new();
        for entry in section.entries.iter().filter(|entry| kind.option(&entry.option).is_none()) {
            match interpolate(entry, section, &self.ini.defaults) {
                Ok(text) => texts.push((entry.option.clone(), text)),
                Err(error) => found.problem(
                    self.finding(FindingKind::Interpolation, error.to_string(), error.cure())
                        .section(&section.name)
                        .option(&entry.option)
                        .at(entry.line),
                ),
            }
        }
        texts
    }
}

/// The value of an option that is not set.
fn built_in(option: &OptionSpec, file: &FileSpec) -> Value {
    match option.default {
        None => Value::Unset,
        Some(text) => option.kind.read(text, file.bool_words).unwrap_or(Value::Unset),
    }
}

impl Settings {
    fn setting(&self, option: &str) -> Option<&Setting> {
        let setting = self.settings.iter().find(|setting| setting.spec.name == option);
        debug_assert!(setting.is_some(), "[{}] {option} is not in the option table", self.name);
        setting
    }

    fn value(&self, option: &str) -> &Value {
        self.setting(option).map_or(&Value::Unset, |setting| &setting.value)
    }

    /// Where the value of an option comes from.
    pub fn origin(&self, option: &str) -> Origin {
        self.setting(option).map_or(Origin::BuiltIn, |setting| setting.origin)
    }

    /// A text; empty when it is not set.
    pub fn text(&self, option: &str) -> &str {
        match self.value(option) {
            Value::Text(text) => text,
            _ => "",
        }
    }

    /// A text that is set and not empty.
    pub fn filled(&self, option: &str) -> Option<&str> {
        Some(self.text(option)).filter(|text| !text.is_empty())
    }

    /// The URL of a database.
    pub fn database(&self, option: &str) -> Option<&StoreUrl> {
        match self.value(option) {
            Value::Database(url) => Some(url),
            _ => None,
        }
    }

    /// A secret that is set and not empty.
    pub fn secret(&self, option: &str) -> Option<&Secret> {
        match self.value(option) {
            Value::Secret(secret) if !secret.is_empty() => Some(secret),
            _ => None,
        }
    }

    /// True for yes.
    pub fn is_on(&self, option: &str) -> bool {
        matches!(self.value(option), Value::Bool(true))
    }

    /// A number; 0 when it is not set.
    pub fn number(&self, option: &str) -> i64 {
        match self.value(option) {
            Value::Number(number) => *number,
            _ => 0,
        }
    }

    /// A number of seconds.
    pub fn seconds(&self, option: &str) -> Duration {
        Duration::from_secs(u64::try_from(self.number(option)).unwrap_or_default())
    }

    /// Several texts.
    pub fn list(&self, option: &str) -> &[String] {
        match self.value(option) {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// A finding about one option of this section, at the line that sets it.
    pub fn finding(
        &self,
        kind: FindingKind,
        option: &str,
        what: impl Into<String>,
        cure: impl Into<String>,
    ) -> Finding {
        let origin = self.origin(option);
        let section = match origin {
            Origin::Default(_) => DEFAULT_SECTION,
            _ => &self.name,
        };
        Finding::new(kind, &self.file, what, cure)
            .section(section)
            .option(option)
            .at(origin.line().or(self.line))
    }
}
