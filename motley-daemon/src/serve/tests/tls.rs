//! TLS on the REST listeners: who gets in, how a new certificate comes, what happens to others.

use super::door::{OpenDoor, Plan, QUESTION, SOON, open};
use crate::{
    clock::{Clock, SystemClock, Timestamp},
    config::{Owners, TlsFiles},
    serve::{crowd::CrowdLimits, http::HttpLimits, tls::Tls},
};
use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ClientConfig, ProtocolVersion, RootCertStore,
    pki_types::{CertificateDer, ServerName},
};
use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// A certificate that is its own authority, with its key, as PEM texts.
struct Pair {
    certificate: String,
    key: String,
    der: CertificateDer<'static>,
}

fn pair(expires: Option<(i32, u8, u8)>) -> Pair {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["login.example.org".to_owned()]).unwrap();
    if let Some((year, month, day)) = expires {
        params.not_after = rcgen::date_time_ymd(year, month, day);
    }
    let certificate = params.self_signed(&key).unwrap();
    Pair {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
        der: certificate.der().clone(),
    }
}

struct House {
    folder: tempfile::TempDir,
    files: TlsFiles,
}

impl House {
    fn new(pair: &Pair) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [certificate, key] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
        let house = Self { folder, files: TlsFiles { certificate, key } };
        house.write(&house.files.certificate, &pair.certificate);
        house.write(&house.files.key, &pair.key);
        house
    }

    /// As careful programs do: a new file, renamed into its place.
    fn write(&self, path: &Path, text: &str) {
        let new = self.folder.path().join("new");
        fs::write(&new, text).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(&new, path).unwrap();
    }

    fn load(&self) -> Result<Arc<Tls>, String> {
        self.load_at(Arc::new(SystemClock))
    }

    fn load_at(&self, clock: Arc<dyn Clock>) -> Result<Arc<Tls>, String> {
        let owners = Owners { service: nix::unistd::geteuid().as_raw() };
        Tls::load(&self.files, owners, clock).map(Arc::new).map_err(|error| error.to_string())
    }

    async fn open(&self) -> (OpenDoor, Arc<Tls>) {
        let tls = self.load().unwrap();
        let limits = HttpLimits { head_time: Duration::from_millis(800), ..HttpLimits::default() };
        (open(Plan { limits, tls: Some(tls.clone()), ..Plan::default() }).await, tls)
    }
}

async fn connect(door: &OpenDoor, trusted: &Pair) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.der.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let name = ServerName::try_from("login.example.org").unwrap();
    let stream = TcpStream::connect(door.address).await?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// Asks, and reads the whole answer.
async fn is_answered(stream: &mut TlsStream<TcpStream>) -> bool {
    if stream.write_all(QUESTION).await.is_err() {
        return false;
    }
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(Ok(byte)) = timeout(SOON, stream.read_u8()).await else { return false };
        head.push(byte);
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.unwrap().parse().unwrap()];
    stream.read_exact(&mut body).await.is_ok() && head.starts_with("http/1.1 200")
}

