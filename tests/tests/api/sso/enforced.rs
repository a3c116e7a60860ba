//! What the tests of policies and of enforcement need of single sign-on: a member who came in through a provider, without one.

use rivergen_tests::{Organization, Person, Server};
use serde_json::Value;

/// An identity provider of the organization that has passed its test.
pub async fn provider(server: &Server, of: &Organization) -> i64 {
    let name = format!("provider of {}", of.id);
    let known = format!("SELECT id FROM sso_providers WHERE organization_id = {}", of.id);
    if let Some(row) = server.rows(&known).await.first() {
        return row["id"].as_i64().unwrap();
    }
    let insert = format!(
        "INSERT INTO sso_providers (organization_id, name, name_key, kind, status, certificates, allow_idp_initiated, issuer, \
         client_id, scopes, attribute_mapping, jit_provisioning, group_role_mapping, last_test_succeeded, login_count, \
         own_callback, vouched_by_user_id, created_by_user_id, created_at, updated_at) VALUES ({}, '{name}', '{name}', 'oidc', 'active', '[]', FALSE, \
         'https://idp.example/{}', 'id', '[]', '{{}}', FALSE, '{{}}', TRUE, 0, FALSE, {}, {}, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)",
        of.id, of.id, of.owner.id, of.owner.id
    );
    server.execute(&insert).await;
    server.count(&known).await
}

/// The person has come in through the organization's provider, which named these groups.
pub async fn link(server: &Server, of: &Organization, person: &Person, groups: Value) {
    let provider = provider(server, of).await;
    let insert = format!(
        "INSERT INTO sso_identities (organization_id, provider_id, subject, user_id, attributes, groups, created_at, \
         last_login_at) VALUES ({}, {provider}, '{}', {}, '{{}}', '{groups}', CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)",
        of.id, person.email, person.id
    );
    server.execute(&insert).await;
    server.forget().await;
}

/// The live sessions of the person are the organization's provider's from now on.
pub async fn federate(server: &Server, of: &Organization, person: &Person) {
    let update = format!(
        "UPDATE sessions SET federated_by_organization_id = {}, amr = 'fed' WHERE user_id = {} AND ended_at IS NULL",
        of.id, person.id
    );
    server.execute(&update).await;
    server.forget().await;
}
