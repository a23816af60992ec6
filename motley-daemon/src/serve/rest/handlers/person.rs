//! What people ask about themselves and their own account, each with his token.

use super::{Answer, advice, authorised, end, identify, require_authorised_by};
use crate::{
    account::Suspender,
    audit::Event,
    config::OpConfig,
    policy::{self, TierDecision},
    serve::{
        request_id,
        rest::{
            Shared, answer,
            authorization::{Bearer, issuer_hint},
            openapi::{NeedsAuthorisation, NeedsParameters, NeedsToken},
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
    LoginName,
    rest::{
        AccountState, AuthorisationInfo, Detail, FullStatus, GenerateOtp, OwnRequest, StateAnswer,
        TierInfo, VerifyUser,
    },
};

/// Who may use this service, for the provider of the token, and whether its person may.
#[utoipa::path(
    get,
    path = "/info/authorisation",
    params(("oidc-issuer" = Option<String>, Header, description = "Issuer of a token that does not name it itself.")),
    responses((status = 200, body = AuthorisationInfo, description = "The rules, and what they make of the person."), (status = 404, body = Detail, description = "The provider is not configured."), NeedsToken),
    security(("HTTPBearer" = [])),
)]
pub(in crate::serve::rest) async fn info_authorisation(
    State(rest): State<Shared>,
    headers: HeaderMap,
) -> Answer {
    let step = async {
        let bearer = Bearer::find(&headers)?;
        let (_, verified) = identify(&rest, bearer, &headers).await?;
        Ok(match rest.admission.op_of(&verified) {
            Some(op) => answer::json(StatusCode::OK, &authorisation_info(&rest, op, &verified)),
            None => answer::detail(StatusCode::NOT_FOUND, "OP not supported"),
        })
    };
    end(step.await)
}

fn authorisation_info(rest: &Shared, op: &OpConfig, verified: &Verified) -> AuthorisationInfo {
    let described = policy::describe(&op.policy);
    let explained = policy::explain(&op.policy, verified);
    AuthorisationInfo {
        op: op.issuer.to_string(),
        authorisation_type: described.kind.to_owned(),
        authorisation_info: described.sentence,
        supported_vos: described.supported_vos,
        audience: op.audience_text.clone(),
        authorised: explained.authorised,
        explanation: explained.sentences(advice(rest, verified.identity())),
        tier: explained.authorised.then(|| tier_info(&explained.tier)),
    }
}

fn tier_info(decision: &TierDecision) -> TierInfo {
    TierInfo { name: decision.tier.to_string(), reason: decision.sentence() }
}

fn own_request(approval: Approval) -> OwnRequest {
    OwnRequest {
        kind: approval.kind.as_str().to_owned(),
        groups: approval.intent.groups.iter().map(ToString::to_string).collect(),
        requested_at: approval.requested_at.0,
        expires_at: approval.expires_at.0,
    }
}

/// State of the person's account.
#[utoipa::path(
    get,
    path = "/user/get_status",
    params(("oidc-issuer" = Option<String>, Header, description = "Issuer of a token that does not name it itself.")),
    responses((status = 200, body = StateAnswer, description = "The state after the request."), NeedsAuthorisation),
    security(("HTTPBearer" = [])),
)]
pub(in crate::serve::rest) async fn get_status(
    State(rest): State<Shared>,
    headers: HeaderMap,
) -> Answer {
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

/// State of the person's account, with user name, subject, issuer and the reason.
#[utoipa::path(
    get,
    path = "/user/status",
    params(("oidc-issuer" = Option<String>, Header, description = "Issuer of a token that does not name it itself.")),
    responses((status = 200, body = FullStatus, description = "The state."), NeedsAuthorisation),
    security(("HTTPBearer" = [])),
)]
pub(in crate::serve::rest) async fn status(
    State(rest): State<Shared>,
    headers: HeaderMap,
) -> Answer {
    let step = async {
        let (_, verified) = authorised(&rest, &headers).await?;
        let identity = verified.identity();
        let standing = rest
            .admission
            .accounts()
            .standing(identity)
            .await
            .map_err(|e| answer::account_failed(&e))?;
        let request = rest
            .admission
            .accounts()
            .open_request(identity)
            .await
            .map_err(|e| answer::account_failed(&e))?;
        let StateAnswer { state, message, credentials, .. } = standing.answer();
        let op = rest.admission.op_of(&verified);
        let explained = op.map(|op| policy::explain(&op.policy, &verified));
        let status = FullStatus {
            state,
            message,
            credentials,
            username: standing.name().map(ToString::to_string).unwrap_or_default(),
            sub: identity.subject.to_string(),
            iss: identity.issuer.to_string(),
            explanation: explained
                .as_ref()
                .map(|explained| explained.sentences(advice(&rest, verified.identity())))
                .unwrap_or_default(),
            tier: explained.map(|explained| tier_info(&explained.tier)),
            request: request.map(own_request),
        };
        Ok(answer::json(StatusCode::OK, &status))
    };
    end(step.await)
}

