//! Where our answers differ from the recorded ones on purpose: each rule with its reason and with
//! what is answered instead.

use motley_tests::op::TokenKind;

use serde_json::json;

use super::case::{Recorded, State};
use super::matching::{ANY_BOOL, ANY_COUNT, ANY_NUMBER, ANY_TEXT, ANY_TEXTS};
use super::story::Story;
use super::view::{
    View, allow, as_acted_on, as_let_in, fault_of, forbidden, refused_token, too_few_vos,
};

/// The key of sshd in the sandbox: kind, key and fingerprint.
pub(crate) const HOST_KEY: (&str, &str, &str) = (
    "ssh-ed25519",
    "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl",
    "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU",
);

/// What has to come instead of the recorded answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    /// This.
    Fixed(Recorded),
    /// What the same request by GET brings, without body for HEAD.
    AsGet,
}

/// How a request that we refuse must be asked to be answered as recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mend {
    /// The client names the issuer of its opaque token.
    NameIssuer,
    /// The token names the audience of the provider's section.
    NameAudience,
}

impl Mend {
    /// True when a credential of this kind can be had in this form.
    pub(crate) fn fits(self, kind: TokenKind) -> bool {
        match self {
            Self::NameIssuer => true,
            Self::NameAudience => matches!(kind, TokenKind::Jwt | TokenKind::JwtRs256),
        }
    }
}

/// The judgement about one case.
#[derive(Debug)]
pub(crate) struct Expected {
    /// What must be answered.
    pub(crate) answer: Answer,
    /// Why it is not what was recorded; empty when it is.
    pub(crate) reasons: Vec<&'static str>,
    /// Asked this way it is.
    pub(crate) mend: Option<Mend>,
}

