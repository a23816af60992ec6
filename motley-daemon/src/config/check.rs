//! Finds what nothing would read: unknown names, swallowed lines, defaults that leak.

use super::finding::{Finding, FindingKind, Findings, nearest};
use super::ini::{DEFAULT_SECTION, Entry, Ini, Section};
use super::interpolate::references;
use super::options::{Extras, FileSpec, Inheritance, SectionName, SectionSpec};
use std::collections::BTreeSet;

/// Holds the names in a file against its table.
pub(super) fn check(spec: &'static FileSpec, ini: &Ini, found: &mut Findings) {
    let checker = Checker { spec, ini };
    checker.check_default_section(found);
    for section in &ini.sections {
        checker.check_section(section, found);
    }
}

struct Checker<'a> {
    spec: &'static FileSpec,
    ini: &'a Ini,
}

impl Checker<'_> {
    fn finding(
        &self,
        kind: FindingKind,
        what: impl Into<String>,
        cure: impl Into<String>,
    ) -> Finding {
        Finding::new(kind, &self.ini.file, what, cure)
    }

    /// Finds unknown sections and options, and lines that were swallowed.
    fn check_section(&self, section: &Section, found: &mut Findings) {
        let Some(kind) = self.spec.section(&section.name) else {
            found.problem(self.unknown_section(section));
            return;
        };
        if let Extras::Ignored(why) = kind.extras {
            let finding =
                self.finding(FindingKind::Obsolete, "the section does not act any more", why);
            found.warn(finding.section(&section.name).at(section.line));
            return;
        }
        let variables = variables(&[section, &self.ini.defaults]);
        for entry in &section.entries {
            self.check_swallowed(
                &section.name,
                entry,
                |option| kind.option(option).is_some(),
                found,
            );
            let known = kind.option(&entry.option).is_some();
            if !known && kind.extras == Extras::Refused && !variables.contains(&entry.option) {
                found.problem(self.unknown_option(section, kind, entry));
            }
        }
    }

    fn unknown_section(&self, section: &Section) -> Finding {
        let names: Vec<String> = self.spec.sections.iter().map(|kind| kind.name.shown()).collect();
        let by_prefix = self.spec.sections.iter().find_map(|kind| match kind.name {
            SectionName::Prefix(prefix, rest) => {
                let stem = prefix.trim_end_matches('.');
                let written = section.name.trim().to_lowercase();
                let tail = written.strip_prefix(stem)?.trim_start_matches('.').to_owned();
                Some(format!("{prefix}{}", if tail.is_empty() { rest } else { &tail }))
            }
            SectionName::Exact(_) => None,
        });
        let lower = section.name.trim().to_lowercase();
        let meant = by_prefix
            .or_else(|| nearest(&lower, names.iter().map(String::as_str)).map(str::to_owned));
        let cure = match meant {
            Some(meant) => format!("did you mean [{meant}]?"),
            None => {
                format!("remove it, or see the sections of {} in its sample file", self.spec.name)
            }
        };
        self.finding(FindingKind::UnknownSection, "unknown section", cure)
            .section(&section.name)
            .at(section.line)
    }

    fn unknown_option(&self, section: &Section, kind: &SectionSpec, entry: &Entry) -> Finding {
        let here = nearest(&entry.option, kind.options.iter().map(|option| option.name));
        let elsewhere = || self.spec.sections_with(&entry.option).next();
        let cure = match (here, elsewhere()) {
            (_, Some(other)) => format!("it belongs into [{}]", other.name.shown()),
            (Some(meant), None) => format!("did you mean {meant}?"),
            (None, None) => "remove it, or put # before it".to_owned(),
        };
        self.finding(FindingKind::UnknownOption, "unknown option", cure)
            .section(&section.name)
            .option(&entry.option)
            .at(entry.line)
    }

    /// A continuation line that reads `known_option = value` was meant as an option of its own.
    ///
    /// Other lines with `=` are left alone: roles of entitlements have one.
    fn check_swallowed(
        &self,
        section: &str,
        entry: &Entry,
        known: impl Fn(&str) -> bool,
        found: &mut Findings,
    ) {
        for line in entry.lines.iter().skip(1) {
            let word = line.text.split_once('=').map(|(word, _)| word.trim_end().to_lowercase());
            if let Some(option) = word.filter(|word| known(word)) {
                let what = format!(
                    "the line is indented, so it continues {} of line {} instead of setting \
                     {option}",
                    entry.option, entry.line
                );
                found.problem(
                    self.finding(
                        FindingKind::SwallowedLine,
                        what,
                        "remove the blanks at its start",
                    )
                    .section(section)
                    .option(&option)
                    .at(line.number),
                );
            }
        }
    }

    /// Finds options of `[DEFAULT]` that nobody inherits, or that reach who does not know them.
    fn check_default_section(&self, found: &mut Findings) {
        let all: Vec<&Section> = self.ini.sections.iter().chain([&self.ini.defaults]).collect();
        let variables = variables(&all);
        for entry in &self.ini.defaults.entries {
            let known = |option: &str| self.spec.sections_with(option).next().is_some();
            self.check_swallowed(DEFAULT_SECTION, entry, known, found);
            let finding = match self.spec.inheritance {
                Inheritance::Repeated => self.check_repeated_default(entry),
                Inheritance::All => self.check_general_default(entry),
            };
            if let Some(finding) = finding.filter(|_| !variables.contains(&entry.option)) {
                found
                    .problem(finding.section(DEFAULT_SECTION).option(&entry.option).at(entry.line));
            }
        }
    }

    fn check_repeated_default(&self, entry: &Entry) -> Option<Finding> {
        let kind =
            self.spec.sections.iter().find(|kind| matches!(kind.name, SectionName::Prefix(..)))?;
        match (kind.option(&entry.option), self.spec.sections_with(&entry.option).next()) {
            (Some(option), _) if option.inherits => None,
            (Some(_), _) => Some(self.finding(
                FindingKind::Default,
                "the option may not hold for all providers",
                format!("set it in each [{}] that needs it", kind.name.shown()),
            )),
            (None, Some(other)) => Some(self.finding(
                FindingKind::Default,
                format!("options of [DEFAULT] hold for [{}] only", kind.name.shown()),
                format!("move it to [{}]", other.name.shown()),
            )),
            (None, None) => {
                let meant = nearest(&entry.option, kind.options.iter().map(|option| option.name));
                let cure = meant.map_or("remove it, or put # before it".to_owned(), |meant| {
                    format!("did you mean {meant}?")
                });
                Some(self.finding(FindingKind::UnknownOption, "unknown option", cure))
            }
        }
    }

    fn check_general_default(&self, entry: &Entry) -> Option<Finding> {
        let Some(home) = self.spec.sections_with(&entry.option).next() else {
            let cure = "remove it, or put # before it";
            return Some(self.finding(FindingKind::UnknownOption, "unknown option", cure));
        };
        let reached = self.ini.sections.iter().find(|section| {
            self.spec.section(&section.name).is_some_and(|kind| {
                !matches!(kind.extras, Extras::Ignored(_)) && kind.option(&entry.option).is_none()
            })
        })?;
        let what = format!("it would also hold for [{}], which has no such option", reached.name);
        let cure = format!("move it to [{}]", home.name.shown());
        Some(self.finding(FindingKind::Default, what, cure))
    }
}

/// Names that values of these sections refer to by `%(name)s`.
fn variables(sections: &[&Section]) -> BTreeSet<String> {
    let entries = sections.iter().flat_map(|section| &section.entries);
    entries.flat_map(|entry| references(&entry.value())).collect()
}
