//! What most commands start with: the endpoint of a host, its facts, and a token that fits.

use crate::{
    cache::{self, Cache},
    claims,
    cli::Options,
    config::{Config, HostRule},
    endpoint::Place,
    error::{Error, Result},
    folders,
    http::Http,
    login, named_hosts, report,
    service::{Facts, Service},
    source::{self, Needs, Origins, ProfileChoice, Requirements, Token, environment},
    ssh_config::{SSH_PORT, Settings},
};
use motley_proto::Issuer;
use std::{cell::RefCell, path::PathBuf};

/// The user's configuration.
///
/// # Errors
/// [`Error::Config`].
pub(crate) fn configuration(options: &Options) -> Result<Config> {
    let named = named_configuration(options);
    Config::read(named.as_deref(), &folders::config().join("config.toml"))
}

/// The file that the user names instead of the usual one.
pub(crate) fn named_configuration(options: &Options) -> Option<PathBuf> {
    options.config.clone().or_else(|| environment("MCCLI_CONFIG").map(Into::into))
}

/// What the configuration says of a host; without one nothing.
///
/// # Errors
/// [`Error::Config`].
pub(crate) fn host_rule(options: &Options, host: Option<&str>) -> Result<HostRule> {
    match host {
        Some(host) => Ok(configuration(options)?.host(host)),
        None => Ok(HostRule::default()),
    }
}

/// A client for the service of a host, which trusts what the user and the host's rule name.
///
/// # Errors
/// As [`host_rule`] and [`Http::new`].
pub(crate) fn http(options: &Options, host: Option<&str>) -> Result<Http> {
    let mut trust = options.trust();
    if trust.ca_file.is_none() {
        trust.ca_file = host_rule(options, host)?.ca_file;
    }
    let http = Http::new(trust)?;
    if options.no_cache {
        return Ok(http);
    }
    let cache = Cache::new(folders::cache(), http.trust(), cache::now_s);
    Ok(http.remembering(cache))
}

/// The service that belongs to the host, to the host's rule or to `--mc-endpoint`.
///
/// # Errors
/// [`Error::Usage`] when none is given, else as [`Place::find`].
pub(crate) fn find_service<'a>(
    http: &'a Http,
    options: &Options,
    host: Option<&str>,
) -> Result<Service<'a>> {
    let named = match &options.mc_endpoint {
        Some(url) => Some(url.clone()),
        None => host_rule(options, host)?.endpoint,
    };
    let place = match (named, host) {
        (Some(url), _) => Place::Given(url),
        (None, Some(host)) => Place::Host(host.to_owned()),
        (None, None) => {
            return Err(Error::Usage("give a HOST, or the service with --mc-endpoint".to_owned()));
        }
    };
    find_at(http, place)
}

/// The service of the host that an ssh goes to.
///
/// # Errors
/// As [`Place::find`].
pub(crate) fn find_service_behind<'a>(
    http: &'a Http,
    options: &Options,
    settings: &Settings,
) -> Result<Service<'a>> {
    let is_tunnel = settings.port != SSH_PORT && crate::http::is_loopback(&settings.hostname);
    let is_given = options.mc_endpoint.is_some()
        || host_rule(options, Some(&settings.hostname))?.endpoint.is_some();
    match is_tunnel && !is_given {
        true => find_at(http, Place::Tunnel(settings.hostname.clone())),
        false => find_service(http, options, Some(&settings.hostname)),
    }
}

fn find_at(http: &Http, place: Place) -> Result<Service<'_>> {
    let searching = report::progress("looking for the service");
    let service = Service::find(http, place)?;
    drop(searching);
    let url = service.endpoint();
    let near = reqwest::Url::parse(url)
        .is_ok_and(|url| url.host_str().is_some_and(crate::http::is_loopback));
    if url.starts_with("http://") && !near {
        report::warning(&format!("{url} is not encrypted; the token can be read on the way"));
    }
    report::info(&format!("service at {url}"));
    Ok(service)
}

/// The service of a host that the user names to this very command, which is remembered.
///
/// # Errors
/// As [`find_service`].
pub(crate) fn find_named_service<'a>(
    http: &'a Http,
    options: &Options,
    host: Option<&str>,
) -> Result<Service<'a>> {
    let service = find_service(http, options, host)?;
    if let Some(host) = host {
        named_hosts::remember(options, host, service.endpoint());
    }
    Ok(service)
}

