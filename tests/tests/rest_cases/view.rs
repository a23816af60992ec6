//! One case as the rules see it: facts about its request, and the answers they put together.

use std::collections::BTreeMap;

use motley_tests::op::TokenKind;
use serde_json::{Value, json};

use super::case::{Case, Recorded, State};
use super::matching::ANY_TEXT;
use super::setup::Setup;

/// What changes an account or a password, and so takes POST beside GET.
const CHANGING: [&str; 5] =
    ["/user/deploy", "/user/suspend", "/user/generate_otp", "/admin/suspend", "/admin/resume"];
/// Where nobody needs a token.
const PUBLIC: [&str; 6] = ["/", "/user", "/admin", "/info", "/info/op", "/privacy"];

/// A case with what is needed to judge it.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    /// The case as recorded.
    pub(crate) case: &'a Case,
    /// Kind of its credential.
    pub(crate) kind: TokenKind,
    /// The set-up behind it.
    pub(crate) setup: &'a Setup,
}

impl View<'_> {
    /// True for HEAD, POST and the like: the recorded server knew GET only.
    pub(crate) fn is_refused_method(self, recorded: &Recorded, method: &str) -> bool {
        recorded.status == 405 && self.case.request.method == method
    }

    /// True when the path changes something.
    pub(crate) fn is_changing(self) -> bool {
        CHANGING.contains(&self.case.route())
    }

    /// True when the path is for admins.
    pub(crate) fn is_for_admins(self) -> bool {
        self.case.route().starts_with("/admin/")
    }

    /// True when the recorded server got as far as to look at a token.
    pub(crate) fn reaches_token(self, recorded: &Recorded) -> bool {
        let early = ["Not authenticated", "No bearer token in authorization header"];
        let said =
            |member: &str| recorded.body[member].as_str().is_some_and(|t| early.contains(&t));
        !PUBLIC.contains(&self.case.route())
            && ![307, 400, 404, 405].contains(&recorded.status)
            && !said("detail")
            && !said("error_description")
    }

    /// The configured section of the asking user's provider.
    pub(crate) fn section(self) -> Value {
        self.setup.section_of(&self.case.request.user, self.case.request.config)
    }

    /// The audiences of which the asking user's token must name one.
    pub(crate) fn audiences(self) -> Vec<String> {
        self.setup.audiences(&self.case.request.user, self.case.request.config)
    }

    /// Who asks, as messages name people.
    pub(crate) fn asker(self) -> String {
        let who = self.setup.identity(&self.case.request.user);
        who.map_or_else(|_| "?".to_owned(), |who| format!("{}@{}", who.subject, who.issuer))
    }

    /// How many memberships are needed, where that is a number.
    pub(crate) fn needed_vos(self) -> Option<usize> {
        self.section()["vo_match"].as_str()?.parse().ok()
    }

    /// How many of the configured memberships the asking user has, literally.
    pub(crate) fn held_vos(self) -> usize {
        let section = self.section();
        let claim = section["vo_claim"].as_str().unwrap_or_default();
        let held = self.setup.claim(&self.case.request.user, claim);
        let holds = |vo: &&Value| held == *vo || held.as_array().is_some_and(|h| h.contains(vo));
        section["authorised_vos"].as_array().map_or(0, |vos| vos.iter().filter(holds).count())
    }

    /// True when an admin names an existing person with the issuer in another spelling.
    pub(crate) fn names_target_in_another_spelling(self) -> bool {
        let (Some(target), Some(iss)) = (self.case.target(), self.case.parameter("iss")) else {
            return false;
        };
        let own = format!("<iss_{}:", self.setup.op_name(target));
        let rest = iss.strip_prefix(&own).and_then(|rest| rest.split_once('>'));
        self.case.parameter("sub") == Some(&format!("<sub:{target}>"))
            && rest.is_some_and(|(forms, slash)| {
                ["", "%2F"].contains(&slash) && (forms, slash) != ("quoted", "")
            })
    }
}

/// A JSON answer.
pub(crate) fn json_answer(status: u16, body: Value) -> Recorded {
    let headers = BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]);
    Recorded { status, headers, body }
}

/// The 401 of a token that is not good.
pub(crate) fn refused_token(description: &str) -> Recorded {
    let body = json!({"error": "Unauthenticated", "error_description": description});
    json_answer(401, body)
}

/// The 403 of somebody who may not; `details` as the interface has them.
pub(crate) fn forbidden(view: View<'_>, details: Value) -> Recorded {
    let description = format!("User {} does not meet requirements", view.asker());
    let body = json!({
        "error": "Forbidden", "error_description": description, "error_details": details,
    });
    json_answer(403, body)
}

