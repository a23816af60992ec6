//! The options that every command takes, before it or behind it.

use crate::{
    broker::exposed_option,
    credential::OtpMode,
    report::{Form, Level},
};
use clap::{Args, ValueEnum};
use motley_proto::Secret;
use serde::{Deserialize, Serialize};
use std::{convert::Infallible, path::PathBuf};

/// Default limit for one request, in seconds.
const TIMEOUT_S: u64 = 10;

/// When output is coloured and progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Colour {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Colour {
    /// The same for what writes.
    pub(super) fn choice(self) -> anstream::ColorChoice {
        match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        }
    }
}

/// Options of all commands. Given before and after the command, the one before wins.
#[derive(Args, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Options {
    /// Access token [env: ACCESS_TOKEN, OIDC, OS_ACCESS_TOKEN, OIDC_ACCESS_TOKEN, WATTS_TOKEN, WATTSON_TOKEN]. Others on this machine can read a command line: prefer the options below
    #[arg(long, value_name = "TOKEN", value_parser = secret, allow_hyphen_values = true, group = "source", help_heading = "Access token sources")]
    #[serde(serialize_with = "exposed_option")]
    pub(crate) token: Option<Secret>,
    /// Account of oidc-agent [env: OIDC_AGENT_ACCOUNT]
    #[arg(
        long,
        visible_alias = "oidc",
        value_name = "SHORTNAME",
        group = "source",
        help_heading = "Access token sources"
    )]
    pub(crate) oa_account: Option<String>,
    /// Issuer whose default account of oidc-agent is used [env: OIDC_ISS, OIDC_ISSUER]
    #[arg(
        long,
        visible_alias = "issuer",
        value_name = "URL",
        group = "source",
        help_heading = "Access token sources"
    )]
    pub(crate) iss: Option<String>,
    /// File with an access token; - is the first line of standard input [env: MCCLI_TOKEN_FILE]
    #[arg(long, value_name = "FILE|-", group = "source", help_heading = "Access token sources")]
    pub(crate) token_file: Option<String>,
    /// Shell command that prints an access token [env: MCCLI_TOKEN_CMD]
    #[arg(long, value_name = "CMD", group = "source", help_heading = "Access token sources")]
    pub(crate) token_cmd: Option<String>,

    /// Mytoken, or @FILE with one, that access tokens are made of [env: MYTOKEN]
    #[arg(long, value_name = "MYTOKEN|@FILE", value_parser = secret, allow_hyphen_values = true, group = "source", help_heading = "Access token sources")]
    #[serde(serialize_with = "exposed_option")]
    pub(crate) mytoken: Option<Secret>,
    /// Server of a mytoken that does not name it itself [env: MYTOKEN_SERVER]
    #[arg(long, value_name = "URL", help_heading = "Access token sources")]
    pub(crate) mytoken_server: Option<String>,
    /// Take the token where WLCG bearer token discovery finds it: BEARER_TOKEN, BEARER_TOKEN_FILE, bt_u<UID>
    #[arg(long, group = "source", help_heading = "Access token sources")]
    pub(crate) wlcg: bool,
    /// Profile of the configuration file [env: MCCLI_PROFILE]
    #[arg(long, value_name = "NAME", help_heading = "Access token sources")]
    pub(crate) profile: Option<String>,
    /// Configuration file [env: MCCLI_CONFIG] [default: ~/.config/mccli/config.toml]
    #[arg(long, value_name = "FILE", help_heading = "Access token sources")]
    pub(crate) config: Option<PathBuf>,

    /// URL of the service, instead of looking for it on the host
    #[arg(long, value_name = "URL", help_heading = "Service")]
    pub(crate) mc_endpoint: Option<String>,
    /// Accept any certificate of the service: whoever sits on the way gets the token
    #[arg(long, help_heading = "Service")]
    pub(crate) insecure: bool,
    /// Trust the certificate authorities in this PEM file too (SSL_CERT_FILE replaces the system's)
    #[arg(long, value_name = "FILE", help_heading = "Service")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Allow plain http beyond this machine
    #[arg(long, help_heading = "Service")]
    pub(crate) allow_http: bool,
    /// Ask the service again instead of remembering its answers
    #[arg(long, help_heading = "Service")]
    pub(crate) no_cache: bool,
    /// Limit for one request [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600), help_heading = "Service")]
    pub(crate) timeout: Option<u64>,
    /// Do not make or change the account
    #[arg(long, help_heading = "Service")]
    pub(crate) no_deploy: bool,
    /// Use a one-time password for the login: auto does so for tokens that ssh can't carry
    #[arg(long, value_enum, value_name = "WHEN", help_heading = "Service")]
    pub(crate) otp: Option<OtpMode>,
    /// Forward the socket of oidc-agent: the remote root can use your accounts meanwhile
    #[arg(long, overrides_with = "no_agent_forward", help_heading = "Service")]
    pub(crate) agent_forward: bool,
    /// Do not forward the socket of oidc-agent (default)
    #[arg(long, overrides_with = "agent_forward", help_heading = "Service")]
    pub(crate) no_agent_forward: bool,

    /// Print facts as JSON, and errors as JSON on standard error
    #[arg(long, help_heading = "Verbosity")]
    pub(crate) json: bool,
    /// Only errors
    #[arg(short, long, help_heading = "Verbosity")]
    pub(crate) quiet: bool,
    /// Colours and progress: auto is on a terminal only [env: NO_COLOR]
    #[arg(long, value_enum, value_name = "WHEN", help_heading = "Verbosity")]
    pub(crate) color: Option<Colour>,
    /// Never ask, fail instead
    #[arg(long, help_heading = "Verbosity")]
    pub(crate) no_input: bool,
    /// Show every step (never a token)
    #[arg(long, help_heading = "Verbosity")]
    pub(crate) debug: bool,
    /// Least level of messages [env: LOG] [default: WARNING]
    #[arg(long, value_enum, ignore_case = true, value_name = "LEVEL", help_heading = "Verbosity")]
    pub(crate) log_level: Option<Level>,
    /// Accepted for old scripts; no version is ever looked up
    #[arg(long, hide = true)]
    pub(crate) disable_version_check: bool,
    /// Print the ssh command, with what it takes to answer its prompt, instead of running it
    #[arg(long, help_heading = "Verbosity")]
    pub(crate) dry_run: bool,
}

