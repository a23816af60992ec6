//! The block in ssh_config(5) that has plain ssh go over connections that mccli logs in.

use crate::error::{Error, Result};
use std::path::Path;

/// First line of the block.
const BEGIN: &str = "# >>> mccli ssh-config >>>";
/// Last line of the block.
const END: &str = "# <<< mccli ssh-config <<<";

/// A name, a file or a pattern that ssh and any shell read as it stands.
///
/// ssh hands the line to the user's own shell, whichever that is; in single quotes all of them agree
/// on everything but quotes and backslashes.
fn plain(what: &str, text: &str) -> Result<String> {
    let bad = |c: char| c.is_control() || matches!(c, '"' | '\'' | '\\' | '$' | '`' | '!');
    if text.is_empty() || text.chars().any(bad) {
        return Err(Error::Usage(format!(
            "{what} \"{}\" can't stand in the configuration of ssh; choose one without quotes, backslashes, $ and !",
            motley_proto::text::escape(text, 200)
        )));
    }
    Ok(text.replace('%', "%%"))
}

/// A host pattern of ssh_config(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern(String);

impl Pattern {
    /// Takes letters, digits, `.`, `-`, `_`, `:`, and `*` and `?`, behind a `!` or none.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub(crate) fn new(text: &str) -> Result<Self> {
        let body = text.strip_prefix('!').unwrap_or(text);
        let fits = |c: char| c.is_alphanumeric() || ".-_:*?".contains(c);
        if body.is_empty() || !body.chars().all(fits) {
            return Err(Error::Usage(format!(
                "\"{}\" is no host pattern; it may have letters, digits, . - _ : * ?, and a ! in front",
                motley_proto::text::escape(text, 200)
            )));
        }
        Ok(Self(text.to_owned()))
    }

    /// True if hosts are told apart by it: a pattern that fits every host names none.
    fn is_a_name(&self) -> bool {
        self.0.chars().any(char::is_alphanumeric)
    }

    fn excludes(&self) -> bool {
        self.0.starts_with('!')
    }
}

/// What the block says.
pub(crate) struct Block<'a> {
    /// Which hosts.
    pub(crate) patterns: &'a [Pattern],
    /// Whose logins: `ssh other@host` is none of ours.
    pub(crate) user: &'a str,
    /// The program that ssh starts.
    pub(crate) program: &'a Path,
    /// Further options for it, name and value.
    pub(crate) options: &'a [(&'static str, String)],
    /// The folder of the sockets.
    pub(crate) sockets: &'a Path,
}

impl Block<'_> {
    /// The lines.
    ///
    /// Host names with quotes or backslashes are kept out by the first patterns: releases of ssh
    /// before 9.6 put any name into the command (CVE-2023-51385). `Match all` at the end gives the
    /// lines behind the block their old meaning.
    ///
    /// # Errors
    /// [`Error::Usage`] when there is no pattern that includes hosts, or for a name with quotes.
    pub(crate) fn lines(&self) -> Result<String> {
        if self.patterns.iter().all(Pattern::excludes) {
            return Err(Error::Usage(
                "name the hosts that log in by mccli: --host '*.example.org'".to_owned(),
            ));
        }
        if let Some(Pattern(all)) = self.patterns.iter().find(|it| !it.is_a_name()) {
            return Err(Error::Usage(format!(
                "the pattern {all} fits every host, and whichever turns up would get your token; name your sites: --host '*.example.org'"
            )));
        }
        let guards = [r"!*'*", r"!*\*"].into_iter();
        let hosts: Vec<&str> =
            guards.chain(self.patterns.iter().map(|pattern| pattern.0.as_str())).collect();
        let user = plain("your user name", self.user)?;
        if user.contains(['*', '?', ',', '%']) {
            return Err(Error::Usage(format!("your user name {user} is a pattern to ssh")));
        }
        let program = plain("the path of mccli,", &self.program.to_string_lossy())?;
        let folder = plain("the folder of the sockets,", &self.sockets.to_string_lossy())?;
        let mut command = format!("'{program}' ssh-prepare --host='%h' --port='%p'");
        for (name, value) in self.options {
            command.push_str(&format!(" --{name}='{}'", plain(name, value)?));
        }
        command.push_str(&format!(" --sockets='{folder}'"));
        Ok(format!(
            "{BEGIN}\n\
             # Written by `mccli ssh-config --install`, which replaces all between these two marks.\n\
             Match host \"{hosts}\" user \"{user}\" exec \"{command}\"\n    \
                 ControlPath \"{folder}/%C\"\n    \
                 ControlMaster no\n\
             Match all\n\
             {END}\n",
            hosts = hosts.join(","),
        ))
    }
}

/// A text with another block at its top in the place of an earlier one; all else stays as it is.
///
/// # Errors
/// Which line is wrong, when the marks do not go together.
pub(crate) fn with_block(text: &[u8], block: &str) -> std::result::Result<Vec<u8>, String> {
    Ok([block.as_bytes(), &without_block(text)?].concat())
}

