//! Parser of the INI dialect that the Python stack's files are written in (configparser, strict).

use super::finding::{Finding, FindingKind, quoted};

/// Name of the section whose options the others inherit.
pub const DEFAULT_SECTION: &str = "DEFAULT";

/// A parsed file, before interpolation and types.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ini {
    /// File as it is named in messages.
    pub file: String,
    /// Options of `[DEFAULT]`, from all places where it stands.
    pub defaults: Section,
    /// The other sections, in order.
    pub sections: Vec<Section>,
}

/// A section and its own options.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Section {
    /// Text between the brackets, as it is.
    pub name: String,
    /// Line of the header; 0 for a `[DEFAULT]` that the file does not have.
    pub line: usize,
    /// Options in order.
    pub entries: Vec<Entry>,
}

/// An option with its value, which may span lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name in lower case.
    pub option: String,
    /// Line on which it starts.
    pub line: usize,
    /// What each line adds to the value, without outer blanks.
    pub lines: Vec<Line>,
}

/// One line of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its number, counted from 1.
    pub number: usize,
    /// Its text.
    pub text: String,
}

impl Entry {
    /// The value: its lines, joined by line feeds, without blanks at the end.
    pub fn value(&self) -> String {
        let lines: Vec<&str> = self.lines.iter().map(|line| line.text.as_str()).collect();
        lines.join("\n").trim_end_matches(is_blank).to_owned()
    }
}

impl Section {
    /// The option of that name, in lower case.
    pub fn entry(&self, option: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.option == option)
    }
}

/// What Python's `str.strip` takes away.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

fn strip(text: &str) -> &str {
    text.trim_matches(is_blank)
}

/// Lines as Python's text mode sees them: ended by LF, CR LF or a lone CR.
fn split_lines(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    for line in text.split('\n') {
        lines.extend(line.strip_suffix('\r').unwrap_or(line).split('\r'));
    }
    lines
}

/// Reads a text. `file` only serves messages.
///
/// # Errors
/// Every line that is wrong, not only the first.
pub fn parse(file: &str, text: &str) -> Result<Ini, Vec<Finding>> {
    if text.starts_with('\u{feff}') {
        return Err(vec![
            Finding::new(
                FindingKind::Syntax,
                file,
                "the file starts with a byte order mark",
                "save it as UTF-8 without one",
            )
            .at(1),
        ]);
    }
    let mut reader = Reader::new(file);
    for (index, line) in split_lines(text).into_iter().enumerate() {
        reader.read_line(index + 1, line);
    }
    if reader.problems.is_empty() { Ok(reader.ini) } else { Err(reader.problems) }
}

/// Where the reader stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the first section.
    Outside,
    /// In `[DEFAULT]`.
    Defaults,
    /// In the section of this index.
    In(usize),
}

struct Reader {
    ini: Ini,
    place: Place,
    /// True when there is an option that the next line may continue.
    open: bool,
    indent: usize,
    problems: Vec<Finding>,
}

impl Reader {
    fn new(file: &str) -> Self {
        let defaults = Section { name: DEFAULT_SECTION.to_owned(), ..Section::default() };
        Self {
            ini: Ini { file: file.to_owned(), defaults, sections: Vec::new() },
            place: Place::Outside,
            open: false,
            indent: 0,
            problems: Vec::new(),
        }
    }

    fn problem(&mut self, line: usize, what: String, cure: &str) {
        let finding = Finding::new(FindingKind::Syntax, &self.ini.file, what, cure).at(line);
        self.problems.push(finding);
    }

    fn section(&mut self) -> Option<&mut Section> {
        match self.place {
            Place::Outside => None,
            Place::Defaults => Some(&mut self.ini.defaults),
            Place::In(index) => self.ini.sections.get_mut(index),
        }
    }

    fn read_line(&mut self, number: usize, line: &str) {
        let text = strip(line);
        if text.starts_with(['#', ';']) {
            return;
        }
        if text.is_empty() {
            // A blank line does not end a value; it is part of it.
            self.continue_value(number, text);
            return;
        }
        let indent = line.chars().take_while(|c| is_blank(*c)).count();
        if self.open && indent > self.indent {
            self.continue_value(number, text);
            return;
        }
        self.indent = indent;
        match header(text) {
            Some(name) => self.open_section(number, name),
            None => self.read_option(number, text),
        }
    }

    fn continue_value(&mut self, number: usize, text: &str) {
        if !self.open {
            return;
        }
        let line = Line { number, text: text.to_owned() };
        if let Some(entry) = self.section().and_then(|section| section.entries.last_mut()) {
            entry.lines.push(line);
        }
    }

