//! What anybody may ask: indexes and what a client needs to know before it has a token.

use super::{Answer, Step, end};
use crate::{
    config::OpConfig,
    serve::{
        paths::Mount,
        rest::{
            Shared, answer,
            openapi::{Always, NeedsParameters},
            pages::Pages,
            query::Parameters,
        },
    },
};
use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
};
use motley_proto::{
    Issuer,
    rest::{DESCRIPTION, Detail, Index, Info, OpInfo},
};
use std::sync::Arc;

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

/// What is to be found here. Browsers get a page for people at the root.
#[utoipa::path(get, path = "/", responses((status = 200, body = Index, description = "The index."), Always))]
pub(in crate::serve::rest) async fn root(
    State(pages): State<Arc<Pages>>,
    Extension(mount): Extension<Mount>,
    headers: HeaderMap,
) -> Answer {
    let page = if mount == Mount::Root { pages.welcome(&headers) } else { None };
    let mut response = page.unwrap_or_else(root_index);
    // Caches must not hand the page to programs, nor the index to people (RFC 9110 §12.5.5).
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
    response
}

fn root_index() -> Answer {
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

/// What users can do with their own account.
#[utoipa::path(get, path = "/user", responses((status = 200, body = Index, description = "The index."), Always))]
pub(in crate::serve::rest) async fn user() -> Answer {
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

/// What admins can do with accounts of others.
#[utoipa::path(get, path = "/admin", responses((status = 200, body = Index, description = "The index."), Always))]
pub(in crate::serve::rest) async fn admin() -> Answer {
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

/// What a client must know before it asks a provider for a token.
#[utoipa::path(get, path = "/info", responses((status = 200, body = Info, description = "What clients must know."), Always))]
pub(in crate::serve::rest) async fn info(
    State(rest): State<Shared>,
    State(pages): State<Arc<Pages>>,
) -> Answer {
    let ops = &rest.config.ops;
    let info = Info {
        login_info: rest.config.adapter.login_info.texts().clone(),
        supported_ops: ops.iter().map(|op| op.issuer.trimmed().to_owned()).collect(),
        ops_info: ops.iter().map(|op| (op.issuer.trimmed().to_owned(), op_info(op))).collect(),
        chunked_prompt: rest.config.login.chunked_prompts,
        ssh_host_keys: pages.host_keys.current().as_ref().clone(),
    };
    answer::json(StatusCode::OK, &info)
}

fn op_info(op: &OpConfig) -> OpInfo {
    OpInfo {
        scopes: op.scopes.clone(),
        audience: op.audience_text.clone(),
        client_id: op.client_id.clone(),
    }
}

/// What a token of one provider must have.
#[utoipa::path(
    get,
    path = "/info/op",
    params(("url" = String, Query, description = "Issuer of the provider.")),
    responses(
        (status = 200, body = OpInfo, description = "What the token must have."),
        (status = 404, body = Detail, description = "The provider is not configured."),
        NeedsParameters,
        Always,
    ),
)]
pub(in crate::serve::rest) async fn info_op(State(rest): State<Shared>, uri: Uri) -> Answer {
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

/// The privacy statement of this service.
#[utoipa::path(
    get,
    path = "/privacy",
    responses(
        (status = 200, body = String, content_type = "text/html", description = "The statement."),
        (status = 404, body = String, content_type = "text/html", description = "There is none."),
        Always,
    ),
)]
pub(in crate::serve::rest) async fn privacy(State(pages): State<Arc<Pages>>) -> Answer {
    pages.privacy()
}

/// The OpenAPI document, which does not describe itself.
pub(in crate::serve::rest) async fn openapi(State(pages): State<Arc<Pages>>) -> Answer {
    let mut response = Answer::new(pages.openapi().into());
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
