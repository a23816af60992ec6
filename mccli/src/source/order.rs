//! The order of the sources: what the user names, then what mccli knows, then what lies around.
//!
//! 1. an option, or the profile that `--profile` names;
//! 2. a variable: a token, an account, an issuer;
//! 3. the profile of `MCCLI_PROFILE` or of the host;
//! 4. oidc-agent, for the service's only provider;
//! 5. `MYTOKEN`;
//! 6. WLCG bearer token discovery;
//! 7. stored logins;
//! 8. oidc-agent, for any supported provider.
//!
//! The offer to log in comes last, and is not a source.
//!
//! Where an option or a profile names a source, steps 4 to 8 are left out: a token of somebody else
//! that lies around would open an account in the wrong name. `MCCLI_COMPAT=0.7` keeps step 4.

use super::{
    ACCOUNT_VARIABLES, Candidate, ISSUER_VARIABLES, Lookup, Requirements, Standing,
    TOKEN_VARIABLES, TokenSource,
    agent::{Agent, AgentToken, AnyProvider, Chosen},
    behaves_as_0_7,
    given::{Command, File, Text},
    issuer::OfIssuer,
    mytoken::{Mytoken, Place},
    stored,
    wlcg::Discovery,
};
use crate::{cli::Options, config::Profile, login};
use motley_proto::Secret;
use std::iter::once_with;

/// What the sources are made of.
pub(crate) struct Origins<'a> {
    /// The command line.
    pub(crate) options: &'a Options,
    /// The environment.
    pub(crate) lookup: Lookup<'a>,
    /// The service.
    pub(crate) needs: &'a dyn Requirements,
    /// The profile of the configuration that is meant.
    pub(crate) profile: Option<ProfileChoice>,
}

/// A profile, and who chose it.
#[derive(Debug, Clone)]
pub(crate) enum ProfileChoice {
    /// `--profile`.
    Option(String, Profile),
    /// `MCCLI_PROFILE`, or the rule for the host in the configuration.
    Standing(String, Profile),
}

type Source<'a> = Box<dyn TokenSource + 'a>;
type Kinds<'a> = Vec<Option<Source<'a>>>;

/// The sources in the order in which they are tried; each is made when its turn comes.
///
/// `MCCLI_COMPAT=0.7` orders options and variables by kind instead: any token before any account
/// before any issuer.
pub(crate) fn in_order<'a>(origins: &'a Origins<'a>) -> impl Iterator<Item = Candidate<'a>> + 'a {
    let line = from_command_line(origins);
    let (by_option, by_configuration) = match &origins.profile {
        Some(ProfileChoice::Option(name, table)) => (from_profile(origins, name, table), vec![]),
        Some(ProfileChoice::Standing(name, table)) => (vec![], from_profile(origins, name, table)),
        None => (vec![], vec![]),
    };
    let is_meant = origins.profile.is_some() || line.iter().any(Option::is_some);
    let agents_turn = !is_meant || behaves_as_0_7(origins.lookup);
    let variables = from_environment(origins);
    let named: Vec<Source<'a>> = if behaves_as_0_7(origins.lookup) {
        let by_kind = line.into_iter().zip(variables);
        by_kind
            .filter_map(|(option, variable)| option.or(variable))
            .chain(by_option)
            .chain(by_configuration)
            .collect()
    } else {
        let options = line.into_iter().flatten().chain(by_option);
        options.chain(variables.into_iter().flatten()).chain(by_configuration).collect()
    };
    named
        .into_iter()
        .map(|source| Candidate { source, standing: Standing::Named })
        .chain(agents_turn.then(|| only_provider(origins)).flatten())
        .chain((!is_meant).then(|| by_itself(origins)).into_iter().flatten())
}

/// Steps 5 to 8.
fn by_itself<'a>(origins: &'a Origins<'a>) -> impl Iterator<Item = Candidate<'a>> + 'a {
    let known = |source| Candidate { source, standing: Standing::Known };
    let mytoken = once_with(|| (origins.lookup)("MYTOKEN"))
        .flatten()
        .map(move |text| known(mytoken_source(origins, "MYTOKEN", Place::named(text), None)));
    let wlcg = once_with(|| Discovery::here(origins.lookup))
        .filter(Discovery::has_something)
        .map(|found| Candidate { source: Box::new(found), standing: Standing::Found });
    let logins =
        once_with(|| stored::for_issuers(origins.options, origins.needs)).flatten().map(known);
    let agent = once_with(|| any_provider(origins)).flatten().map(known);
    mytoken.chain(wlcg).chain(logins).chain(agent)
}