    fn open_section(&mut self, number: usize, name: &str) {
        self.open = false;
        if name == DEFAULT_SECTION {
            self.place = Place::Defaults;
            if self.ini.defaults.line == 0 {
                self.ini.defaults.line = number;
            }
            return;
        }
        if let Some(first) = self.ini.sections.iter().find(|section| section.name == name) {
            let (name, line) = (quoted(&format!("[{name}]")), first.line);
            let what = format!("section {name} stands in line {line} already");
            self.problem(number, what, "put all its options under one header");
        }
        self.place = Place::In(self.ini.sections.len());
        self.ini.sections.push(Section {
            name: name.to_owned(),
            line: number,
            entries: Vec::new(),
        });
    }

    fn read_option(&mut self, number: usize, text: &str) {
        if self.place == Place::Outside {
            let what = format!("{} stands before the first section", quoted(text));
            self.problem(number, what, "put a [section] header above it");
            return;
        }
        let parts = text.split_once(['=', ':']).map(|(name, value)| (strip(name), strip(value)));
        let Some((name, value)) = parts.filter(|(name, _)| !name.is_empty()) else {
            let what = format!("{} is neither `option = value` nor a [section]", quoted(text));
            let cure =
                "if it continues the value above, indent it; if it is a remark, put # before it";
            self.problem(number, what, cure);
            return;
        };
        let entry = Entry {
            option: name.to_lowercase(),
            line: number,
            lines: vec![Line { number, text: value.to_owned() }],
        };
        self.open = true;
        let before =
            self.section().and_then(|section| section.entry(&entry.option)).map(|e| e.line);
        if let Some(before) = before {
            let what = format!("option {} stands in line {before} already", quoted(&entry.option));
            self.problem(number, what, "remove one of them");
        }
        if let Some(section) = self.section() {
            section.entries.push(entry);
        }
    }
}

/// The name in a section header. What follows the last bracket is not looked at.
fn header(text: &str) -> Option<&str> {
    let (name, _) = text.strip_prefix('[')?.rsplit_once(']')?;
    if name.is_empty() { None } else { Some(name) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value(text: &str, option: &str) -> String {
        parse("f", text).unwrap().sections[0].entry(option).unwrap().value()
    }

    #[test]
    fn values_continue_on_deeper_lines_and_comments_inside_are_left_out() {
        let text = "[s]\na =\n  x\n\n  # no\n  y # yes\nb: z\n";
        assert_eq!(value(text, "a"), "\nx\n\ny # yes");
        assert_eq!(value(text, "b"), "z");
    }

    #[test]
    fn every_wrong_line_is_named() {
        let lines = |text| -> Vec<_> {
            parse("f", text).unwrap_err().into_iter().map(|f| f.line.unwrap()).collect()
        };
        assert_eq!(lines("a = 1\n[s]\n]\nx\n= 3\n"), [1, 3, 4, 5]);
        assert_eq!(lines("[s]\na=1\nA: 2\n[t]\n[s]\n"), [3, 5]);
        assert_eq!(lines("\u{feff}[s]\n"), [1]);
    }

    #[test]
    fn r31_a_hostile_section_that_stands_twice_is_named_on_one_line() {
        let found = parse("f", "[s\u{1b}[2J]\na = 1\n[s\u{1b}[2J]\n").unwrap_err();
        let text = found[0].to_string();
        assert!(text.contains("line 1 already") && !text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn default_may_stand_twice_but_not_the_same_option() {
        let ini = parse("f", "[DEFAULT]\na=1\n[s]\n[DEFAULT]\nb=2\n").unwrap();
        assert_eq!(ini.defaults.entries.len(), 2);
        assert!(parse("f", "[DEFAULT]\na=1\n[DEFAULT]\na=2\n").is_err());
    }

    #[test]
    fn windows_line_ends_and_lone_carriage_returns_end_lines() {
        assert_eq!(value("[s]\r\na = b\r\n", "a"), "b");
        assert_eq!(value("[s]\ra = b\rc = d", "c"), "d");
    }

    /// Texts made of what matters to the parser, line by line.
    fn texts() -> impl Strategy<Value = String> {
        let line = prop_oneof![
            "\\[[a-zDEFAULT]{0,8}\\]",
            "[ \\t]{0,2}[a-z]{0,2}[=:]?[ #;%a-z]{0,4}",
            "\\PC{0,9}",
        ];
        proptest::collection::vec(line, 0..12).prop_map(|lines| lines.join("\n"))
    }

    proptest! {
        #[test]
        fn r45_any_text_is_parsed_or_refused_with_lines(text in texts()) {
            match parse("f", &text) {
                Ok(ini) => prop_assert!(ini.sections.iter().all(|section| section.line >= 1)),
                Err(problems) => {
                    prop_assert!(!problems.is_empty());
                    prop_assert!(problems.iter().all(|problem| problem.line.is_some()));
                    let shown = problems.iter().map(ToString::to_string);
                    prop_assert!(!shown.collect::<String>().contains(char::is_control));
                }
            }
        }
    }
}
