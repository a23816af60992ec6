//! What admins do with the accounts of others, each with his token.

use super::{Answer, Step, advice, end, identify, require};
use crate::{
    account::Suspender,
    policy::{self, Missing},
    serve::{
        request_id,
        rest::{
            Shared, answer,
            authorization::Bearer,
            openapi::{NeedsAuthorisation, NeedsParameters},
            query::Parameters,
        },
    },
    verified::Verified,
};
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
};
use feudal_plugins::message::Change;
use motley_proto::{
    Identity, Issuer, Subject,
    identity::quote_plus,
    rest::{AccountState, StateAnswer},
};
use serde_json::json;

/// What an admin is told who may not resume anybody.
const SUSPENDED: &str = "Your own account is suspended, so you can't let others in again.";

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
        receipt: None,
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
pub(in crate::serve::rest) async fn change_as_admin(
    rest: &Shared,
    verified: &Verified,
    (subject, issuer): (&str, &str),
    change: Change,
) -> Step<Answer> {
    let asks = verified.identity();
    let op = rest.admission.op_of(verified);
    let description = format!("User {asks} does not meet requirements");
    let advice = advice(rest, verified.identity());
    let op = op.ok_or_else(|| {
        let explanation = policy::advise(&[Missing::Provider], advice);
        answer::forbidden(description.clone(), json!([]), explanation)
    })?;
    require(policy::authorise_admin(&op.policy, verified), description.clone(), advice)?;
    let accounts = rest.admission.accounts();
    // A stolen admin's token must not end the suspension that was meant to stop it. Locking others
    // out opens no door, and clients know that a suspended admin can.
    let suspended = accounts.is_suspended(asks).await.map_err(|e| answer::account_failed(&e))?;
    if suspended && change == Change::Resume {
        tracing::warn!(identity = %asks.unique_id(), "an admin who is suspended was refused");
        let explanation = vec![SUSPENDED.to_owned()];
        return Err(answer::forbidden(description, json!("The admin is suspended"), explanation));
    }
    require(
        policy::authorise_target(&op.policy, &op.issuer, issuer),
        format!("Request from user {asks} does not meet requirements"),
        advice,
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

/// Locks the account of a person, ends the sessions, and drops what was remembered.
#[utoipa::path(
    method(get, post),
    path = "/admin/suspend",
    params(
        ("sub" = String, Query, description = "Subject of the person."),
        ("iss" = String, Query, description = "Issuer of the person."),
        ("oidc-issuer" = Option<String>, Header, description = "Issuer of a token that does not name it itself."),
    ),
    responses((status = 200, body = StateAnswer, description = "The state after the request."), NeedsParameters, NeedsAuthorisation),
    security(("HTTPBearer" = [])),
)]
pub(in crate::serve::rest) async fn suspend(
    State(rest): State<Shared>,
    headers: HeaderMap,
    uri: Uri,
) -> Answer {
    end(admin_request(&rest, &headers, &uri, Change::Suspend).await)
}

/// Lets a suspended person in again.
#[utoipa::path(
    method(get, post),
    path = "/admin/resume",
    params(
        ("sub" = String, Query, description = "Subject of the person."),
        ("iss" = String, Query, description = "Issuer of the person."),
        ("oidc-issuer" = Option<String>, Header, description = "Issuer of a token that does not name it itself."),
    ),
    responses((status = 200, body = StateAnswer, description = "The state after the request."), NeedsParameters, NeedsAuthorisation),
    security(("HTTPBearer" = [])),
)]
pub(in crate::serve::rest) async fn resume(
    State(rest): State<Shared>,
    headers: HeaderMap,
    uri: Uri,
) -> Answer {
    end(admin_request(&rest, &headers, &uri, Change::Resume).await)
}
