//! Access tokens made from a mytoken, which is replaced where its server does so.

mod claims;
mod place;
mod server;

pub(super) use place::Place;

use super::{Requirements, Token, TokenSource, now_s, wanted_of};
use crate::{
    http::{Http, Trust},
    report,
    signals::Waiting,
};
use claims::MytokenClaims;
use motley_proto::{Issuer, Secret};
use place::Held;
use server::{Grant, Server};

/// A transfer code is shorter than any mytoken: short ones have 32 characters and more.
const MAX_TRANSFER_CODE: usize = 24;

/// A mytoken and its server.
pub(super) struct Mytoken {
    pub(super) name: String,
    pub(super) place: Place,
    /// Where it is not named by the mytoken itself.
    pub(super) server: Option<String>,
    pub(super) trust: Trust,
}

impl TokenSource for Mytoken {
    fn name(&self) -> String {
        match &self.place {
            Place::Text(_) => self.name.clone(),
            Place::File(path) => format!("{} @{}", self.name, path.display()),
        }
    }

    fn fetch(&self, needs: &dyn Requirements) -> Result<Token, String> {
        let http = Http::new(self.trust.clone()).map_err(|error| error.to_string())?;
        // Held until the end: of two processes at once, the second one waits for the new mytoken.
        let mut held = self.place.open()?;
        // What is replaced there and not kept here is lost: no signal comes between.
        let _waiting = Waiting::through_a_change();
        if is_transfer_code(held.text()) {
            self.redeem(&http, &mut held)?;
        }
        let claims = MytokenClaims::of(held.text());
        let server = self.server_of(claims.as_ref())?;
        let issuer = issuer_of(claims.as_ref(), needs);
        let (scope, audience) = match &issuer {
            Some(issuer) => wanted_of(needs, issuer)?,
            None => (String::new(), String::new()),
        };
        if let Some(claims) = &claims {
            claims.check(now_s())?;
        }
        match claims.as_ref().map(MytokenClaims::is_replaced) {
            Some(true) => held.make_room()?,
            Some(false) => {}
            // A short one does not tell; most stay as they are.
            None => held.make_room().unwrap_or_else(|why| report::debug(&why)),
        }
        let server = Server::discover(&http, &server)?;
        let wanted = Grant { issuer: issuer.as_deref(), scope: &scope, audience: &audience };
        let answer = server
            .access_token(held.text(), &wanted)
            .map_err(|refusal| refusal.explain(claims.as_ref(), now_s()))?;
        if let Some(update) = answer.token_update {
            // The old one is dead already: nothing may come before this. The access token is good
            // even if its successor is lost.
            let kept = update.mytoken().and_then(|mytoken| held.replace(mytoken));
            kept.unwrap_or_else(|why| report::error(&format!("{}: {why}", self.name())));
        }
        Ok(Token { secret: answer.access_token, recipe: None })
    }
}

impl Mytoken {
    /// Exchanges a transfer code, which works once, for the mytoken behind it.
    fn redeem(&self, http: &Http, held: &mut Held) -> Result<(), String> {
        held.make_room().map_err(|_| {
            "this is a transfer code, which works once, and there is no place for the mytoken that comes for it; put the code into a file of mode 600 and name it with @FILE".to_owned()
        })?;
        let server = Server::discover(http, &self.server_of(None)?)?;
        let mytoken =
            server.redeem(held.text()).map_err(|refusal| refusal.explain_for_transfer_code())?;
        held.replace(mytoken)
    }

    /// A mytoken goes to its own server and to no other.
    fn server_of(&self, claims: Option<&MytokenClaims>) -> Result<String, String> {
        let given = self.server.as_deref().map(with_scheme);
        match (claims, given) {
            (Some(claims), Some(given))
                if Issuer::canonical(&claims.server) != Issuer::canonical(&given) =>
            {
                Err(format!(
                    "the mytoken is of the server {}, not of {given}; leave --mytoken-server out",
                    claims.server
                ))
            }
            (Some(claims), _) => Ok(claims.server.clone()),
            (None, Some(given)) => Ok(given),
            (None, None) => Err(
                "a short mytoken or transfer code does not name its server; give it with --mytoken-server".to_owned(),
            ),
        }
    }
}

fn with_scheme(url: &str) -> String {
    let url = url.trim().trim_end_matches('/');
    if url.contains("://") { url.to_owned() } else { format!("https://{url}") }
}

fn is_transfer_code(text: &Secret) -> bool {
    text.len() <= MAX_TRANSFER_CODE && !text.expose().contains('.')
}

/// A short mytoken does not tell its provider: then the only one that the service supports is meant.
fn issuer_of(claims: Option<&MytokenClaims>, needs: &dyn Requirements) -> Option<String> {
    match (claims, needs.issuers().as_slice()) {
        (Some(claims), _) => claims.issuer.clone(),
        (None, [one]) => Some(one.clone()),
        (None, _) => None,
    }
}
