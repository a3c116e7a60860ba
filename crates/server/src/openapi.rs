//! The OpenAPI document: made from the operations' own annotations, with what they share added here.

use rivergen_federation::scim::representation::ScimErrorBody;
use rivergen_kernel::{
    UploadId,
    error::{ErrorBody, ErrorEnvelope, FieldError},
};
use utoipa::{
    Modify, OpenApi as _,
    openapi::{
        OpenApi, RefOr, Schema,
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "RiverGen",
        description = "Identity, tenancy and governed data in one server. Answers are wrapped in `{success, data, message}`; \
            errors in `{success, error: {code, message, details, request_id}}`. Times are UTC, RFC 3339.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
        contact()
    ),
    components(schemas(ErrorEnvelope, ErrorBody, FieldError, ScimErrorBody, UploadId)),
    modifiers(&Bearer),
    security(("bearer" = [])),
    tags(
        (name = "authentication", description = "Sign-up, sign-in and sessions."),
        (name = "organizations", description = "Organizations, their workspaces and their members."),
        (name = "workspaces", description = "The same workspaces, over all organizations."),
        (name = "invitations", description = "How people come into organizations: by a link in a mail."),
        (name = "organization_tokens", description = "The tokens that members hold for an organization."),
        (name = "roles", description = "Roles, who has them, and what they allow."),
        (name = "sso", description = "Single sign-on through an organization's own identity provider, and attribute-based access."),
        (name = "sso_enforcement", description = "Required single sign-on and second factors."),
        (name = "scim", description = "SCIM 2.0: an identity provider pushes people and groups."),
        (name = "oauth_applications", description = "Applications that sign people in with this server, or act for them."),
        (name = "oauth2", description = "OAuth 2.1 and OpenID Connect: what applications speak, and what people let them do."),
        (name = "storage", description = "Files, sealed with the organization's key."),
        (name = "data_sources", description = "Data sources: registered, tested, discovered and queried under policies."),
        (name = "policies", description = "Row filters, masks, limits and access, and the record of what they did."),
        (name = "prompt_studio", description = "Questions in plain words, answered by governed queries.")
    )
)]
struct Base;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut OpenApi) {
        let scheme = Http::builder().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        document
            .components
            .get_or_insert_with(Default::default)
            .add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

/// The whole document. No server is needed to make it.
pub fn document() -> OpenApi {
    let mut document = Base::openapi();
    for operations in [
        rivergen_identity::operations().into_openapi(),
        rivergen_tenancy::operations().into_openapi(),
        rivergen_federation::operations().into_openapi(),
        rivergen_federation::scim::protocol().into_openapi(),
        rivergen_oauth::operations().into_openapi(),
        rivergen_oauth::protocol().into_openapi(),
        rivergen_storage::operations().into_openapi(),
        rivergen_policies::operations().into_openapi(),
        rivergen_sources::operations().into_openapi(),
        rivergen_runs::http::operations().into_openapi(),
        rivergen_studio::operations().into_openapi(),
    ] {
        document.merge(operations);
    }
    for item in document.paths.paths.values_mut() {
        let parameters = item.get.iter_mut().filter_map(|operation| operation.parameters.as_mut()).flatten();
        for parameter in parameters {
            if let RefOr::T(parameter) = parameter
                && let Some(schema) = &mut parameter.schema
            {
                put_default_in_its_place(schema);
            }
        }
    }
    document
}

/// The default of an inlined enumeration is derived as a second schema, of an object, beside it, and nothing is both.
fn put_default_in_its_place(schema: &mut RefOr<Schema>) {
    if let RefOr::T(Schema::AllOf(both)) = schema
        && let [RefOr::T(Schema::Object(named)), RefOr::T(Schema::Object(said))] = &both.items[..]
        && said.default.is_some()
    {
        let mut named = named.clone();
        named.default = said.default.clone();
        *schema = RefOr::T(Schema::Object(named));
    }
}

/// As `rivergen openapi` prints it.
pub fn document_text() -> String {
    let mut text = document().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    /// All `$ref`s below a value.
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|field| references(field, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn whatever_is_referred_to_is_there() {
        let document = serde_json::to_value(super::document()).unwrap();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 500);
        let dangling = |path: &&&str| document.pointer(path.trim_start_matches('#')).is_none();
        assert_eq!(found.iter().find(dangling), None);
    }

    #[test]
    fn a_default_is_one_of_what_is_taken() {
        let document = serde_json::to_value(super::document()).unwrap();
        let sorts = &document["paths"]["/api/v1/data-sources"]["get"]["parameters"];
        let sort_by = sorts.as_array().unwrap().iter().find(|parameter| parameter["name"] == "sort_by").unwrap();
        assert_eq!(sort_by["schema"]["default"], "created_at");
        assert!(sort_by["schema"]["enum"].as_array().unwrap().contains(&sort_by["schema"]["default"]));
    }
}
