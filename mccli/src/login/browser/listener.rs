//! The port of ours that the browser comes back to, and the terminal, for a browser elsewhere.

use super::{super::LoginError, answer::Answer};
use crate::{
    error::{Error, Result},
    http::Http,
    login::{client::Origin, screen::Waiting},
    report, tty,
};
use futures_util::{StreamExt, stream::FuturesUnordered};
use motley_proto::Secret;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::{
    fs::File,
    io::{self, ErrorKind, Read},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    os::fd::AsFd,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener as Listening, TcpStream},
    time::{Instant, sleep, sleep_until, timeout},
};
use zeroize::Zeroizing;

/// Ports that clients of oidc-agent have registered with `http://localhost:PORT`.
const AGENT_PORTS: [u16; 3] = [4242, 8080, 18250];
/// Longest request that is read, in bytes.
const MAX_REQUEST_BYTES: usize = 32 * 1024;
/// Longest time that a connection may take to say what it wants.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);
/// Longest line that is read from the terminal, in bytes: the kernel has no longer ones.
const MAX_LINE_BYTES: usize = 4096;

/// What the browser shows at the end.
const DONE: &str =
    "The login has reached mccli. You can close this window and go back to the terminal.";
const FAILED: &str = "The login did not succeed. Go back to the terminal; it says why.";
const NOTHING_HERE: &str = "There is nothing here.";

/// A bound port of 127.0.0.1, and of ::1 where a name leads here.
pub(super) struct Listener {
    listener: TcpListener,
    six: Option<TcpListener>,
    redirect: String,
}

impl Listener {
    /// Any port for a client of our own, one of the known ones for a client of oidc-agent.
    pub(super) fn open(origin: Origin) -> Result<Self> {
        let (listener, six) = match origin {
            Origin::OidcAgent => AGENT_PORTS.into_iter().find_map(|port| localhost(port).ok()).ok_or_else(
                || Error::Usage(format!("all of the ports {AGENT_PORTS:?} are in use, and this client can come back to no other\nLog in with --device, or name another client with --client-id.")),
            )?,
            _ => (TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, None),
        };
        for bound in [Some(&listener), six.as_ref()].into_iter().flatten() {
            bound.set_nonblocking(true)?;
        }
        let port = listener.local_addr()?.port();
        let redirect = match origin {
            Origin::OidcAgent => format!("http://localhost:{port}"),
            // The literal address: a name could lead elsewhere (RFC 8252 §8.3).
            _ => format!("http://127.0.0.1:{port}/"),
        };
        Ok(Self { listener, six, redirect })
    }

    /// Where the provider sends the browser.
    pub(super) fn redirect(&self) -> &str {
        &self.redirect
    }

    /// Waits for the answer with this state; everything else is turned away. Nobody listens any more
    /// when it is there.
    ///
    /// # Errors
    /// [`LoginError::Expired`] when none comes.
    pub(super) fn wait(
        self,
        http: &Http,
        state: &Secret,
        limit: Duration,
        waiting: &Waiting,
    ) -> Result<Answer> {
        http.run(|_| async {
            let listening = Listening::from_std(self.listener)?;
            let six = self.six.map(Listening::from_std).transpose()?;
            let terminal = tty::open().ok();
            if terminal.is_some() {
                report::always(
                    "Is the browser on another machine? Paste here the address that it ends at.",
                );
            }
            let end = Instant::now() + limit;
            let mut visitors = FuturesUnordered::new();
            loop {
                tokio::select! {
                    Ok((stream, _)) = listening.accept() => visitors.push(serve(stream, state)),
                    Some(Ok((stream, _))) = accept(six.as_ref()), if six.is_some() => {
                        visitors.push(serve(stream, state));
                    }
                    Some(Some(answer)) = visitors.next() => return Ok(answer),
                    () = sleep(waiting.step()) => {
                        waiting.tick();
                        if let Some(answer) = terminal.as_ref().and_then(|tty| pasted(tty, state)) {
                            return Ok(answer);
                        }
                    }
                    () = sleep_until(end) => return Err(LoginError::Expired.into()),
                }
            }
        })
    }
}

