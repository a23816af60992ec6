//! One function for each path of the interface.

use super::{
    Shared, answer,
    authorization::{Bearer, issuer_hint},
    query::Parameters,
};
use crate::{
    account::Suspender,
    audit::Event,
    policy::{self, Decision},
    serve::request_id,
    verified::Verified,
};
use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, Response, StatusCode, Uri},
};
use feudal_plugins::message::Change;
use motley_proto::{
    Identity, Issuer, LoginName, Secret, Subject,
    identity::quote_plus,
    rest::{
        AccountState, DESCRIPTION, FullStatus, GenerateOtp, Index, Info, OpInfo, StateAnswer,
        VerifyUser,
    },
};
use serde_json::json;
use std::sync::Arc;

type Answer = Response<Body>;
type Step<T> = Result<T, Answer>;

fn end(step: Step<Answer>) -> Answer {
    step.unwrap_or_else(|answer| answer)
}

fn index(usage: &str, endpoints: &[(&str, &str)]) -> Answer {
    let index = Index {
        description: DESCRIPTION.to_owned(),
        usage: usage.to_owned(),
        endpoints: endpoints
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
            .collect(),
    };
    answer::json(StatusCode::OK, &index)
}

pub(super) async fn root() -> Answer {
    index(
        "All endpoints that concern a person need an OpenID Connect access token as bearer token.",
        &[
            (
                "/info",
                "Login information, supported providers, and what a token for each must have.",
            ),
            ("/info/authorisation", "Who may use this service, for the provider of the token."),
            ("/info/op", "Scopes and audience that a token of one provider must have."),
            ("/user", "What users can do with their own account."),
            ("/admin", "What admins can do with accounts of others."),
            ("/verify_user", "Whether a token belongs to a local user name."),
        ],
    )
}

pub(super) async fn user() -> Answer {
    index(
        "Every request needs the access token of the user as bearer token.",
        &[
            ("/user/get_status", "State of the local account."),
            ("/user/status", "State of the local account, with user name, subject and issuer."),
            ("/user/deploy", "Make the local account, or bring it up to date."),
            ("/user/suspend", "Lock the local account."),
            (
                "/user/generate_otp",
                "Make a one-time password for an access token too long for a prompt.",
            ),
        ],
    )
}

pub(super) async fn admin() -> Answer {
    index(
        "Every request needs the access token of an admin as bearer token.",
        &[
            (
                "/admin/suspend",
                "Lock the account of a user, by subject and issuer, and end its sessions.",
            ),
            ("/admin/resume", "Let a suspended user in again."),
        ],
    )
}

pub(super) async fn info(State(rest): State<Shared>) -> Answer {
    let ops = &rest.config.ops;
    let info = Info {
        login_info: rest.config.adapter.login_info.texts().clone(),
        supported_ops: ops.iter().map(|op| op.issuer.trimmed().to_owned()).collect(),
        ops_info: ops.iter().map(|op| (op.issuer.trimmed().to_owned(), op_info(op))).collect(),
        chunked_prompt: rest.config.login.chunked_prompts,
    };
    answer::json(StatusCode::OK, &info)
}

fn op_info(op: &crate::config::OpConfig) -> OpInfo {
    OpInfo { scopes: op.scopes.clone(), audience: op.audience_text.clone() }
}

pub(super) async fn info_op(State(rest): State<Shared>, uri: Uri) -> Answer {
    end(find_op(&rest, &uri))
}

#[allow(clippy::result_large_err)]
fn find_op(rest: &Shared, uri: &Uri) -> Step<Answer> {
    let parameters = Parameters::read(uri);
    let [url] = parameters.require(["url"])?;
    let wanted = Issuer::canonical(url);
    let known = rest.config.ops.iter().find(|op| Issuer::canonical(op.issuer.as_str()) == wanted);
    Ok(match known {
        Some(op) => answer::json(StatusCode::OK, &op_info(op)),
        None => answer::detail(StatusCode::NOT_FOUND, "OP not supported"),
    })
}

pub(super) async fn info_authorisation(State(rest): State<Shared>, headers: HeaderMap) -> Answer {
    let step = async {
        let bearer = Bearer::find(&headers)?;
        let (_, verified) = identify(&rest, bearer, &headers).await?;
        Ok(match rest.admission.op_of(&verified) {
            Some(op) => {
                answer::json(StatusCode::OK, &policy::describe(op.issuer.as_str(), &op.policy))
            }
            None => answer::detail(StatusCode::NOT_FOUND, "OP not supported"),
        })
    };
    end(step.await)
}

/// Verifies the bearer token of a request.
async fn identify(
    rest: &Shared,
    bearer: Bearer,
    headers: &HeaderMap,
) -> Step<(Secret, Arc<Verified>)> {
    let token = bearer.token()?;
    let verified = rest.admission.identify(&token, issuer_hint(headers).as_ref()).await;
    let verified = verified.map_err(|refusal| {
        tracing::info!(reason = %refusal.reason(), "token refused");
        answer::token_refused(&refusal)
    })?;
    Ok((token, verified))
}

