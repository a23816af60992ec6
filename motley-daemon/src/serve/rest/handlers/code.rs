//! `POST /user/otp`: gives the holder of a token a short code to type.

use super::{Answer, Step, authorised, end};
use crate::{
    admission::NoCode,
    otp::OtpError,
    serve::{
        request_id,
        rest::{Shared, answer, openapi::NeedsAuthorisation},
    },
};
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
};
use motley_proto::rest::{AccountState, GenerateOtp, UserOtp};
use serde_json::json;

/// Gives a short code that stands for the token at the login prompt, once.
#[utoipa::path(
    post,
    path = "/user/otp",
    params(("oidc-issuer" = Option<String>, Header, description = "Issuer of a token that does not name it itself.")),
    responses((status = 200, body = UserOtp, description = "The code, told once. Where codes are switched off or too many are unused, the answer is that of generate_otp."), NeedsAuthorisation),
    security(("HTTPBearer" = [])),
)]
pub(in crate::serve::rest) async fn otp(State(rest): State<Shared>, headers: HeaderMap) -> Answer {
    answer::no_store(end(issue(&rest, &headers).await))
}

async fn issue(rest: &Shared, headers: &HeaderMap) -> Step<Answer> {
    let (token, verified) = authorised(rest, headers).await?;
    let request = request_id();
    let identity = verified.identity();
    let refusal = match rest.admission.code_for_holder(&token, &verified, &request).await {
        Ok(new) => {
            let body = UserOtp {
                otp: new.code,
                otp_expires_at: new.expires_at.0,
                otp_lifetime: new.lifetime,
            };
            return Ok(answer::json(StatusCode::OK, &body));
        }
        Err(refusal) => refusal,
    };
    tracing::info!(request, identity = %identity.unique_id(), reason = %refusal, "no code");
    let none = |supported| {
        let body = GenerateOtp { supported, ..GenerateOtp::default() };
        answer::json(StatusCode::OK, &body)
    };
    let forbidden = |state: AccountState| {
        let description = format!("User {identity} has no account that a code could open");
        let details = json!(format!("The account is {state}"));
        let explanation = format!("A code opens a deployed account, and yours is {state}.");
        answer::forbidden(description, details, vec![explanation])
    };
    Ok(match refusal {
        NoCode::Off => none(false),
        NoCode::State(state) => forbidden(state),
        NoCode::Otp(OtpError::Suspended) => forbidden(AccountState::Suspended),
        NoCode::Otp(_) | NoCode::Provider => none(true),
        NoCode::Account(error) => answer::account_failed(&error),
    })
}
