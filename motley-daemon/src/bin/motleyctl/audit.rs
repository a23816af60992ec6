//! `audit`: the audit trail, read from its end, verified, put aside.

use super::{
    ask::{Daemon, Failure, unexpected},
    cli::{Audit, AuditVerb, Tail},
    show::{Output, date},
};
use motley_daemon::audit::{AuditError, Begins, verify};
use motley_proto::admin::{
    AdminAnswer, AdminRequest, BrokenLine, TrailCheck, TrailFilter, TrailStart,
};
use serde_json::Value;
use std::{
    fs::File,
    io::{self, Write, stdout},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

/// How often the daemon is asked for lines that came.
const POLL: Duration = Duration::from_secs(1);
/// Where the trail is unless the configuration says otherwise.
const USUAL_FILE: &str = "/var/lib/motley_cue/audit.jsonl";

/// Carries out one of the verbs.
pub(crate) fn run(daemon: &Daemon, output: Output, audit: Audit) -> Result<ExitCode, Failure> {
    match audit.verb {
        AuditVerb::Tail(wanted) => tail(daemon, output, &wanted),
        AuditVerb::Verify { file } => check(daemon, output, file),
        AuditVerb::Rotate => rotate(daemon, output),
    }
}

fn tail(daemon: &Daemon, output: Output, wanted: &Tail) -> Result<ExitCode, Failure> {
    let filter = TrailFilter { event: wanted.event.clone(), whom: wanted.target() };
    let mut start = TrailStart::Last(wanted.lines);
    loop {
        let request = AdminRequest::Trail { filter: filter.clone(), start };
        let AdminAnswer::Trail(page) = daemon.ask(&request)? else { return unexpected() };
        let written = page.lines.iter().try_for_each(|line| write(output, line));
        match written.and_then(|()| stdout().flush()) {
            Ok(()) => {}
            // Whoever reads has had enough, as `head` has.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
            Err(error) => return Err(error.into()),
        }
        start = TrailStart::After(page.next);
        match (page.more, wanted.follow) {
            (true, _) => {}
            (false, true) => std::thread::sleep(POLL),
            (false, false) => break,
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn write(output: Output, line: &str) -> io::Result<()> {
    if output.json {
        return writeln!(stdout(), "{line}");
    }
    writeln!(stdout(), "{}", motley_proto::text::escape(&readable(line), 4000))
}

/// A line for people: when, what, who, and whatever else it says.
fn readable(line: &str) -> String {
    let Ok(Value::Object(mut line)) = serde_json::from_str(line) else { return line.to_owned() };
    let time = line.remove("time").and_then(|time| time.as_i64()).map(date).unwrap_or_default();
    let event = line.remove("event").map(|event| word(&event)).unwrap_or_default();
    line.remove("previous");
    line.remove("request");
    let name = line.remove("name").or_else(|| line.remove("user")).map(|name| word(&name));
    let identity = line.remove("identity").map(|it| {
        let part = |key: &str| it.get(key).map(word).unwrap_or_default();
        format!("{} at {}", part("subject"), part("issuer"))
    });
    let rest = line.iter().filter(|(_, value)| !value.is_null());
    let rest = rest.map(|(key, value)| format!("{key}: {}", word(value)));
    let parts = name.into_iter().chain(identity).chain(rest).collect::<Vec<_>>();
    format!("{time}  {event:<24}  {}", parts.join(", "))
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Reads the file itself where that is permitted: then no word of the daemon has to be believed.
fn check(daemon: &Daemon, output: Output, file: Option<PathBuf>) -> Result<ExitCode, Failure> {
    let checked = match file {
        Some(file) => read_through(&file)?,
        None => match daemon.ask(&AdminRequest::Status) {
            Ok(AdminAnswer::Status(status)) if File::open(&status.audit).is_ok() => {
                read_through(Path::new(&status.audit))?
            }
            Ok(_) => match daemon.ask(&AdminRequest::VerifyTrail)? {
                AdminAnswer::TrailChecked(checked) => checked,
                _ => return unexpected(),
            },
            Err(Failure::NoAnswer(_)) if File::open(USUAL_FILE).is_ok() => {
                read_through(Path::new(USUAL_FILE))?
            }
            Err(failure) => return Err(failure),
        },
    };
    if output.json {
        output.write_json(&checked)?;
    }
    match &checked.broken {
        Some(line) => Err(Failure::Failed(format!(
            "{} line {} does not follow from the line before it: one of both was changed, or lines \
             between them were taken out",
            line.file, line.line
        ))),
        None if output.json => Ok(ExitCode::SUCCESS),
        None => {
            let begins = checked.after.as_ref();
            let begins = begins.map(|file| format!("; it begins after {file}, which is not here"));
            output.write_line(&format!(
                "{} lines in {} files, each follows from the one before{}",
                checked.lines,
                checked.files,
                begins.unwrap_or_default()
            ))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn read_through(file: &Path) -> Result<TrailCheck, Failure> {
    match verify(file) {
        Ok(checked) => Ok(TrailCheck {
            lines: checked.lines,
            files: checked.files,
            after: match checked.begins {
                Begins::AtTheStart => None,
                Begins::After(file) => Some(file),
            },
            broken: None,
        }),
        Err(AuditError::Broken { path, line }) => {
            let line = u64::try_from(line).unwrap_or(u64::MAX);
            let broken = BrokenLine { file: path.display().to_string(), line };
            Ok(TrailCheck { lines: 0, files: 0, after: None, broken: Some(broken) })
        }
        Err(error) => Err(Failure::Failed(error.to_string())),
    }
}

fn rotate(daemon: &Daemon, output: Output) -> Result<ExitCode, Failure> {
    let AdminAnswer::TrailRotated(file) = daemon.ask(&AdminRequest::RotateTrail)? else {
        return unexpected();
    };
    if output.json {
        output.write_json(&serde_json::json!({ "file": file }))?;
    } else {
        output.write_line(&format!("put aside as {file}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn a_line_reads_as_when_what_who_and_the_rest() {
        let line = r#"{"time":1800000000,"event":"login_granted","request":"r","identity":{"issuer":"https://op.example","subject":"7"},"name":"kim","rhost":"192.0.2.7","by":"token","previous":"start"}"#;
        let shown = readable(line);
        assert_eq!(
            shown,
            "2027-01-15T08:00:00Z  login_granted             kim, 7 at https://op.example, by: token, rhost: 192.0.2.7"
        );
        assert_eq!(readable("no json"), "no json");
    }
}
