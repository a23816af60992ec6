//! Writes sample files and the reference page from the option table.

use super::{Extras, FileSpec, Inheritance, OptionSpec, SectionName, SectionSpec, Status};
use std::fmt::Write;

/// Longest line of a sample file.
const WIDTH: usize = 92;

/// What a reader must know of the dialect.
const DIALECT: &str = "Options are commented out where they have their default. Remarks stand on \
    lines of their own. An indented line continues the value above. A percent sign is written %%.";

/// A sample file: every acting option with its meaning and default, all commented out, so that the
/// file as it is means the defaults.
pub fn render_sample(file: &FileSpec) -> String {
    let mut out = String::new();
    comment(&mut out, file.doc);
    out.push_str("#\n");
    comment(&mut out, DIALECT);
    for section in file.sections.iter().filter(|section| acting(section).next().is_some()) {
        sample_section(&mut out, file, section);
    }
    out
}

fn acting(section: &SectionSpec) -> impl Iterator<Item = &'static OptionSpec> {
    section.options.iter().filter(|option| option.status == Status::Acts)
}

fn sample_section(out: &mut String, file: &FileSpec, section: &SectionSpec) {
    out.push_str("\n\n");
    comment(out, section.doc);
    if !section.example.is_empty() {
        out.push_str("#\n# For example:\n#\n");
        for line in section.example.lines() {
            let _ = writeln!(out, "#     {line}");
        }
    }
    match section.name {
        SectionName::Exact(name) => {
            let _ = writeln!(out, "[{name}]");
        }
        SectionName::Prefix(..) => {
            if file.inheritance == Inheritance::Repeated {
                out.push_str("#\n#[DEFAULT]\n");
            }
            let _ = writeln!(out, "#[{}]", section.name.shown());
        }
    }
    for option in acting(section) {
        out.push('\n');
        comment(out, &meaning(option));
        let _ =
            writeln!(out, "{}", format!("#{} = {}", option.name, shown_default(option)).trim_end());
    }
}

/// What an option means, and when a change of it counts.
pub(super) fn meaning(option: &OptionSpec) -> String {
    let when = if option.at_start { " Takes effect at the next start." } else { "" };
    format!("{}{when}", option.doc)
}

fn shown_default(option: &OptionSpec) -> String {
    option.default.unwrap_or_default().replace('%', "%%")
}

/// Writes a text as comment lines.
fn comment(out: &mut String, text: &str) {
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            let _ = writeln!(out, "{line}");
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    let _ = writeln!(out, "{line}");
}

/// The reference page of both files, in Markdown.
pub fn render_reference(files: &[FileSpec]) -> String {
    let mut out = String::from(
        "# Configuration reference\n\nMade from the table that the daemon checks files against; the \
         same is in motley_cue.conf(5) and feudal_adapter.conf(5).\n",
    );
    for file in files {
        let _ = write!(out, "\n## {}\n\n{} {}\n", file.name, file.doc, file.places);
        for section in file.sections {
            reference_section(&mut out, section);
        }
    }
    out
}

fn reference_section(out: &mut String, section: &SectionSpec) {
    let name = section.name.shown();
    if let Extras::Ignored(why) = section.extras {
        let _ = write!(out, "\n### [{name}]\n\nNot read any more: {why}.\n");
        return;
    }
    let _ = write!(out, "\n### [{name}]\n\n{}\n\n", section.doc);
    if !section.example.is_empty() {
        let _ = write!(out, "```ini\n{}```\n\n", section.example);
    }
    out.push_str("| option | default | meaning |\n| --- | --- | --- |\n");
    for option in section.options {
        let default = match option.default {
            None => "not set".to_owned(),
            Some("") => "empty".to_owned(),
            Some(text) => format!("`{}`", text.replace('`', "'")),
        };
        let status = match option.status {
            Status::Acts => String::new(),
            Status::Obsolete(why) => format!(" *Does not act any more: {why}.*"),
            Status::Later(why) => format!(" *Does not act yet: {why}.*"),
        };
        let doc = meaning(option).replace('|', "\\|");
        let _ = writeln!(out, "| `{}` | {default} | {doc}{status} |", option.name);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{FEUDAL_ADAPTER, MOTLEY_CUE};
    use super::*;

    #[test]
    fn samples_and_reference_name_every_acting_option() {
        let reference = render_reference(&[MOTLEY_CUE, FEUDAL_ADAPTER]);
        for file in [MOTLEY_CUE, FEUDAL_ADAPTER] {
            let sample = render_sample(&file);
            for section in file.sections {
                for option in acting(section) {
                    assert!(sample.contains(&format!("\n#{} =", option.name)), "{}", option.name);
                    assert!(reference.contains(&format!("| `{}` |", option.name)));
                }
            }
            assert!(sample.lines().all(|line| line.chars().count() <= 110), "{}", file.name);
        }
    }
}
