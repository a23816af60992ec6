//! Questions that belong to the user, on a pseudo-terminal made by script(1).

mod double;

use double::{
    HOST, PATIENCE, PROMPT, Stage,
    service::{Manner, Service},
};
use std::{
    fs,
    io::{Read, Write},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Instant,
};

const TOKEN: &str = "canary-30aa-token";

/// A shell line on a terminal of its own.
struct Terminal {
    child: Child,
    shown: String,
    news: Receiver<Vec<u8>>,
}

impl Terminal {
    fn run(stage: &Stage, line: &str) -> Self {
        let mut command = Command::new("script");
        stage.furnish(&mut command);
        let mut child = command
            .args(["-qec", line, "/dev/null"])
            .env("SHELL", "/bin/sh")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = child.stdout.take().unwrap();
        let (send, news) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0u8; 4096];
            while let Ok(count @ 1..) = out.read(&mut buffer) {
                let _ = send.send(buffer[..count].to_vec());
            }
        });
        Self { child, shown: String::new(), news }
    }

    fn expect(&mut self, text: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.shown.contains(text) {
            let left = end.saturating_duration_since(Instant::now());
            match self.news.recv_timeout(left) {
                Ok(bytes) => self.shown.push_str(&String::from_utf8_lossy(&bytes)),
                Err(_) => panic!("{text:?} did not come: {}", self.shown),
            }
        }
    }

    fn type_in(&mut self, text: &str) {
        let input = self.child.stdin.as_mut().unwrap();
        input.write_all(text.as_bytes()).unwrap();
        input.flush().unwrap();
    }

    fn end(mut self) -> String {
        self.child.wait().unwrap();
        while let Ok(bytes) = self.news.recv() {
            self.shown.push_str(&String::from_utf8_lossy(&bytes));
        }
        self.shown
    }
}

fn line(service: &Service, rest: &str) -> String {
    format!(
        "{} --token {TOKEN} --mc-endpoint {} ssh {} {rest}",
        env!("CARGO_BIN_EXE_mccli"),
        service.url(),
        HOST.join(" ")
    )
}

#[test]
fn the_user_answers_host_key_questions_and_passwords_and_the_broker_the_token() {
    let service = Service::start(Manner::accepting(TOKEN));
    let question = "Are you sure you want to continue connecting (yes/no/[fingerprint])? ";
    let hidden = "(alice@cue.example.org) Password:";
    let stage = Stage::new().prompts(&[question, PROMPT, hidden]).then("stty -a < /dev/tty");
    let mut terminal = Terminal::run(&stage, &line(&service, "id"));
    terminal.expect(question);
    terminal.type_in("yes\n");
    terminal.expect(hidden);
    terminal.type_in("hunter2\n");
    let shown = terminal.end();
    assert_eq!(stage.answered(1).answer, "yes");
    assert_eq!(stage.answered(2).answer, TOKEN);
    assert_eq!(stage.answered(3).answer, "hunter2");
    assert!(!shown.contains("hunter2") && !shown.contains(TOKEN), "{shown}");
    assert!(shown.contains("? yes") && shown.contains(" echo "), "{shown}");
    assert!(!stage.argv().iter().any(|word| word.contains("StrictHostKeyChecking")));
}

#[test]
fn breaking_off_at_a_hidden_question_leaves_the_echo_on() {
    let service = Service::start(Manner::accepting(TOKEN));
    let hidden = "Enter passphrase for key '/k': ";
    let stage = Stage::new().prompts(&[hidden]);
    let line = format!("trap : INT; {}; stty -a < /dev/tty", line(&service, ""));
    let mut terminal = Terminal::run(&stage, &line);
    terminal.expect(hidden);
    terminal.type_in("half\u{3}");
    let shown = terminal.end();
    assert!(shown.contains(" echo ") && !shown.contains("half"), "{shown}");
    assert_eq!(fs::read_to_string(stage.path("answer.1")).unwrap(), "");
}

#[test]
fn batch_mode_asks_nobody() {
    let service = Service::start(Manner::accepting(TOKEN));
    let stage = Stage::new().prompts(&["(alice@cue.example.org) Password:", PROMPT]);
    let shown = Terminal::run(&stage, &line(&service, "-oBatchMode=yes")).end();
    assert_eq!(stage.answered(1).code, "1");
    assert_eq!(stage.answered(2).answer, TOKEN);
    assert!(!shown.contains("Password"), "{shown}");
}

