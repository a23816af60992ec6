//! The one table of all options: defaults, check for unknown keys, samples and reference.

mod adapter;
mod authorisation;
mod daemon;
mod directory;
mod equipment;
mod man;
mod render;

pub use adapter::FEUDAL_ADAPTER;
pub use daemon::MOTLEY_CUE;
pub use man::render_man;
pub use render::{render_reference, render_sample};

/// How the text of a value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The text as it is.
    Text,
    /// The text as it is; not set is different from empty.
    OptionalText,
    /// A text that must not be shown. Not set is different from empty.
    Secret,
    /// The URL of a database.
    Database,
    /// `true`, `yes`, `false`, `no` in any case, and what else the file's dialect allows.
    Bool,
    /// A whole number.
    Number,
    /// A number of seconds, 1 or more.
    Seconds,
    /// A list `[a, b]`: blanks and line feeds do not count, quotes are taken away.
    List,
    /// Words between blanks; their order does not count.
    Words,
    /// Items between blanks or commas, with or without brackets.
    Items,
}

/// Whether an option does anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It acts.
    Acts,
    /// It is read and checked, and does not act. The text says why, or what replaces it.
    Obsolete(&'static str),
    /// It is read and checked for its type; a later version will let it act.
    Later(&'static str),
}

/// One option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionSpec {
    /// Name in lower case.
    pub name: &'static str,
    /// How it is read.
    pub kind: Kind,
    /// Text that an unset option counts as; `None` where not set is a value of its own.
    pub default: Option<&'static str>,
    /// Whether it acts.
    pub status: Status,
    /// False when it must stand in a section of its own and may not be inherited from `[DEFAULT]`.
    pub inherits: bool,
    /// True when a change takes effect at the next start only, not at a reload.
    pub at_start: bool,
    /// Meaning, in full sentences.
    pub doc: &'static str,
}

impl OptionSpec {
    const fn new(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Self {
        Self {
            name,
            kind,
            default: Some(default),
            status: Status::Acts,
            inherits: true,
            at_start: false,
            doc,
        }
    }

    const fn unset(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self {
            name,
            kind,
            default: None,
            status: Status::Acts,
            inherits: true,
            at_start: false,
            doc,
        }
    }

    const fn obsolete(self, why: &'static str) -> Self {
        Self { status: Status::Obsolete(why), ..self }
    }

    const fn later(self, what: &'static str) -> Self {
        Self { status: Status::Later(what), ..self }
    }

    const fn at_start(self) -> Self {
        Self { at_start: true, ..self }
    }

    const fn own(self) -> Self {
        Self { inherits: false, ..self }
    }
}

/// How sections of a kind are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SectionName {
    /// Exactly so.
    Exact(&'static str),
    /// Any name that starts so. The second text stands for the rest in messages.
    Prefix(&'static str, &'static str),
}

impl SectionName {
    /// True when a section of that name is meant.
    pub fn matches(self, name: &str) -> bool {
        match self {
            Self::Exact(exact) => name == exact,
            Self::Prefix(prefix, _) => name.starts_with(prefix),
        }
    }

    /// The name as it is shown.
    pub fn shown(self) -> String {
        match self {
            Self::Exact(exact) => exact.to_owned(),
            Self::Prefix(prefix, rest) => format!("{prefix}{rest}"),
        }
    }
}

/// Whether a section takes options that the table does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extras {
    /// An unknown option is a mistake.
    Refused,
    /// Unknown options are texts that are handed on.
    Texts,
    /// The whole section does not act any more; its options are not looked at. The text says why.
    Ignored(&'static str),
}

/// One kind of section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SectionSpec {
    /// Its name.
    pub name: SectionName,
    /// What it is for, in full sentences.
    pub doc: &'static str,
    /// Its options.
    pub options: &'static [OptionSpec],
    /// What else it may hold.
    pub extras: Extras,
    /// Lines that show its use; empty if there is nothing to show.
    pub example: &'static str,
}

impl SectionSpec {
    const fn new(name: &'static str, doc: &'static str, options: &'static [OptionSpec]) -> Self {
        let name = SectionName::Exact(name);
        Self { name, doc, options, extras: Extras::Refused, example: "" }
    }

    const fn ignored(name: &'static str, why: &'static str) -> Self {
        let name = SectionName::Exact(name);
        Self { name, doc: "", options: &[], extras: Extras::Ignored(why), example: "" }
    }

    /// The option of that name, in lower case.
    pub fn option(&self, name: &str) -> Option<&'static OptionSpec> {
        self.options.iter().find(|option| option.name == name)
    }
}

/// Which sections `[DEFAULT]` speaks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inheritance {
    /// Only the repeated sections (those named by a prefix); for others it is a mistake.
    Repeated,
    /// Every section that is present; each must know the option.
    All,
}

/// Words that mean true or false beyond `true`, `yes`, `false` and `no`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoolWords {
    /// True, in lower case.
    pub yes: &'static str,
    /// False, in lower case.
    pub no: &'static str,
}

/// One file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileSpec {
    /// Usual name of the file.
    pub name: &'static str,
    /// What it is for, in full sentences.
    pub doc: &'static str,
    /// Where it is looked for, in full sentences.
    pub places: &'static str,
    /// Its sections, in the order of the sample file.
    pub sections: &'static [SectionSpec],
    /// What `[DEFAULT]` does.
    pub inheritance: Inheritance,
    /// Further words of Boolean options.
    pub bool_words: BoolWords,
}

impl FileSpec {
    /// The kind of a section of that name.
    pub fn section(&self, name: &str) -> Option<&'static SectionSpec> {
        self.sections.iter().find(|section| section.name.matches(name))
    }

    /// The kinds of section that know an option.
    pub fn sections_with(&self, option: &str) -> impl Iterator<Item = &'static SectionSpec> {
        self.sections.iter().filter(move |section| section.option(option).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_every_option_once_and_says_what_it_means() {
        for file in [MOTLEY_CUE, FEUDAL_ADAPTER] {
            for section in file.sections {
                if let Extras::Ignored(why) = section.extras {
                    assert!(!why.is_empty());
                    continue;
                }
                assert!(section.doc.ends_with('.'), "{:?}", section.name);
                for (index, option) in section.options.iter().enumerate() {
                    let place = format!("[{}] {}", section.name.shown(), option.name);
                    assert_eq!(option.name, option.name.to_lowercase(), "{place}");
                    assert!(option.doc.ends_with('.'), "{place}");
                    assert!(
                        section.options.iter().skip(index + 1).all(|o| o.name != option.name),
                        "{place}"
                    );
                }
            }
        }
    }
}
