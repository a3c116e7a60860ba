//! The tenant matrix: every operation of the OpenAPI document, called without a token, with a role that may not, and
//! with another tenant's ids. An operation without an entry here fails, so the matrix grows with the API.
//!
//! ```text
//! control      an Owner with their own ids                      →  2xx, so the refusals below mean something; or
//!              the refusal of the operation's own that its entry names, where a good call needs another server
//! no token     everything but the public operations             →  401; SCIM, every person
//! wrong role   the strongest role that must not                 →  403
//! foreign ids  each id in the path, each id-bearing body field  →  404, and in the query: an empty list
//! ```
//!
//! | file | holds |
//! | --- | --- |
//! | [`entries`] | the table |
//! | [`exempt`] | fields that need no 404, and why |
//! | [`access`] | who may call an operation |
//! | [`ids`] | what an organization has |
//! | [`operation`] | an operation as the document describes it, and a call of it |

mod access;
mod entries;
mod exempt;
mod ids;
mod operation;

use access::Access::{Destroys, Own, OwnRefusing, Provisioner, Untried, UntriedProvisioner};
use entries::entries;
use exempt::EXEMPT;
use ids::Ids;
use operation::operations;
use rivergen_tests::{Backend, NameServer, Organization, Server, on_both_backends};
use serde_json::{Value, json};

on_both_backends! {
    every_operation_keeps_tenants_and_roles_apart;
}

/// A provider that exists by its name alone.
const SETTINGS: &str = "[social.github]\nkind = \"github\"\nclient_id = \"x\"\nclient_secret = \"x\"\n";

async fn every_operation_keeps_tenants_and_roles_apart(backend: Backend) {
    // It has no record of anybody's.
    let names = NameServer::start().await;
    let server = Server::start(backend, &format!("{SETTINGS}{}", names.settings())).await;
    keeps_tenants_and_roles_apart(&server).await;
    server.stop().await;
}

async fn keeps_tenants_and_roles_apart(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let (own, foreign) = (Ids::of(server, &acme).await, Ids::of(server, &globex).await);
    let (mut lines, mut faults) = (Vec::new(), Vec::new());
    let operations = operations();
    for operation in &operations {
        let Some(entry) = entries().find(|entry| entry.operation == operation.name) else {
            faults.push(format!("{} has no entry in the matrix", operation.name));
            continue;
        };
        let mut line = vec![operation.name.clone()];
        let mut check = |what: String, status: u16, good: bool| {
            line.push(format!("{what} {status}"));
            if !good {
                faults.push(format!("{}: {what} answered {status}", operation.name));
            }
        };
        let path = operation.path(&own, None);

        let anonymous = operation.call(&server.anonymous(), &path, &(entry.body)(&own)).await;
        let status = anonymous.status.as_u16();
        // A public operation is good here already: it is its own control.
        let expected = if entry.access.is_public() { entry.access.is_control(&anonymous) } else { status == 401 };
        check("no token".to_owned(), status, expected);

        if let Some(name) = entry.access.forbidden_to() {
            let person = server.sign_in(role(&acme, name)).await.client;
            let status = operation.call(&person, &path, &(entry.body)(&own)).await.status.as_u16();
            check(name.to_owned(), status, status == 403);
        }
        if !entry.access.is_public() && entry.access.forbidden_to().is_none() && entry.access != Untried(None) {
            // A session of its own: one of the operations ends it.
            let viewer = server.sign_in(&acme.viewer.email).await.client;
            let answer = operation.call(&viewer, &path, &(entry.body)(&own)).await;
            let expected = match entry.access {
                Own | OwnRefusing(_) | Destroys => answer.status == 404,
                Provisioner | UntriedProvisioner => answer.status == 401,
                access => access.is_control(&answer),
            };
            check("Viewer".to_owned(), answer.status.as_u16(), expected);
        }
        // Whoever may, with their own ids and with others'.
        let owner = match entry.access.is_of_provisioner() {
            true => server.anonymous().with_token(&own.scim_token),
            false => server.sign_in(&own.owner).await.client,
        };
        if !entry.access.is_public() && !matches!(entry.access, Destroys | Untried(_) | UntriedProvisioner) {
            let answer = operation.call(&owner, &path, &(entry.body)(&own)).await;
            check("Owner".to_owned(), answer.status.as_u16(), entry.access.is_control(&answer));
        }

        let is_exempt = |name: &String| EXEMPT.iter().any(|(at, field, _)| *at == operation.name && field == name);
        for name in operation.path_ids.iter().filter(|name| !is_exempt(name)) {
            let path = operation.path(&own, Some((name, &foreign)));
            let status = operation.call(&owner, &path, &(entry.body)(&own)).await.status.as_u16();
            check(format!("foreign {name}"), status, status == 404);
        }
        for (name, is_list) in &operation.body_ids {
            if is_exempt(name) {
                continue;
            }
            let id = foreign.named(name).unwrap();
            let mut body = (entry.body)(&own);
            body[name] = if *is_list { json!([id]) } else { json!(id) };
            let status = operation.call(&owner, &path, &body).await.status.as_u16();
            check(format!("foreign {name}"), status, status == 404);
        }
        for name in &operation.query_ids {
            if is_exempt(name) {
                continue;
            }
            let path = format!("{path}?{name}={}", foreign.named(name).unwrap());
            let answer = operation.call(&owner, &path, &(entry.body)(&own)).await;
            let mut lists =
                answer.body["data"].as_object().into_iter().flat_map(|data| data.values()).filter_map(Value::as_array);
            let empty = lists.next().is_some_and(Vec::is_empty);
            check(format!("?{name}"), answer.status.as_u16(), answer.status == 404 || empty);
        }
        lines.push(line.join(" | "));
    }
    for entry in entries() {
        if !operations.iter().any(|operation| operation.name == entry.operation) {
            faults.push(format!("{} is in the matrix and not in the document", entry.operation));
        }
    }
    println!("{}", lines.join("\n"));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The address of somebody with the role.
fn role<'a>(organization: &'a Organization, name: &str) -> &'a str {
    &organization.people().iter().find(|(role, _)| *role == name).unwrap().1.email
}