struct Rule {
    reason: &'static str,
    applies: fn(View<'_>, &Recorded) -> bool,
    instead: fn(View<'_>, Recorded) -> Answer,
    mend: Option<Mend>,
}

/// What must be answered to a case, in a mended form if one is given.
pub(crate) fn expected(view: View<'_>, recorded: Recorded, mended: Option<Mend>) -> Expected {
    let mut current = recorded;
    let (mut reasons, mut mend) = (Vec::new(), None);
    for rule in RULES.iter().filter(|rule| mended.is_none() || rule.mend != mended) {
        if !(rule.applies)(view, &current) {
            continue;
        }
        match (rule.instead)(view, current.clone()) {
            Answer::Fixed(same) if same == current => {}
            Answer::Fixed(other) => {
                reasons.push(rule.reason);
                mend = mend.or(rule.mend);
                current = other;
            }
            Answer::AsGet => {
                reasons.push(rule.reason);
                return Expected { answer: Answer::AsGet, reasons, mend: None };
            }
        }
    }
    Expected { answer: Answer::Fixed(current), reasons, mend }
}

/// All rules in the order in which a request meets them.
const RULES: &[Rule] = &[
    Rule {
        reason: "HEAD answers as GET, without body, where nothing is changed (RFC 9110 §9.3.2)",
        applies: |view, recorded| view.is_refused_method(recorded, "HEAD") && !view.is_changing(),
        instead: |_, _| Answer::AsGet,
        mend: None,
    },
    Rule {
        reason: "what changes an account can be asked by POST, as it should",
        applies: |view, recorded| view.is_refused_method(recorded, "POST") && view.is_changing(),
        instead: |_, _| Answer::AsGet,
        mend: None,
    },
    Rule {
        reason: "OPTIONS names the methods of a path (RFC 9110 §9.3.7)",
        applies: |view, recorded| view.is_refused_method(recorded, "OPTIONS"),
        instead: |view, _| {
            Answer::Fixed(Recorded {
                status: 204,
                headers: [("allow".to_owned(), allow(view).to_owned())].into(),
                body: "".into(),
            })
        },
        mend: None,
    },
    Rule {
        reason: "`allow` names every method that works (RFC 9110 §10.2.1)",
        applies: |_, recorded| recorded.status == 405,
        instead: |view, mut recorded| {
            recorded.headers.insert("allow".to_owned(), allow(view).to_owned());
            Answer::Fixed(recorded)
        },
        mend: None,
    },
    Rule {
        reason: "/info tells clients that the prompt takes a token in chunks, and the keys of sshd",
        applies: |view, recorded| view.case.route() == "/info" && recorded.status == 200,
        instead: |_, mut recorded| {
            recorded.body["chunked_prompt"] = true.into();
            let (kind, key, fingerprint) = HOST_KEY;
            recorded.body["ssh_host_keys"] =
                json!([{"type": kind, "key": key, "fingerprint": fingerprint}]);
            Answer::Fixed(recorded)
        },
        mend: None,
    },
    Rule {
        reason: "userinfo that speaks of somebody else than the token is refused",
        applies: |view, recorded| {
            let kinds = [TokenKind::JwtUserinfoSaysOtherIss, TokenKind::JwtUserinfoSaysOtherSub];
            let other = Story::of(view.case).userinfo_names_another_user();
            view.reaches_token(recorded) && (kinds.contains(&view.kind) || other)
        },
        instead: |view, _| {
            let claim = if view.kind == TokenKind::JwtUserinfoSaysOtherSub { "sub" } else { "iss" };
            refused(&format!("Could not verify JWT: The provider names another '{claim}'"))
        },
        mend: None,
    },
    Rule {
        reason: "an opaque token goes to no provider unless something names it",
        applies: |view, recorded| {
            view.reaches_token(recorded)
                && view.kind.name().starts_with("opaque")
                && view.kind != TokenKind::OpaqueUntrustedOp
        },
        instead: |_, _| refused("User identity could not be determined"),
        mend: Some(Mend::NameIssuer),
    },
    Rule {
        reason: "a token without `exp` would be good for ever",
        applies: |view, recorded| view.reaches_token(recorded) && view.kind == TokenKind::JwtNoExp,
        instead: |_, _| refused("Could not verify JWT: No 'exp' claim in body"),
        mend: None,
    },
    Rule {
        reason: "a signed token has to name its subject itself",
        applies: |view, recorded| {
            let kinds = [TokenKind::JwtNoSub, TokenKind::JwtSubOnlyInUserinfo];
            view.reaches_token(recorded) && kinds.contains(&view.kind)
        },
        instead: |_, _| refused("Could not verify JWT: No 'sub' claim in body"),
        mend: None,
    },
    Rule {
        reason: "an issuer with another slash is another issuer, unless it is configured so",
        applies: |view, recorded| {
            let section = view.section();
            let configured = section["op_url"].as_str().is_some_and(|url| url.ends_with('/'));
            view.reaches_token(recorded)
                && view.kind == TokenKind::JwtIssTrailingSlash
                && !configured
        },
        instead: |view, _| {
            let asker = view.asker();
            let (_, issuer) = asker.split_once('@').unwrap_or_default();
            refused(&format!("Issuer is not trusted: {issuer}/"))
        },
        mend: None,
    },
    Rule {
        reason: "a malformed token is the client's fault: 401 in JSON, not 500 in plain text",
        applies: |_, recorded| {
            let kind = recorded.headers.get("content-type").map(String::as_str);
            recorded.status == 500 && kind == Some("text/plain; charset=utf-8")
        },
        instead: |view, _| refused(fault_of(view.kind)),
        mend: None,
    },
    Rule {
        reason: "a one-time password ends with its token, so what is left is not known any more",
        applies: |view, recorded| {
            let expired = "The access token is not valid: Signature has expired";
            view.kind.name().starts_with("otp") && recorded.body["error_description"] == expired
        },
        instead: |_, _| refused("User identity could not be determined"),
        mend: None,
    },
    Rule {
        reason: "an admin's token must be meant for this service, too",
        applies: |view, recorded| {
            let admins = &view.section()["authorised_admins"];
            let own = format!("<sub:{}>", view.case.request.user);
            view.is_for_admins()
                && view.reaches_token(recorded)
                && recorded.status != 401
                && admins.as_array().is_some_and(|admins| admins.contains(&own.as_str().into()))
                && !view.audiences().is_empty()
                && view.setup.claim(&view.case.request.user, "aud").is_null()
        },
        instead: |view, _| Answer::Fixed(forbidden(view, "Claim 'aud' is not available".into())),
        mend: Some(Mend::NameAudience),
    },
    Rule {
        reason: "a list of audiences is a list: one of them is enough",
        applies: |view, recorded| {
            let claim = view.setup.claim(&view.case.request.user, "aud");
            recorded.status == 403
                && view.audiences().len() > 1
                && claim.as_str().is_some_and(|aud| view.audiences().iter().any(|own| own == aud))
        },
        instead: |view, mut recorded| {
            let details = &mut recorded.body["error_details"]["check_details"];
            if let Some(details) = details.as_array_mut() {
                let is_about_audience = |why: &str| why.starts_with("User has no claim 'aud' with");
                details.retain(|why| !why.as_str().is_some_and(is_about_audience));
                if details.is_empty() {
                    return Answer::Fixed(as_let_in(view));
                }
            }
            Answer::Fixed(recorded)
        },
        mend: None,
    },
    Rule {
        reason: "a number as `vo_match` works as documented",
        applies: |view, recorded| {
            recorded.status == 500
                && view.needed_vos().is_some()
                && recorded.body["error_description"]
                    .as_str()
                    .is_some_and(|text| text.contains("'match' has invalid value"))
        },
        instead: |view, _| {
            Answer::Fixed(if Some(view.held_vos()) >= view.needed_vos() {
                as_let_in(view)
            } else {
                too_few_vos(view)
            })
        },
        mend: None,
    },
    Rule {
        reason: "an issuer in another spelling still means its people, so that a suspension bites",
        applies: |view, recorded| {
            view.is_for_admins()
                && recorded.status == 200
                && recorded.body["state"] == "not_deployed"
                && view.names_target_in_another_spelling()
        },
        instead: |view, _| Answer::Fixed(as_acted_on(view)),
        mend: None,
    },
    Rule {
        reason: "an admin who is suspended can't resume anybody, least of all himself",
        applies: |view, recorded| {
            view.case.route() == "/admin/resume"
                && recorded.status == 200
                && view.case.target() == Some(view.case.request.user.as_str())
                && view.case.target_state() == State::Suspended
        },
        instead: |view, _| Answer::Fixed(forbidden(view, "The admin is suspended".into())),
        mend: None,
    },
    Rule {
        reason: "only a deployed account verifies: suspended and limited ones do not",
        applies: |view, recorded| {
            let state = recorded.body["state"].as_str().unwrap_or_default();
            view.case.route() == "/verify_user"
                && ["suspended", "limited"].contains(&state)
                && recorded.body["verified"] == true
        },
        instead: |_, mut recorded| {
            recorded.body["verified"] = false.into();
            Answer::Fixed(recorded)
        },
        mend: None,
    },
    Rule {
        reason: "who waits or was rejected has no name: no word of a sentence is taken for one",
        applies: |view, recorded| {
            let state = recorded.body["state"].as_str().unwrap_or_default();
            ["/verify_user", "/user/status"].contains(&view.case.route())
                && ["pending", "rejected"].contains(&state)
        },
        instead: |view, mut recorded| {
            match view.case.route() {
                "/verify_user" => recorded.body["verified"] = false.into(),
                _ => recorded.body["username"] = "".into(),
            }
            Answer::Fixed(recorded)
        },
        mend: None,
    },
    Rule {
        reason: "deploying a suspended account changes nothing and says so",
        applies: |view, recorded| {
            view.case.route() == "/user/deploy"
                && view.case.state() == Some(State::Suspended)
                && recorded.body["state"] == "deployed"
        },
        instead: |_, mut recorded| {
            recorded.body["state"] = "suspended".into();
            recorded.body["message"] = "User already existed.".into();
            Answer::Fixed(recorded)
        },
        mend: None,
    },
    Rule {
        reason: "a suspended person gets no one-time password",
        applies: |view, recorded| {
            view.case.route() == "/user/generate_otp"
                && view.case.state() == Some(State::Suspended)
                && recorded.body["successful"] == true
        },
        instead: |_, mut recorded| {
            recorded.body["successful"] = false.into();
            Answer::Fixed(recorded)
        },
        mend: None,
    },
    Rule {
        reason: "whoever is refused or let in learns why, in members that old clients ignore",
        applies: |view, recorded| {
            let told = ["/info/authorisation", "/user/status"].contains(&view.case.route());
            let refused = recorded.status == 403 && recorded.body["error"] == "Forbidden";
            refused || (told && recorded.status == 200)
        },
        instead: |view, mut recorded| {
            recorded.body["explanation"] = ANY_TEXTS.into();
            let tier = json!({"name": ANY_TEXT, "reason": ANY_TEXT});
            match (recorded.status, view.case.route()) {
                (200, "/user/status") => recorded.body["tier"] = tier,
                (200, _) => {
                    recorded.body["authorised"] = ANY_BOOL.into();
                    recorded.body["?tier"] = tier;
                }
                _ => {}
            }
            Answer::Fixed(recorded)
        },
        mend: None,
    },
    Rule {
        reason: "whoever waits for an admin is told for what and since when, in a member that old clients ignore",
        applies: |view, recorded| {
            view.case.route() == "/user/status"
                && recorded.status == 200
                && recorded.body["state"] == "pending"
        },
        instead: |_, mut recorded| {
            recorded.body["request"] = json!({
                "kind": "account",
                "groups": ANY_TEXTS,
                "requested_at": ANY_NUMBER,
                "expires_at": ANY_NUMBER,
            });
            Answer::Fixed(recorded)
        },
        mend: None,
    },
    Rule {
        reason: "the end of a one-time password is told, in members that old clients ignore",
        applies: |view, recorded| {
            view.case.route() == "/user/generate_otp" && recorded.body["successful"] == true
        },
        instead: |_, mut recorded| {
            recorded.body["otp_expires_at"] = ANY_NUMBER.into();
            recorded.body["otp_lifetime"] = ANY_NUMBER.into();
            Answer::Fixed(recorded)
        },
        mend: None,
    },
    Rule {
        reason: "what a suspension or its end did is told, in a member that old clients ignore",
        applies: |view, recorded| {
            let message = recorded.body["message"].as_str().unwrap_or_default();
            let changes = ["/user/suspend", "/admin/suspend", "/admin/resume"];
            changes.contains(&view.case.route())
                && (message.ends_with(" was suspended.") || message.ends_with(" was resumed."))
        },
        instead: |_, mut recorded| {
            let ended = ["sessions", "processes", "remaining", "jobs_held"];
            let ended = ended.map(|name| (name.to_owned(), ANY_COUNT.into()));
            recorded.body["receipt"] = json!({
                "one_time_passwords": ANY_COUNT,
                "ended": serde_json::Map::from_iter(ended),
                "pending": [],
                "not_done": [],
                "nodes": [],
            });
            Answer::Fixed(recorded)
        },
        mend: None,
    },
    Rule {
        reason: "every 401 names the scheme (RFC 9110 §11.6.1)",
        applies: |_, recorded| recorded.status == 401,
        instead: |_, mut recorded| {
            recorded.headers.insert("www-authenticate".to_owned(), "Bearer".to_owned());
            Answer::Fixed(recorded)
        },
        mend: None,
    },
];

fn refused(description: &str) -> Answer {
    Answer::Fixed(refused_token(description))
}
