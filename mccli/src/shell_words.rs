//! Writes an argument list as a line that a shell reads back as the same list.

use std::ffi::OsString;

/// The words with blanks between them, quoted where a shell would take them apart.
pub(crate) fn join(words: &[OsString]) -> String {
    words.iter().map(|word| quote(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
}

/// True for a word that a shell takes as it stands, inside quotes and out.
pub(crate) fn is_plain(word: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_=+.,:/@%".contains(&b);
    !word.is_empty() && word.bytes().all(fits)
}

/// One word, in single quotes unless it is plain.
pub(crate) fn quote(word: &str) -> String {
    if is_plain(word) { word.to_owned() } else { in_quotes(word) }
}

/// One word, in single quotes.
pub(crate) fn in_quotes(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_back_what_was_written() {
        let words = ["plain", "a b", "it's", "", "$(id)", "a\nb", "-o", "X=%h:%p", "*?"];
        let line = join(&words.map(OsString::from));
        let output = std::process::Command::new("sh")
            .args(["-c", &format!("printf '%s\\0' {line}")])
            .output()
            .unwrap();
        let read = String::from_utf8(output.stdout).unwrap();
        assert_eq!(read.split_terminator('\0').collect::<Vec<_>>(), words);
    }
}
