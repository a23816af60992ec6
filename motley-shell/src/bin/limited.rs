//! The limited shell: starts what the site lists, as it is listed, and nothing else.
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

use motley_shell::{
    COMMANDS_FILE, MAX_FILE_BYTES,
    commands::{self, Command as Listed},
    environment::{Person, cleaned},
    ffi, line, owned,
};
use std::{
    ffi::OsString,
    io::{IsTerminal, Write},
    os::unix::{
        ffi::OsStrExt,
        process::{CommandExt, ExitStatusExt},
    },
    path::Path,
    process::{Command, ExitCode},
};

const HELP: &str = "\
usage: motley-limited-shell [-c COMMAND]

A login shell that starts the commands listed in /etc/motley_cue/limited_commands and nothing else.
Without -c it reads commands line by line; `help` lists them, `exit` ends it.
The list: man motley-limited-shell
";
/// What the person is asked with.
const PROMPT: &str = "motley> ";
/// The path that programs are told as their shell.
const SHELL: &str = "/usr/bin/motley-limited-shell";

/// Exit status of what is not listed, and of what can't be started.
const REFUSED: u8 = 126;
const NOT_STARTED: u8 = 127;

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let words: Vec<&str> = words.iter().map(|word| word.to_str().unwrap_or("\u{fffd}")).collect();
    match words.as_slice() {
        [] => with_list(interactive),
        ["-c", command] => with_list(|list, person| one(list, person, command)),
        ["--help"] => {
            say(HELP);
            ExitCode::SUCCESS
        }
        ["--version"] => {
            say(concat!("motley-limited-shell ", env!("CARGO_PKG_VERSION"), "\n"));
            ExitCode::SUCCESS
        }
        _ => complain("takes `-c COMMAND` or nothing", REFUSED),
    }
}

fn with_list(act: impl FnOnce(&[Listed], &Person) -> ExitCode) -> ExitCode {
    let uid = nix::unistd::getuid();
    let user = match nix::unistd::User::from_uid(uid) {
        Ok(Some(user)) => user,
        _ => return complain("your account is not known", REFUSED),
    };
    let person = Person { name: user.name, home: user.dir.into_os_string() };
    let text = match owned::read(Path::new(COMMANDS_FILE), MAX_FILE_BYTES) {
        Ok(text) => text,
        Err(error) => return complain(&format!("{COMMANDS_FILE}: {error}"), REFUSED),
    };
    match commands::parse(&text) {
        Ok(list) => act(&list, &person),
        Err(error) => complain(&format!("{COMMANDS_FILE} {error}"), REFUSED),
    }
}

/// The program takes the place of this process.
fn one(list: &[Listed], person: &Person, text: &str) -> ExitCode {
    match prepare(list, person, text) {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(mut command)) => {
            let error = command.exec();
            let program = command.get_program().display().to_string();
            complain(&format!("{program}: {error}"), NOT_STARTED)
        }
        Err(why) => complain(&why, REFUSED),
    }
}

/// One command after another, until the end of input or `exit`.
fn interactive(list: &[Listed], person: &Person) -> ExitCode {
    ffi::ignore_the_keyboard();
    let asks = std::io::stdin().is_terminal();
    let mut last = 0;
    loop {
        if asks {
            say(PROMPT);
        }
        let text = match read_line() {
            Some(Ok(text)) => text,
            Some(Err(why)) => {
                complain(why, REFUSED);
                last = REFUSED;
                continue;
            }
            None => return ExitCode::from(last),
        };
        match text.trim() {
            "exit" | "quit" | "logout" => return ExitCode::from(last),
            "help" => {
                for command in list {
                    let more = if command.further { " ..." } else { "" };
                    say(&format!("{}{more}\n", command.typed.join(" ")));
                }
                continue;
            }
            _ => {}
        }
        last = match prepare(list, person, &text) {
            Ok(None) => last,
            Ok(Some(command)) => wait_for(command),
            Err(why) => {
                complain(&why, REFUSED);
                REFUSED
            }
        };
    }
}

fn prepare(list: &[Listed], person: &Person, text: &str) -> Result<Option<Command>, String> {
    let words = line::words(text).map_err(|error| error.to_string())?;
    let Some(first) = words.first() else { return Ok(None) };
    let Some((program, arguments)) = commands::choose(list, &words) else {
        let shown: String = first.chars().take(80).filter(|c| !c.is_control()).collect();
        return Err(format!(
            "`{shown}` with these arguments is not among the commands; see `help`"
        ));
    };
    let mut command = Command::new(program);
    command.args(arguments).env_clear();
    command.envs(cleaned(person, SHELL, std::env::vars_os()));
    Ok(Some(command))
}

/// Runs it to its end; yields its exit status as a shell would.
fn wait_for(mut command: Command) -> u8 {
    ffi::obey_the_keyboard(&mut command);
    match command.status() {
        Ok(status) => {
            let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
            code.and_then(|code| u8::try_from(code).ok()).unwrap_or(NOT_STARTED)
        }
        Err(error) => {
            complain(&format!("{}: {error}", command.get_program().display()), NOT_STARTED);
            NOT_STARTED
        }
    }
}

/// A line of input, byte by byte: what follows it is for the program that it starts. `None` at the
/// end of input.
fn read_line() -> Option<Result<String, &'static str>> {
    let mut bytes = Vec::new();
    loop {
        let mut byte = [0u8];
        match nix::unistd::read(std::io::stdin(), &mut byte) {
            Ok(0) if bytes.is_empty() => return None,
            Ok(0) => break,
            Ok(_) if byte == *b"\n" => break,
            // The rest of too long a line is read and dropped.
            Ok(_) if bytes.len() <= line::MAX_LINE_BYTES => bytes.extend(byte),
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(_) => return None,
        }
    }
    let text = std::ffi::OsStr::from_bytes(&bytes).to_str().map(str::to_owned);
    Some(text.ok_or("the line is no text"))
}

fn say(text: &str) {
    let mut out = std::io::stdout();
    // Whoever closed the other end does not want to know.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn complain(text: &str, status: u8) -> ExitCode {
    let _ = std::io::stderr().write_all(format!("motley-limited-shell: {text}\n").as_bytes());
    ExitCode::from(status)
}
