//! The browser of this desktop: `$BROWSER`, else what `xdg-open` opens.

use crate::{report, source::environment};
use std::{
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::PathBuf,
    process::{Command, Stdio},
};

/// A program with its arguments; `%s` stands for the link.
pub(super) struct Browser {
    words: Vec<String>,
}

/// The first one that is there.
pub(super) fn find() -> Option<Browser> {
    let named = environment("BROWSER").unwrap_or_default();
    let several = named.split(':').map(str::trim).filter(|line| !line.is_empty());
    several
        .map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .chain([vec!["xdg-open".to_owned()]])
        .find(|words| words.first().is_some_and(|program| is_there(program)))
        .map(|words| Browser { words })
}

fn is_there(program: &str) -> bool {
    let runs = |path: PathBuf| {
        path.metadata()
            .is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0)
    };
    let folders = environment("PATH").unwrap_or_default();
    match program.contains('/') {
        true => runs(program.into()),
        false => folders.split(':').any(|folder| runs(PathBuf::from(folder).join(program))),
    }
}

impl Browser {
    /// Opens a link and does not wait; whether the program started. Its words are never a shell's.
    pub(super) fn open(&self, link: &str) -> bool {
        let Some((program, arguments)) = self.words.split_first() else { return false };
        let mut command = Command::new(program);
        let holds_place = arguments.iter().any(|word| word.contains("%s"));
        command.args(arguments.iter().map(|word| word.replace("%s", link)));
        if !holds_place {
            command.arg(link);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // Ctrl-C in the terminal ends the login, not a browser that opened for it.
        command.process_group(0);
        let started = command.spawn();
        if let Err(error) = &started {
            report::debug(&format!("{program} does not start: {error}"));
        }
        started.is_ok()
    }
}
