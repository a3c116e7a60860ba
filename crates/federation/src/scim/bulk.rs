//! `POST /scim/v2/Bulk` (RFC 7644, section 3.7): many operations in one request, each in a transaction of its own.
//!
//! An operation may refer to what another one makes, by `bulkId:…` in its path or its data; it waits until that is made,
//! wherever that stands in the request. What refers to what failed or is not in the request fails with it, and what waits for
//! each other conflicts (409, section 3.7.1).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    answer::Answer,
    error::{Kind, Result, ScimError},
    faults, group,
    http::{Body, Preconditions, Provisioner, etag, require_schema},
    representation::{BulkFaults, ScimBulk, ScimBulkAnswer},
    user,
};
use crate::Federation;

pub const MOST_OPERATIONS: usize = 1000;
/// Of the whole request, in bytes.
pub const LARGEST: usize = 1024 * 1024;
const REQUEST: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
const RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";

pub fn operations() -> OpenApiRouter<Federation> {
    OpenApiRouter::new().routes(routes!(bulk)).layer(axum::extract::DefaultBodyLimit::max(LARGEST))
}

/// Process many operations in one request
#[utoipa::path(post, path = "/scim/v2/Bulk", tag = "scim", request_body(content = ScimBulk, content_type = "application/scim+json"),
    responses((status = 200, description = "The result of each, in their order", body = ScimBulkAnswer, content_type = "application/scim+json"), BulkFaults))]
async fn bulk(provisioner: Provisioner, Body(body): Body) -> Result<Answer> {
    require_schema(&body, REQUEST)?;
    let operations = body.get("Operations").and_then(Value::as_array);
    let operations = operations.ok_or_else(|| ScimError::new(Kind::InvalidSyntax, "Operations must be a list."))?;
    if operations.len() > MOST_OPERATIONS {
        return Err(ScimError::of_status(413, format!("A request has at most {MOST_OPERATIONS} operations.")));
    }
    let most_errors = match body.get("failOnErrors") {
        None | Some(Value::Null) => u64::MAX,
        Some(most) => most.as_u64().ok_or_else(|| ScimError::value("failOnErrors is a number of errors."))?.max(1),
    };
    let mut work = Work { provisioner: &provisioner, made: BTreeMap::new(), done: BTreeMap::new(), errors: 0 };
    let mut named = BTreeSet::new();
    let mut waiting = Vec::with_capacity(operations.len());
    for (at, operation) in operations.iter().enumerate() {
        match maker(operation) {
            Some(name) if !named.insert(name) && work.errors < most_errors => {
                let error = ScimError::value("Another operation of the request has this bulkId.");
                work.finish(at, operation, Err(error)).await;
            }
            _ => waiting.push(Waiting { at, operation, refers: references(operation) }),
        }
    }
    loop {
        let before = waiting.len();
        let mut still = Vec::new();
        for one in waiting {
            if work.errors >= most_errors {
                continue;
            }
            if one.refers.iter().all(|name| work.made.contains_key(*name)) {
                let resolved = work.resolved(one.operation);
                work.run(one.at, &resolved).await;
            } else {
                still.push(one);
            }
        }
        waiting = still;
        if waiting.is_empty() || waiting.len() == before {
            break;
        }
    }
    // First those that nothing can help, and those that wait for them; what is left then goes round in a circle.
    loop {
        let makers: BTreeSet<&str> = waiting.iter().filter_map(|one| maker(one.operation)).collect();
        let is_made = |name: &str| work.made.contains_key(name) || makers.contains(name);
        let (rest, lost): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|one: &Waiting<'_>| one.refers.iter().all(|name| is_made(name)));
        waiting = rest;
        if lost.is_empty() {
            break;
        }
        for one in lost {
            if work.errors < most_errors {
                let error = ScimError::value("The operation refers to what no operation of the request makes.");
                work.finish(one.at, one.operation, Err(error)).await;
            }
        }
    }
    for one in waiting {
        if work.errors < most_errors {
            let error =
                ScimError::of_status(409, "The operation refers to one that waits for it: none can be the first.");
            work.finish(one.at, one.operation, Err(error)).await;
        }
    }
    Ok(Answer::ok(json!({"schemas": [RESPONSE], "Operations": work.done.into_values().collect::<Vec<_>>()})))
}

/// An operation, and the names of what others are to make before it.
struct Waiting<'a> {
    at: usize,
    operation: &'a Value,
    refers: BTreeSet<&'a str>,
}

/// Where a reference may stand.
const FIELDS: [&str; 2] = ["path", "data"];

fn references(operation: &Value) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for value in FIELDS.into_iter().filter_map(|field| operation.get(field)) {
        gather(value, &mut names);
    }
    names
}

/// The depth is that of the body, which the parser bounds.
fn gather<'a>(value: &'a Value, names: &mut BTreeSet<&'a str>) {
    match value {
        Value::String(text) => names.extend(reference(text).map(|(_, name)| name)),
        Value::Array(values) => values.iter().for_each(|value| gather(value, names)),
        Value::Object(object) => object.values().for_each(|value| gather(value, names)),
        _ => {}
    }
}

/// The name that a text refers to, with what stands before it: `bulkId:ada`, `/Users/bulkId:ada`.
fn reference(text: &str) -> Option<(&str, &str)> {
    let (before, name) = text.split_once("bulkId:")?;
    (before.is_empty() || before.ends_with('/')).then_some((before, name))
}

/// What others call what an operation makes; `None` where it makes nothing.
fn maker(operation: &Value) -> Option<&str> {
    let is_post = operation["method"].as_str().is_some_and(|method| method.eq_ignore_ascii_case("POST"));
    operation["bulkId"].as_str().filter(|name| is_post && !name.is_empty())
}