/// Columns of the table that `MCCLI_COMPAT=0.7` reads by kind; variables have the same columns.
fn from_command_line<'a>(origins: &'a Origins<'a>) -> Kinds<'a> {
    let options = origins.options;
    let text = |value: &Secret| text_source("--token", value.clone());
    let mytoken = |value: &Secret| {
        let place = Place::named(value.expose().to_owned());
        mytoken_source(origins, "--mytoken", place, None)
    };
    let wlcg = options.wlcg.then(|| -> Source<'a> { Box::new(Discovery::here(origins.lookup)) });
    vec![
        options.token.as_ref().map(text),
        options.token_file.as_ref().map(|path| file_source("--token-file", path)),
        options.token_cmd.as_ref().map(|line| command_source("--token-cmd", line)),
        options.mytoken.as_ref().map(mytoken),
        wlcg,
        options.oa_account.as_ref().map(|name| account_source(origins, "--oidc", name)),
        options.iss.as_ref().map(|issuer| issuer_source(origins, "--iss", issuer)),
    ]
}

fn from_environment<'a>(origins: &'a Origins<'a>) -> Kinds<'a> {
    let first = |names: &[&'static str]| -> Option<(&'static str, String)> {
        names.iter().find_map(|&name| (origins.lookup)(name).map(|value| (name, value)))
    };
    vec![
        first(&TOKEN_VARIABLES).map(|(name, value)| text_source(name, Secret::new(value))),
        first(&["MCCLI_TOKEN_FILE"]).map(|(name, path)| file_source(name, &path)),
        first(&["MCCLI_TOKEN_CMD"]).map(|(name, line)| command_source(name, &line)),
        None,
        None,
        first(&ACCOUNT_VARIABLES).map(|(name, account)| account_source(origins, name, &account)),
        first(&ISSUER_VARIABLES).map(|(name, issuer)| issuer_source(origins, name, &issuer)),
    ]
}

fn from_profile<'a>(origins: &'a Origins<'a>, profile: &str, table: &Profile) -> Vec<Source<'a>> {
    let name = |key: &str| format!("profile {profile}, {key}");
    let mytoken = |path: &std::path::PathBuf| {
        let server = table.mytoken_server.clone();
        mytoken_source(origins, &name("mytoken_file"), Place::File(path.clone()), server)
    };
    [
        table.token_file.as_ref().map(|path| file_source(&name("token_file"), path)),
        table.token_cmd.as_ref().map(|line| command_source(&name("token_cmd"), line)),
        table.mytoken_file.as_ref().map(mytoken),
        table.oidc.as_ref().map(|account| account_source(origins, &name("oidc"), account)),
        table.iss.as_ref().map(|issuer| issuer_source(origins, &name("iss"), issuer)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn only_provider<'a>(origins: &'a Origins<'a>) -> Option<Candidate<'a>> {
    match origins.needs.issuers().as_slice() {
        [one] => {
            let name = "the service's only provider";
            let source = agent_source(origins, name, Chosen::Issuer(one.clone()));
            Some(Candidate { source: Box::new(source), standing: Standing::Known })
        }
        _ => None,
    }
}

/// Nobody is told that there is no agent who never asked for one.
fn any_provider<'a>(origins: &Origins<'a>) -> Option<Source<'a>> {
    let agent = agent(origins);
    (origins.needs.issuers().len() > 1 && agent.is_somewhere())
        .then(|| -> Source<'a> { Box::new(AnyProvider { agent }) })
}

fn text_source<'a>(name: &str, text: Secret) -> Source<'a> {
    Box::new(Text { name: name.to_owned(), text })
}

fn file_source<'a>(name: &str, path: &str) -> Source<'a> {
    Box::new(File { name: name.to_owned(), path: path.into() })
}

fn command_source<'a>(name: &str, line: &str) -> Source<'a> {
    Box::new(Command { name: name.to_owned(), line: line.to_owned() })
}

fn account_source<'a>(origins: &Origins<'a>, name: &str, account: &str) -> Source<'a> {
    Box::new(agent_source(origins, name, Chosen::Account(account.to_owned())))
}

fn issuer_source<'a>(origins: &Origins<'a>, name: &str, issuer: &str) -> Source<'a> {
    let chosen = Chosen::issuer(issuer);
    let issuer = chosen.word().to_owned();
    let agent = agent_source(origins, name, chosen);
    Box::new(OfIssuer { options: origins.options, issuer, agent })
}

fn agent_source(origins: &Origins<'_>, name: &str, chosen: Chosen) -> AgentToken {
    AgentToken { name: name.to_owned(), chosen, agent: agent(origins) }
}

fn agent(origins: &Origins<'_>) -> Agent {
    Agent::from_environment(origins.lookup, origins.options.allow_http)
}

fn mytoken_source<'a>(
    origins: &Origins<'a>,
    name: &str,
    place: Place,
    server: Option<String>,
) -> Source<'a> {
    let given = origins.options.mytoken_server.clone();
    let server = given.or(server).or_else(|| (origins.lookup)("MYTOKEN_SERVER"));
    Box::new(Mytoken { name: name.to_owned(), place, server, trust: login::trust(origins.options) })
}
