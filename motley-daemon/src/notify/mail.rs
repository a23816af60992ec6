//! Hands a mail to the server that the configuration names.

use crate::config::{Config, EmailConfig};
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{
        Mailbox,
        header::{ContentType, HeaderName, HeaderValue},
    },
    transport::smtp::{
        Error as SmtpError,
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
    },
};
use motley_proto::text::escape;
use std::{future::Future, net::IpAddr, path::PathBuf, time::Duration};

/// For one step of the conversation with the mail server.
const STEP_TIME: Duration = Duration::from_secs(15);
/// For all of it.
const WHOLE_TIME: Duration = Duration::from_secs(25);

/// A mail in plain text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// One line.
    pub subject: String,
    /// The text.
    pub body: String,
    /// For whom.
    pub to: Addressee,
}

/// Who gets a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addressee {
    /// Those of `[notify] to`, else the admins.
    Watchers,
    /// Those of `admin_email`.
    Admins,
    /// One person, at this address.
    Person(String),
}

/// Why a mail was not sent, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// An address can't be read.
    #[error("{option}: {text} is no mail address; write name@example.org")]
    Address {
        /// Option of the configuration.
        option: &'static str,
        /// What stands there.
        text: String,
    },
    /// Nobody is to get it.
    #[error("nobody is named to get the mail; set [notify] to, or admin_email in [notifier.email]")]
    Nobody,
    /// The mail could not be put together.
    #[error("the mail could not be put together: {0}")]
    Message(String),
    /// The file of authorities can't be read.
    #[error("[mapper] ca_file {path}: {why}")]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The server took too long.
    #[error(
        "{server} did not finish within 25 seconds; is it reachable, and does use_ssl fit the port?"
    )]
    Time {
        /// The server.
        server: String,
    },
    /// The server could not be reached, or refused.
    #[error("{server}: {why}; {cure}")]
    Server {
        /// The server.
        server: String,
        /// What it said, escaped.
        why: String,
        /// What to do.
        cure: &'static str,
    },
}

/// Takes mail to where it is delivered.
pub trait Courier: Sync {
    /// Hands the mail over, and tells what the server said.
    ///
    /// # Errors
    /// When the server did not take it, or did not say that it did.
    fn send(&self, mail: &Mail) -> impl Future<Output = Result<String, MailError>> + Send;
}

/// The mail server of section `[notifier.email]`.
pub struct Smtp {
    email: EmailConfig,
    watchers: Vec<String>,
    authorities: Option<PathBuf>,
}

impl Smtp {
    /// As configured. Nothing is asked of the server yet.
    pub fn new(config: &Config) -> Self {
        let email = config.adapter.email.clone();
        let own = &config.notify.to;
        let watchers = if own.is_empty() { email.receivers.clone() } else { own.clone() };
        Self { email, watchers, authorities: config.mapper.ca_file.clone() }
    }

    fn receivers<'a>(&'a self, to: &'a Addressee) -> &'a [String] {
        match to {
            Addressee::Watchers => &self.watchers,
            Addressee::Admins => &self.email.receivers,
            Addressee::Person(address) => std::slice::from_ref(address),
        }
    }

    /// Greets the server, logs in where there is a password, and leaves without sending anything.
    ///
    /// # Errors
    /// When the server is not there or will not have us, or an address is none.
    pub async fn greet(&self) -> Result<String, MailError> {
        self.message(&super::test_mail())?;
        let transport = self.transport()?;
        let greeted = tokio::time::timeout(WHOLE_TIME, transport.test_connection()).await;
        let answers = greeted
            .map_err(|_| MailError::Time { server: self.server() })?
            .map_err(|error| self.refused(&error))?;
        let said = if answers { "answers" } else { "answers, but not to a greeting" };
        Ok(format!("{} {said}", self.server()))
    }

    fn server(&self) -> String {
        format!("mail server {}:{}", escape(&self.email.server, 200), self.email.port)
    }