#[allow(clippy::result_large_err)]
fn require_authorised(rest: &Shared, verified: &Verified) -> Step<()> {
    require(
        rest.admission.authorise(verified),
        format!("User {} does not meet requirements", verified.identity()),
    )
}

#[allow(clippy::result_large_err)]
fn require(decision: Decision, description: String) -> Step<()> {
    match decision {
        Decision::Grant { .. } => Ok(()),
        Decision::Refuse(refusal) => {
            tracing::info!(reason = %refusal.reason, "not authorised");
            Err(answer::forbidden(description, refusal.details))
        }
    }
}

/// A verified and authorised user of the service.
async fn authorised(rest: &Shared, headers: &HeaderMap) -> Step<(Secret, Arc<Verified>)> {
    let bearer = Bearer::find(headers)?;
    let (token, verified) = identify(rest, bearer, headers).await?;
    require_authorised(rest, &verified)?;
    Ok((token, verified))
}

pub(super) async fn get_status(State(rest): State<Shared>, headers: HeaderMap) -> Answer {
    let step = async {
        let (_, verified) = authorised(&rest, &headers).await?;
        let standing = rest.admission.accounts().standing(verified.identity()).await;
        Ok(match standing {
            Ok(standing) => answer::json(StatusCode::OK, &standing.answer()),
            Err(error) => answer::account_failed(&error),
        })
    };
    end(step.await)
}

pub(super) async fn status(State(rest): State<Shared>, headers: HeaderMap) -> Answer {
    let step = async {
        let (_, verified) = authorised(&rest, &headers).await?;
        let identity = verified.identity();
        let standing = rest
            .admission
            .accounts()
            .standing(identity)
            .await
            .map_err(|e| answer::account_failed(&e))?;
        let StateAnswer { state, message, credentials } = standing.answer();
        let status = FullStatus {
            state,
            message,
            credentials,
            username: standing.name().map(ToString::to_string).unwrap_or_default(),
            sub: identity.subject.to_string(),
            iss: identity.issuer.to_string(),
        };
        Ok(answer::json(StatusCode::OK, &status))
    };
    end(step.await)
}

pub(super) async fn deploy(State(rest): State<Shared>, headers: HeaderMap) -> Answer {
    let step = async {
        let (_, verified) = authorised(&rest, &headers).await?;
        let request = request_id();
        let tier = rest.admission.tier(&verified);
        let deployment = rest.admission.accounts().deploy(&verified, tier, &request).await;
        let deployment = deployment.map_err(|error| {
            tracing::warn!(request, identity = %verified.identity().unique_id(), %error, "not deployed");
            answer::not_deployed(&error)
        })?;
        Ok(answer::json(StatusCode::OK, &deployment.answer(&rest.config.adapter.login_info)))
    };
    end(step.await)
}

pub(super) async fn suspend(State(rest): State<Shared>, headers: HeaderMap) -> Answer {
    let step = async {
        let (_, verified) = authorised(&rest, &headers).await?;
        let accounts = rest.admission.accounts();
        let done =
            accounts.suspend_account(verified.identity(), Suspender::Oneself, &request_id()).await;
        Ok(match done {
            Ok(body) => answer::json(StatusCode::OK, &body),
            Err(error) => answer::account_failed(&error),
        })
    };
    end(step.await)
}

pub(super) async fn generate_otp(State(rest): State<Shared>, headers: HeaderMap) -> Answer {
    let step = async {
        let (token, verified) = authorised(&rest, &headers).await?;
        let Some(passwords) = rest.admission.passwords() else {
            return Ok(answer::json(
                StatusCode::OK,
                &GenerateOtp { supported: false, successful: false },
            ));
        };
        let identity = verified.identity();
        let standing = rest
            .admission
            .accounts()
            .standing(identity)
            .await
            .map_err(|e| answer::account_failed(&e))?;
        let issued = match standing.state {
            AccountState::Suspended => false,
            _ => match passwords.issue(&token, &verified).await {
                Ok(_) => true,
                Err(error) => {
                    tracing::warn!(identity = %identity.unique_id(), %error, "no one-time password issued");
                    false
                }
            },
        };
        if issued {
            let event =
                Event::OneTimePasswordIssued { request: request_id(), identity: identity.clone() };
            rest.admission
                .accounts()
                .record(event)
                .map_err(|error| answer::account_failed(&error))?;
        }
        Ok(answer::json(StatusCode::OK, &GenerateOtp { supported: true, successful: issued }))
    };
    end(step.await)
}

pub(super) async fn verify_user(
    State(rest): State<Shared>,
    headers: HeaderMap,
    uri: Uri,
) -> Answer {
    let step = async {
        let bearer = Bearer::find(&headers)?;
        let parameters = Parameters::read(&uri);
        let [username] = parameters.require(["username"])?;
        let credential = bearer.token()?;
        let identified =
            rest.admission.identify_either(&credential, issuer_hint(&headers).as_ref()).await;
        let (verified, _) = identified.map_err(|refusal| {
            tracing::info!(reason = %refusal, "credential refused");
            answer::refused(&refusal)
        })?;
        require_authorised(&rest, &verified)?;
        let standing = rest.admission.accounts().standing(verified.identity()).await;
        let standing = standing.map_err(|error| answer::account_failed(&error))?;
        let own = standing.name().map(|name| name.as_str());
        let named = LoginName::new(username).is_ok_and(|name| own == Some(name.as_str()));
        let verified = named && standing.state == AccountState::Deployed;
        Ok(answer::json(StatusCode::OK, &VerifyUser { state: standing.state, verified }))
    };
    end(step.await)
}

