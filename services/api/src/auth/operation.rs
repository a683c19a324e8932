//! The operations of the API, each with its action.

use axum::routing::MethodRouter;
use domain::access::Action;
use serde_json::json;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn, PathItem, Paths};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, Required, ResponseBuilder};
use utoipa_axum::router::OpenApiRouter;

use super::gate::gated;

/// The names of the security schemes in the `OpenAPI` document.
const KEY: &str = "key";
const TOKEN: &str = "token";
const CERTIFICATE: &str = "certificate";

/// The extension of an operation that names its action, and the word of those that need no role.
const ACTION: &str = "x-action";
const OPEN: &str = "open";

/// What `routes!` makes of operations.
type Operations<S> = (Vec<(String, RefOr<Schema>)>, Paths, MethodRouter<S>);

/// A router to which operations are added only with their action. A route without one does not
/// compile.
pub(crate) struct Routes<S>(OpenApiRouter<S>);

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    pub fn new(document: OpenApi) -> Self {
        Self(OpenApiRouter::with_openapi(document))
    }

    /// Adds operations of one path, behind the gate of their action.
    pub fn gated(self, action: Action, (schemas, mut paths, route): Operations<S>) -> Self {
        for operation in paths.paths.values_mut().flat_map(operations) {
            name_action(operation, action.name());
            operation.security = Some(vec![
                SecurityRequirement::new(KEY, NONE),
                SecurityRequirement::new(TOKEN, NONE),
                SecurityRequirement::new(CERTIFICATE, NONE),
            ]);
            refusals(operation);
            tenant(operation);
        }
        Self(self.0.routes((schemas, paths, gated(action, route))))
    }

    /// Adds operations that need no role.
    pub fn open(self, (schemas, mut paths, route): Operations<S>) -> Self {
        for operation in paths.paths.values_mut().flat_map(operations) {
            name_action(operation, OPEN);
            operation.security = Some(Vec::new());
        }
        Self(self.0.routes((schemas, paths, route)))
    }

    pub fn into_inner(self) -> OpenApiRouter<S> {
        self.0
    }
}

/// A requirement has no scopes.
const NONE: [&str; 0] = [];

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let all = [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.delete,
        &mut item.patch,
    ];
    all.into_iter().flatten()
}

fn name_action(operation: &mut Operation, action: &str) {
    let extensions = operation.extensions.get_or_insert_default();
    extensions.merge(Extensions::builder().add(ACTION, json!(action)).build());
}

/// Documents what the gate may answer.
fn refusals(operation: &mut Operation) {
    let responses = &mut operation.responses.responses;
    for (status, why) in [
        ("400", "A header or a parameter that cannot be used"),
        ("401", "No credential, or one that proves nothing"),
        (
            "403",
            "A role is missing, or the page of another site calls",
        ),
    ] {
        let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem")));
        let response = ResponseBuilder::new()
            .description(why)
            .content("application/problem+json", problem.build());
        let response = RefOr::T(response.build());
        responses.entry(status.into()).or_insert(response);
    }
}

/// Documents the header that names the tenant.
fn tenant(operation: &mut Operation) {
    let name = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^[0-9a-z-]{1,63}$"));
    let parameter = ParameterBuilder::new()
        .name("Fanfold-Tenant")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "The tenant that the call is for: needed only by callers with roles in several tenants",
        ))
        .schema(Some(name));
    let parameters = operation.parameters.get_or_insert_default();
    parameters.push(RefOr::T(parameter.build()));
}

/// The security schemes of the `OpenAPI` document.
pub(crate) fn schemes(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    let mut key = Http::new(HttpAuthScheme::Bearer);
    key.description = Some("A key of AUTH_KEYS_FILE".into());
    let mut token = Http::new(HttpAuthScheme::Bearer);
    token.bearer_format = Some("JWT".into());
    token.description = Some("A JWT of AUTH_ISSUER".into());
    components.add_security_scheme(KEY, SecurityScheme::Http(key));
    components.add_security_scheme(TOKEN, SecurityScheme::Http(token));
    let certificate = SecurityScheme::MutualTls {
        description: Some("A client certificate with a name in AUTH_KEYS_FILE".into()),
        deprecated: None,
        extensions: None,
    };
    components.add_security_scheme(CERTIFICATE, certificate);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_operation_of_the_document_names_its_action_and_what_it_needs() {
        let document = json!(crate::openapi());
        let mut counted: BTreeMap<&str, usize> = BTreeMap::new();
        let page = include_str!("../../../../docs/security.md");
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let action = operation[ACTION].as_str();
                let action = action.unwrap_or_else(|| panic!("{method} {path} names no action"));
                *counted.entry(action).or_default() += 1;
                let known = Action::ALL.iter().find(|known| known.name() == action);
                let security = operation["security"].as_array().unwrap();
                assert_eq!(security.is_empty(), known.is_none(), "{method} {path}");
                assert_eq!(operation["responses"]["401"].is_null(), known.is_none());
                let needs = known.map_or("none", |known| known.needs().name());
                let row = format!(
                    "| `{} {path}` | {action} | {needs} |",
                    method.to_uppercase()
                );
                assert!(page.contains(&row), "docs/security.md lacks {row}");
            }
        }
        let expected = [
            ("check", 1),
            ("inspect", 5),
            ("open", 4),
            ("operate", 10),
            ("read", 6),
            ("submit", 1),
        ];
        assert_eq!(counted, BTreeMap::from(expected));
        let rows = page.lines().filter(|line| {
            line.starts_with("| `GET /")
                || line.starts_with("| `POST /")
                || line.starts_with("| `DELETE /")
        });
        // The API's own, and `/metrics` of the admin listener.
        assert_eq!(rows.count(), counted.values().sum::<usize>() + 1);
        let schemes = document["components"]["securitySchemes"]
            .as_object()
            .unwrap();
        assert_eq!(schemes.len(), 3);
    }
}
