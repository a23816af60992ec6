//! The log of the process: as text, as JSON, or in the journal, with nothing in it that acts on a reader.

mod journal;
mod line;

use crate::config::{Config, LogFormat};
use line::{Escaping, Style};
use std::path::Path;
use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer, fmt, layer::SubscriberExt, registry::LookupSpan, util::SubscriberInitExt,
};

/// Where the journal takes messages (systemd, "Native Journal Protocol").
const JOURNAL_SOCKET: &str = "/run/systemd/journal/socket";

/// Begins to log to standard error or the journal, and tells how to follow another configuration.
pub fn start(config: &Config) -> impl Fn(&Config) + Send + Sync + use<> {
    let (filter, handle) = tracing_subscriber::reload::Layer::new(filter(config));
    let (output, missing) = output(config.mapper.log_format, Path::new(JOURNAL_SOCKET));
    tracing_subscriber::registry().with(filter).with(output).init();
    if let Some(error) = missing {
        tracing::warn!(
            %error,
            "[mapper] log_format = journal, but there is no journal here; the log is written as text"
        );
    }
    move |config: &Config| {
        // It fails only when the subscriber is gone, and then nobody logs.
        let _ = handle.reload(self::filter(config));
    }
}

type Output<S> = Box<dyn Layer<S> + Send + Sync>;

/// The layer that writes, and what kept it from being the wanted one.
fn output<S>(format: LogFormat, journal: &Path) -> (Output<S>, Option<std::io::Error>)
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let under_journal = leads_to_journal();
    match format {
        LogFormat::Json => (json(std::io::stderr), None),
        LogFormat::Text => (text(std::io::stderr, under_journal), None),
        LogFormat::Auto if !under_journal => (text(std::io::stderr, false), None),
        LogFormat::Auto | LogFormat::Journal => match journal::Journal::open(journal) {
            Ok(journal) => (Box::new(journal), None),
            Err(_) if format == LogFormat::Auto => (text(std::io::stderr, under_journal), None),
            Err(error) => (text(std::io::stderr, under_journal), Some(error)),
        },
    }
}

/// systemd names the device and inode of the journal's stream, so that a process whose standard error
/// was led elsewhere notices (systemd.exec(5), `$JOURNAL_STREAM`).
fn leads_to_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let Ok(own) = nix::sys::stat::fstat(std::io::stderr()) else { return false };
    stream == format!("{}:{}", own.st_dev, own.st_ino)
}

fn json<S, W>(write: fn() -> W) -> Output<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: std::io::Write + 'static,
{
    let writer = move || Escaping::new(write(), Style::Json);
    Box::new(fmt::layer().json().with_span_list(false).with_writer(writer))
}

/// The journal adds the time by itself.
fn text<S, W>(write: fn() -> W, has_time: bool) -> Output<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: std::io::Write + 'static,
{
    let writer = move || Escaping::new(write(), Style::Text);
    let lines = fmt::layer().with_writer(writer).with_ansi(false).with_target(false);
    if has_time { Box::new(lines.without_time()) } else { Box::new(lines) }
}

fn filter(config: &Config) -> EnvFilter {
    let level = config.mapper.log_level.to_string().to_lowercase();
    // The libraries below never speak more loudly than this, whatever level is configured: their
    // debug output could hold what they send.
    let directives = format!("warn,motley_daemon={level},feudal_plugins={level}");
    EnvFilter::try_new(directives).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::Write,
        sync::{Mutex, PoisonError},
    };

    static WRITTEN: Mutex<Vec<u8>> = Mutex::new(Vec::new());

    struct Keep;
    impl Write for Keep {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            WRITTEN.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    const HOSTILE: &str = "/x\r\nERROR forged\u{1b}[2J\u{202e}\u{85}\0";

    fn log_hostile(output: Output<tracing_subscriber::Registry>) -> String {
        let log = tracing_subscriber::registry().with(output);
        tracing::subscriber::with_default(log, || {
            let _in = tracing::error_span!("request", id = %HOSTILE).entered();
            tracing::info!(path = HOSTILE, agent = %HOSTILE, name = ?HOSTILE, "{HOSTILE}");
        });
        let bytes = std::mem::take(&mut *WRITTEN.lock().unwrap_or_else(PoisonError::into_inner));
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn r31_text_from_outside_stays_one_line_and_acts_on_nothing_in_text_and_json() {
        for (is_json, output) in [(false, text(|| Keep, false)), (true, json(|| Keep))] {
            let written = log_hostile(output);
            assert_eq!(written.matches('\n').count(), 1, "{written:?}");
            let line = written.trim_end_matches('\n');
            assert!(!line.chars().any(motley_proto::text::acts), "{line:?}");
            assert!(line.contains("forged"));
            if is_json {
                let read: serde_json::Value = serde_json::from_str(line).unwrap();
                assert_eq!(read["fields"]["path"], HOSTILE);
            }
        }
    }

    #[test]
    fn without_a_journal_the_log_is_text_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let nowhere = folder.path().join("socket");
        let (_, missing) = output::<tracing_subscriber::Registry>(LogFormat::Journal, &nowhere);
        assert!(missing.is_some());
        let (_, missing) = output::<tracing_subscriber::Registry>(LogFormat::Auto, &nowhere);
        assert!(missing.is_none());
    }
}
