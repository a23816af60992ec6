//! A double of the daemon's side of the login conversation, honest or broken on purpose.

use super::{GOOD, Machine};
use motley_proto::{
    LoginName,
    client::{Connection, ExchangeError},
    frame::Cap,
    login::{
        Accept, Done, Hello, LoginRequest, LoginResult, Nonce, Step, TOKEN_PROMPT, chunk_prompt,
        split_chunk,
    },
};
use std::{
    os::unix::net::{UnixListener, UnixStream},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

/// The double; its threads end with the process.
pub(crate) struct Daemon {
    heard: Arc<Mutex<Vec<String>>>,
}

/// All requests that came in, as JSON.
pub(crate) type Heard = Arc<Mutex<Vec<String>>>;

impl Daemon {
    /// Serves every connection with `act`, one after the other.
    pub(crate) fn serve(
        machine: &Machine,
        act: impl Fn(UnixStream, &Heard) -> Result<(), ExchangeError> + Send + 'static,
    ) -> Self {
        Self::serve_from(UnixListener::bind(machine.socket()).unwrap(), act)
    }

    fn serve_from(
        listener: UnixListener,
        act: impl Fn(UnixStream, &Heard) -> Result<(), ExchangeError> + Send + 'static,
    ) -> Self {
        let heard = Heard::default();
        let ears = Arc::clone(&heard);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // The module may go at any time; the next connection is another login.
                let _ = act(stream, &ears);
            }
        });
        Self { heard }
    }

    /// Keeps the conversation as the real daemon does, with one good token.
    pub(crate) fn honest(machine: &Machine) -> Self {
        Self::serve(machine, |stream, heard| lead(stream, heard, |done| done))
    }

    /// Keeps the conversation, but changes every verdict.
    pub(crate) fn twisting(
        machine: &Machine,
        twist: impl Fn(Done) -> Done + Send + 'static,
    ) -> Self {
        Self::serve(machine, move |stream, heard| lead(stream, heard, &twist))
    }

    /// Keeps the conversation, in a process that the kernel says is `uid`.
    pub(crate) fn under_uid(machine: &Machine, uid: u32) -> Self {
        let path = machine.socket();
        std::fs::set_permissions(path.parent().unwrap(), world_writable()).unwrap();
        // The kernel notes the credentials of the thread that listens.
        let listener = thread::spawn(move || {
            super::ffi::become_user(uid);
            UnixListener::bind(path).unwrap()
        });
        Self::serve_from(listener.join().unwrap(), |stream, heard| lead(stream, heard, |it| it))
    }

    /// Asks for a token and then answers with these bytes, whatever it hears.
    pub(crate) fn answering_with(machine: &Machine, bytes: &'static [u8]) -> Self {
        Self::serve(machine, move |stream, heard| {
            let raw = stream.try_clone().map_err(ExchangeError::Io)?;
            let mut connection = open(stream)?;
            hear(&mut connection, heard)?;
            connection.send(&prompt(TOKEN_PROMPT))?;
            hear(&mut connection, heard)?;
            std::io::Write::write_all(&mut &raw, bytes).map_err(ExchangeError::Io)?;
            Ok(())
        })
    }

    /// The requests so far, as JSON.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

fn world_writable() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o777)
}

/// Takes a connection over with a generous deadline.
pub(crate) fn open(stream: UnixStream) -> Result<Connection, ExchangeError> {
    Connection::from_stream(stream, Cap::LOGIN, Instant::now() + Duration::from_secs(30))
}

/// Receives a request and writes it down.
pub(crate) fn hear(
    connection: &mut Connection,
    heard: &Heard,
) -> Result<LoginRequest, ExchangeError> {
    let request: LoginRequest = connection.receive()?;
    heard.lock().unwrap().push(serde_json::to_string(&request.wire()).unwrap());
    Ok(request)
}

/// A step that asks for a token.
pub(crate) fn prompt(text: &str) -> Step {
    let accept = Accept { opaque_min_bytes: None, codes: false };
    Step::Prompt { text: text.to_owned(), echo: false, accept }
}

/// Leads one conversation.
pub(crate) fn lead(
    stream: UnixStream,
    heard: &Heard,
    twist: impl Fn(Done) -> Done,
) -> Result<(), ExchangeError> {
    let mut connection = open(stream)?;
    let done = match hear(&mut connection, heard)? {
        LoginRequest::Account(question) => {
            let (result, message) = match question.user.as_str() {
                "alice" => (LoginResult::Allow, None),
                "carol" => (LoginResult::Suspended, Some("Suspended by the security team")),
                _ => (LoginResult::Unmanaged, None),
            };
            verdict(result, question.user, question.nonce, message)
        }
        LoginRequest::Hello(hello) => lead_login(&mut connection, heard, hello)?,
        _ => return Ok(()),
    };
    connection.send(&Step::Done(twist(done)))
}

fn lead_login(
    connection: &mut Connection,
    heard: &Heard,
    hello: Hello,
) -> Result<Done, ExchangeError> {
    let mut token = String::new();
    let mut text = TOKEN_PROMPT.to_owned();
    loop {
        connection.send(&prompt(&text))?;
        let LoginRequest::Answer(answer) = hear(connection, heard)? else {
            return Ok(verdict(LoginResult::Deny, hello.user, hello.nonce, None));
        };
        match split_chunk(answer.expose()) {
            Some((part, parts, piece)) => {
                token.push_str(piece);
                if part < parts {
                    text = chunk_prompt(part + 1);
                    continue;
                }
            }
            None => token.push_str(answer.expose()),
        }
        let good = token == GOOD;
        let result = if good { LoginResult::Allow } else { LoginResult::Deny };
        return Ok(verdict(result, hello.user, hello.nonce, None));
    }
}

fn verdict(result: LoginResult, user: LoginName, nonce: Nonce, message: Option<&str>) -> Done {
    Done { result, user, nonce, message: message.map(str::to_owned) }
}