/// Both addresses that `localhost` may mean: the browser's code goes to nobody else who has one of
/// them. A machine may have no ::1.
fn localhost(port: u16) -> io::Result<(TcpListener, Option<TcpListener>)> {
    let four = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    match TcpListener::bind((Ipv6Addr::LOCALHOST, port)) {
        Ok(six) => Ok((four, Some(six))),
        Err(error) if has_no_such_address(&error) => Ok((four, None)),
        Err(error) => Err(error),
    }
}

fn has_no_such_address(error: &io::Error) -> bool {
    error.kind() == ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(libc::EAFNOSUPPORT)
}

async fn accept(listener: Option<&Listening>) -> Option<io::Result<(TcpStream, SocketAddr)>> {
    Some(listener?.accept().await)
}

/// The answer in a line that the user typed, if one is there.
fn pasted(mut terminal: &File, state: &Secret) -> Option<Answer> {
    let mut watched = [PollFd::new(terminal.as_fd(), PollFlags::POLLIN)];
    let typed = poll(&mut watched, PollTimeout::ZERO).is_ok_and(|ready| ready > 0);
    if !typed {
        return None;
    }
    let mut bytes = Zeroizing::new([0u8; MAX_LINE_BYTES]);
    let count = terminal.read(bytes.as_mut_slice()).ok()?;
    let line = std::str::from_utf8(bytes.get(..count)?).unwrap_or_default();
    let answer = Answer::read(line, state);
    if answer.is_none() && !line.trim().is_empty() {
        report::always(
            "That is not the address of this login: it is the one that the browser could not open, with code and state in it.",
        );
    }
    answer
}

/// Answers one connection; its answer, if it brought the one that is waited for.
async fn serve(mut stream: TcpStream, state: &Secret) -> Option<Answer> {
    let head = timeout(REQUEST_LIMIT, read_head(&mut stream)).await.ok().flatten()?;
    let mut words = head.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    let answer = (method == "GET").then(|| Answer::read(target, state)).flatten();
    let (status, text) = match &answer {
        Some(answer) if answer.error.is_none() && answer.code.is_some() => ("200 OK", DONE),
        Some(_) => ("200 OK", FAILED),
        None => ("404 Not Found", NOTHING_HERE),
    };
    let page = page(status, text);
    let _ = timeout(REQUEST_LIMIT, async {
        stream.write_all(page.as_bytes()).await?;
        stream.shutdown().await
    })
    .await;
    answer
}

async fn read_head(stream: &mut TcpStream) -> Option<Zeroizing<String>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_REQUEST_BYTES));
    while !bytes.windows(4).any(|end| end == b"\r\n\r\n") {
        if bytes.len() >= MAX_REQUEST_BYTES || stream.read_buf(&mut *bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some(Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned()))
}

/// A page that loads nothing, and sends the address with the code in it nowhere.
fn page(status: &str, text: &str) -> String {
    let body = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>mccli</title><link rel=\"icon\" href=\"data:,\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <style>body{{font:1.1rem/1.5 sans-serif;margin:15vh auto;max-width:32rem;padding:0 1rem;\
         color-scheme:light dark}}</style><h1>mccli</h1><p>{text}</p></html>"
    );
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
         Content-Security-Policy: default-src 'none'; img-src data:; style-src 'unsafe-inline'\r\n\
         Referrer-Policy: no-referrer\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_of_localhost_is_ours_on_both_addresses_or_not_taken() {
        let other = match TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) {
            Ok(other) => other,
            Err(error) if has_no_such_address(&error) => return,
            Err(error) => panic!("{error}"),
        };
        let port = other.local_addr().unwrap().port();
        assert!(localhost(port).is_err(), "somebody else would get what comes to [::1]:{port}");
        drop(other);
        let (four, six) = localhost(port).unwrap();
        assert_eq!(four.local_addr().unwrap().port(), port);
        assert_eq!(six.unwrap().local_addr().unwrap().port(), port);
    }
}
