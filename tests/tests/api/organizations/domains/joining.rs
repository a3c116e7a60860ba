//! What a verified domain does: people of it join by themselves.

use rivergen_tests::{Backend, Organization, PASSWORD, on_both_backends};
use serde_json::{Value, json};

use super::{Claim, World};

on_both_backends! {
    whoever_proves_an_address_of_the_domain_joins_once;
    every_way_to_prove_an_address_counts;
    they_get_the_default_role;
    nobody_lets_in_with_more_than_they_hold;
    nobody_joins_without_a_verified_domain_that_lets_them;
    nobody_joins_against_the_organizations_rules;
    who_is_invited_is_left_to_the_invitation;
}

async fn whoever_proves_an_address_of_the_domain_joins_once(backend: Backend) {
    let world = World::start(backend).await;
    let acme = world.server.organization("Acme").await;
    let early = world.server.newcomer("early@acme.example").await;
    world.open(&acme, "acme.example").await;
    let ada = world.server.newcomer("ada@acme.example").await;
    assert!(world.belongs(&ada, &acme).await);
    assert_eq!(world.roles(ada.id, &acme).await, [acme.roles["Viewer"]]);
    let member = format!("/api/v1/organizations/{}/members/{}", acme.id, ada.id);
    acme.owner.client.get(&member).await.ok();
    let user = acme.owner.client.get(&format!("/api/v1/users/{}", ada.id)).await.ok();
    assert_eq!(user["user"]["auth_source"], "domain");
    let mail = world.server.mailbox().titled("ada@acme.example", "You are now a member of Acme").await;
    assert!(mail.text.contains("Viewer"), "{}", mail.text);
    let joined = world.server.rows("SELECT details FROM audit_log WHERE action = 'member.join'").await;
    let details: Value = serde_json::from_str(joined[0]["details"].as_str().unwrap()).unwrap();
    assert_eq!((joined.len(), details["domain"].as_str()), (1, Some("acme.example")));
    // Who had proved their address before is not pulled in.
    assert!(!world.belongs(&early, &acme).await);

    acme.owner.client.delete(&member).await.ok();
    let token = world.server.mailbox().token("ada@acme.example", 1).await;
    world.server.anonymous().post("/api/v1/auth/verify-email", json!({"token": token})).await.ok();
    assert_eq!(world.server.audited("member.join", "success").await, 1);
    assert!(world.roles(ada.id, &acme).await.is_empty());
    world.stop().await;
}

async fn every_way_to_prove_an_address_counts(backend: Backend) {
    let world = World::start(backend).await;
    let (acme, globex) = (world.server.organization("Acme").await, world.server.organization("Globex").await);
    world.open(&acme, "acme.example").await;
    let (mailbox, anonymous) = (world.server.mailbox(), world.server.anonymous());

    let add = json!({"email": "bob@acme.example"});
    globex.viewer.client.post("/api/v1/auth/me/emails", add).await.created();
    let token = mailbox.token("bob@acme.example", 1).await;
    anonymous.post("/api/v1/auth/verify-email", json!({"token": token})).await.ok();
    assert!(world.belongs(&globex.viewer, &acme).await);
    // A second address of the domain changes nothing.
    globex.viewer.client.post("/api/v1/auth/me/emails", json!({"email": "rob@acme.example"})).await.created();
    let token = mailbox.token("rob@acme.example", 1).await;
    anonymous.post("/api/v1/auth/verify-email", json!({"token": token})).await.ok();
    assert_eq!(world.roles(globex.viewer.id, &acme).await, [acme.roles["Viewer"]]);

    let signup = json!({"email": "eve@acme.example", "password": PASSWORD});
    let eve = anonymous.post("/api/v1/auth/signup", signup).await.created()["user_id"].as_i64().unwrap();
    assert!(world.roles(eve, &acme).await.is_empty());
    anonymous.post("/api/v1/auth/forgot-password", json!({"email": "eve@acme.example"})).await.ok();
    let reset = json!({"token": mailbox.token("eve@acme.example", 2).await, "new_password": "Correct2horse"});
    anonymous.post("/api/v1/auth/reset-password", reset).await.ok();
    assert_eq!(world.roles(eve, &acme).await, [acme.roles["Viewer"]]);
    assert_eq!(world.server.audited("member.join", "success").await, 2);
    world.stop().await;
}

async fn they_get_the_default_role(backend: Backend) {
    let world = World::start(backend).await;
    let acme = world.server.organization("Acme").await;
    world.open(&acme, "acme.example").await;
    set(&acme, json!({"default_role_id": acme.roles["Developer"]})).await;
    let ada = world.server.newcomer("ada@acme.example").await;
    assert_eq!(world.roles(ada.id, &acme).await, [acme.roles["Developer"]]);
    world.stop().await;
}

async fn set(acme: &Organization, settings: Value) {
    let path = format!("/api/v1/organizations/{}/settings", acme.id);
    acme.owner.client.patch(&path, json!({"settings": settings})).await.ok();
}

