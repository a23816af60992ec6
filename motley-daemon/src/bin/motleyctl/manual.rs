//! `motleyctl completions` and `motleyctl man`: generated from the command line's own definition.

use super::{ask::Failure, cli::Command};
use clap::CommandFactory;
use std::{io, process::ExitCode};

/// Writes the completion script.
pub(crate) fn completions(shell: clap_complete::Shell) -> Result<ExitCode, Failure> {
    clap_complete::generate(shell, &mut Command::command(), "motleyctl", &mut io::stdout());
    Ok(ExitCode::SUCCESS)
}

/// Writes the manual page.
pub(crate) fn page() -> Result<ExitCode, Failure> {
    render(&mut io::stdout())?;
    Ok(ExitCode::SUCCESS)
}

/// One page with a part for each command: an admin looks for the verb, not for its page.
fn render(to: &mut impl io::Write) -> io::Result<()> {
    let command = Command::command().disable_help_subcommand(true);
    let page = clap_mangen::Man::new(command.clone()).section("8").manual("motley");
    let mut head = Vec::new();
    page.render_title(&mut head)?;
    page.render_name_section(&mut head)?;
    page.render_synopsis_section(&mut head)?;
    page.render_description_section(&mut head)?;
    page.render_options_section(&mut head)?;
    // Each part begins with the same definition of the quotation mark; one is enough.
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut lines: Vec<&str> = Vec::new();
    for line in head.lines() {
        let is_definition = line.starts_with(".ie ") || line.starts_with(".el ");
        if !is_definition || !lines.contains(&line) {
            lines.push(line);
        }
    }
    writeln!(to, "{}\n.SH COMMANDS", lines.join("\n"))?;
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        describe(verb, "", to)?;
    }
    to.write_all(ENDING.as_bytes())
}

fn describe(verb: &clap::Command, before: &str, to: &mut impl io::Write) -> io::Result<()> {
    let name = format!("{before}{}", verb.get_name());
    let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
    let operands: Vec<String> = verb
        .get_positionals()
        .filter(|arg| !arg.is_hide_set())
        .map(|arg| arg.get_id().as_str().to_uppercase())
        .collect();
    let heading = format!("{name} {}", operands.join(" "));
    writeln!(to, ".TP\n\\fB{}\\fR\n{}", roff(heading.trim_end()), roff(&about))?;
    for arg in verb.get_opts().chain(
        verb.get_arguments()
            .filter(|arg| arg.get_num_args().is_some_and(|count| count.max_values() == 0)),
    ) {
        if arg.is_global_set()
            || arg.is_hide_set()
            || arg.get_id() == "help"
            || arg.get_id() == "version"
        {
            continue;
        }
        let Some(long) = arg.get_long() else { continue };
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        writeln!(to, ".RS\n.TP\n\\fB\\-\\-{}\\fR\n{}\n.RE", roff(long), roff(&help))?;
    }
    for below in verb.get_subcommands().filter(|below| below.get_name() != "help") {
        describe(below, &format!("{name} "), to)?;
    }
    Ok(())
}

/// The text with nothing in it that troff takes for a request (groff(7)).
fn roff(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('\n', " ");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

const ENDING: &str = ".SH EXIT STATUS
0 when everything was done, 1 when it was refused or failed, 2 when the command line is wrong, 3 when
part of it is still to be done and will be tried again, 4 when there is nobody of that name, 69 when
the daemon does not answer, 78 when check\\-config found mistakes.
.SH FILES
.TP
.I /run/motley_cue/admin.sock
Where the daemon answers.
.TP
.I /var/lib/motley_cue/audit.jsonl
The audit trail, unless the configuration names another file; those put aside end in a number.
.SH SEE ALSO
.BR motley-daemon (8),
.BR motley-root (8)
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_manual_page_is_the_generated_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../etc/man/motleyctl.8");
        let mut page = Vec::new();
        render(&mut page).unwrap();
        let page = String::from_utf8(page).unwrap();
        if std::env::var_os("MOTLEY_UPDATE_SAMPLES").is_some_and(|it| it == "1") {
            std::fs::write(path, &page).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap();
        assert!(committed == page, "run again with MOTLEY_UPDATE_SAMPLES=1");
        for verb in ["users undeploy NAME", "audit verify", "\\-\\-token\\-stdin"] {
            assert!(page.contains(verb), "{verb}");
        }
    }
}
