//! Writes events to the systemd journal, each value escaped and in a field of its own.
//!
//! Spoken by hand, and not by a library, because values have to be escaped on their way: the journal
//! keeps line breaks and terminal sequences as they are, and shows them to whoever looks.

use motley_proto::text::escape;
use std::{
    fmt::{self, Write},
    io,
    os::unix::net::UnixDatagram,
    path::Path,
    time::Duration,
};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

/// What each message is filed under (`journalctl -t`).
const IDENTIFIER: &str = "motley-daemon";
/// Longest value, in characters, so that any event fits into one datagram.
const MAX_VALUE: usize = 4096;
/// How long a journal that is stuck may hold us up. The event is lost then; audit events are not here.
const PATIENCE: Duration = Duration::from_millis(200);

/// The journal as a layer of the log.
pub(super) struct Journal {
    socket: UnixDatagram,
}

impl Journal {
    /// Connects to the journal's socket.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { socket })
    }
}

/// Fields of an event or span, escaped.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, String)>,
}

impl Fields {
    fn keep(&mut self, field: &Field, value: &str) {
        let value = escape(value, MAX_VALUE);
        match field.name() {
            "message" => self.message = value,
            name => self.others.push((name, value)),
        }
    }

    /// ` name=value` for each, as in the text of a line.
    fn tell(&self, line: &mut String) {
        for (name, value) in &self.others {
            let _ = write!(line, " {name}={value}");
        }
    }

    /// `MOTLEY_NAME=value` for each.
    fn file(&self, entry: &mut String) {
        for (name, value) in &self.others {
            let name = name.to_ascii_uppercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
            let _ = writeln!(entry, "MOTLEY_{name}={value}");
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.keep(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.keep(field, &format!("{value:?}"));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Journal {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().insert(fields);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut message = std::mem::take(&mut fields.message);
        let mut around = String::new();
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(of_span) = span.extensions().get::<Fields>() {
                of_span.tell(&mut message);
                for (name, value) in &of_span.others {
                    let name = name.to_ascii_uppercase();
                    let span = span.name().to_ascii_uppercase();
                    let _ = writeln!(around, "MOTLEY_{span}_{name}={value}");
                }
            }
        }
        fields.tell(&mut message);
        let mut entry = String::with_capacity(message.len() + 256);
        let _ = writeln!(entry, "MESSAGE={message}");
        let _ = writeln!(entry, "PRIORITY={}", priority(*event.metadata().level()));
        let _ = writeln!(entry, "SYSLOG_IDENTIFIER={IDENTIFIER}");
        let _ = writeln!(entry, "CODE_MODULE={}", event.metadata().target());
        fields.file(&mut entry);
        entry.push_str(&around);
        // Nobody is left to be told when even the journal fails.
        let _ = self.socket.send(entry.as_bytes());
    }
}

/// Priorities of syslog(3).
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt;

    #[test]
    fn r31_an_event_is_one_entry_whose_fields_nobody_outside_can_add_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let journal = UnixDatagram::bind(&path).unwrap();
        let log = tracing_subscriber::registry().with(Journal::open(&path).unwrap());
        tracing::subscriber::with_default(log, || {
            let _in = tracing::error_span!("request", id = "abc").entered();
            let hostile = "x\nPRIORITY=0\nMESSAGE=forged\u{1b}[2J";
            tracing::warn!(name = hostile, agent = %hostile, status = 404_u16, "refused");
        });
        let mut buffer = [0; 8192];
        let count = journal.recv(&mut buffer).unwrap();
        let entry = std::str::from_utf8(&buffer[..count]).unwrap();
        let lines: Vec<&str> = entry.lines().collect();
        assert_eq!(lines.iter().filter(|line| line.starts_with("MESSAGE=")).count(), 1, "{entry}");
        assert!(lines[0].starts_with("MESSAGE=refused id=abc name=x\\u{a}PRIORITY=0"), "{entry}");
        for line in [
            "PRIORITY=4",
            "SYSLOG_IDENTIFIER=motley-daemon",
            "MOTLEY_STATUS=404",
            "MOTLEY_REQUEST_ID=abc",
        ] {
            assert!(lines.contains(&line), "{line}: {entry}");
        }
        assert!(!entry.contains('\u{1b}') && !lines.contains(&"PRIORITY=0"));
    }
}