/// Makes the person's account, or brings it up to date.
#[utoipa::path(
    method(get, post),
    path = "/user/deploy",
    params(("oidc-issuer" = Option<String>, Header, description = "Issuer of a token that does not name it itself.")),
    responses((status = 200, body = StateAnswer, description = "The state after the request."), NeedsAuthorisation),
    security(("HTTPBearer" = [])),
)]
pub(in crate::serve::rest) async fn deploy(
    State(rest): State<Shared>,
    headers: HeaderMap,
) -> Answer {
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

/// Locks the person's account.
#[utoipa::path(
    method(get, post),
    path = "/user/suspend",
    params(("oidc-issuer" = Option<String>, Header, description = "Issuer of a token that does not name it itself.")),
    responses((status = 200, body = StateAnswer, description = "The state after the request."), NeedsAuthorisation),
    security(("HTTPBearer" = [])),
)]
pub(in crate::serve::rest) async fn suspend(
    State(rest): State<Shared>,
    headers: HeaderMap,
) -> Answer {
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

/// Makes a one-time password for the token: its SHA-512 in lower-case hex.
#[utoipa::path(
    method(get, post),
    path = "/user/generate_otp",
    params(("oidc-issuer" = Option<String>, Header, description = "Issuer of a token that does not name it itself.")),
    responses((status = 200, body = GenerateOtp, description = "Whether there is one now, and until when."), NeedsAuthorisation),
    security(("HTTPBearer" = [])),
)]
pub(in crate::serve::rest) async fn generate_otp(
    State(rest): State<Shared>,
    headers: HeaderMap,
) -> Answer {
    let step = async {
        let (token, verified) = authorised(&rest, &headers).await?;
        let Some(passwords) = rest.admission.passwords() else {
            return Ok(answer::json(StatusCode::OK, &GenerateOtp::default()));
        };
        let standing = rest.admission.accounts().standing(verified.identity()).await;
        let standing = standing.map_err(|error| answer::account_failed(&error))?;
        let mut body = GenerateOtp { supported: true, ..GenerateOtp::default() };
        if standing.state == AccountState::Suspended {
            return Ok(answer::json(StatusCode::OK, &body));
        }
        let identity = verified.identity().clone();
        match passwords.issue(&token, &verified).await {
            Ok(end) => {
                let event = Event::OneTimePasswordIssued { request: request_id(), identity };
                let recorded = rest.admission.accounts().record(event);
                recorded.map_err(|error| answer::account_failed(&error))?;
                body.successful = true;
                body.otp_expires_at = Some(end.0);
                body.otp_lifetime = Some(passwords.seconds_until(end));
            }
            Err(error) => {
                tracing::warn!(identity = %identity.unique_id(), %error, "no one-time password issued");
            }
        }
        Ok(answer::json(StatusCode::OK, &body))
    };
    end(step.await)
}

/// Whether the token, or a one-time password or code in its place, opens the account of a name.
#[utoipa::path(
    get,
    path = "/verify_user",
    params(("username" = String, Query, description = "Local user name."), ("oidc-issuer" = Option<String>, Header, description = "Issuer of a token that does not name it itself.")),
    responses((status = 200, body = VerifyUser, description = "Whether it does."), NeedsParameters, NeedsAuthorisation),
    security(("HTTPBearer" = [])),
)]
pub(in crate::serve::rest) async fn verify_user(
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
        let identified = identified.map_err(|refusal| {
            tracing::info!(reason = %refusal, "credential refused");
            answer::refused(&refusal)
        })?;
        require_authorised_by(&rest, &identified)?;
        let standing = rest.admission.accounts().standing(identified.identity()).await;
        let standing = standing.map_err(|error| answer::account_failed(&error))?;
        let own = standing.name().map(|name| name.as_str());
        let named = LoginName::new(username).is_ok_and(|name| own == Some(name.as_str()));
        let named = named && identified.opens(username);
        let verified = named && standing.state == AccountState::Deployed;
        Ok(answer::json(StatusCode::OK, &VerifyUser { state: standing.state, verified }))
    };
    end(step.await)
}