#[test]
fn confirmations_and_notices_of_ssh_are_shown() {
    let service = Service::start(Manner::accepting(TOKEN));
    let stage = Stage::new().prompts(&[]).then(
        "SSH_ASKPASS_PROMPT=none \"$SSH_ASKPASS\" 'Touch the key.' && SSH_ASKPASS_PROMPT=confirm \"$SSH_ASKPASS\" 'Allow forwarding?' && echo allowed; SSH_ASKPASS_PROMPT=confirm \"$SSH_ASKPASS\" 'Allow more?' || echo forbidden",
    );
    let mut terminal = Terminal::run(&stage, &line(&service, ""));
    terminal.expect("Allow forwarding? (y/n) ");
    assert!(terminal.shown.contains("Touch the key.\r\n"));
    terminal.type_in("y\n");
    terminal.expect("Allow more? (y/n) ");
    terminal.type_in("n\n");
    let shown = terminal.end();
    assert!(shown.contains("allowed\r\n") && shown.contains("forbidden\r\n"), "{shown}");
}

#[test]
fn whoever_is_about_to_work_over_there_is_told_once_that_the_agents_socket_stays_here() {
    let service = Service::start(Manner::accepting(TOKEN));
    for (own, rest, expected) in
        [("", "", true), ("", "id", false), ("--no-agent-forward", "", false), ("-q", "", false)]
    {
        let stage = Stage::new();
        let line = format!("OIDC_SOCK=/run/agent.sock {}", line(&service, rest));
        let shown = Terminal::run(&stage, &line.replace(" ssh ", &format!(" {own} ssh "))).end();
        assert_eq!(shown.matches("hint: ").count(), usize::from(expected), "{own} {rest}: {shown}");
    }
}

#[test]
fn what_a_server_says_can_not_act_on_the_terminal() {
    let service = Service::start(Manner::accepting(TOKEN));
    let stage = Stage::new().prompts(&["(alice@cue.example.org) \u{1b}[2JPIN:\u{7}"]);
    let mut terminal = Terminal::run(&stage, &line(&service, ""));
    terminal.expect("[2JPIN:");
    terminal.type_in("1\n");
    let shown = terminal.end();
    assert!(!shown.contains('\u{1b}') && !shown.contains('\u{7}'), "{shown:?}");
}

fn account_line(service: &Service, words: &str) -> String {
    format!(
        "{} --token {TOKEN} --mc-endpoint {} {words}; echo code $?",
        env!("CARGO_BIN_EXE_mccli"),
        service.url()
    )
}

#[test]
fn a_question_is_answered_by_yes_by_no_or_by_breaking_off_and_each_has_its_code() {
    for (typed, code, state) in
        [("y\n", 0, "suspended"), ("\n", 1, "deployed"), ("\u{3}", 130, "deployed")]
    {
        let service = Service::start(Manner { state: "deployed", ..Manner::accepting(TOKEN) });
        let stage = Stage::new();
        let line = format!("trap : INT; {}", account_line(&service, "suspend"));
        let mut terminal = Terminal::run(&stage, &line);
        terminal.expect("Lock your own account? Only an admin can unlock it. [y/N] ");
        terminal.type_in(typed);
        let shown = terminal.end();
        assert!(shown.contains(&format!("code {code}\r\n")), "{shown}");
        let shown = Terminal::run(&stage, &account_line(&service, "status")).end();
        assert!(shown.contains(&format!("state: {state}\r\n")), "{shown}");
    }
}

#[test]
fn with_no_input_nobody_is_asked_even_on_a_terminal() {
    let service = Service::start(Manner { state: "deployed", ..Manner::accepting(TOKEN) });
    let stage = Stage::new().prompts(&["(alice@cue.example.org) Password:", PROMPT]);
    let shown = Terminal::run(&stage, &account_line(&service, "--no-input suspend")).end();
    assert!(shown.contains("hint: Confirm with --yes.") && shown.contains("code 2"), "{shown}");
    let shown = Terminal::run(&stage, &line(&service, "--no-input")).end();
    assert_eq!(stage.answered(1).code, "1", "{shown}");
    assert_eq!(stage.answered(2).answer, TOKEN, "{shown}");
    assert!(!shown.contains("Password"), "{shown}");
}

/// mccli-ssh in PATH, and a service at this host that nobody has named.
fn unnamed(host: &str) -> (Stage, Service) {
    let service = Service::start_at(&format!("{host}:8080"), Manner::accepting(TOKEN));
    let stage = Stage::new()
        .prompts(&[&format!("(alice@{host}) Access Token:")])
        .then("grep -E '^Sig(Blk|Ign)' /proc/$$/status > $DOUBLE/signals; exit 0");
    let link = stage.path("bin").join("mccli-ssh");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_mccli"), link).unwrap();
    (stage, service)
}

