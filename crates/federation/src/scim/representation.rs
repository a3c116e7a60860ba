//! The shapes of SCIM's bodies, for the OpenAPI document. [`super::schema`] is what holds; it has attributes beside these.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use utoipa::{
    IntoParams, ToSchema,
    openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder},
};

use super::http::MEDIA_TYPE;

/// A user, sent or answered.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
    "userName": "ada@acme.example", "externalId": "00u1", "active": true,
    "name": {"givenName": "Ada", "familyName": "Lovelace"},
    "emails": [{"value": "ada@acme.example", "type": "work", "primary": true}]}))]
pub struct ScimUser {
    pub schemas: Vec<String>,
    #[schema(read_only)]
    pub id: Option<String>,
    /// Unique in the organization.
    pub external_id: Option<String>,
    /// A mail address, or any name beside a primary address in `emails`.
    pub user_name: String,
    pub display_name: Option<String>,
    pub name: Option<ScimName>,
    /// Whether the person is let in.
    pub active: Option<bool>,
    pub emails: Option<Vec<ScimEmail>>,
    #[schema(read_only)]
    pub meta: Option<ScimMeta>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct ScimName {
    pub formatted: Option<String>,
    pub family_name: Option<String>,
    pub given_name: Option<String>,
}

#[derive(ToSchema)]
pub struct ScimEmail {
    pub value: String,
    pub r#type: Option<String>,
    pub primary: Option<bool>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct ScimMeta {
    pub resource_type: String,
    pub created: DateTime<Utc>,
    pub last_modified: DateTime<Utc>,
    pub location: String,
    pub version: String,
}

/// A group, sent or answered.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
    "displayName": "Engineering", "members": [{"value": "42"}]}))]
pub struct ScimGroup {
    pub schemas: Vec<String>,
    #[schema(read_only)]
    pub id: Option<String>,
    /// Unique in the organization.
    pub external_id: Option<String>,
    pub display_name: String,
    pub members: Option<Vec<ScimMember>>,
    #[schema(read_only)]
    pub meta: Option<ScimMeta>,
}

#[derive(ToSchema)]
pub struct ScimMember {
    /// The id of a user.
    pub value: String,
    #[schema(read_only)]
    pub display: Option<String>,
}

/// A page of users.
#[derive(ToSchema)]
pub struct ScimUsers {
    pub schemas: Vec<String>,
    #[schema(rename = "totalResults")]
    pub total_results: u64,
    #[schema(rename = "itemsPerPage")]
    pub items_per_page: u64,
    /// Not for a list that is read by cursor.
    #[schema(rename = "startIndex")]
    pub start_index: Option<u64>,
    /// Where the next page begins, if the list is read by cursor.
    #[schema(rename = "nextCursor")]
    pub next_cursor: Option<String>,
    #[schema(rename = "Resources")]
    pub resources: Vec<ScimUser>,
}

/// A page of groups.
#[derive(ToSchema)]
pub struct ScimGroups {
    pub schemas: Vec<String>,
    #[schema(rename = "totalResults")]
    pub total_results: u64,
    #[schema(rename = "itemsPerPage")]
    pub items_per_page: u64,
    /// Not for a list that is read by cursor.
    #[schema(rename = "startIndex")]
    pub start_index: Option<u64>,
    /// Where the next page begins, if the list is read by cursor.
    #[schema(rename = "nextCursor")]
    pub next_cursor: Option<String>,
    #[schema(rename = "Resources")]
    pub resources: Vec<ScimGroup>,
}

/// All of a kind that the server tells of itself.
#[derive(ToSchema)]
pub struct ScimDefinitions {
    pub schemas: Vec<String>,
    #[schema(rename = "totalResults")]
    pub total_results: u64,
    #[schema(rename = "itemsPerPage")]
    pub items_per_page: u64,
    #[schema(rename = "startIndex")]
    pub start_index: u64,
    #[schema(rename = "Resources")]
    pub resources: Vec<BTreeMap<String, Value>>,
}

/// What this server can do.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct ScimServiceProviderConfig {
    pub schemas: Vec<String>,
    pub patch: ScimSupport,
    pub bulk: ScimBulkSupport,
    pub filter: ScimFilterSupport,
    pub change_password: ScimSupport,
    pub sort: ScimSupport,
    pub etag: ScimSupport,
    pub pagination: ScimPagination,
    pub authentication_schemes: Vec<ScimAuthenticationScheme>,
}

/// How lists are read (RFC 9865).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct ScimPagination {
    pub cursor: bool,
    pub index: bool,
    pub default_pagination_method: String,
    pub default_page_size: u64,
    pub max_page_size: u64,
}

#[derive(ToSchema)]
pub struct ScimSupport {
    pub supported: bool,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct ScimBulkSupport {
    pub supported: bool,
    pub max_operations: u64,
    pub max_payload_size: u64,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct ScimFilterSupport {
    pub supported: bool,
    pub max_results: u64,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct ScimAuthenticationScheme {
    pub r#type: String,
    pub name: String,
    pub description: String,
    pub spec_uri: String,
    pub documentation_uri: String,
    pub primary: bool,
}

/// Changes of single attributes.
#[derive(ToSchema)]
#[schema(example = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
    "Operations": [{"op": "replace", "path": "active", "value": false}]}))]
pub struct ScimPatch {
    pub schemas: Vec<String>,
    /// All of them are done, or none.
    #[schema(rename = "Operations")]
    pub operations: Vec<ScimPatchOperation>,
}

#[derive(ToSchema)]
pub struct ScimPatchOperation {
    /// `add`, `replace` or `remove`, in whatever case.
    pub op: String,
    pub path: Option<String>,
    pub value: Option<Value>,
}

