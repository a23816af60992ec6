//! The OpenAPI 3.1 document of the interface, put together from what stands beside each handler.

use super::handlers::{admin, approvals, code, person, public};
use motley_proto::rest;
use std::collections::BTreeMap;
use utoipa::{
    IntoResponses, Modify, OpenApi,
    openapi::{
        Content, Deprecated, Header, OpenApi as Document, Ref, RefOr, Response, ResponseBuilder,
        path::{Operation, PathItem},
        schema::{OneOfBuilder, Schema},
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};

/// Where clients find the interface, and how its operations are grouped there.
const MOUNTS: [(&str, &str); 2] = [("/api", "API"), ("/api/v1", "API v1")];

#[derive(OpenApi)]
#[openapi(
    info(
        title = "motley_cue",
        description = "Maps the identities of OpenID providers to accounts of this host. Requests \
                       about a person need an access token of a trusted provider as bearer token \
                       (RFC 6750). The same paths are there under / as well.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    tags(
        (name = "API", description = "The current version."),
        (name = "API v1", description = "Version 1, which is the current one."),
    ),
    paths(
        public::root, public::user, public::admin, public::info, public::info_op, public::privacy,
        person::info_authorisation, person::get_status, person::status, person::deploy,
        person::suspend, person::generate_otp, code::otp, person::verify_user,
        admin::suspend, admin::resume,
        approvals::list, approvals::accept, approvals::reject,
    ),
    components(schemas(rest::Detail, rest::Refusal)),
    modifiers(&BearerToken),
)]
struct Interface;

struct BearerToken;

impl Modify for BearerToken {
    fn modify(&self, document: &mut Document) {
        let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        document.components.get_or_insert_default().add_security_scheme("HTTPBearer", bearer);
    }
}

/// The document in JSON. GET on paths that change something is in it where it works.
pub(super) fn document(get_mutations: bool) -> Vec<u8> {
    let mut document = Interface::openapi();
    let described = std::mem::take(&mut document.paths.paths);
    for (mount, tag) in MOUNTS {
        for (path, item) in &described {
            let path = format!("{mount}{path}");
            let item = mounted(item.clone(), &path, tag, get_mutations);
            document.paths.paths.insert(path, item);
        }
    }
    serde_json::to_vec(&document).unwrap_or_default()
}

fn mounted(mut item: PathItem, path: &str, tag: &str, get_mutations: bool) -> PathItem {
    if let (Some(get), Some(_)) = (&mut item.get, &item.post) {
        get.deprecated = Some(Deprecated::True);
        get.description = Some("The same by GET, for old clients. Use POST.".to_owned());
        if !get_mutations {
            item.get = None;
        }
    }
    for (method, operation) in [("get", &mut item.get), ("post", &mut item.post)] {
        if let Some(operation) = operation {
            name(operation, method, path, tag);
        }
    }
    item
}

/// Generated clients call the operation by its id, which has to be one of its own.
fn name(operation: &mut Operation, method: &str, path: &str, tag: &str) {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let words: Vec<&str> = std::iter::once(method).chain(words).collect();
    operation.operation_id = Some(words.join("_"));
    operation.tags = Some(vec![tag.to_owned()]);
}

type Responses = BTreeMap<String, RefOr<Response>>;

fn json(description: &str, schema: impl Into<RefOr<Schema>>) -> ResponseBuilder {
    let content = Content::new(Some(schema));
    ResponseBuilder::new().description(description).content("application/json", content)
}

fn detail() -> Ref {
    Ref::from_schema_name("ClientError")
}

fn refusal() -> Ref {
    Ref::from_schema_name("FlaatError")
}

fn with<const N: usize>(mut base: Responses, more: [(&str, ResponseBuilder); N]) -> Responses {
    let more =
        more.into_iter().map(|(status, response)| (status.to_owned(), RefOr::T(response.build())));
    base.extend(more);
    base
}

/// What every request may be answered.
pub(super) struct Always;

impl IntoResponses for Always {
    fn responses() -> Responses {
        let late = ResponseBuilder::new().description("The work took too long and was given up.");
        with(
            Responses::new(),
            [("429", json("Too many requests of one address or person.", detail())), ("504", late)],
        )
    }
}

/// What a request without its query parameters is answered.
pub(super) struct NeedsParameters;

impl IntoResponses for NeedsParameters {
    fn responses() -> Responses {
        let text = "A query parameter is missing. The text names it.";
        with(Responses::new(), [("400", json(text, detail()))])
    }
}

/// What a request is answered whose token is not good.
pub(super) struct NeedsToken;

impl IntoResponses for NeedsToken {
    fn responses() -> Responses {
        let either = OneOfBuilder::new().item(detail()).item(refusal()).build();
        let text = "There is no bearer token, or it is not good, or the person is rejected.";
        let refused =
            json(text, Schema::OneOf(either)).header("www-authenticate", Header::default());
        with(Always::responses(), [("401", refused)])
    }
}

/// What somebody is answered who may not do this, and what everybody is when something fails inside.
pub(super) struct NeedsAuthorisation;

impl IntoResponses for NeedsAuthorisation {
    fn responses() -> Responses {
        with(
            NeedsToken::responses(),
            [
                ("403", json("The person is not authorised; the sentences say why.", refusal())),
                ("500", json("Something failed inside. Trying again may help.", detail())),
            ],
        )
    }
}

#[cfg(test)]
mod tests;
