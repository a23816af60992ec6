//! What admins decide about requests for accounts, each with his token.

use super::{Answer, Step, advice, end, identify, require};
use crate::{
    account::{DecisionError, Order, Suspender},
    admission::Admission,
    policy::{self, Missing, OpPolicy},
    serve::{
        admin::approvals::row,
        request_id,
        rest::{
            Shared, answer,
            authorization::Bearer,
            openapi::{NeedsAuthorisation, NeedsParameters},
            query::Parameters,
        },
    },
    store::Approval,
    verified::Verified,
};
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
};
use motley_proto::{
    Identity, Issuer, Subject,
    admin::Reason,
    approval::{ApprovalDecision, ApprovalRef, ApprovalRow},
    rest::{ApprovalList, ApprovalNext, ApprovalRequest, Detail, StateAnswer},
};
use serde_json::json;
use std::sync::Arc;

/// Most rows that are looked at for one answer, whether the admin may see them or not.
const SCANNED: i64 = 500;
/// Most rows of one answer.
const SHOWN: usize = 100;

/// An admin with a token that is good.
struct Asks {
    verified: Arc<Verified>,
    policy: OpPolicy,
    issuer: Issuer,
}

impl Asks {
    /// Somebody who is listed as an admin of his provider, and not suspended himself.
    async fn find(rest: &Shared, headers: &HeaderMap) -> Step<Self> {
        let bearer = Bearer::find(headers)?;
        let (_, verified) = identify(rest, bearer, headers).await?;
        let description = format!("User {} does not meet requirements", verified.identity());
        let advice = advice(rest, verified.identity());
        let op = rest.admission.op_of(&verified).ok_or_else(|| {
            let explanation = policy::advise(&[Missing::Provider], advice);
            answer::forbidden(description.clone(), json!([]), explanation)
        })?;
        require(policy::authorise_admin(&op.policy, &verified), description.clone(), advice)?;
        let accounts = rest.admission.accounts();
        let suspended = accounts.is_suspended(verified.identity()).await;
        if suspended.map_err(|error| answer::account_failed(&error))? {
            let explanation = vec!["Your own account is suspended.".to_owned()];
            let details = json!("The admin is suspended");
            return Err(answer::forbidden(description, details, explanation));
        }
        Ok(Self { policy: op.policy.clone(), issuer: op.issuer.clone(), verified })
    }

    fn may_decide_about(&self, target: &Identity) -> policy::Decision {
        policy::authorise_target(&self.policy, &self.issuer, target.issuer.as_str())
    }
}

/// Requests for accounts and groups about which the admin may decide.
#[utoipa::path(
    get,
    path = "/admin/approvals",
    params(
        ("sub" = Option<String>, Query, description = "With iss: begin behind this person."),
        ("iss" = Option<String>, Query, description = "With sub: begin behind this person."),
        ("oidc-issuer" = Option<String>, Header, description = "Issuer of a token that does not name it itself."),
    ),
    responses((status = 200, body = ApprovalList, description = "The requests."), NeedsAuthorisation),
    security(("HTTPBearer" = [])),
)]
pub(in crate::serve::rest) async fn list(
    State(rest): State<Shared>,
    headers: HeaderMap,
    uri: Uri,
) -> Answer {
    let step = async {
        let asks = Asks::find(&rest, &headers).await?;
        let parameters = Parameters::read(&uri);
        let after = match (parameters.get("iss"), parameters.get("sub")) {
            (Some(issuer), Some(subject)) => {
                Issuer::new(issuer).ok().zip(Subject::new(subject).ok())
            }
            _ => None,
        };
        let after = after.map(|(issuer, subject)| Identity::new(issuer, subject));
        let accounts = rest.admission.accounts();
        let now = accounts.clock.now();
        let found = accounts.store().approvals_after(after.as_ref(), now, SCANNED).await;
        let found = found.map_err(|error| answer::account_failed(&error.into()))?;
        let mut last = (found.len() >= SCANNED as usize).then(|| found.last().cloned()).flatten();
        let mut body = ApprovalList::default();
        for approval in found {
            if !asks.may_decide_about(&approval.identity).is_granted() {
                continue;
            }
            body.requests.push(shown(row(accounts, approval.clone()).await));
            if body.requests.len() >= SHOWN {
                last = Some(approval);
                break;
            }
        }
        body.next = last.map(|last| ApprovalNext {
            sub: last.identity.subject.to_string(),
            iss: last.identity.issuer.to_string(),
        });
        Ok(answer::json(StatusCode::OK, &body))
    };
    end(step.await)
}