async fn nobody_lets_in_with_more_than_they_hold(backend: Backend) {
    let world = World::start(backend).await;
    let acme = world.server.organization("Acme").await;
    let claim = world.prove(&acme, "acme.example").await;
    let permissions = ["organization.read", "organization.update"];
    let role = json!({"name": "Registrar", "permissions": permissions, "organization_id": acme.id});
    let role = acme.owner.client.post("/api/v1/roles", role).await.created();
    let assign = format!("/api/v1/roles/{}/assignments", role["role"]["id"]);
    acme.owner.client.post(&assign, json!({"user_id": acme.viewer.id})).await.created();
    set(&acme, json!({"default_role_id": acme.roles["Developer"]})).await;
    let on = json!({"auto_join": true});
    acme.viewer.client.patch(&claim.path, on.clone()).await.error(403, "FORBIDDEN");
    set(&acme, json!({"default_role_id": null})).await;
    acme.viewer.client.patch(&claim.path, on).await.ok();
    world.stop().await;
}

async fn nobody_joins_without_a_verified_domain_that_lets_them(backend: Backend) {
    let world = World::start(backend).await;
    let (acme, globex) = (world.server.organization("Acme").await, world.server.organization("Globex").await);
    let claim = Claim::of(&acme, "acme.example").await;
    let stays_out = async |address: &str| {
        let person = world.server.newcomer(address).await;
        assert!(!world.belongs(&person, &acme).await && !world.belongs(&person, &globex).await, "{address}");
    };
    stays_out("pending@acme.example").await;
    world.names.publish(&claim.record_name, &claim.record_value);
    claim.verify().await.ok();
    stays_out("closed@acme.example").await;
    claim.auto_join(true).await.ok();
    for address in [
        "ada@lab.acme.example",
        "ada@myacme.example",
        "ada@acme.example.globex.example",
        "acme.example@globex.example",
        // With a Cyrillic letter.
        "ada@xn--cme-5cd.example",
    ] {
        stays_out(address).await;
    }
    claim.auto_join(false).await.ok();
    stays_out("off@acme.example").await;
    claim.auto_join(true).await.ok();
    claim.remove().await.ok();
    stays_out("removed@acme.example").await;
    assert_eq!(world.server.audited("member.join", "success").await, 0);
    world.stop().await;
}

async fn nobody_joins_against_the_organizations_rules(backend: Backend) {
    let world = World::start(backend).await;
    let acme = world.server.organization("Acme").await;
    world.open(&acme, "acme.example").await;
    set(&acme, json!({"allowed_email_domains": ["acme.org"]})).await;
    let ada = world.server.newcomer("ada@acme.example").await;
    assert!(!world.belongs(&ada, &acme).await);
    set(&acme, json!({"allowed_email_domains": ["acme.org", "acme.example"]})).await;
    let bob = world.server.newcomer("bob@acme.example").await;
    assert!(world.belongs(&bob, &acme).await);
    // Who is suspended does not come in by another address.
    let status = format!("/api/v1/organizations/{}/members/{}", acme.id, bob.id);
    acme.owner.client.patch(&status, json!({"status": "suspended"})).await.ok();
    let bob = world.server.sign_in("bob@acme.example").await;
    bob.client.post("/api/v1/auth/me/emails", json!({"email": "rob@acme.example"})).await.created();
    let token = world.server.mailbox().token("rob@acme.example", 1).await;
    world.server.anonymous().post("/api/v1/auth/verify-email", json!({"token": token})).await.ok();
    assert!(!world.belongs(&bob, &acme).await);
    world.stop().await;
}

async fn who_is_invited_is_left_to_the_invitation(backend: Backend) {
    let world = World::start(backend).await;
    let acme = world.server.organization("Acme").await;
    world.open(&acme, "acme.example").await;
    let invite =
        json!({"email": "ada@acme.example", "workspace_id": acme.workspace_id, "role_id": acme.roles["Developer"]});
    let path = format!("/api/v1/organizations/{}/members/invite", acme.id);
    acme.owner.client.post(&path, invite).await.created();
    let (mailbox, anonymous) = (world.server.mailbox(), world.server.anonymous());
    let invitation = mailbox.token("ada@acme.example", 1).await;
    let signup = json!({"email": "ada@acme.example", "password": PASSWORD});
    anonymous.post("/api/v1/auth/signup", signup).await.created();
    let token = mailbox.token("ada@acme.example", 2).await;
    anonymous.post("/api/v1/auth/verify-email", json!({"token": token})).await.ok();
    let ada = world.server.sign_in("ada@acme.example").await;
    assert!(!world.belongs(&ada, &acme).await);
    ada.client.post_empty(&format!("/api/v1/invitations/{invitation}/accept")).await.ok();
    assert_eq!(world.roles(ada.id, &acme).await, [acme.roles["Developer"]]);
    world.stop().await;
}
