//! What SCIM answers, other than errors: resources with their entity tags, and pages of them.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::Value;

use super::{
    document::{Document, Projection},
    error::{Result, ScimError},
    http::{MEDIA_TYPE, Preconditions, etag},
    members::Member,
    schema::ResourceType,
};

const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";

/// A resource as it is written. The members of a group are no part of the document: there may be many thousands, of
/// which nothing is made that is not sent.
#[derive(Debug, Clone, Serialize)]
pub struct Resource {
    #[serde(flatten)]
    pub document: Document,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<Member>,
}

impl Resource {
    /// What is left by `attributes` and `excludedAttributes`; no more than that was made of the members.
    pub fn projected(self, resource: &ResourceType, projection: &Projection) -> Self {
        Self { document: projection.of(resource, self.document), ..self }
    }
}

impl From<Document> for Resource {
    fn from(document: Document) -> Self {
        Self { document, members: Vec::new() }
    }
}

/// A resource as it is answered.
#[derive(Debug, Clone)]
pub struct Shown {
    pub id: i64,
    pub version: i64,
    pub location: String,
    pub resource: Resource,
}

impl Shown {
    /// What is left of it by `attributes` and `excludedAttributes`.
    pub fn projected(self, resource: &ResourceType, projection: &Projection) -> Self {
        Self { resource: self.resource.projected(resource, projection), ..self }
    }

    /// With a status, its entity tag and where it is.
    pub fn answer(self, status: StatusCode) -> Answer {
        let body = Some(Content::Resource(self.resource));
        Answer { status, body, version: Some(self.version), location: Some(self.location) }
    }

    /// 200, or 304 where the client has this version; 412 where it asks for another one.
    pub fn unless_known(self, preconditions: &Preconditions) -> Result<Answer> {
        preconditions.require_match(self.version)?;
        Ok(match preconditions.is_known(self.version) {
            true => Answer { body: None, ..self.answer(StatusCode::NOT_MODIFIED) },
            false => self.answer(StatusCode::OK),
        })
    }
}

/// What is sent.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Content {
    Document(Value),
    Resource(Resource),
    List(List),
}

/// A page of a list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct List {
    schemas: [&'static str; 1],
    total_results: u64,
    items_per_page: usize,
    /// Not for a list that is read by cursor.
    #[serde(skip_serializing_if = "Option::is_none")]
    start_index: Option<u64>,
    /// Where the next page begins, if the list is read by cursor.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    #[serde(rename = "Resources")]
    resources: Vec<Content>,
}

impl List {
    pub fn new(
        resources: Vec<Content>,
        total_results: u64,
        start_index: Option<u64>,
        next_cursor: Option<String>,
    ) -> Self {
        let items_per_page = resources.len();
        Self { schemas: [LIST], total_results, items_per_page, start_index, next_cursor, resources }
    }
}

/// An answer that is no error.
#[derive(Debug)]
pub struct Answer {
    status: StatusCode,
    body: Option<Content>,
    version: Option<i64>,
    location: Option<String>,
}

impl Answer {
    pub fn ok(body: Value) -> Self {
        Self { body: Some(Content::Document(body)), status: StatusCode::OK, ..Self::no_content() }
    }

    pub fn list(list: List) -> Self {
        Self { body: Some(Content::List(list)), status: StatusCode::OK, ..Self::no_content() }
    }

    pub fn no_content() -> Self {
        Self { status: StatusCode::NO_CONTENT, body: None, version: None, location: None }
    }

    /// 204, with the entity tag of what was changed.
    pub fn changed(version: i64) -> Self {
        Self { version: Some(version), ..Self::no_content() }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = match self.body.as_ref().map(serde_json::to_vec).transpose() {
            Ok(Some(body)) => {
                let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE))];
                (self.status, content_type, body).into_response()
            }
            Ok(None) => self.status.into_response(),
            Err(error) => return ScimError::from(rivergen_kernel::Error::internal(error)).into_response(),
        };
        let headers = response.headers_mut();
        if let Some(tag) = self.version.and_then(|version| HeaderValue::from_str(&etag(version)).ok()) {
            headers.insert(header::ETAG, tag);
        }
        if let Some(location) = self.location.and_then(|location| HeaderValue::from_str(&location).ok()) {
            let name = if self.status == StatusCode::CREATED { header::LOCATION } else { header::CONTENT_LOCATION };
            headers.insert(name, location);
        }
        response
    }
}