/// The identity that an admin means, whatever slash or case the issuer was written with.
///
/// `None` when no provider is configured under that issuer or the texts can't be an identity.
async fn resolve(rest: &Shared, subject: &str, issuer: &str) -> Option<Identity> {
    let subject = Subject::new(subject).ok()?;
    let wanted = Issuer::canonical(issuer);
    let op = rest.config.ops.iter().find(|op| Issuer::canonical(op.issuer.as_str()) == wanted)?;
    let trimmed = op.issuer.trimmed();
    let spellings = [trimmed.to_owned(), format!("{trimmed}/")];
    let accounts = rest.admission.accounts();
    for spelling in &spellings {
        let Ok(issuer) = Issuer::new(spelling.as_str()) else { continue };
        let identity = Identity::new(issuer, subject.clone());
        let known =
            accounts.standing(&identity).await.is_ok_and(|s| s.state != AccountState::NotDeployed);
        if known {
            return Some(identity);
        }
    }
    // Nobody is known: the answer repeats the issuer as it was asked for, if it is one of its forms.
    let asked =
        spellings.iter().find(|spelling| *spelling == issuer).map_or(trimmed, String::as_str);
    Issuer::new(asked).ok().map(|issuer| Identity::new(issuer, subject))
}

fn nobody(change: &str, subject: &str, issuer: &str) -> Answer {
    let body = StateAnswer {
        state: AccountState::NotDeployed,
        message: format!(
            "{change} user '{}@{}' was not possible from the 'not_deployed' state. User was not changed.",
            quote_plus(subject),
            quote_plus(issuer),
        ),
        credentials: serde_json::Map::new(),
    };
    answer::json(StatusCode::OK, &body)
}

/// What the two admin requests share: who asks, about whom, and whether they may.
async fn admin_request(
    rest: &Shared,
    headers: &HeaderMap,
    uri: &Uri,
    change: Change,
) -> Step<Answer> {
    let bearer = Bearer::find(headers)?;
    let parameters = Parameters::read(uri);
    let [subject, issuer] = parameters.require(["sub", "iss"])?;
    let (_, verified) = identify(rest, bearer, headers).await?;
    change_as_admin(rest, &verified, (subject, issuer), change).await
}

/// The part of an admin request that comes after the admin's token was verified.
pub(super) async fn change_as_admin(
    rest: &Shared,
    verified: &Verified,
    (subject, issuer): (&str, &str),
    change: Change,
) -> Step<Answer> {
    let asks = verified.identity();
    let op = rest.admission.op_of(verified);
    let op = op.ok_or_else(|| {
        answer::forbidden(format!("User {asks} does not meet requirements"), json!([]))
    })?;
    require(
        policy::authorise_admin(&op.policy, verified),
        format!("User {asks} does not meet requirements"),
    )?;
    let accounts = rest.admission.accounts();
    // A stolen admin's token must not end the suspension that was meant to stop it. Locking others
    // out opens no door, and clients know that a suspended admin can.
    let suspended = accounts.is_suspended(asks).await.map_err(|e| answer::account_failed(&e))?;
    if suspended && change == Change::Resume {
        tracing::warn!(identity = %asks.unique_id(), "an admin who is suspended was refused");
        let description = format!("User {asks} does not meet requirements");
        return Err(answer::forbidden(description, json!("The admin is suspended")));
    }
    require(
        policy::authorise_target(&op.policy, &op.issuer, issuer),
        format!("Request from user {asks} does not meet requirements"),
    )?;
    let Some(target) = resolve(rest, subject, issuer).await else {
        return Ok(nobody(
            if change == Change::Suspend { "Suspending" } else { "Resuming" },
            subject,
            issuer,
        ));
    };
    let by = Suspender::Admin(asks.clone());
    let done = match change {
        Change::Suspend => accounts.suspend_account(&target, by, &request_id()).await,
        _ => accounts.resume_account(&target, by, &request_id()).await,
    };
    Ok(match done {
        Ok(body) => answer::json(StatusCode::OK, &body),
        Err(error) => answer::account_failed(&error),
    })
}

pub(super) async fn admin_suspend(
    State(rest): State<Shared>,
    headers: HeaderMap,
    uri: Uri,
) -> Answer {
    end(admin_request(&rest, &headers, &uri, Change::Suspend).await)
}

pub(super) async fn admin_resume(
    State(rest): State<Shared>,
    headers: HeaderMap,
    uri: Uri,
) -> Answer {
    end(admin_request(&rest, &headers, &uri, Change::Resume).await)
}