/// A text without the block.
///
/// # Errors
/// As [`with_block`].
pub(crate) fn without_block(text: &[u8]) -> std::result::Result<Vec<u8>, String> {
    let mut kept = Vec::with_capacity(text.len());
    let mut begun_at = None;
    let mut blocks = 0;
    for (number, line) in (1..).zip(text.split_inclusive(|byte| *byte == b'\n')) {
        let words = line.trim_ascii();
        match begun_at {
            None if words == BEGIN.as_bytes() => {
                blocks += 1;
                begun_at = Some(number);
            }
            None if words == END.as_bytes() => {
                return Err(broken(number, "this mark ends a block that does not begin"));
            }
            None => kept.extend_from_slice(line),
            Some(_) if words == BEGIN.as_bytes() => {
                return Err(broken(number, "this mark begins a block within a block"));
            }
            Some(_) if words == END.as_bytes() => begun_at = None,
            Some(_) => {}
        }
    }
    match begun_at {
        Some(number) => Err(broken(number, "this mark begins a block that does not end")),
        None if blocks > 1 => Err("it has several blocks of mccli\nRemove all but one.".to_owned()),
        None => Ok(kept),
    }
}

fn broken(line: usize, what: &str) -> String {
    format!(
        "line {line}: {what}; nothing was changed\nMend or remove the line `{BEGIN}` or `{END}`."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(patterns: &[&str]) -> Result<String> {
        let patterns: Result<Vec<Pattern>> =
            patterns.iter().map(|text| Pattern::new(text)).collect();
        Block {
            patterns: &patterns?,
            user: "tom",
            program: Path::new("/opt/my tools/100%/mccli"),
            options: &[("persist", "600".to_owned()), ("profile", "work".to_owned())],
            sockets: Path::new("/run/user/1000/mccli"),
        }
        .lines()
    }

    #[test]
    fn the_block_is_what_is_documented() {
        let text = block(&["*.example.org", "!www.example.org", "cue"]).unwrap();
        assert_eq!(
            text,
            r#"# >>> mccli ssh-config >>>
# Written by `mccli ssh-config --install`, which replaces all between these two marks.
Match host "!*'*,!*\*,*.example.org,!www.example.org,cue" user "tom" exec "'/opt/my tools/100%%/mccli' ssh-prepare --host='%h' --port='%p' --persist='600' --profile='work' --sockets='/run/user/1000/mccli'"
    ControlPath "/run/user/1000/mccli/%C"
    ControlMaster no
Match all
# <<< mccli ssh-config <<<
"#
        );
    }

    #[test]
    fn r38_nothing_that_means_more_than_a_host_becomes_a_pattern() {
        for text in [
            "",
            "!",
            "a b",
            "a\nProxyCommand x",
            "a\"",
            "a'",
            "a\\",
            "a,b",
            "$(id)",
            "a`id`",
            "a%h",
            "#a",
            "!!a",
            "a\u{0}",
        ] {
            assert!(Pattern::new(text).is_err(), "{text:?}");
        }
        assert!(block(&["!*.example.org"]).is_err(), "no host is included");
        assert!(block(&[]).is_err());
        for all in ["*", "*.*", "?*", "!*"] {
            assert!(block(&["cue", all]).is_err(), "{all}");
        }
        for path in ["/a'b", "/a\"b", "/a\\b", "/a\nb", "/$(id)"] {
            assert!(plain("x", path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn only_the_own_block_is_replaced_and_that_once() {
        let ours = block(&["a"]).unwrap();
        let other = block(&["b"]).unwrap();
        for rest in ["", "Host x\n  User y\n", "no newline at the end", "\r\n# \u{e4}\r\n"] {
            let installed = with_block(rest.as_bytes(), &ours).unwrap();
            assert_eq!(String::from_utf8_lossy(&installed), format!("{ours}{rest}"));
            assert_eq!(with_block(&installed, &ours).unwrap(), installed, "again");
            assert_eq!(
                with_block(&installed, &other).unwrap(),
                with_block(rest.as_bytes(), &other).unwrap()
            );
            assert_eq!(without_block(&installed).unwrap(), rest.as_bytes());
        }
        let moved = format!("A\n{ours}B\n\u{fc}");
        assert_eq!(without_block(moved.as_bytes()).unwrap(), "A\nB\n\u{fc}".as_bytes());
        assert_eq!(without_block(b"\xff\n").unwrap(), b"\xff\n");
    }

    #[test]
    fn broken_marks_are_named_by_their_line() {
        for (text, named) in [
            (format!("a\n{BEGIN}\nb\n"), "line 2"),
            (format!("a\n{END}\n"), "line 2"),
            (format!("{BEGIN}\n{BEGIN}\n{END}\n"), "line 2"),
            (format!("{BEGIN}\n{END}\n{BEGIN}\n{END}\n"), "several blocks"),
        ] {
            let error = with_block(text.as_bytes(), "x").unwrap_err();
            assert!(error.contains(named), "{text}: {error}");
        }
    }
}
