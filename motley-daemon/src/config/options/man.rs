//! Writes the manual pages of the configuration files from the option table.

use super::render::meaning;
use super::{Extras, FileSpec, Inheritance, Kind, OptionSpec, SectionSpec, Status};
use std::fmt::Write;

/// What the dialect is, for both files.
const DIALECT: &[&str] = &[
    "Sections stand in brackets. Options are NAME = VALUE or NAME: VALUE; their case does not count, \
     that of sections does. A remark is a line of its own that begins with # or ;. A line that is \
     indented deeper than its option continues the value. A percent sign is written %%; %(name)s is \
     replaced by the value of that option in the section or in [DEFAULT].",
    "A section or option that is unknown or stands twice, and a line that an indentation made a part \
     of the option above, stop the start. The file and every directory above it must belong to root \
     or the daemon's user, and nobody else may be able to write them.",
];

/// A manual page of section 5 in the language of man(7).
pub fn render_man(file: &FileSpec) -> String {
    let mut out = String::new();
    let title = file.name.to_uppercase();
    let _ = writeln!(out, ".\\\" Made from the option table; do not edit.");
    let _ = writeln!(out, ".TH {title} 5 \"\" motley \"File formats\"");
    let _ = writeln!(out, ".SH NAME\n{} \\- {}", text(file.name), text(&summary(file)));
    out.push_str(".SH DESCRIPTION\n");
    paragraph(&mut out, file.doc);
    DIALECT.iter().for_each(|part| paragraph(&mut out, part));
    if file.inheritance == Inheritance::Repeated {
        let part = "Options in [DEFAULT] hold for all sections [authorisation.NAME] that do not set \
                    them, and for no others.";
        paragraph(&mut out, part);
    }
    for section in file.sections {
        write_section(&mut out, section);
    }
    out.push_str(".SH FILES\n");
    paragraph(&mut out, file.places);
    out.push_str(".SH SEE ALSO\n.BR motley\\-daemon (8),\n.BR motleyctl (8),\n");
    let other =
        if file.name == "motley_cue.conf" { "feudal_adapter.conf" } else { "motley_cue.conf" };
    let _ = writeln!(out, ".BR {} (5)", text(other));
    out
}

/// The first words, as they stand in the list of all pages.
fn summary(file: &FileSpec) -> String {
    let first = file.doc.split_once(": ").map_or(file.doc, |(first, _)| first);
    first.trim_end_matches('.').replacen('C', "c", 1)
}

fn write_section(out: &mut String, section: &SectionSpec) {
    let name = section.name.shown();
    let _ = writeln!(out, ".SH \"SECTION [{}]\"", text(&name));
    if let Extras::Ignored(why) = section.extras {
        paragraph(out, &format!("Not read any more: {why}."));
        return;
    }
    paragraph(out, section.doc);
    if !section.example.is_empty() {
        let _ = writeln!(out, ".PP\n.nf\n{}\n.fi", text(section.example.trim_end()));
    }
    for option in section.options {
        write_option(out, option);
    }
    if section.extras == Extras::Texts {
        paragraph(out, "Other options are texts that are handed on as they are.");
    }
}

fn write_option(out: &mut String, option: &OptionSpec) {
    let default = match option.default {
        None => "not set".to_owned(),
        Some("") => "empty".to_owned(),
        Some(default) => text(default),
    };
    let name = text(option.name);
    let _ =
        writeln!(out, ".TP\n\\fB{name}\\fR = \\fI{}\\fR  (default: {default})", kind(option.kind));
    let status = match option.status {
        Status::Acts => String::new(),
        Status::Obsolete(why) => format!(" Does not act any more: {why}."),
        Status::Later(why) => format!(" Does not act yet: {why}."),
    };
    let _ = writeln!(out, "{}", text(&format!("{}{status}", meaning(option))));
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::OptionalText => "text",
        Kind::Secret => "secret",
        Kind::Database => "url",
        Kind::Bool => "yes|no",
        Kind::Number => "number",
        Kind::Seconds => "seconds",
        Kind::List => "[a, b]",
        Kind::Words => "words",
        Kind::Items => "items",
    }
}

fn paragraph(out: &mut String, words: &str) {
    let words: Vec<&str> = words.split_whitespace().collect();
    let _ = writeln!(out, ".PP\n{}", text(&words.join(" ")));
}

/// Text in which nothing is a request or an escape of the formatter.
fn text(plain: &str) -> String {
    let escaped = plain.replace('\\', "\\e").replace('-', "\\-").replace('~', "\\(ti");
    let guard = |line: &str| match line.starts_with(['.', '\'']) {
        true => format!("\\&{line}"),
        false => line.to_owned(),
    };
    escaped.lines().map(guard).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::super::{FEUDAL_ADAPTER, MOTLEY_CUE};
    use super::*;

    #[test]
    fn the_page_names_every_option_and_no_line_of_it_is_an_unknown_request() {
        for file in [MOTLEY_CUE, FEUDAL_ADAPTER] {
            let page = render_man(&file);
            for option in file.sections.iter().flat_map(|section| section.options) {
                let entry = format!("\n\\fB{}\\fR = ", text(option.name));
                assert!(page.contains(&entry), "{}", option.name);
            }
            let requests = page.lines().filter(|line| line.starts_with(['.', '\'']));
            for line in requests {
                let known = [".\\\"", ".TH ", ".SH ", ".PP", ".TP", ".nf", ".fi", ".BR "];
                assert!(known.iter().any(|it| line.starts_with(it)), "{line}");
            }
        }
    }
}
