//! The blocking exchange against peers that misbehave.

use motley_proto::{
    client::{Connection, ExchangeError},
    frame::{Cap, VERSION},
};
use std::{
    io::{Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    time::{Duration, Instant},
};

struct Server {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

fn serve(answer: impl FnOnce(UnixStream) + Send + 'static) -> Server {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || answer(listener.accept().unwrap().0));
    Server { path, _folder: folder }
}

fn ask(server: &Server, limit: Duration) -> (Result<String, ExchangeError>, Duration) {
    let start = Instant::now();
    let answer =
        Connection::open(&server.path, Cap::TASK, start + limit).and_then(|mut connection| {
            connection.send(&"question")?;
            connection.receive()
        });
    (answer, start.elapsed())
}

#[test]
fn a_question_gets_its_answer() {
    let server = serve(|stream| {
        let mut connection =
            Connection::from_stream(stream, Cap::TASK, Instant::now() + Duration::from_secs(5))
                .unwrap();
        let question: String = connection.receive().unwrap();
        connection.send(&format!("{question}!")).unwrap();
    });
    assert_eq!(ask(&server, Duration::from_secs(5)).0.unwrap(), "question!");
}

#[test]
fn r04_one_deadline_holds_for_a_peer_that_drips_bytes() {
    let server = serve(|mut stream| {
        for byte in [0, 0, 0, 200, VERSION].into_iter().chain(std::iter::repeat(b' ')) {
            if stream.write_all(&[byte]).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let (answer, took) = ask(&server, Duration::from_millis(400));
    assert!(matches!(answer, Err(ExchangeError::Deadline)), "{answer:?}");
    assert!(took < Duration::from_millis(1500), "{took:?}");
}

#[test]
fn r04_a_full_backlog_ends_at_the_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let listener = nix::sys::socket::socket(
        nix::sys::socket::AddressFamily::Unix,
        nix::sys::socket::SockType::Stream,
        nix::sys::socket::SockFlag::empty(),
        None,
    )
    .unwrap();
    use std::os::fd::AsRawFd;
    nix::sys::socket::bind(listener.as_raw_fd(), &nix::sys::socket::UnixAddr::new(&path).unwrap())
        .unwrap();
    nix::sys::socket::listen(&listener, nix::sys::socket::Backlog::new(0).unwrap()).unwrap();
    let deadline = Instant::now() + Duration::from_millis(600);
    let mut held = Vec::new();
    let error = loop {
        match Connection::open(&path, Cap::TASK, deadline) {
            Ok(connection) => held.push(connection),
            Err(error) => break error,
        }
        assert!(held.len() < 16, "the backlog never fills");
    };
    assert!(matches!(error, ExchangeError::Deadline), "{error:?}");
}

#[test]
fn end_of_file_in_mid_exchange_is_an_error_at_once() {
    for bytes in [&b""[..], &[0, 0], &[0, 0, 0, 9, VERSION, b'"']] {
        let server = serve(move |mut stream| {
            let mut question = [0u8; 64];
            let _ = stream.read(&mut question);
            stream.write_all(bytes).unwrap();
        });
        let (answer, took) = ask(&server, Duration::from_secs(5));
        assert!(matches!(answer, Err(ExchangeError::Closed)), "{answer:?}");
        assert!(took < Duration::from_secs(2));
    }
}

#[test]
fn r03_a_frame_of_four_gigabytes_is_refused_at_its_header() {
    let server = serve(|mut stream| {
        let mut question = [0u8; 64];
        let _ = stream.read(&mut question);
        let _ = stream.write_all(&[0xff, 0xff, 0xff, 0xff, VERSION]);
        std::thread::sleep(Duration::from_secs(3));
    });
    let (answer, took) = ask(&server, Duration::from_secs(10));
    assert!(matches!(answer, Err(ExchangeError::Frame(_))), "{answer:?}");
    assert!(took < Duration::from_secs(2));
}

#[test]
fn r02_a_server_under_a_third_uid_is_refused() {
    let server = serve(|_stream| std::thread::sleep(Duration::from_millis(200)));
    let connection =
        Connection::open(&server.path, Cap::TASK, Instant::now() + Duration::from_secs(2)).unwrap();
    let own = connection.peer().unwrap().uid;
    assert_eq!(own, nix::unistd::geteuid().as_raw());
    assert!(connection.require_server(Some(own)).is_ok());
    if own != 0 {
        assert!(matches!(
            connection.require_server(Some(own + 1)),
            Err(ExchangeError::WrongPeer(_))
        ));
    }
}
