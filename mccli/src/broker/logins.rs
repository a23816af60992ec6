//! The logins that the broker holds, finds for hosts that are announced, and answers for.

use super::{
    Login, Order, Reply,
    guests::{Guest, Guests},
    process::{Process, Seen},
    script::{Script, Verdict},
    wire::{Asker, Invitation},
};
use crate::{
    cli::Options,
    context, credential,
    entry::Entry,
    error::{Error, Result},
    http::Http,
    service::Service,
    ssh_config::Settings,
};
use motley_proto::{Secret, rest::AccountState};

/// How long a token must still be valid to be used for another login, in seconds.
const LEAST_VALIDITY_S: f64 = 60.0;

/// A login, and how many one-time passwords it has got.
struct Kept {
    login: Login,
    minted: u64,
}

/// All logins, and the ssh processes that use them.
pub(super) struct Logins {
    kept: Vec<Kept>,
    guests: Guests,
    options: Option<Options>,
    named: Vec<String>,
    /// The user wants no questions at all.
    silent: bool,
    /// An ssh that nobody announced may ask the user.
    terminal: bool,
}

impl Logins {
    /// What an order begins with.
    pub(super) fn new(order: Order) -> Self {
        let Order { owner, guest, logins, options, named, silent } = order;
        let kept: Vec<Kept> = logins.into_iter().map(|login| Kept { login, minted: 0 }).collect();
        let mut guests = Guests::default();
        if let (Some(invitation), Some(first)) = (guest, kept.first()) {
            guests.expect(Guest::new(owner, invitation, 0, Script::new(&first.login)));
        }
        let terminal = guest.is_none_or(|invitation| invitation.terminal) && !silent;
        Self { kept, guests, options, named, silent, terminal }
    }

    /// What a prompt of this process gets.
    pub(super) fn answer(&mut self, prompt: &str, asking: Seen) -> Reply {
        let Some(guest) = self.guests.find(asking) else {
            return if self.terminal { Reply::AskUser } else { Reply::Nothing };
        };
        let Some(kept) = self.kept.get_mut(guest.login) else { return Reply::Nothing };
        match guest.script.judge(prompt) {
            Verdict::Answer(secret) => Reply::Answer(secret),
            Verdict::OneTimePassword => mint(guest, kept),
            // It is good once, and the same for all who log in at the same moment.
            Verdict::Spent if guest.minted != 0 && guest.minted < kept.minted => mint(guest, kept),
            // Told once: ssh asks again and again (NumberOfPasswordPrompts).
            Verdict::Spent if guest.script.is_told() => Reply::Nothing,
            Verdict::Spent => Reply::Spent(reason(&kept.login)),
            Verdict::Foreign if guest.terminal => Reply::AskUser,
            Verdict::Foreign => Reply::Nothing,
        }
    }

    /// Expects the ssh of this process at this host.
    pub(super) fn announce(
        &mut self,
        settings: Settings,
        asker: Asker,
        announcer: Process,
    ) -> Reply {
        let terminal = !settings.batch && !self.silent;
        let invitation = Invitation { asker, terminal };
        let at = match self.place_of(settings) {
            Ok(at) => at,
            Err(error @ Error::NoService(_)) => return Reply::Stranger(error.to_string()),
            Err(Error::UnnamedHost { endpoint, .. }) => {
                return Reply::Unnamed { endpoint, may_ask: terminal };
            }
            Err(error) => return Reply::Refused(error.to_string()),
        };
        let Some(kept) = self.kept.get(at) else { return Reply::Nothing };
        self.guests.expect(Guest::new(announcer, invitation, at, Script::new(&kept.login)));
        Reply::Welcome(kept.login.user.clone())
    }

    /// The login for a host: the one that is there while its token lasts, else a new one.
    fn place_of(&mut self, settings: Settings) -> Result<usize> {
        let known = self.kept.iter().position(|kept| kept.login.is_for(&settings));
        if let Some(at) = known
            && self.kept.get(at).is_some_and(|kept| lasts(&kept.login.token))
        {
            return Ok(at);
        }
        let options = self
            .options
            .as_ref()
            .ok_or_else(|| Error::Broker("it was started for one host only".to_owned()))?;
        let http = context::http(options, Some(&settings.hostname))?;
        let is_named = known.is_some() || self.named.contains(&settings.hostname);
        let entry = match is_named {
            true => Entry::find_named(&http, options, settings)?,
            false => Entry::find_if_named(&http, options, settings)?,
        };
        let login = entry.login(&http)?;
        match known.and_then(|at| Some((at, self.kept.get_mut(at)?))) {
            Some((at, kept)) => {
                kept.login = login;
                Ok(at)
            }
            None => {
                self.kept.push(Kept { login, minted: 0 });
                Ok(self.kept.len() - 1)
            }
        }
    }
}

impl Login {
    /// True if it is the one for an ssh with these settings.
    pub(crate) fn is_for(&self, settings: &Settings) -> bool {
        (self.hostname.as_str(), self.port) == (settings.hostname.as_str(), settings.port)
            && self.host == settings.host_in_prompts()
            && self.prefixed == settings.prefixes_prompts
    }
}

fn lasts(token: &Secret) -> bool {
    context::seconds_left(token).is_none_or(|left| left > LEAST_VALIDITY_S)
}

/// A new one-time password for each prompt: the service forgets it at its first use.
fn mint(guest: &mut Guest, kept: &mut Kept) -> Reply {
    let made = Http::new(kept.login.trust.clone()).and_then(|http| {
        let service = Service::new(&http, kept.login.endpoint.clone());
        credential::one_time_password(&service, &kept.login.token)
    });
    match made {
        Ok(password) => {
            kept.minted += 1;
            guest.minted = kept.minted;
            Reply::Answer(password)
        }
        Err(_) if guest.script.is_told() => Reply::Nothing,
        Err(error) => Reply::Spent(error.to_string()),
    }
}

/// Why the login node may have refused a token that the service took a moment ago.
fn reason(login: &Login) -> String {
    let refused = format!("{} did not accept the token", login.host);
    let Ok(http) = Http::new(login.trust.clone()) else { return refused };
    let service = Service::new(&http, login.endpoint.clone());
    match service.status(&login.token) {
        Ok(standing) => match (standing.state, standing.name) {
            (AccountState::Deployed, Some(name)) if name == login.user.as_str() => format!(
                "{refused}, though the service at {} does. Its operators find the reason in the log of the login node.",
                login.endpoint
            ),
            (AccountState::Deployed, Some(name)) => {
                format!("{refused}: it belongs to the account {name}, not to {}.", login.user)
            }
            (state, _) => format!("{refused}: your account is {state}. {}", standing.message),
        },
        Err(error @ (Error::TokenRefused { .. } | Error::NotAuthorised { .. })) => {
            format!("{refused}: {error}")
        }
        Err(error) => format!("{refused}, and the service can't say why: {error}"),
    }
}
