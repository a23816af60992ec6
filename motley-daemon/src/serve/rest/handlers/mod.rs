//! One function for each path of the interface, and what they share.

pub(super) mod admin;
pub(super) mod approvals;
pub(super) mod code;
pub(super) mod person;
pub(super) mod public;

use super::{
    Shared, answer,
    authorization::{Bearer, issuer_hint},
    pages::contact,
};
use crate::{
    admission::Identified,
    policy::{self, Advice, Decision},
    request,
    serve::request_id,
    store::Use,
    verified::Verified,
};
use axum::{
    body::Body,
    http::{HeaderMap, Response},
};
use motley_proto::{Identity, Secret};
use std::sync::Arc;

type Answer = Response<Body>;
type Step<T> = Result<T, Answer>;

fn end(step: Step<Answer>) -> Answer {
    step.unwrap_or_else(|answer| answer)
}

/// What people of somebody's provider can be told when they lack something.
fn advice<'a>(rest: &'a Shared, identity: &Identity) -> Advice<'a> {
    let op = rest.config.op(&identity.issuer);
    Advice {
        scopes: op.map(|op| op.scopes.as_slice()).unwrap_or_default(),
        contact: contact(&rest.config),
    }
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
        advice(rest, verified.identity()),
    )
}

#[allow(clippy::result_large_err)]
fn require(decision: Decision, description: String, advice: Advice<'_>) -> Step<()> {
    match decision {
        Decision::Grant { .. } => {
            request::note_granted();
            Ok(())
        }
        Decision::Refuse(refusal) => {
            tracing::info!(reason = %refusal.reason, "not authorised");
            let explanation = policy::advise(&refusal.missing, advice);
            Err(answer::forbidden(description, refusal.details, explanation))
        }
    }
}

/// The same for whoever showed a credential that opens an account.
#[allow(clippy::result_large_err)]
fn require_authorised_by(rest: &Shared, identified: &Identified) -> Step<()> {
    require(
        rest.admission.authorise_identified(identified),
        format!("User {} does not meet requirements", identified.identity()),
        advice(rest, identified.identity()),
    )
}

/// A verified and authorised user of the service.
async fn authorised(rest: &Shared, headers: &HeaderMap) -> Step<(Secret, Arc<Verified>)> {
    let bearer = Bearer::find(headers)?;
    let (token, verified) = identify(rest, bearer, headers).await?;
    require_authorised(rest, &verified)?;
    let accounts = rest.admission.accounts();
    let back = accounts.reactivate(verified.identity(), &request_id()).await;
    back.map_err(|error| answer::account_failed(&error))?;
    let address = accounts.address_of(&verified);
    accounts.note_use(verified.identity(), Use::Rest, address);
    Ok((token, verified))
}
