//! The commands that the site lists: what is typed, and what is then started.
//!
//! One line each, `WORDS = /ABSOLUTE/PATH [ARGUMENTS] [...]`. The command must begin with exactly
//! these words; the program at that path is started with these arguments, and, where the line ends
//! in `...`, with the words that were typed behind. The longest list of words that fits counts.

use crate::{line::words, rsync};

/// What `...` at the end of a line stands for.
const FURTHER: &str = "...";

/// A listed command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// What must be typed.
    pub typed: Vec<String>,
    /// Absolute path of the program.
    pub program: String,
    /// Arguments that it always gets.
    pub arguments: Vec<String>,
    /// True if what is typed behind is given to it, too.
    pub further: bool,
}

/// Why the list can't be used: a whole list, for half of one might lack what makes it safe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: String,
}

impl std::fmt::Display for ListError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

/// Reads the list.
///
/// # Errors
/// With the first line that is none.
pub fn parse(text: &str) -> Result<Vec<Command>, ListError> {
    let mut commands: Vec<Command> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |problem: String| ListError { line: at + 1, problem };
        let command = parse_line(line).map_err(wrong)?;
        if commands.iter().any(|other| other.typed == command.typed) {
            return Err(wrong(format!("`{}` is listed twice", command.typed.join(" "))));
        }
        commands.push(command);
    }
    Ok(commands)
}

fn parse_line(line: &str) -> Result<Command, String> {
    let split = words(line).map_err(|error| error.to_string())?;
    let middle = split.iter().position(|word| word == "=");
    let middle = middle.ok_or("is not `WORDS = /ABSOLUTE/PATH [ARGUMENTS] [...]`")?;
    let typed = split.get(..middle).unwrap_or_default().to_vec();
    let mut started = split.get(middle + 1..).unwrap_or_default().iter().cloned();
    let program = started.next().ok_or("names no program behind `=`")?;
    if typed.is_empty() {
        return Err("names no word that is typed before `=`".to_owned());
    }
    let is_plain = |part: &str| !matches!(part, "" | "." | "..");
    if !program.strip_prefix('/').is_some_and(|path| path.split('/').all(is_plain)) {
        return Err(format!("`{program}` is no absolute path"));
    }
    let mut arguments: Vec<String> = started.collect();
    let further = arguments.last().is_some_and(|last| last == FURTHER);
    if further {
        arguments.pop();
    }
    if arguments.iter().any(|argument| argument == FURTHER) {
        return Err("`...` stands elsewhere than at the end".to_owned());
    }
    let command = Command { typed, program, arguments, further };
    if rsync::is_started_by(&command) && further && !rsync::is_fixed(&command, rsync::SERVER) {
        return Err(format!(
            "rsync with `...` starts any program; write {} before it",
            rsync::SERVER
        ));
    }
    Ok(command)
}

