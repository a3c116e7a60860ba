//! What the server tells of itself: `/ServiceProviderConfig`, `/ResourceTypes`, `/Schemas` (RFC 7644, section 4).

use axum::extract::{Path, Request};
use serde_json::{Value, json};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    answer::{Answer, Content, List},
    bulk,
    error::{Result, ScimError},
    http::{MOST_RESULTS, Provisioner},
    representation::{DiscoveryFaults, ListFaults, ScimDefinitions, ScimServiceProviderConfig},
    schema::{self, GROUPS, SERVICE_PROVIDER_CONFIG, USERS},
};
use crate::Federation;

pub fn operations() -> OpenApiRouter<Federation> {
    OpenApiRouter::new()
        .routes(routes!(service_provider_config))
        .routes(routes!(list_schemas))
        .routes(routes!(get_schema))
        .routes(routes!(list_resource_types))
        .routes(routes!(get_resource_type))
}

/// Read which SCIM features the server supports
#[utoipa::path(get, path = "/scim/v2/ServiceProviderConfig", tag = "scim",
    responses((status = 200, description = "What works", body = ScimServiceProviderConfig, content_type = "application/scim+json"), ListFaults))]
async fn service_provider_config(provisioner: Provisioner) -> Answer {
    Answer::ok(json!({
        "schemas": [SERVICE_PROVIDER_CONFIG],
        "patch": {"supported": true},
        "bulk": {"supported": true, "maxOperations": bulk::MOST_OPERATIONS, "maxPayloadSize": bulk::LARGEST},
        "filter": {"supported": true, "maxResults": MOST_RESULTS},
        "changePassword": {"supported": false},
        "sort": {"supported": true},
        "etag": {"supported": true},
        "pagination": {"cursor": true, "index": true, "defaultPaginationMethod": "index",
            "defaultPageSize": MOST_RESULTS, "maxPageSize": MOST_RESULTS},
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "Bearer token",
            "description": "A token of one organization, which its administrator makes.",
            "specUri": "http://www.rfc-editor.org/info/rfc6750",
            "documentationUri": "https://tools.ietf.org/html/rfc6750",
            "primary": true,
        }],
        "meta": {"resourceType": "ServiceProviderConfig",
            "location": format!("{}/ServiceProviderConfig", provisioner.base())},
    }))
}

/// 403 for a filter, which these do not take.
fn unfiltered(request: &Request) -> Result<()> {
    let mut names = url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes());
    match names.any(|(name, _)| name.eq_ignore_ascii_case("filter")) {
        true => Err(ScimError::of_status(403, "What the server tells of itself is not filtered.")),
        false => Ok(()),
    }
}

fn all(documents: Vec<Value>) -> Answer {
    let total = documents.len() as u64;
    Answer::list(List::new(documents.into_iter().map(Content::Document).collect(), total, Some(1), None))
}

fn one(documents: Vec<Value>, id: &str) -> Result<Answer> {
    let found = documents.into_iter().find(|document| document["id"] == id);
    found.map(Answer::ok).ok_or_else(|| ScimError::of_status(404, "There is no such definition."))
}

/// List the schema definitions
#[utoipa::path(get, path = "/scim/v2/Schemas", tag = "scim",
    responses((status = 200, description = "All of them", body = ScimDefinitions, content_type = "application/scim+json"), DiscoveryFaults))]
async fn list_schemas(provisioner: Provisioner, request: Request) -> Result<Answer> {
    unfiltered(&request)?;
    Ok(all(schema::documents(&provisioner.base())))
}

/// Read one schema definition
#[utoipa::path(get, path = "/scim/v2/Schemas/{urn}", tag = "scim", params(("urn" = String, Path, description = "Its id")),
    responses((status = 200, description = "The definition", body = Object, content_type = "application/scim+json"), DiscoveryFaults))]
async fn get_schema(provisioner: Provisioner, Path(urn): Path<String>) -> Result<Answer> {
    one(schema::documents(&provisioner.base()), &urn)
}

/// List the resource types
#[utoipa::path(get, path = "/scim/v2/ResourceTypes", tag = "scim",
    responses((status = 200, description = "User and Group", body = ScimDefinitions, content_type = "application/scim+json"), DiscoveryFaults))]
async fn list_resource_types(provisioner: Provisioner, request: Request) -> Result<Answer> {
    unfiltered(&request)?;
    Ok(all(resource_types(&provisioner)))
}

/// Read one resource type
#[utoipa::path(get, path = "/scim/v2/ResourceTypes/{name}", tag = "scim", params(("name" = String, Path, description = "User or Group")),
    responses((status = 200, description = "The resource type", body = Object, content_type = "application/scim+json"), DiscoveryFaults))]
async fn get_resource_type(provisioner: Provisioner, Path(name): Path<String>) -> Result<Answer> {
    one(resource_types(&provisioner), &name)
}

fn resource_types(provisioner: &Provisioner) -> Vec<Value> {
    let base = provisioner.base();
    [&USERS, &GROUPS].map(|resource| resource.document(&base)).into()
}
