//! `/api/v1/invitations`, and what its tests share with those of `/api/v1/organizations/{org_id}/invitations`.

mod accept;
mod list;
mod preview;
mod revoke;

use rivergen_tests::{Client, Organization, Person, Server, eventually};
use serde_json::{Value, json};

/// Where an organization invites.
pub fn invite_path(organization: &Organization) -> String {
    format!("/api/v1/organizations/{}/members/invite", organization.id)
}

/// An invitation to the default workspace.
pub fn body(organization: &Organization, email: &str, role: &str) -> Value {
    json!({"email": email, "workspace_id": organization.workspace_id, "role_id": organization.roles[role]})
}

/// Invites somebody to the default workspace; answers the id of the invitation.
pub async fn invite(organization: &Organization, email: &str, role: &str) -> i64 {
    let data = organization.admin.client.post(&invite_path(organization), body(organization, email, role)).await;
    data.created()["invitation"]["id"].as_i64().unwrap()
}

/// The token in the `count`th invitation that was mailed to the address.
pub async fn token(server: &Server, email: &str, count: usize) -> String {
    let what = format!("invitation {count} to {email}");
    let mail = eventually(&what, async || {
        let mails = server.mailbox().to(email).into_iter();
        mails.filter(|mail| mail.subject.contains("invited")).nth(count - 1)
    })
    .await;
    let links = mail.links();
    let (page, token) = links[0].split_once("?token=").unwrap();
    assert_eq!(page, format!("{}/invitation", server.url()));
    token.to_owned()
}

pub fn preview_path(token: &str) -> String {
    format!("/api/v1/invitations/{token}")
}

pub async fn accept(client: &Client, token: &str) -> rivergen_tests::Answer {
    client.post_empty(&format!("/api/v1/invitations/{token}/accept")).await
}

/// What a member is to who may read it.
pub async fn member(organization: &Organization, person: &Person) -> Value {
    let path = format!("/api/v1/organizations/{}/members/{}", organization.id, person.id);
    organization.admin.client.get(&path).await.ok()["member"].take()
}
