//! The way to a provider: an authority of one's own, and a proxy.

use crate::double::{HandClock, Op};
use motley_daemon::clock::Clock;
use motley_daemon::identity::{
    FetchError, HttpSettings, NoKey, Provider, ProxyUrl, TokenRefusal, TokenVerifier,
};
use motley_proto::Issuer;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, KeyUsagePurpose};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// A certificate authority that nobody trusts who was not told to.
struct Authority {
    issuer: rcgen::Issuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let pem = params.self_signed(&key).unwrap().pem();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), pem).unwrap();
        Self { issuer: rcgen::Issuer::new(params, key), folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn acceptor(&self, name: &str) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        motley_daemon::identity::install_crypto();
        let config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

struct TlsListener(TcpListener, TlsAcceptor);

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let Ok((stream, from)) = self.0.accept().await else { continue };
            if let Ok(stream) = self.1.accept(stream).await {
                return (stream, from);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// A proxy that leads every name to one address and notes which names it was asked for.
struct ConnectProxy {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl ConnectProxy {
    async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(tunnel(stream, target, Arc::clone(&noted)));
            }
        });
        Self { url, asked }
    }
}

async fn tunnel(mut client: TcpStream, target: SocketAddr, asked: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = client.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    asked.lock().unwrap().push(head.lines().next().unwrap().to_owned());
    let mut server = TcpStream::connect(target).await.unwrap();
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
}

fn verifier(op: &Op, settings: &HttpSettings) -> TokenVerifier {
    let provider = Provider::new(Issuer::new(op.issuer.as_str()).unwrap());
    let clock: Arc<dyn Clock> = Arc::new(HandClock::default());
    TokenVerifier::new(vec![provider], settings, clock).unwrap()
}

#[tokio::test]
async fn a_provider_with_a_certificate_of_ones_own_authority_is_trusted_with_ca_file_only() {
    let authority = Authority::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let op = Op::serve(TlsListener(listener, authority.acceptor("localhost")), issuer);
    let trusting = HttpSettings { ca_file: Some(authority.file()), proxy: None };
    assert!(verifier(&op, &trusting).verify(&op.token("alice"), None).await.is_ok());

    let refused =
        verifier(&op, &HttpSettings::default()).verify(&op.token("alice"), None).await.unwrap_err();
    let TokenRefusal::NotVerified(NoKey::Unreachable { why, .. }) = &refused else {
        panic!("{refused}")
    };
    assert!(matches!(why, FetchError::Certificate(_)), "{refused}");
    assert!(refused.reason().contains("`ca_file`"), "{refused}");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused_whoever_signed_it() {
    let authority = Authority::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let op = Op::serve(TlsListener(listener, authority.acceptor("evil.example")), issuer);
    let trusting = HttpSettings { ca_file: Some(authority.file()), proxy: None };
    let refused = verifier(&op, &trusting).verify(&op.token("alice"), None).await.unwrap_err();
    assert!(refused.is_transient() && refused.reason().contains("certificate"), "{refused}");
}

#[tokio::test]
async fn the_proxy_of_the_configuration_carries_everything_and_names_are_left_to_it() {
    let authority = Authority::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = ConnectProxy::start(listener.local_addr().unwrap()).await;
    // A name that no resolver knows (RFC 6761 §6.4).
    let issuer = "https://op.invalid/realm".to_owned();
    let op = Op::serve(TlsListener(listener, authority.acceptor("op.invalid")), issuer);
    let settings =
        HttpSettings { ca_file: Some(authority.file()), proxy: ProxyUrl::parse(&proxy.url) };
    let verified = verifier(&op, &settings).verify(&op.token("alice"), None).await.unwrap();
    assert!(verified.sources().userinfo.is_some());
    let asked = proxy.asked.lock().unwrap().clone();
    assert!(!asked.is_empty());
    assert!(asked.iter().all(|line| line == "CONNECT op.invalid:443 HTTP/1.1"), "{asked:?}");
}

#[tokio::test]
async fn a_proxy_that_is_down_is_a_failure_of_a_moment_and_nothing_goes_around_it() {
    let authority = Authority::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let op = Op::serve(TlsListener(listener, authority.acceptor("localhost")), issuer);
    let gone = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://user:hunter2@{}", free.local_addr().unwrap())
    };
    let settings = HttpSettings { ca_file: Some(authority.file()), proxy: ProxyUrl::parse(&gone) };
    let refused = verifier(&op, &settings).verify(&op.token("alice"), None).await.unwrap_err();
    assert!(refused.is_transient(), "{refused}");
    // R06: the proxy's password is nobody's business.
    assert!(!refused.reason().contains("hunter2"), "{refused}");
    assert_eq!(op.asked_at_all(), 0);
}

#[tokio::test]
async fn r15_keys_outlive_a_reload_only_while_the_way_to_their_provider_is_the_same() {
    let (authority, other) = (Authority::new(), Authority::new());
    let op = Op::start().await;
    let plain = HttpSettings { ca_file: Some(authority.file()), proxy: None };
    let build = |settings: &HttpSettings| {
        let clock: Arc<dyn Clock> = Arc::new(HandClock::default());
        TokenVerifier::new(vec![op.configured()], settings, clock).unwrap()
    };
    let before = build(&plain);
    before.warm_up().await;
    let keeps = |settings: &HttpSettings| {
        let next = build(settings);
        next.take_over(&before);
        next.is_ready()
    };
    assert!(keeps(&plain));
    let proxied = HttpSettings { proxy: ProxyUrl::parse("http://127.0.0.1:9"), ..plain.clone() };
    assert!(!keeps(&proxied), "through other hands");
    assert!(!keeps(&HttpSettings::default()), "without the authority");
    std::fs::copy(other.file(), authority.file()).unwrap();
    assert!(!keeps(&plain), "another authority in the same file");
}
