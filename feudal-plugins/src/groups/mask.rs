//! The plain form of a group name, before it is made fit for shadow-utils.

/// Lower case, `[a-z0-9_-]`, no leading mark, a leading digit spelled out.
pub fn mask(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 4);
    let mut before = None;
    for c in text.chars() {
        if c.is_ascii_uppercase() && before.is_some_and(|b: char| b.is_ascii_lowercase()) {
            out.push('_');
        }
        before = Some(c);
        out.push(match c.to_ascii_lowercase() {
            c if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-' => c,
            _ => '-',
        });
    }
    let bare = out.trim_start_matches(['-', '_']);
    match bare.chars().next().and_then(spelled) {
        Some(word) => format!("{word}_{}", bare.get(1..).unwrap_or_default()),
        None => bare.to_owned(),
    }
}

fn spelled(digit: char) -> Option<&'static str> {
    const WORDS: [&str; 10] =
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
    WORDS.get(usize::try_from(digit.to_digit(10)?).ok()?).copied()
}
