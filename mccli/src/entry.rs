//! The way into one host: the account there, the credential for its prompt, and how ssh is started
//! so that it comes to that prompt.

use crate::{
    account::{self, Deployment},
    broker::{self, Order},
    cli::Options,
    context::{self, Wishes},
    credential::{self, OtpMode, Way},
    error::{Error, Result},
    http::Http,
    master, report,
    service::Service,
    source::Token,
    ssh_config::{self, Settings},
    tty,
};
use motley_proto::{Secret, UserName};
use std::{ffi::OsString, path::PathBuf, process::Command};

/// What the login at one host needs.
pub(crate) struct Entry {
    /// What ssh makes of the host.
    pub(crate) settings: Settings,
    /// The account there.
    pub(crate) user: UserName,
    /// The token and where it came from.
    pub(crate) token: Token,
    /// Where the service is.
    pub(crate) endpoint: String,
    takes_chunks: bool,
    mode: OtpMode,
}

impl Entry {
    /// Finds service and token, and makes the account unless the user does not want that.
    ///
    /// # Errors
    /// Whatever keeps the user from getting in.
    pub(crate) fn find(http: &Http, options: &Options, settings: Settings) -> Result<Self> {
        if !settings.prefixes_prompts {
            ssh_config::require_askpass()?;
        }
        let service = context::find_service(http, options, Some(&settings.hostname))?;
        let facts = service.info()?;
        let token =
            context::find_token(options, Some(&settings.hostname), &Wishes::new(&service, &facts))?;
        let wanted = if options.no_deploy { Deployment::Unwanted } else { Deployment::Wanted };
        let user = account::login_name(&service, &facts, &token.secret, wanted)?;
        Ok(Self {
            takes_chunks: facts.info.chunked_prompt && settings.prefixes_prompts,
            mode: options.otp.unwrap_or_default(),
            endpoint: service.endpoint().to_owned(),
            settings,
            user,
            token,
        })
    }

    /// `-l NAME`.
    pub(crate) fn login_option(&self) -> [OsString; 2] {
        ["-l".into(), self.user.as_str().into()]
    }

    /// Starts the process that answers the prompts, for this process and what it becomes.
    ///
    /// # Errors
    /// When the token does not fit through ssh, or the process does not start.
    pub(crate) fn open(&self, http: &Http) -> Result<PathBuf> {
        let way = credential::choose(self.token.secret.len(), self.takes_chunks, self.mode)?;
        if !self.settings.prefixes_prompts && self.settings.jumps {
            return Err(Error::Ssh(
                "this ssh does not say which host asks, so with a jump host the token could go to the wrong one\nUpdate OpenSSH to 8.5 or later.".to_owned(),
            ));
        }
        let token = &self.token.secret;
        let service = Service::new(http, self.endpoint.clone());
        let password = match way {
            Way::OneTimePassword => Some(credential::one_time_password(&service, token)?),
            Way::Whole | Way::Chunks => None,
        };
        report::debug(&format!("the token goes through ssh as {way:?}"));
        broker::start(&self.order(token.clone(), password, way, http))
    }

    fn order(&self, token: Secret, password: Option<Secret>, way: Way, http: &Http) -> Order {
        Order {
            ssh_pid: nix::unistd::getpid().as_raw(),
            token,
            password,
            way,
            user: self.user.clone(),
            host: self.settings.host_in_prompts().to_owned(),
            prefixed: self.settings.prefixes_prompts,
            jumps: self.settings.jumps,
            terminal: !self.settings.batch,
            endpoint: self.endpoint.clone(),
            trust: http.trust().clone(),
        }
    }

    /// New hosts are accepted and changed keys refused where nobody can be asked; where somebody
    /// can, or where the user decided, nothing is touched.
    pub(crate) fn host_key_options(&self) -> Vec<OsString> {
        if self.settings.asks_about_host_keys && !tty::is_there() {
            vec!["-o".into(), "StrictHostKeyChecking=accept-new".into()]
        } else {
            Vec::new()
        }
    }
}

/// Makes this program answer the prompts of a command and of every ssh below it.
///
/// # Errors
/// When the own path can't be found.
pub(crate) fn answer_prompts_of(command: &mut Command, socket: &std::path::Path) -> Result<()> {
    let own_path = std::env::current_exe().map_err(Error::Output)?;
    command
        .env("SSH_ASKPASS", own_path)
        .env("SSH_ASKPASS_REQUIRE", "force")
        .env(broker::SOCKET_VARIABLE, socket);
    master::keep_out_of(command);
    Ok(())
}
