//! Reads the configuration texts of the cases: just enough of the INI dialect for test data.

use std::collections::HashMap;

/// Options by section and lower-case name.
#[derive(Debug, Default)]
pub struct Ini(HashMap<(String, String), String>);

impl Ini {
    /// Reads sections, options, indented continuation lines and whole-line comments.
    pub fn read(text: &str) -> Self {
        let mut all = HashMap::<(String, String), String>::new();
        let (mut section, mut open) = (String::new(), None);
        for line in text.lines() {
            let trimmed = line.trim();
            if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
                continue;
            }
            if line.starts_with(char::is_whitespace) {
                let key = open.clone().expect("a continuation line follows an option");
                let value: &mut String = all.get_mut(&key).unwrap();
                value.push('\n');
                value.push_str(trimmed);
            } else if let Some(name) = trimmed.strip_prefix('[') {
                section = name.trim_end_matches(']').to_owned();
            } else {
                let (option, value) = trimmed.split_once(['=', ':']).expect("option = value");
                let key = (section.clone(), option.trim().to_lowercase());
                all.insert(key.clone(), value.trim().to_owned());
                open = Some(key);
            }
        }
        for value in all.values_mut() {
            *value = value.replace("%%", "%").trim().to_owned();
        }
        Self(all)
    }

    /// The text of an option.
    pub fn get(&self, section: &str, option: &str) -> Option<&str> {
        self.0.get(&(section.to_owned(), option.to_owned())).map(String::as_str)
    }

    /// The text of an option, or a default.
    pub fn or<'a>(&'a self, section: &str, option: &str, default: &'a str) -> &'a str {
        self.get(section, option).unwrap_or(default)
    }

    /// True when the option says yes.
    pub fn is_on(&self, section: &str, option: &str) -> bool {
        matches!(self.get(section, option), Some("yes" | "true" | "True" | "Yes"))
    }
}
