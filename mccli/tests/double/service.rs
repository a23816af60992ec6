//! A double of the service: the requests that mccli makes, answered as the daemon answers them.

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex},
};

/// Authority of the double's certificate for 127.0.0.1, as a file.
pub(crate) const CA_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/double/tls/ca.pem");

/// What the service does.
#[derive(Clone)]
pub(crate) struct Manner {
    /// The one token that it accepts.
    pub(crate) token: String,
    /// State of the account.
    pub(crate) state: &'static str,
    /// Name of the account.
    pub(crate) name: String,
    /// Takes long tokens in pieces.
    pub(crate) chunks: bool,
    /// Has one-time passwords.
    pub(crate) otp: bool,
    /// Knows `/user/status`.
    pub(crate) status: bool,
    /// State after a deployment.
    pub(crate) deploys_to: &'static str,
    /// Takes POST for what changes something; the Python stack does not.
    pub(crate) posts: bool,
    /// It is not below `/motley_cue` any more.
    pub(crate) moved: bool,
    /// Tokens are refused from the second request with one on: expired meanwhile, for instance.
    pub(crate) refuses_later: bool,
    /// Takes requests with a token and never answers them.
    pub(crate) hangs: bool,
    /// What admins were asked for.
    pub(crate) request: Value,
    /// Status code of every answer to a request with a token, if it is not 0.
    pub(crate) fails_with: u16,
    /// No account can be made.
    pub(crate) deploy_fails: bool,
}

impl Manner {
    /// Accepts this token for the account `alice`, which it makes when asked.
    pub(crate) fn accepting(token: &str) -> Self {
        Self {
            token: token.to_owned(),
            state: "not_deployed",
            name: "alice".to_owned(),
            chunks: false,
            otp: true,
            status: true,
            deploys_to: "deployed",
            posts: true,
            moved: false,
            refuses_later: false,
            hangs: false,
            request: Value::Null,
            fails_with: 0,
            deploy_fails: false,
        }
    }
}

/// A running double; it ends with the test process.
pub(crate) struct Service {
    scheme: &'static str,
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
    manner: Arc<Mutex<Manner>>,
}

impl Service {
    /// Listens on any port of 127.0.0.1.
    pub(crate) fn start(manner: Manner) -> Self {
        Self::start_at("127.0.0.1:0", manner)
    }

    /// Listens there.
    pub(crate) fn start_at(address: &str, manner: Manner) -> Self {
        Self::listen(address, manner, None)
    }

    /// Listens on any port of 127.0.0.1 with TLS.
    pub(crate) fn start_with_tls(manner: Manner) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let chain = CertificateDer::from_pem_slice(include_bytes!("tls/leaf.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/leaf.key")).unwrap();
        let config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![chain], key)
            .unwrap();
        Self::listen("127.0.0.1:0", manner, Some(Arc::new(config)))
    }

    fn listen(address: &str, manner: Manner, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let service = Self {
            scheme: if tls.is_some() { "https" } else { "http" },
            address: listener.local_addr().unwrap(),
            heard: Arc::default(),
            manner: Arc::new(Mutex::new(manner)),
        };
        let (heard, manner) = (Arc::clone(&service.heard), Arc::clone(&service.manner));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (heard, manner, tls) = (Arc::clone(&heard), Arc::clone(&manner), tls.clone());
                std::thread::spawn(move || match tls {
                    Some(config) => {
                        let connection = rustls::ServerConnection::new(config).unwrap();
                        serve(rustls::StreamOwned::new(connection, stream), &heard, &manner)
                    }
                    None => serve(stream, &heard, &manner),
                });
            }
        });
        service
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Changes what it does from now on.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Manner)) {
        change(&mut self.manner.lock().unwrap());
    }

    /// The paths that were asked for, in order.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