/// The 403 of somebody with too few memberships, where a number of them is needed.
pub(crate) fn too_few_vos(view: View<'_>) -> Recorded {
    let (held, needed) = (view.held_vos(), view.needed_vos().unwrap_or_default());
    let count = view.section()["authorised_vos"].as_array().map_or(0, Vec::len);
    let missing = vec![ANY_TEXT; count.saturating_sub(held)];
    let rule = json!({
        "check": format!("Only {held} of {needed} sub-requirments were satisfied"),
        "check_details": missing,
    });
    let rules = json!({
        "check": "Only 0 of 1 sub-requirments were satisfied", "check_details": [rule],
    });
    let details = json!({
        "check": "AllOf: Unsatisfied sub-requirements", "check_details": [rules],
    });
    forbidden(view, details)
}

/// Value of the `allow` header of a path.
pub(crate) fn allow(view: View<'_>) -> &'static str {
    if view.is_changing() { "GET, POST, OPTIONS" } else { "GET, HEAD, OPTIONS" }
}

/// What somebody who is let in is answered, by path and state.
pub(crate) fn as_let_in(view: View<'_>) -> Recorded {
    let state = view.case.state().unwrap_or(State::NotDeployed);
    let name = view.setup.username(&view.case.request.user).unwrap_or_default();
    let name = if state == State::NotDeployed { "" } else { name };
    let message = match name {
        "" => "No message".to_owned(),
        name => format!("username {name}"),
    };
    let body = match view.case.route() {
        "/user/get_status" => json!({"state": state.word(), "message": message, "credentials": {}}),
        "/user/status" => {
            let who = view.asker();
            let (sub, iss) = who.split_once('@').unwrap_or_default();
            json!({
                "state": state.word(), "message": message, "credentials": {},
                "username": name, "sub": sub, "iss": iss,
            })
        }
        "/user/generate_otp" => {
            let on = view.setup.option(view.case.request.config, "mapper.otp", "use_otp");
            json!({"supported": on, "successful": on == true && state != State::Suspended})
        }
        "/verify_user" => {
            let asked = view.case.parameter("username").map(|name| view.setup.resolve(name));
            let named = state == State::Deployed && asked.as_deref() == Some(name);
            json!({"state": state.word(), "verified": named})
        }
        "/user/suspend" => acted_on(view, &view.case.request.user, "suspend", state),
        _ => {
            let after = if state == State::Suspended { state } else { State::Deployed };
            json!({"state": after.word(), "message": ANY_TEXT, "credentials": credentials(view)})
        }
    };
    json_answer(200, body)
}

/// What somebody needs for a login; the defaults of what is not configured are free.
fn credentials(view: View<'_>) -> Value {
    let name = view.setup.username(&view.case.request.user).unwrap_or_default();
    let configured = view.setup.login_info(view.case.request.config);
    let text = |option: &str| configured[option].as_str().unwrap_or(ANY_TEXT).to_owned();
    let command = configured["ssh_host"].as_str().map(|host| format!("ssh {name}@{host}"));
    json!({
        "description": text("description"), "login_help": text("login_help"),
        "ssh_host": text("ssh_host"), "ssh_user": name,
        "commandline": command.as_deref().unwrap_or(ANY_TEXT),
    })
}

/// What an admin is answered who names the target in another spelling.
pub(crate) fn as_acted_on(view: View<'_>) -> Recorded {
    let verb = view.case.route().rsplit('/').next().unwrap_or_default();
    let target = view.case.target().unwrap_or_default();
    json_answer(200, acted_on(view, target, verb, view.case.target_state()))
}

/// The body about a suspension or resumption.
fn acted_on(view: View<'_>, user: &str, verb: &str, before: State) -> Value {
    let id = view.setup.identity(user).map(|who| who.unique_id().to_string()).unwrap_or_default();
    let (ongoing, after) = match verb {
        "resume" => ("Resuming", State::Deployed),
        _ => ("Suspending", State::Suspended),
    };
    let works = match after {
        State::Suspended => [State::Deployed, State::Limited].contains(&before),
        _ => before == State::Suspended,
    };
    let (state, message) = if works {
        (
            after,
            format!(
                "User '{id}' was {}.",
                verb.to_owned() + if verb == "suspend" { "ed" } else { "d" }
            ),
        )
    } else {
        let word = before.word();
        let text = format!(
            "{ongoing} user '{id}' was not possible from the '{word}' state. User was not changed."
        );
        (before, text)
    };
    json!({"state": state.word(), "message": message, "credentials": {}})
}

/// What is wrong with a token for which the recorded server had no answer.
pub(crate) fn fault_of(kind: TokenKind) -> &'static str {
    match kind {
        TokenKind::JwtAlgNoneNoKid | TokenKind::JwtHs256PublicKey => {
            "Could not verify JWT: The specified alg value is not allowed"
        }
        TokenKind::JwtIatInFuture => {
            "The access token is not valid: The token is not yet valid (iat)"
        }
        TokenKind::JwtIssNumber => "Could not verify JWT: Issuer must be a string",
        _ => ANY_TEXT,
    }
}