    fn message(&self, mail: &Mail) -> Result<Message, MailError> {
        let receivers = self.receivers(&mail.to);
        if receivers.is_empty() {
            return Err(MailError::Nobody);
        }
        let mut message = Message::builder()
            .from(address("sent_from", &self.email.sender)?)
            .subject(escape(&mail.subject, 200))
            .header(ContentType::TEXT_PLAIN)
            // RFC 3834 §5: keeps holiday notices away.
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ));
        for to in receivers {
            message = message.to(address("to", to)?);
        }
        message.body(mail.body.clone()).map_err(|error| MailError::Message(error.to_string()))
    }

    fn transport(&self) -> Result<AsyncSmtpTransport<Tokio1Executor>, MailError> {
        let mut builder =
            AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&self.email.server)
                .port(self.email.port)
                .timeout(Some(STEP_TIME))
                .tls(self.tls()?);
        if let Some(password) = &self.email.password {
            let password = password.expose().to_owned();
            builder = builder.credentials(Credentials::new(self.email.sender.clone(), password));
        }
        Ok(builder.build())
    }

    /// A password only travels where the server has proved its name, or on this host. Without one,
    /// TLS that is taken when offered (RFC 7435) needs no proof: who could forge it could as well
    /// leave the offer out.
    fn tls(&self) -> Result<Tls, MailError> {
        let far = !is_this_host(&self.email.server);
        Ok(match (self.email.tls, self.email.password.is_some() && far) {
            (true, _) => Tls::Wrapper(self.proved()?),
            (false, true) => Tls::Required(self.proved()?),
            (false, false) => {
                let parameters = TlsParameters::builder(self.email.server.clone())
                    .dangerous_accept_invalid_certs(true)
                    .dangerous_accept_invalid_hostnames(true);
                Tls::Opportunistic(parameters.build().map_err(|error| self.refused(&error))?)
            }
        })
    }

    fn proved(&self) -> Result<TlsParameters, MailError> {
        let mut parameters = TlsParameters::builder(self.email.server.clone());
        if let Some(path) = &self.authorities {
            let wrong = |why: String| MailError::Authorities { path: path.clone(), why };
            let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
            let certificate = Certificate::from_pem(&pem).map_err(|e| wrong(e.to_string()))?;
            parameters = parameters.add_root_certificate(certificate);
        }
        parameters.build().map_err(|error| self.refused(&error))
    }

    fn refused(&self, error: &SmtpError) -> MailError {
        let why = escape(&error.to_string(), 300);
        MailError::Server { server: self.server(), why, cure: cure(error) }
    }
}

impl Courier for Smtp {
    async fn send(&self, mail: &Mail) -> Result<String, MailError> {
        let (message, transport) = (self.message(mail)?, self.transport()?);
        let sent = tokio::time::timeout(WHOLE_TIME, transport.send(message)).await;
        let response = sent
            .map_err(|_| MailError::Time { server: self.server() })?
            .map_err(|error| self.refused(&error))?;
        let said: Vec<&str> = response.message().collect();
        Ok(escape(&format!("{}: {} {}", self.server(), response.code(), said.join(" ")), 500))
    }
}

fn address(option: &'static str, text: &str) -> Result<Mailbox, MailError> {
    text.trim()
        .parse()
        .map_err(|_| MailError::Address { option, text: format!("{:?}", escape(text, 200)) })
}

fn is_this_host(server: &str) -> bool {
    server.eq_ignore_ascii_case("localhost")
        || server.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn cure(error: &SmtpError) -> &'static str {
    let code = error.status().map(|code| code.to_string());
    match code.as_deref() {
        Some("530" | "534" | "535" | "538") => {
            "the login was refused: check sent_from and sent_from_password in [notifier.email]"
        }
        Some(code) if code.starts_with('5') => {
            "the server refuses this mail: check sent_from, admin_email and [notify] to"
        }
        Some(_) => "the server can't take it now; it is tried again",
        None if is_about_tls(error) => {
            "TLS failed: check smtp_server against the name in its certificate, use_ssl against the port, \
             and ca_file"
        }
        None => "check smtp_server, smtp_port and use_ssl in [notifier.email], and that it runs",
    }
}

/// True when the handshake failed; most of these come as failures of the connection.
fn is_about_tls(error: &SmtpError) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = cause {
        let inside = current.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if current.is::<rustls::Error>() || inside.is_some_and(|it| it.is::<rustls::Error>()) {
            return true;
        }
        cause = current.source();
    }
    error.is_tls()
}