fn secret(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text.to_owned()))
}

impl Options {
    /// These options, completed by those after the command.
    pub(crate) fn over(self, later: Options) -> Options {
        Options {
            token: self.token.or(later.token),
            oa_account: self.oa_account.or(later.oa_account),
            iss: self.iss.or(later.iss),
            token_file: self.token_file.or(later.token_file),
            token_cmd: self.token_cmd.or(later.token_cmd),
            mytoken: self.mytoken.or(later.mytoken),
            mytoken_server: self.mytoken_server.or(later.mytoken_server),
            wlcg: self.wlcg || later.wlcg,
            profile: self.profile.or(later.profile),
            config: self.config.or(later.config),
            mc_endpoint: self.mc_endpoint.or(later.mc_endpoint),
            insecure: self.insecure || later.insecure,
            ca_file: self.ca_file.or(later.ca_file),
            allow_http: self.allow_http || later.allow_http,
            no_cache: self.no_cache || later.no_cache,
            timeout: self.timeout.or(later.timeout),
            no_deploy: self.no_deploy || later.no_deploy,
            otp: self.otp.or(later.otp),
            agent_forward: self.agent_forward || later.agent_forward,
            no_agent_forward: self.no_agent_forward || later.no_agent_forward,
            json: self.json || later.json,
            quiet: self.quiet || later.quiet,
            color: self.color.or(later.color),
            no_input: self.no_input || later.no_input,
            debug: self.debug || later.debug,
            log_level: self.log_level.or(later.log_level),
            disable_version_check: self.disable_version_check || later.disable_version_check,
            dry_run: self.dry_run || later.dry_run,
        }
    }

    /// For whom results are written.
    pub(crate) fn form(&self) -> Form {
        if self.json { Form::Json } else { Form::Text }
    }

    /// When colours are shown.
    pub(crate) fn colours(&self) -> anstream::ColorChoice {
        self.color.unwrap_or(Colour::Auto).choice()
    }

    /// How servers are trusted.
    pub(crate) fn trust(&self) -> crate::http::Trust {
        crate::http::Trust {
            ca_file: self.ca_file.clone(),
            any_certificate: self.insecure,
            allow_http: self.allow_http,
            timeout_s: self.timeout.unwrap_or(TIMEOUT_S),
        }
    }

    /// The least level of messages; a bad value of `LOG` is no reason to stop.
    pub(crate) fn level(&self, lookup: crate::source::Lookup<'_>) -> Level {
        let from_variable =
            || lookup("LOG").and_then(|text| clap::ValueEnum::from_str(&text, true).ok());
        if self.debug {
            Level::Debug
        } else if self.quiet {
            Level::Error
        } else {
            self.log_level.or_else(from_variable).unwrap_or(Level::Warning)
        }
    }
}
