//! The way into one host: the account there, the credential for its prompt, and how ssh is started
//! so that it comes to that prompt.

use crate::{
    account::{self, Deployment},
    broker::{self, Invitation, Login, Order},
    cli::Options,
    context::{self, Wishes},
    credential::{self, OtpMode},
    error::{Error, Result},
    http::Http,
    master, named_hosts, report,
    source::Token,
    ssh_config::Settings,
    tty,
};
use motley_proto::UserName;
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

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
        let service = context::find_service_behind(http, options, &settings)?;
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

    /// The same at a host that the user names to this very command, which is remembered.
    ///
    /// # Errors
    /// As [`Entry::find`].
    pub(crate) fn find_named(http: &Http, options: &Options, settings: Settings) -> Result<Self> {
        let entry = Self::find(http, options, settings)?;
        named_hosts::remember(options, &entry.settings.label(), &entry.endpoint);
        Ok(entry)
    }

    /// The same at a host that may have turned up below another program: one that the user never
    /// named gets no token, whatever its service says.
    ///
    /// # Errors
    /// [`Error::UnnamedHost`] too.
    pub(crate) fn find_if_named(
        http: &Http,
        options: &Options,
        settings: Settings,
    ) -> Result<Self> {
        let label = settings.label();
        if !named_hosts::has(options, &label)? {
            let service = context::find_service_behind(http, options, &settings)?;
            return Err(named_hosts::unnamed(&label, service.endpoint()));
        }
        Self::find(http, options, settings)
    }

    /// `-l NAME`.
    pub(crate) fn login_option(&self) -> [OsString; 2] {
        ["-l".into(), self.user.as_str().into()]
    }

    /// Starts the process that answers the prompts of the ssh that this process becomes, or of the one
    /// that it starts first (see [`Settings::asker`]).
    ///
    /// # Errors
    /// When the token does not fit through ssh, or the process does not start.
    pub(crate) fn open(&self, http: &Http) -> Result<PathBuf> {
        let asker = self.settings.asker();
        broker::start(&Order {
            owner: broker::owner()?,
            guest: Some(Invitation { asker, terminal: !self.settings.batch && tty::is_there() }),
            logins: vec![self.login(http)?],
            options: None,
            named: Vec::new(),
            silent: false,
        })
    }

    /// What the broker needs to answer for this entry.
    ///
    /// # Errors
    /// When the token does not fit through ssh.
    pub(crate) fn login(&self, http: &Http) -> Result<Login> {
        let way = credential::choose(self.token.secret.len(), self.takes_chunks, self.mode)?;
        if !self.settings.prefixes_prompts && self.settings.jumps {
            return Err(Error::Ssh(
                "this ssh does not say which host asks, so with a jump host the token could go to the wrong one\nUpdate OpenSSH to 8.5 or later.".to_owned(),
            ));
        }
        report::debug(&format!("the token goes through ssh as {way:?}"));
        Ok(Login {
            hostname: self.settings.hostname.clone(),
            port: self.settings.port,
            host: self.settings.host_in_prompts().to_owned(),
            prefixed: self.settings.prefixes_prompts,
            user: self.user.clone(),
            token: self.token.secret.clone(),
            way,
            endpoint: self.endpoint.clone(),
            trust: http.trust().clone(),
        })
    }
}

/// Has the broker at this socket answer the prompts of a command.
pub(crate) fn answer_prompts_of(command: &mut Command, socket: &Path) {
    command.env("SSH_ASKPASS", broker::askpass_beside(socket)).env("SSH_ASKPASS_REQUIRE", "force");
    master::keep_out_of(command);
}
