//! The operations of the OpenAPI document.

use std::collections::BTreeMap;

use rivergen_tests::{Answer, Client};
use serde_json::Value;

use super::{entries::USER_SCHEMA, ids::Ids};

/// An operation as the document describes it.
pub struct Operation {
    pub name: String,
    pub method: reqwest::Method,
    pub path: String,
    pub path_ids: Vec<String>,
    pub query_ids: Vec<String>,
    /// Fields of the body that bear ids, and whether as a list.
    pub body_ids: BTreeMap<String, bool>,
}

pub fn operations() -> Vec<Operation> {
    let document = serde_json::to_value(rivergen::openapi::document()).unwrap();
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let parameters = |place: &str| -> Vec<String> {
                let all = operation["parameters"].as_array().into_iter().flatten();
                let here = all.filter(|parameter| parameter["in"] == place);
                let names = here.map(|parameter| parameter["name"].as_str().unwrap().to_owned());
                names.filter(|name| name.ends_with("_id") || name.ends_with("_ids")).collect()
            };
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            let schema = match schema["$ref"].as_str() {
                Some(reference) => document.pointer(&reference[1..]).unwrap(),
                None => schema,
            };
            let properties = schema["properties"].as_object().into_iter().flatten();
            let body_ids =
                properties.map(|(name, _)| name).filter(|name| name.ends_with("_id") || name.ends_with("_ids"));
            operations.push(Operation {
                name: format!("{} {path}", method.to_uppercase()),
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                path_ids: parameters("path"),
                query_ids: parameters("query"),
                body_ids: body_ids.map(|name| (name.clone(), name.ends_with("_ids"))).collect(),
            });
        }
    }
    operations
}

impl Operation {
    pub async fn call(&self, client: &Client, path: &str, body: &Value) -> Answer {
        if let Some(name) = body["file"].as_str() {
            return client.upload(name, b"a\n1\n".to_vec()).await;
        }
        let request = client.request(self.method.clone(), path);
        if path.contains("/storage/tus") {
            return client.send(tus_headers(request)).await;
        }
        client.send(if body.is_null() { request } else { request.json(body) }).await
    }

    /// The path with the ids of `own`, but `foreign` for one parameter.
    pub fn path(&self, own: &Ids, foreign: Option<(&str, &Ids)>) -> String {
        let mut path = self.path.clone();
        for name in &self.path_ids {
            let ids = foreign.filter(|(at, _)| at == name).map_or(own, |(_, ids)| ids);
            let id = match name.as_str() {
                // The same name for two kinds of policies.
                "policy_id" if path.starts_with("/api/v1/sso/abac/") => ids.access_policy_id,
                name => ids.named(name).unwrap(),
            };
            path = path.replace(&format!("{{{name}}}"), &id.to_string());
        }
        // At one place in the path: an id for one method, a token for another.
        let invitation = match self.method {
            reqwest::Method::DELETE => own.invitation_id.to_string(),
            _ => own.invitation_token.clone(),
        };
        path = path.replace("{invitation}", &invitation).replace("{invitation_token}", &own.invitation_token);
        path = path.replace("{object_name}", &own.file_path).replace("{bucket_name}", "rivergen");
        path = path.replace("{token}", &own.link_token);
        // There is none of this number.
        path = path.replace("{secret}", "0");
        // No id: the same provider for everybody.
        path = path.replace("{provider}", "github").replace("{vendor}", "okta");
        path = path.replace("{provider}", "github");
        // Nor are these: the same definitions for everybody.
        path = path.replace("{urn}", USER_SCHEMA).replace("{name}", "User");
        // Nor is this: everything has a first version.
        path = path.replace("{version}", "1");
        // It is asked about one table, and each organization has one of this name.
        if path.ends_with("/statistics") {
            path.push_str("?schema_name=files&table_name=products");
        }
        assert!(!path.contains('{'), "the matrix does not fill {path}");
        path
    }
}

/// What every request of an upload by tus says, of one that is four bytes long and of which nothing comes.
pub fn tus_headers(request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
    let headers = [
        ("tus-resumable", "1.0.0"),
        ("upload-length", "4"),
        ("upload-offset", "0"),
        ("upload-metadata", "filename YS5jc3Y="),
        ("content-type", "application/offset+octet-stream"),
    ];
    headers.into_iter().fold(request, |request, (name, value)| request.header(name, value))
}
