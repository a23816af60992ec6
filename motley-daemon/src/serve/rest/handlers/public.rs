//! What anybody may ask: indexes and what a client needs to know before it has a token.

use super::{Answer, Step, end};
use crate::config::OpConfig;
use crate::serve::rest::{Shared, answer, query::Parameters};
use axum::{
    extract::State,
    http::{StatusCode, Uri},
};
use motley_proto::{
    Issuer,
    rest::{DESCRIPTION, Index, Info, OpInfo},
};

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

pub(in crate::serve::rest) async fn root() -> Answer {
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

pub(in crate::serve::rest) async fn info(State(rest): State<Shared>) -> Answer {
    let ops = &rest.config.ops;
    let info = Info {
        login_info: rest.config.adapter.login_info.texts().clone(),
        supported_ops: ops.iter().map(|op| op.issuer.trimmed().to_owned()).collect(),
        ops_info: ops.iter().map(|op| (op.issuer.trimmed().to_owned(), op_info(op))).collect(),
        chunked_prompt: rest.config.login.chunked_prompts,
        ssh_host_keys: Vec::new(),
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