fn serve(stream: impl Read + Write, heard: &Mutex<Vec<String>>, manner: &Mutex<Manner>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let mut words = line.split(' ');
        let is_post = words.next() == Some("POST");
        let path = words.next().unwrap_or_default().to_owned();
        let mut token = None;
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header).unwrap_or(0) == 0 {
                return;
            }
            if header == "\r\n" {
                break;
            }
            if let Some((name, value)) = header.trim_end().split_once(": ")
                && name.eq_ignore_ascii_case("authorization")
            {
                token = value.strip_prefix("Bearer ").map(str::to_owned);
            }
        }
        heard.lock().unwrap().push(if is_post { format!("POST {path}") } else { path.clone() });
        if token.is_some() && manner.lock().unwrap().hangs {
            std::thread::sleep(super::PATIENCE);
            return;
        }
        let manner = &mut manner.lock().unwrap();
        let (status, body) = match is_post && !manner.posts {
            true => (405, json!({"detail": "Method Not Allowed"})),
            false => answer(&path, token.as_deref(), manner),
        };
        let body = body.to_string();
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        let answer = head + &body;
        let writer = reader.get_mut();
        if writer.write_all(answer.as_bytes()).and_then(|()| writer.flush()).is_err() {
            return;
        }
    }
}

fn answer(path: &str, token: Option<&str>, manner: &mut Manner) -> (u16, Value) {
    let (path, _query) = path.split_once('?').unwrap_or((path, ""));
    if manner.moved && path.starts_with("/motley_cue") {
        return (404, json!("the page of some other server"));
    }
    match path.trim_end_matches('/') {
        "" | "/motley_cue" => (
            200,
            json!({"description": motley_proto::rest::DESCRIPTION, "usage": "", "endpoints": {}}),
        ),
        "/info" | "/motley_cue/info" => {
            let mut info = json!({
                "login_info": {"description": "double", "ops_contact": "help@example.org"},
                "supported_OPs": ["https://op.example.org", "https://other.example.org"],
                "ops_info": {"https://op.example.org": {"scopes": ["openid"], "audience": ""}},
            });
            if manner.chunks {
                info["chunked_prompt"] = json!(true);
            }
            (200, info)
        }
        "/info/op" => (404, json!({"detail": "OP not supported"})),
        path => {
            let path = path.trim_start_matches("/motley_cue").to_owned();
            with_token(&path, token, manner)
        }
    }
}

fn with_token(path: &str, token: Option<&str>, manner: &mut Manner) -> (u16, Value) {
    if token != Some(manner.token.as_str()) {
        let text = "User identity could not be determined";
        return (401, json!({"error": "Unauthenticated", "error_description": text}));
    }
    if manner.fails_with != 0 {
        let text = "The double was told so";
        return (manner.fails_with, json!({"error": "Failed", "error_description": text}));
    }
    if manner.refuses_later && path.ends_with("deploy") {
        manner.token = "none any more".to_owned();
    }
    let state = manner.state;
    let named = matches!(state, "deployed" | "suspended" | "limited");
    let message = if named { format!("username {}", manner.name) } else { "No message".to_owned() };
    let name = if named { manner.name.as_str() } else { "" };
    match path {
        "/user/status" if manner.status => (
            200,
            json!({"state": state, "message": message, "credentials": {}, "username": name, "sub": "alice", "iss": "https://op.example.org", "request": manner.request}),
        ),
        "/user/get_status" => (200, json!({"state": state, "message": message, "credentials": {}})),
        "/user/deploy" if manner.deploy_fails => {
            let text = "Something went wrong";
            (500, json!({"state": state, "message": text, "credentials": {}}))
        }
        "/user/deploy" => {
            manner.state = manner.deploys_to;
            let credentials = match manner.deploys_to {
                "deployed" => json!({"ssh_user": manner.name}),
                _ => json!({}),
            };
            (
                200,
                json!({"state": manner.deploys_to, "message": "User was created.", "credentials": credentials}),
            )
        }
        "/user/suspend" | "/admin/suspend" => {
            manner.state = "suspended";
            (
                200,
                json!({"state": "suspended", "message": "User was suspended.", "credentials": {}}),
            )
        }
        "/user/generate_otp" => (200, json!({"supported": manner.otp, "successful": manner.otp})),
        "/info/authorisation" => (200, json!({"OP": "https://op.example.org"})),
        _ => (404, json!({"detail": "Not Found"})),
    }
}