#[tokio::test]
async fn rest_is_answered_over_tls() {
    let pair = pair(None);
    let house = House::new(&pair);
    let (door, _) = house.open().await;
    let mut stream = connect(&door, &pair).await.unwrap();
    let session = stream.get_ref().1;
    assert_eq!(session.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    assert_eq!(session.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert!(is_answered(&mut stream).await);
    let redirect = b"GET /api HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(redirect).await.unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.unwrap();
    let all = String::from_utf8_lossy(&all);
    assert!(all.contains("location: https://x/api/"), "{all}");
}

#[tokio::test]
async fn a_new_certificate_is_served_and_connections_that_are_open_go_on() {
    let (old, new) = (pair(None), pair(None));
    let house = House::new(&old);
    let (door, tls) = house.open().await;
    let mut before = connect(&door, &old).await.unwrap();
    assert!(is_answered(&mut before).await);

    house.write(&house.files.certificate, &new.certificate);
    tls.refresh();
    assert!(connect(&door, &old).await.is_ok(), "half a pair changes nothing");
    house.write(&house.files.key, &new.key);
    tls.refresh();
    assert!(connect(&door, &old).await.is_err(), "the old one is gone");
    let mut after = connect(&door, &new).await.unwrap();
    assert!(is_answered(&mut after).await);
    assert!(is_answered(&mut before).await, "a connection from before goes on");
}

#[tokio::test]
async fn files_that_are_being_written_or_broken_change_nothing() {
    let (old, new) = (pair(None), pair(None));
    let house = House::new(&old);
    let (door, tls) = house.open().await;
    for broken in ["", "-----BEGIN CERTIFICATE-----\nMIIB", &new.certificate[..200], &new.key] {
        fs::write(&house.files.certificate, broken).unwrap();
        tls.refresh();
        assert!(connect(&door, &old).await.is_ok(), "{broken:?}");
    }
    fs::remove_file(&house.files.key).unwrap();
    tls.refresh();
    assert!(connect(&door, &old).await.is_ok());
    house.write(&house.files.certificate, &new.certificate);
    house.write(&house.files.key, &new.key);
    tls.refresh();
    assert!(connect(&door, &new).await.is_ok());
}

#[tokio::test]
async fn the_files_are_watched_without_being_told() {
    let (old, new) = (pair(None), pair(None));
    let house = House::new(&old);
    let (door, tls) = house.open().await;
    let task = tokio::spawn(tls.watch(door.stop.subscribe()));
    house.write(&house.files.key, &new.key);
    house.write(&house.files.certificate, &new.certificate);
    let served = async {
        while connect(&door, &new).await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(SOON, served).await.unwrap();
    door.stop.send_replace(true);
    timeout(SOON, task).await.unwrap().unwrap();
}

/// Sends bytes in the clear and reads what comes until the other side closes.
async fn clear(door: &OpenDoor, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(door.address).await?;
    stream.write_all(bytes).await?;
    let mut all = Vec::new();
    timeout(SOON, stream.read_to_end(&mut all)).await.unwrap()?;
    Ok(all)
}

#[tokio::test]
async fn what_is_no_tls_gets_a_clean_end_and_no_answer() {
    let pair = pair(None);
    let house = House::new(&pair);
    let (door, _) = house.open().await;
    let got = clear(&door, QUESTION).await.unwrap();
    assert!(!got.windows(4).any(|part| part == b"HTTP"), "{got:?}");
    // A ClientHello of TLS 1.1, with suites that it had.
    let body = [&[3, 2][..], &[7; 32], &[0], &[0, 4, 0xc0, 0x14, 0, 0x2f], &[1, 0]].concat();
    let hello = [&[1, 0, 0, u8::try_from(body.len()).unwrap()][..], &body].concat();
    let record = [&[22, 3, 1, 0, u8::try_from(hello.len()).unwrap()][..], &hello].concat();
    let got = clear(&door, &record).await.unwrap();
    assert_eq!(got.first(), Some(&21), "an alert, not a handshake: {got:?}");
    let mut stream = connect(&door, &pair).await.unwrap();
    assert!(is_answered(&mut stream).await);
}

#[tokio::test]
async fn r30_slow_handshakes_hold_up_nobody_and_are_cut() {
    let pair = pair(None);
    let house = House::new(&pair);
    let tls = Some(house.load().unwrap());
    let limits = HttpLimits { head_time: Duration::from_secs(2), ..HttpLimits::default() };
    let crowd = CrowdLimits { connections: 8, per_source: 8 };
    let door = open(Plan { limits, tls, crowd, ..Plan::default() }).await;
    let mut slow = Vec::new();
    for _ in 0..16 {
        let mut stream = TcpStream::connect(door.address).await.unwrap();
        stream.write_all(&[22, 3, 1]).await.unwrap();
        slow.push(stream);
    }
    let mut stream = timeout(SOON, connect(&door, &pair)).await.unwrap().unwrap();
    assert!(is_answered(&mut stream).await);
    let mut rest = Vec::new();
    for stream in &mut slow {
        let _ = timeout(SOON, stream.read_to_end(&mut rest)).await.unwrap();
    }
}

#[tokio::test]
async fn the_service_stops_while_a_handshake_is_under_way() {
    let pair = pair(None);
    let house = House::new(&pair);
    let tls = Some(house.load().unwrap());
    let limits = HttpLimits {
        head_time: Duration::from_secs(3600),
        grace: SOON * 10,
        ..HttpLimits::default()
    };
    let door = open(Plan { limits, tls, ..Plan::default() }).await;
    let _slow = TcpStream::connect(door.address).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    door.stop.send_replace(true);
    assert!(timeout(SOON, door.task).await.is_ok());
}

#[test]
fn r33_a_wrong_pair_stops_the_start_and_names_option_file_and_cure() {
    let (one, other) = (pair(None), pair(None));
    let house = House::new(&one);
    let refused = |expected: &[&str]| {
        let Err(error) = house.load() else { panic!("{expected:?} was taken") };
        for part in expected {
            assert!(error.contains(part), "{part}: {error}");
        }
    };
    house.write(&house.files.key, &other.key);
    refused(&["[server] tls_key", "key.pem", "is not the key of", "belongs together"]);
    house.write(&house.files.key, "nothing");
    refused(&["[server] tls_key", "no whole private key in PEM"]);
    house.write(&house.files.key, &one.key);
    fs::set_permissions(&house.files.key, fs::Permissions::from_mode(0o644)).unwrap();
    refused(&["[server] tls_key", "others can read it", "chmod o-r"]);
    fs::set_permissions(&house.files.key, fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(&house.files.certificate, fs::Permissions::from_mode(0o666)).unwrap();
    refused(&["[server] tls_certificate", "can be changed by others", "chmod go-w"]);
    house.write(&house.files.certificate, &one.key);
    refused(&["[server] tls_certificate", "no whole certificate chain"]);
    fs::remove_file(&house.files.certificate).unwrap();
    refused(&["[server] tls_certificate", "cert.pem", "can't be read"]);
}

#[test]
fn an_end_that_is_near_or_past_is_told() {
    // 1 January 2090, in seconds.
    let ends = 3_786_912_000;
    let house = House::new(&pair(Some((2090, 1, 1))));
    for (seconds_before, told) in [
        (15 * 86_400, ""),
        (13 * 86_400 + 60, "expires soon: renew it certificate"),
        (86_400, "days=1"),
        (0, "has expired"),
        (-1, "has expired"),
    ] {
        let log = Log::default();
        let writer = log.clone();
        let lines = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
        let clock = Arc::new(Still(Timestamp(ends - seconds_before)));
        tracing::subscriber::with_default(lines, || house.load_at(clock).unwrap());
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert!(text.contains(told) && text.is_empty() == told.is_empty(), "{text}");
    }
}

struct Still(Timestamp);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        self.0
    }
}

#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