/// Many operations in one request.
#[derive(ToSchema)]
#[schema(example = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "failOnErrors": 1,
    "Operations": [{"method": "POST", "path": "/Users", "bulkId": "ada", "data": {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ada@acme.example"}}]}))]
pub struct ScimBulk {
    pub schemas: Vec<String>,
    /// After so many errors, one at least, the rest is left undone; what is done stays done.
    #[schema(rename = "failOnErrors")]
    pub fail_on_errors: Option<u64>,
    #[schema(rename = "Operations")]
    pub operations: Vec<ScimBulkOperation>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct ScimBulkOperation {
    pub method: String,
    /// `/Users`, `/Groups`, or one of them.
    pub path: String,
    /// What others of the request call what this one makes, as `bulkId:…`.
    pub bulk_id: Option<String>,
    /// The entity tag that it must have, as in `If-Match`.
    pub version: Option<String>,
    pub data: Option<Value>,
}

/// What became of each.
#[derive(ToSchema)]
pub struct ScimBulkAnswer {
    pub schemas: Vec<String>,
    #[schema(rename = "Operations")]
    pub operations: Vec<Value>,
}

/// A list, asked for by a body.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
    "filter": "userName eq \"ada@acme.example\""}))]
pub struct ScimSearch {
    pub schemas: Vec<String>,
    pub filter: Option<String>,
    pub sort_by: Option<String>,
    pub sort_order: Option<String>,
    pub start_index: Option<u64>,
    pub count: Option<u64>,
    pub cursor: Option<String>,
    pub attributes: Option<Vec<String>>,
    pub excluded_attributes: Option<Vec<String>>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub struct ListParameters {
    /// The whole grammar of RFC 7644: `userName eq "ada@acme.example"`.
    #[param(example = "active eq true")]
    pub filter: Option<String>,
    /// An attribute: `userName`, `name.familyName`, `meta.lastModified`.
    pub sort_by: Option<String>,
    /// `ascending` or `descending`.
    #[param(default = "ascending")]
    pub sort_order: Option<String>,
    /// From 1.
    #[param(default = 1)]
    pub start_index: Option<i64>,
    /// At most 100; 0 tells only how many there are.
    #[param(default = 100)]
    pub count: Option<i64>,
    /// Reads by cursor instead: empty for the first page, then `nextCursor` of the previous one.
    pub cursor: Option<String>,
    /// Only these attributes, separated by commas.
    pub attributes: Option<String>,
    /// All but these, separated by commas: `members`.
    pub excluded_attributes: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub struct ProjectionParameters {
    /// Only these attributes, separated by commas.
    pub attributes: Option<String>,
    /// All but these, separated by commas: `members`.
    pub excluded_attributes: Option<String>,
}

/// SCIM's own body of an error.
#[derive(ToSchema)]
pub struct ScimErrorBody {
    pub schemas: Vec<String>,
    pub detail: String,
    /// The status, as a text.
    #[schema(examples("400"))]
    pub status: String,
    #[schema(rename = "scimType", examples("invalidValue"))]
    pub scim_type: Option<String>,
}

/// The errors of an operation, for its description.
pub fn faults(known: &[(u16, &str)]) -> BTreeMap<String, RefOr<Response>> {
    let response = |(status, when): &(u16, &str)| {
        let example = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": status.to_string(),
            "detail": when});
        let content =
            ContentBuilder::new().schema(Some(Ref::from_schema_name("ScimErrorBody"))).example(Some(example)).build();
        let response = ResponseBuilder::new().description(*when).content(MEDIA_TYPE, content).build();
        (status.to_string(), RefOr::T(response))
    };
    known.iter().map(response).collect()
}

macro_rules! faults {
    ($($name:ident: $($status:literal $when:literal),+ $(,)?;)+) => {$(
        #[doc = "The errors of an operation, for its OpenAPI description."]
        pub struct $name;

        impl utoipa::IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                faults(&[$(($status, $when)),+, (401, "The bearer token is missing, wrong or expired."),
                    (429, "Too many requests; try again later (Retry-After says when).")])
            }
        }
    )+};
}

faults! {
    ListFaults: 400 "invalidFilter, invalidPath, invalidCursor, invalidCount or invalidValue: the request cannot be \
                     understood.";
    CreateFaults: 400 "invalidSyntax or invalidValue: the body is not such a resource.",
        409 "uniqueness: a name is taken.", 413 "The body is too large.", 415 "The body is of another type.";
    ReadFaults: 404 "There is no such resource.", 412 "If-Match names another version.";
    ReplaceFaults: 400 "invalidSyntax, invalidValue or mutability: the body is not such a resource.",
        404 "There is no such resource.", 409 "uniqueness: a name is taken; or the organization would be left without an owner.",
        412 "If-Match names another version.", 413 "The body is too large.", 415 "The body is of another type.";
    PatchFaults: 400 "invalidSyntax, invalidPath, noTarget, invalidValue or mutability: an operation cannot be done.",
        404 "There is no such resource.", 409 "uniqueness: a name is taken; or the organization would be left without an owner.",
        412 "If-Match names another version.", 413 "The body is too large.", 415 "The body is of another type.";
    DeleteFaults: 404 "There is no such resource.", 409 "The organization would be left without an owner.",
        412 "If-Match names another version.";
    BulkFaults: 400 "invalidSyntax or invalidValue: the body is not such a request.", 413 "Too many operations, or too many bytes.",
        415 "The body is of another type.";
    DiscoveryFaults: 403 "Filters are not supported here.", 404 "There is no such definition.";
}
