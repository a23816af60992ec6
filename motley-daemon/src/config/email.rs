//! How mail to the admins is sent: section `[notifier.email]` of `feudal_adapter.conf`.

use super::finding::{FindingKind, Findings, quoted};
use super::raw::Settings;
use motley_proto::Secret;
use std::{fmt, path::PathBuf};

/// The mail server, the sender and the receivers.
#[derive(Clone)]
pub struct EmailConfig {
    /// Name or address of the mail server.
    pub server: String,
    /// Its port.
    pub port: u16,
    /// TLS from the first byte.
    pub tls: bool,
    /// Sender; also the name to log in with where there is a password.
    pub sender: String,
    /// Password of the sender.
    pub password: Option<Secret>,
    /// Admins.
    pub receivers: Vec<String>,
    /// Folder of the texts.
    pub templates: PathBuf,
}

impl fmt::Debug for EmailConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the password.
        f.debug_struct("EmailConfig")
            .field("server", &self.server)
            .field("port", &self.port)
            .field("tls", &self.tls)
            .field("sender", &self.sender)
            .field("receivers", &self.receivers)
            .finish_non_exhaustive()
    }
}

/// Validates the section.
pub(super) fn email(settings: &Settings, found: &mut Findings) -> EmailConfig {
    let number = settings.number("smtp_port");
    let port = u16::try_from(number).ok().filter(|port| *port > 0).unwrap_or_else(|| {
        let what = format!("{} is no port", quoted(&number.to_string()));
        let cure = "write a number between 1 and 65535";
        found.problem(settings.finding(FindingKind::Value, "smtp_port", what, cure));
        25
    });
    let receivers = settings.text("admin_email").split([',', ' ', ';', '\n']);
    EmailConfig {
        server: settings.text("smtp_server").to_owned(),
        port,
        tls: settings.is_on("use_ssl"),
        sender: settings.text("sent_from").to_owned(),
        password: settings.secret("sent_from_password").filter(|it| !it.is_empty()).cloned(),
        receivers: receivers.filter(|it| !it.is_empty()).map(str::to_owned).collect(),
        templates: PathBuf::from(settings.text("templates_dir")),
    }
}
