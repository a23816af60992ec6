//! Command lines that make no sense, explained to people or to scripts.

use super::options::Colour;
use crate::{
    error::Error,
    report::{self, Form},
};
use clap::ValueEnum;
use std::ffi::OsString;

/// How errors are to be shown, as far as the words tell before they are understood.
pub(crate) struct Wish {
    /// For whom.
    pub(crate) form: Form,
    /// In colours.
    pub(crate) colours: anstream::ColorChoice,
}

impl Wish {
    /// Looks for `--json` and `--color` among the own words of a command line.
    pub(crate) fn of(words: &[OsString]) -> Self {
        let own = || words.iter().take_while(|word| *word != "--");
        let form = if own().any(|word| word == "--json") { Form::Json } else { Form::Text };
        let separate = own().skip_while(|word| *word != "--color").nth(1).and_then(|w| w.to_str());
        let joined = own().find_map(|word| word.to_str()?.strip_prefix("--color="));
        let chosen = joined.or(separate).and_then(|word| Colour::from_str(word, true).ok());
        Self { form, colours: chosen.unwrap_or(Colour::Auto).choice() }
    }

    /// The same for the parser of the command line.
    pub(crate) fn colour_of_help(&self) -> clap::ColorChoice {
        match self.colours {
            anstream::ColorChoice::Never => clap::ColorChoice::Never,
            anstream::ColorChoice::Auto => clap::ColorChoice::Auto,
            _ => clap::ColorChoice::Always,
        }
    }
}

/// Says on standard error what is wrong with the command line.
pub(crate) fn explain(error: &clap::Error, form: Form) {
    match form {
        Form::Text => {
            // Nobody is left to be told when standard error is closed.
            let _ = error.print();
        }
        Form::Json => report::failure(&as_usage(&error.render().to_string()), 2),
    }
}

/// The parser's text in the order of our own errors: message, details, what to do.
fn as_usage(text: &str) -> Error {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let lines: Vec<&str> =
        text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    Error::Usage(lines.join("\n").replace("\n  tip: ", "\ntip: "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn the_wish_for_json_and_colours_is_seen_before_the_line_is_understood() {
        use anstream::ColorChoice::{Always, Auto, Never};
        for (line, form, colours) in [
            ("mccli --json --nonsense", Form::Json, Auto),
            ("mccli --color never x", Form::Text, Never),
            ("mccli --color=ALWAYS x", Form::Text, Always),
            ("mccli --color", Form::Text, Auto),
            ("mccli --color mauve", Form::Text, Auto),
            ("mccli ssh -- h --json --color never", Form::Text, Auto),
        ] {
            let wish = Wish::of(&words(line));
            assert_eq!(wish.form, form, "{line}");
            assert_eq!(wish.colours, colours, "{line}");
        }
    }

    #[test]
    fn a_usage_error_has_its_message_first_and_then_what_to_do() {
        let text = "error: unexpected argument '--jsn' found\n\n  tip: a similar argument exists: '--json'\n\nUsage: mccli ops [HOST]\n\nFor more information, try '--help'.\n";
        let error = as_usage(text);
        assert_eq!(error.message(), "unexpected argument '--jsn' found");
        assert!(
            error.hint().unwrap().starts_with("tip: a similar argument exists: '--json'\nUsage")
        );
    }
}