fn shown(row: ApprovalRow) -> ApprovalRequest {
    ApprovalRequest {
        id: row.reference.to_string(),
        sub: row.identity.subject.to_string(),
        iss: row.identity.issuer.to_string(),
        kind: row.kind.as_str().to_owned(),
        status: row.status.as_str().to_owned(),
        username: row.name.map(|name| name.to_string()).unwrap_or_default(),
        full_name: row.full_name,
        email: row.email,
        email_verified: row.email_verified,
        groups: row.groups.iter().map(ToString::to_string).collect(),
        tier: row.tier,
        requested_at: row.requested_at,
        expires_at: row.expires_at,
    }
}

/// Accepts a request in the form in which the admin saw it. All rules are held against it again.
#[utoipa::path(
    post,
    path = "/admin/approvals/accept",
    params(
        ("id" = String, Query, description = "Name and revision of the request, as in k7dm3xqp.1."),
        ("reason" = Option<String>, Query, description = "Why, in one line."),
        ("oidc-issuer" = Option<String>, Header, description = "Issuer of a token that does not name it itself."),
    ),
    responses((status = 200, body = StateAnswer, description = "The state after the request."), (status = 404, body = Detail, description = "There is no such request."), (status = 409, body = Detail, description = "It has changed, was decided, or can't be carried out."), NeedsParameters, NeedsAuthorisation),
    security(("HTTPBearer" = [])),
)]
pub(in crate::serve::rest) async fn accept(
    State(rest): State<Shared>,
    headers: HeaderMap,
    uri: Uri,
) -> Answer {
    end(decide(&rest, &headers, &uri, ApprovalDecision::Accept).await)
}

/// Rejects a request in the form in which the admin saw it.
#[utoipa::path(
    post,
    path = "/admin/approvals/reject",
    params(
        ("id" = String, Query, description = "Name and revision of the request, as in k7dm3xqp.1."),
        ("reason" = Option<String>, Query, description = "Why, in one line."),
        ("oidc-issuer" = Option<String>, Header, description = "Issuer of a token that does not name it itself."),
    ),
    responses((status = 200, body = StateAnswer, description = "The state after the request."), (status = 404, body = Detail, description = "There is no such request."), (status = 409, body = Detail, description = "It has changed or was decided."), NeedsParameters, NeedsAuthorisation),
    security(("HTTPBearer" = [])),
)]
pub(in crate::serve::rest) async fn reject(
    State(rest): State<Shared>,
    headers: HeaderMap,
    uri: Uri,
) -> Answer {
    end(decide(&rest, &headers, &uri, ApprovalDecision::Reject).await)
}

async fn decide(
    rest: &Shared,
    headers: &HeaderMap,
    uri: &Uri,
    decision: ApprovalDecision,
) -> Step<Answer> {
    let parameters = Parameters::read(uri);
    let [id] = parameters.require(["id"])?;
    let asks = Asks::find(rest, headers).await?;
    let bad =
        |what: &str, why: String| answer::detail(StatusCode::BAD_REQUEST, format!("{what} {why}"));
    let reference = match id.parse::<ApprovalRef>() {
        Ok(reference) => reference,
        Err(error) => return Err(bad("id", error.to_string())),
    };
    let reason = match parameters.get("reason").map(Reason::new).transpose() {
        Ok(reason) => reason,
        Err(error) => return Err(bad("reason", error.to_string())),
    };
    let seen = seen(&rest.admission, &reference).await?;
    let target = asks.may_decide_about(&seen.identity);
    if !target.is_granted() {
        // What an admin may not decide he does not learn of either.
        return Err(refused(&DecisionError::Unknown));
    }
    let by = Suspender::Admin(asks.verified.identity().clone());
    let order = Order { by, reason };
    match rest.admission.decide(&seen, decision, &order, &request_id()).await {
        Ok(receipt) => {
            let credentials = serde_json::Map::new();
            let (state, message) = (receipt.state, receipt.message);
            let body = StateAnswer { state, message, credentials, receipt: None };
            Ok(answer::json(StatusCode::OK, &body))
        }
        Err(error) => Err(refused(&error)),
    }
}

async fn seen(admission: &Admission, reference: &ApprovalRef) -> Step<Approval> {
    let seen = admission.accounts().approval_seen(reference).await;
    seen.map_err(|error| match error {
        // Another revision is told only to whom the request concerns; to all others there is none.
        DecisionError::Changed(_) => answer::detail(
            StatusCode::CONFLICT,
            "There is no request of that name and revision; it may have changed",
        ),
        error => refused(&error),
    })
}

fn refused(error: &DecisionError) -> Answer {
    match error {
        DecisionError::Unknown => answer::detail(StatusCode::NOT_FOUND, "No such request"),
        DecisionError::Account(error) => answer::account_failed(error),
        error => answer::detail(
            StatusCode::CONFLICT,
            motley_proto::text::escape(&error.to_string(), 500),
        ),
    }
}