#[test]
fn r38_a_host_that_turned_up_is_named_by_a_yes_and_the_ssh_behind_it_can_be_interrupted() {
    let host = "127.45.8.1";
    let (stage, service) = unnamed(host);
    let exec = format!("{} exec --", env!("CARGO_BIN_EXE_mccli"));
    let token = format!("export ACCESS_TOKEN={TOKEN};");
    let question = format!("Log in at {host} with your token");
    for above in ["", &exec] {
        let line = format!("{token} {above} mccli-ssh -F none {host}");
        let mut terminal = Terminal::run(&stage, &line);
        terminal.expect(&question);
        terminal.type_in("n\n");
        let shown = terminal.end();
        assert_eq!(fs::read_to_string(stage.path("answer.1")).unwrap(), "", "{shown}");
        assert!(service.heard().iter().all(|path| !path.contains("/user/")));
    }
    let mut terminal = Terminal::run(&stage, &format!("{token} {exec} mccli-ssh -F none {host}"));
    terminal.expect(&question);
    terminal.type_in("y\n");
    let shown = terminal.end();
    assert_eq!(stage.answered(1).answer, TOKEN, "{shown}");
    let signals = fs::read_to_string(stage.path("signals")).unwrap();
    assert!(signals.contains("SigBlk:\t0000000000000000"), "{signals}");
    // It is known from now on.
    let shown = Terminal::run(&stage, &format!("{token} mccli-ssh -F none {host}")).end();
    assert!(!shown.contains(&question), "{shown}");
    assert_eq!(stage.answered(1).answer, TOKEN, "{shown}");
}

#[test]
fn no_input_to_a_command_holds_for_every_ssh_below_it() {
    let host = "127.45.8.2";
    let (stage, _service) = unnamed(host);
    let mccli = env!("CARGO_BIN_EXE_mccli");
    let line = format!("ACCESS_TOKEN={TOKEN} {mccli} --no-input exec -- mccli-ssh -F none {host}");
    let shown = Terminal::run(&stage, &line).end();
    assert!(shown.contains("never named") && !shown.contains("Log in at"), "{shown}");
    assert_eq!(fs::read_to_string(stage.path("answer.1")).unwrap(), "");
}

#[test]
fn below_other_commands_the_user_answers_what_ssh_asks() {
    let host = "127.45.8.3";
    let (stage, _service) = unnamed(host);
    let hidden = "Enter passphrase for key '/k': ";
    let stage = stage.prompts(&[hidden, &format!("(alice@{host}) Access Token:")]);
    let folder = stage.path(".config/mccli");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("config.toml"), "[host.\"127.45.8.*\"]\n").unwrap();
    let mccli = env!("CARGO_BIN_EXE_mccli");
    let line =
        |own: &str| format!("ACCESS_TOKEN={TOKEN} {mccli} {own} exec -- mccli-ssh -F none {host}");
    let mut terminal = Terminal::run(&stage, &line(""));
    terminal.expect(hidden);
    terminal.type_in("hunter2\n");
    let shown = terminal.end();
    assert_eq!(stage.answered(1).answer, "hunter2", "{shown}");
    assert_eq!(stage.answered(2).answer, TOKEN, "{shown}");
    let shown = Terminal::run(&stage, &line("--no-input")).end();
    assert!(!shown.contains(hidden), "{shown}");
    assert_eq!(stage.answered(1).code, "1");
    assert_eq!(stage.answered(2).answer, TOKEN, "{shown}");
}

#[test]
fn a_spinner_shows_what_takes_long_and_leaves_the_terminal_clean() {
    // A service that never answers: the search takes until its limit.
    let silent = std::net::TcpListener::bind("127.77.0.21:8080").unwrap();
    let program = env!("CARGO_BIN_EXE_mccli");
    let stage = Stage::new();
    let line = |own: &str| {
        format!("TERM=xterm {program} {own} --allow-http endpoint 127.77.0.21; echo code $?")
    };
    let mut terminal = Terminal::run(&stage, &line(""));
    terminal.expect("looking for the service of 127.77.0.21");
    let shown = terminal.end();
    assert!(shown.contains("code 8"), "{shown}");
    for own in ["-q", "--json", "--color never"] {
        let shown = Terminal::run(&stage, &line(own)).end();
        assert!(!shown.contains("looking for"), "{own}: {shown}");
    }
    drop(silent);
}