/// A token for the service, from the first source that has one, or from a login now.
///
/// # Errors
/// [`Error::NoToken`], [`Error::Config`], and what goes wrong with that login.
pub(crate) fn find_token(
    options: &Options,
    host: Option<&str>,
    needs: &dyn Requirements,
) -> Result<Token> {
    let profile = chosen_profile(options, host)?;
    let origins = Origins { options, lookup: &environment, needs, profile };
    match source::first_token(source::in_order(&origins), needs, source::now_s()) {
        Err(error @ Error::NoToken(_)) => login::offer(options, needs)?.ok_or(error),
        found => found,
    }
}

/// The same without offering a login, with the name of the source.
///
/// # Errors
/// [`Error::NoToken`], [`Error::Config`].
pub(crate) fn find_named_token(
    options: &Options,
    host: Option<&str>,
    needs: &dyn Requirements,
) -> Result<(String, Token)> {
    let profile = chosen_profile(options, host)?;
    let origins = Origins { options, lookup: &environment, needs, profile };
    source::first_named_token(source::in_order(&origins), needs, source::now_s())
}

/// The profile of `--profile`, of `MCCLI_PROFILE`, or of the rule for the host.
fn chosen_profile(options: &Options, host: Option<&str>) -> Result<Option<ProfileChoice>> {
    let config = configuration(options)?;
    let table = |name: &str| config.profile(name).map_err(Error::Usage);
    if let Some(name) = &options.profile {
        return Ok(Some(ProfileChoice::Option(name.clone(), table(name)?)));
    }
    let by_host = || host.and_then(|host| config.host(host).profile);
    environment("MCCLI_PROFILE")
        .or_else(by_host)
        .map(|name| Ok(ProfileChoice::Standing(name.clone(), table(&name)?)))
        .transpose()
}

/// The service's wishes, from `/info` and, for services that keep them there, `/info/op`.
pub(crate) struct Wishes<'a> {
    service: &'a Service<'a>,
    facts: &'a Facts,
    asked: RefCell<Vec<(String, Option<motley_proto::rest::OpInfo>)>>,
}

impl<'a> Wishes<'a> {
    /// Of this service.
    pub(crate) fn new(service: &'a Service<'a>, facts: &'a Facts) -> Self {
        Self { service, facts, asked: RefCell::default() }
    }

    /// True if the service supports the issuer, or does not list those that it supports.
    fn lists(&self, canonical: &str) -> bool {
        let listed = &self.facts.info.supported_ops;
        listed.is_empty() || listed.iter().any(|issuer| Issuer::canonical(issuer) == canonical)
    }

    fn ask(&self, issuer: &str) -> Result<Option<motley_proto::rest::OpInfo>> {
        if let Some((_, op)) = self.asked.borrow().iter().find(|(asked, _)| asked == issuer) {
            return Ok(op.clone());
        }
        let op = self.service.op(issuer)?;
        self.asked.borrow_mut().push((issuer.to_owned(), op.clone()));
        Ok(op)
    }
}

impl Requirements for Wishes<'_> {
    fn of(&self, issuer: &str) -> Needs {
        let wanted = Issuer::canonical(issuer);
        let listed = self.facts.info.ops_info.iter();
        if let Some((_, op)) = listed.into_iter().find(|(key, _)| Issuer::canonical(key) == wanted)
        {
            return Needs::Op(op.clone());
        }
        match self.ask(issuer) {
            Ok(Some(op)) => Needs::Op(op),
            // Services that don't have this request say so with the same 404.
            Ok(None) if self.lists(&wanted) => Needs::Unknown,
            Ok(None) => Needs::Unsupported,
            Err(error) => {
                report::debug(&error.to_string());
                Needs::Unknown
            }
        }
    }

    fn issuers(&self) -> Vec<String> {
        self.facts.info.supported_ops.clone()
    }
}

/// The wishes of nobody: for looking at a token without a service.
pub(crate) struct NoService;

impl Requirements for NoService {
    fn of(&self, _issuer: &str) -> Needs {
        Needs::Unknown
    }

    fn issuers(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Seconds that a token is still valid, if it says so.
pub(crate) fn seconds_left(token: &motley_proto::Secret) -> Option<f64> {
    claims::Claims::of(token)?.seconds_left(source::now_s())
}