struct Work<'a> {
    provisioner: &'a Provisioner,
    /// The ids of what was made, by their `bulkId`.
    made: BTreeMap<String, i64>,
    done: BTreeMap<usize, Value>,
    errors: u64,
}

/// The path of an operation on what is there: an answer tells it also where that failed (RFC 7644, section 3.7).
fn named_by(operation: &Value) -> Option<&str> {
    let path = operation["path"].as_str()?;
    let id = path.strip_prefix("/Users/").or_else(|| path.strip_prefix("/Groups/"))?;
    id.parse::<i64>().is_ok().then_some(path)
}

/// What an operation came to.
struct Outcome {
    status: u16,
    location: Option<String>,
    version: Option<i64>,
    id: Option<i64>,
}

impl Work<'_> {
    /// The operation with ids in the place of references, all of which are made.
    fn resolved(&self, operation: &Value) -> Value {
        let mut resolved = operation.clone();
        for field in FIELDS {
            if let Some(value) = resolved.get_mut(field) {
                self.resolve(value);
            }
        }
        resolved
    }

    fn resolve(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                let made = reference(text).and_then(|(before, name)| Some((before, self.made.get(name)?)));
                if let Some(resolved) = made.map(|(before, id)| format!("{before}{id}")) {
                    *text = resolved;
                }
            }
            Value::Array(values) => values.iter_mut().for_each(|value| self.resolve(value)),
            Value::Object(object) => object.values_mut().for_each(|value| self.resolve(value)),
            _ => {}
        }
    }

    async fn run(&mut self, at: usize, operation: &Value) {
        let outcome = self.apply(operation).await;
        self.finish(at, operation, outcome).await;
    }

    async fn apply(&self, operation: &Value) -> Result<Outcome> {
        let syntax = |detail: &'static str| ScimError::new(Kind::InvalidSyntax, detail);
        let method = operation["method"].as_str().map(str::to_ascii_uppercase).unwrap_or_default();
        let path = operation["path"].as_str().unwrap_or_default();
        let mut parts = path.trim_start_matches('/').split('/');
        let (endpoint, id, rest) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
        let is_users = match endpoint {
            "Users" => true,
            "Groups" => false,
            _ => return Err(syntax("An operation's path begins with /Users or /Groups.")),
        };
        let empty = Map::new();
        let data = operation["data"].as_object().unwrap_or(&empty);
        let known =
            Preconditions { if_match: operation["version"].as_str().map(str::to_owned), ..Preconditions::default() };
        if method == "POST" && id.is_none() {
            if operation["bulkId"].as_str().is_none_or(str::is_empty) {
                return Err(syntax("A POST has a bulkId."));
            }
            let shown = match is_users {
                true => user::create(self.provisioner, data).await?,
                false => group::create(self.provisioner, data, None).await?,
            };
            return Ok(Outcome {
                status: 201,
                location: Some(shown.location),
                version: Some(shown.version),
                id: Some(shown.id),
            });
        }
        let id = match (id, rest) {
            (Some(id), None) => id.parse().map_err(|_| super::http::gone())?,
            _ => return Err(syntax("An operation's path names one resource.")),
        };
        let (p, known) = (self.provisioner, &known);
        let shown = match (method.as_str(), is_users) {
            ("PUT", true) => user::replace(p, id, data, known, false).await?,
            ("PATCH", true) => user::modify(p, id, data, known, false).await?,
            ("PUT", false) => group::replace(p, id, data, known).await?,
            ("PATCH", false) => group::modify(p, id, data, known).await?,
            ("DELETE", _) => {
                match is_users {
                    true => user::delete(p, id, known).await?,
                    false => group::delete(p, id, known).await?,
                }
                let location = Some(format!("{}/{endpoint}/{id}", p.base()));
                return Ok(Outcome { status: 204, location, version: None, id: None });
            }
            _ => return Err(syntax("An operation's method is POST, PUT, PATCH or DELETE.")),
        };
        Ok(Outcome { status: 200, location: Some(shown.location), version: Some(shown.version), id: None })
    }

    async fn finish(&mut self, at: usize, operation: &Value, outcome: Result<Outcome>) {
        let mut answer = json!({"method": operation["method"]});
        let bulk_id = operation["bulkId"].as_str();
        if let Some(bulk_id) = bulk_id {
            answer["bulkId"] = bulk_id.into();
        }
        match outcome {
            Ok(outcome) => {
                answer["status"] = outcome.status.to_string().into();
                if let Some(location) = outcome.location {
                    answer["location"] = location.into();
                }
                if let Some(version) = outcome.version {
                    answer["version"] = etag(version).into();
                }
                if let (Some(bulk_id), Some(id)) = (bulk_id, outcome.id) {
                    self.made.insert(bulk_id.to_owned(), id);
                }
            }
            Err(error) => {
                let error = self.provisioner.told(error).await;
                self.errors += 1;
                answer["status"] = error.status.to_string().into();
                answer["response"] = error.document();
                if let Some(path) = named_by(operation) {
                    answer["location"] = format!("{}{path}", self.provisioner.base()).into();
                }
                let (method, path) = (&operation["method"], &operation["path"]);
                let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
                let request = format!("{} {} (bulk)", text(method), text(path));
                if error.status >= 500 {
                    tracing::error!(cause = ?error.cause, request, "an operation of SCIM failed");
                } else if let Err(error) =
                    faults::keep(self.provisioner.platform(), &self.provisioner.config, &request, &error).await
                {
                    tracing::warn!(%error, "a fault of an identity provider could not be kept");
                }
            }
        }
        self.done.insert(at, answer);
    }
}