/// The program and arguments that the words stand for; `None` when they are not listed.
pub fn choose(commands: &[Command], typed: &[String]) -> Option<(String, Vec<String>)> {
    let fits = |command: &&Command| {
        typed.starts_with(&command.typed) && (command.further || typed.len() == command.typed.len())
    };
    let command = commands.iter().filter(fits).max_by_key(|command| command.typed.len())?;
    let behind = typed.get(command.typed.len()..).unwrap_or_default();
    if rsync::is_started_by(command) && !rsync::allows(command, behind) {
        return None;
    }
    let arguments = command.arguments.iter().chain(behind).cloned().collect();
    Some((command.program.clone(), arguments))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "# what people may do\n\
        ls = /usr/bin/ls ...\n\
        status = /usr/bin/squeue --me\n\
        rsync --server = /usr/bin/rsync --server ...\n\
        rsync --server --sender = /usr/bin/rsync --server --sender ...\n\
        scp -t = /usr/bin/scp -t ...\n\
        /usr/lib/openssh/sftp-server = /usr/lib/openssh/sftp-server\n";

    fn chosen(line: &str) -> Option<String> {
        let (program, arguments) = choose(&parse(LIST).unwrap(), &words(line).ok()?)?;
        Some([vec![program], arguments].concat().join(" "))
    }

    #[test]
    fn what_is_listed_is_started_as_the_list_says() {
        for (line, expected) in [
            ("ls", "/usr/bin/ls"),
            ("ls -l /tmp", "/usr/bin/ls -l /tmp"),
            ("status", "/usr/bin/squeue --me"),
            (
                "rsync --server --sender -logDtpre.iLsfxC . x",
                "/usr/bin/rsync --server --sender -logDtpre.iLsfxC . x",
            ),
            ("scp -t -- /tmp", "/usr/bin/scp -t -- /tmp"),
            ("/usr/lib/openssh/sftp-server", "/usr/lib/openssh/sftp-server"),
        ] {
            assert_eq!(chosen(line).as_deref(), Some(expected), "{line}");
        }
    }

    #[test]
    fn ways_out_are_not_listed() {
        for line in [
            "",
            "sh",
            "/bin/sh",
            "/usr/bin/ls",
            "./ls",
            "../bin/ls",
            "LS",
            "ls; sh",
            "PATH=/tmp ls",
            "LD_PRELOAD=/tmp/x.so ls",
            "env ls",
            "exec sh",
            "status --help",
            "rsync -e sh x: .",
            "rsync -e 'sh -c id' --server",
            "rsync --server --daemon --config=/home/kim/x .",
            "rsync --server --daemon .",
            "rsync --server . '--daemon'",
            "rsync --server --config /home/kim/x --daemon",
            "rsync --server --dparam=path=/ --daemon .",
            "rsync --server --sender --daemon --config=x .",
            "rsync --server --sender --log-file=.forward . x",
            "rsync --server --sender --remove-source-files . x",
            "rsync --server --write-batch=.forward . x",
            "rsync --server -s",
            "rsync --server -slogDtpre.iLsfxC",
            "rsync --server --sender -logDtprse.LsfxC",
            "rsync --server --sender --secluded-args",
            "rsync --server --protect-args . x",
            "rsync --server . x -s",
            "rsync --server -e sh . x",
            "rsync --server -esh . x",
            "rsync --server -logM--daemon . x",
            "rsync --server -B7s . x",
            "rsync --server - . x",
            "rsync --server -- . x",
            "rsync --server --sender --suffix -s . x",
            "scp -S /bin/sh x:y .",
            "scp",
            "/usr/lib/openssh/sftp-server -d /tmp",
            "-c ls",
            "= ls",
            "'ls -l'",
            "/bin/sh .ssh/rc",
        ] {
            assert_eq!(chosen(line), None, "{line}");
        }
    }

    #[test]
    fn the_longest_words_count() {
        let list = parse("git = /usr/bin/git-shell\ngit status = /bin/true x ...\n").unwrap();
        let typed = |line: &str| choose(&list, &words(line).unwrap()).map(|(program, _)| program);
        assert_eq!(typed("git status -s").as_deref(), Some("/bin/true"));
        assert_eq!(typed("git").as_deref(), Some("/usr/bin/git-shell"));
        assert_eq!(typed("git push"), None);
    }

    #[test]
    fn a_list_with_a_line_that_is_none_is_not_used() {
        for (text, line, part) in [
            ("ls\n", 1, "is not `WORDS ="),
            ("ls = ls\n", 1, "no absolute path"),
            ("ls = /usr/../tmp/x\n", 1, "no absolute path"),
            ("ls = \n", 1, "names no program"),
            ("= /bin/ls\n", 1, "names no word"),
            ("# x\n\nls = /bin/ls ... -l\n", 3, "elsewhere"),
            ("ls = /bin/ls\nls = /usr/bin/ls\n", 2, "twice"),
            ("ls = /bin/ls; id\n", 1, "has no meaning here"),
            ("rsync = /usr/bin/rsync ...\n", 1, "starts any program"),
            ("rsync = /usr/bin/rsync -v --server ...\n", 1, "starts any program"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.line == line && error.problem.contains(part), "{text}: {error}");
        }
        assert_eq!(parse("\n# nothing\n").unwrap(), []);
    }
}
