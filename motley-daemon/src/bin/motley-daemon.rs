//! `motley-daemon`: starts the service, or checks its configuration.

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand};
use motley_daemon::{
    check_config::{CheckConfig, Form},
    config::{self, Config, Paths, Surroundings},
    daemon::{self, Reload},
    ffi, log,
};
use std::{path::PathBuf, process::ExitCode};

/// Lets people log in to this host with the OpenID Connect identity of their home organisation.
#[derive(Parser)]
#[command(name = "motley-daemon", version, about)]
struct Command {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run the service in the foreground until SIGTERM.
    Serve(Files),
    /// Read both configuration files, show what holds or everything that is wrong, and end.
    CheckConfig(Check),
}

#[derive(Args)]
struct Check {
    #[command(flatten)]
    check: CheckConfig,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args, Clone)]
struct Files {
    /// Configuration of the service. Else $MOTLEY_CUE_CONFIG, ~/.config/motley_cue/motley_cue.conf,
    /// /etc/motley_cue/motley_cue.conf.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Configuration of names, groups and accounts. Else $FEUDAL_ADAPTER_CONFIG and the usual places.
    #[arg(long, value_name = "FILE")]
    adapter_config: Option<PathBuf>,
}

impl Files {
    fn paths(&self) -> Paths {
        Paths { config: self.config.clone(), adapter: self.adapter_config.clone() }
    }

    fn load(&self) -> Result<Config, ExitCode> {
        match config::load(&self.paths(), &Surroundings::of_process()) {
            Ok((config, warnings)) => {
                for warning in warnings {
                    eprintln!("motley-daemon: warning: {warning}");
                }
                Ok(config)
            }
            Err(error) => {
                eprintln!("{error}");
                Err(ExitCode::from(78)) // EX_CONFIG of sysexits(3)
            }
        }
    }
}

fn main() -> ExitCode {
    match Command::parse().verb {
        Verb::CheckConfig(Check { check, json }) => {
            check.run(if json { Form::Json } else { Form::Text })
        }
        Verb::Serve(files) => match files.load() {
            Ok(config) => match serve(config, files) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("motley-daemon: {error:#}");
                    ExitCode::FAILURE
                }
            },
            Err(code) => code,
        },
    }
}

fn serve(config: Config, files: Files) -> anyhow::Result<()> {
    if nix::unistd::geteuid().is_root() {
        bail!(
            "refusing to run as root: this process talks to the network; start it as the user motley"
        );
    }
    harden().context("cannot harden this process")?;
    let set_level = log::start(&config);
    let passed = ffi::passed_sockets().context("sockets passed by the service manager")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let reload = Reload {
        load: Box::new(move || config::load(&files.paths(), &Surroundings::of_process())),
        applied: Box::new(move |config| set_level(config)),
    };
    let done = runtime.block_on(daemon::run(config, passed, reload));
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    done
}

/// Tokens pass through this memory: no core dumps, no debugger, no file that others can read.
fn harden() -> nix::Result<()> {
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_CORE, 0, 0)?;
    nix::sys::prctl::set_dumpable(false)
}
