//! Whom a provider's word lets in: links, first sign-ins, groups and attributes.

use super::*;
use futures::future::BoxFuture;
use rivergen_tenancy::provision;
use rivergen_tests::{PASSWORD, eventually, on_both_backends};
use sea_orm::ConnectionTrait;

on_both_backends! {
    an_existing_member_is_linked_by_a_proved_address_alone;
    a_first_sign_in_makes_a_member_where_the_provider_may;
    a_name_that_says_nothing_is_none;
    who_is_locked_out_stays_out;
    groups_give_roles_and_take_those_that_they_gave;
    a_merged_account_keeps_what_groups_gave_for_as_long_as_they_do;
    attributes_of_the_provider_are_the_members;
    an_account_that_never_proved_its_address_is_not_inherited_with_its_password;
    another_subject_is_not_let_into_a_linked_account;
    who_is_linked_is_listed_page_by_page;
    a_provider_signs_in_its_own_domains;
    two_first_sign_ins_at_once_make_one_account;
    a_removed_provider_takes_links_and_roles_with_it;
    a_provider_that_is_removed_meanwhile_lets_nobody_in;
    a_provider_that_is_another_meanwhile_lets_nobody_in;
    what_is_kept_of_a_person_is_handed_out;
    whoever_has_an_account_is_told_that_it_is_linked;
}

async fn an_existing_member_is_linked_by_a_proved_address_alone(backend: Backend) {
    let real = real!();
    let world = World::start(backend).await;
    let provider = world.register(&world.acme, real.registration("Corp"), json!({})).await;
    for (login, why) in [
        ("a~viewer@acme.example~unverified", "does not say that the address viewer@acme.example is verified"),
        ("b~viewer@other.example", "has not verified the domain of viewer@other.example"),
        ("c~nobody@acme.example", "no member with the address nobody@acme.example"),
    ] {
        world.through(provider, login).await.error(403, "SSO_USER_NOT_ALLOWED");
        assert!(world.refusal().await.contains(why), "{}", world.refusal().await);
    }
    assert_eq!(world.server.count("SELECT count(*) FROM sso_identities").await, 0);
    let data = world.enter(world.through(provider, "d~viewer@acme.example").await).await;
    assert_eq!(data["user"]["id"], world.acme.viewer.id);
    // A domain that is not proved any more links nobody new; who is linked stays so.
    world.server.execute("UPDATE organization_domains SET status = 'lapsed'").await;
    world.enter(world.through(provider, "d~viewer@acme.example").await).await;
    world.through(provider, "e~developer@acme.example").await.error(403, "SSO_USER_NOT_ALLOWED");
    world.stop().await;
}

async fn a_first_sign_in_makes_a_member_where_the_provider_may(backend: Backend) {
    let real = real!();
    let world = World::start(backend).await;
    let over = json!({"jit_provisioning": true, "default_role_id": world.acme.roles["Developer"]});
    let provider = world.register(&world.acme, real.registration("Corp"), over).await;
    // Nobody's address yet.
    let data = world.enter(world.through(provider, "new~new@acme.example").await).await;
    assert_eq!((&data["user"]["email"], &data["user"]["name"]), (&json!("new@acme.example"), &json!("Person new")));
    assert_eq!(world.roles("new@acme.example").await, ["Developer"]);
    let me = world.person(&data).get("/api/v1/auth/me").await.ok();
    assert_eq!(me["organizations"].as_array().unwrap().len(), 1, "{me}");
    // An account of somebody who belongs elsewhere.
    let globex = world.server.organization("Globex").await;
    let add = json!({"email": "guest@acme.example", "display_name": "Guest", "organization_id": globex.id});
    globex.owner.client.post("/api/v1/users", add).await.created();
    let data = world.enter(world.through(provider, "guest~guest@acme.example").await).await;
    assert_eq!(data["user"]["organization_id"], world.acme.id);
    assert_eq!(world.roles("guest@acme.example").await, ["Developer"]);
    let record =
        "SELECT details FROM audit_log WHERE action = 'sso.sign_in' AND outcome = 'success' ORDER BY id LIMIT 1";
    let details = world.server.rows(record).await[0]["details"].as_str().unwrap().to_owned();
    assert!(details.contains("\"new_account\":true") && details.contains("\"new_member\":true"), "{details}");
    // Without a default role of the provider it is the organization's, but never one that is above.
    world.change(provider, json!({"default_role_id": null})).await;
    world.enter(world.through(provider, "plain~plain@acme.example").await).await;
    assert_eq!(world.roles("plain@acme.example").await, ["Viewer"]);
    let settings = format!("/api/v1/organizations/{}/settings", world.acme.id);
    let admin = json!({"settings": {"default_role_id": world.acme.roles["Admin"]}});
    world.acme.owner.client.patch(&settings, admin).await.ok();
    world.enter(world.through(provider, "other~other@acme.example").await).await;
    assert_eq!(world.roles("other@acme.example").await, ["Viewer"]);
    // The organization's own rule on addresses holds for this way in, too.
    let rule = json!({"settings": {"allowed_email_domains": ["else.example"]}});
    world.acme.owner.client.patch(&settings, rule).await.ok();
    world.through(provider, "late~late@acme.example").await.error(403, "SSO_USER_NOT_ALLOWED");
    assert!(world.refusal().await.contains("allowed_email_domains"));
    world.stop().await;
}

async fn a_name_that_says_nothing_is_none(backend: Backend) {
    let world = World::start(backend).await;
    let crooked = Crooked::start().await;
    let provider = world.register(&world.acme, crooked.registration("One"), json!({"jit_provisioning": true})).await;
    for (claims, name) in [
        (json!({"sub": "a", "email": "first@acme.example", "name": " "}), "first"),
        (
            json!({"sub": "b", "email": "second@acme.example", "name": "\t", "given_name": "Ada", "family_name": " "}),
            "Ada",
        ),
    ] {
        crooked.says().claims = claims;
        let data = world.enter(world.lied(provider, &crooked).await).await;
        assert_eq!(data["user"]["name"], name);
    }
    world.stop().await;
}

async fn who_is_locked_out_stays_out(backend: Backend) {
    let real = real!();
    let world = World::start(backend).await;
    let over = json!({"jit_provisioning": true});
    let provider = world.register(&world.acme, real.registration("Corp"), over).await;
    let login = "v~viewer@acme.example";
    world.enter(world.through(provider, login).await).await;
    let status = format!("/api/v1/users/{}/status", world.acme.viewer.id);
    let owner = &world.acme.owner.client;
    let waiting = code_of(world.through(provider, login).await);
    owner.put(&status, json!({"status": "suspended"})).await.ok();
    world.exchange(&waiting).await.error(403, "SSO_USER_NOT_ALLOWED");
    world.through(provider, login).await.error(403, "SSO_USER_NOT_ALLOWED");
    assert_eq!(world.refusal().await, "the member is suspended");
    // Nor under another name of the provider's.
    world.through(provider, "w~viewer@acme.example").await.error(403, "SSO_USER_NOT_ALLOWED");
    owner.put(&status, json!({"status": "active"})).await.ok();
    world.enter(world.through(provider, login).await).await;
    world.server.execute("UPDATE memberships SET status = 'deactivated' WHERE email = 'viewer@acme.example'").await;
    world.through(provider, login).await.error(403, "SSO_USER_NOT_ALLOWED");
    assert!(world.refusal().await.contains("deactivated"));
    // Removed and not made a member again, where the provider makes none.
    world.change(provider, json!({"jit_provisioning": false})).await;
    owner.delete(&format!("/api/v1/organizations/{}/members/{}", world.acme.id, world.acme.viewer.id)).await.ok();
    world.through(provider, login).await.error(403, "SSO_USER_NOT_ALLOWED");
    world.change(provider, json!({"jit_provisioning": true})).await;
    world.enter(world.through(provider, login).await).await;
    world.stop().await;
}

async fn groups_give_roles_and_take_those_that_they_gave(backend: Backend) {
    let real = real!();
    let world = World::start(backend).await;
    let owner = &world.acme.owner.client;
    let role = async |name: &str| {
        let body = json!({"name": name, "permissions": ["policy.read"], "organization_id": world.acme.id});
        owner.post("/api/v1/roles", body).await.created()["role"]["id"].as_i64().unwrap()
    };
    let (readers, auditors) = (role("Readers").await, role("Auditors").await);
    let over = json!({"jit_provisioning": true, "group_role_mapping": {"read": readers, "audit": auditors,
        "build": world.acme.roles["Developer"]}});
    let provider = world.register(&world.acme, real.registration("Corp"), over).await;
    let sign_in = async |groups: Value| {
        real.tell_of(json!({"g": {"groups": groups}})).await;
        world.enter(world.through(provider, "g~new@acme.example").await).await
    };
    let email = "new@acme.example";
    let data = sign_in(json!(["read", "build", "chess"])).await;
    assert_eq!(world.roles(email).await, ["Developer", "Readers", "Viewer"]);
    sign_in(json!(["audit"])).await;
    assert_eq!(world.roles(email).await, ["Auditors", "Viewer"]);
    // What people gave is theirs, whatever the groups say.
    let user = data["user"]["id"].as_i64().unwrap();
    owner.post(&format!("/api/v1/roles/{readers}/assignments"), json!({"user_id": user})).await.created();
    sign_in(json!(["read"])).await;
    assert_eq!(world.roles(email).await, ["Readers", "Viewer"]);
    sign_in(json!([])).await;
    assert_eq!(world.roles(email).await, ["Readers", "Viewer"]);
    // The history of a role tells of it.
    assert_eq!(world.server.audited("role.revoke", "success").await, 3);
    // A role that becomes more than a provider may give is given no more, and taken from who has it by a group.
    sign_in(json!(["audit"])).await;
    assert_eq!(world.roles(email).await, ["Auditors", "Readers", "Viewer"]);
    let more = json!({"permissions": ["policy.read", "role.assign"]});
    owner.put(&format!("/api/v1/roles/{auditors}"), more).await.ok();
    sign_in(json!(["audit"])).await;
    assert_eq!(world.roles(email).await, ["Readers", "Viewer"]);
    world.stop().await;
}

async fn a_merged_account_keeps_what_groups_gave_for_as_long_as_they_do(backend: Backend) {
    let real = real!();
    let world = World::start(backend).await;
    let owner = &world.acme.owner.client;
    let body = json!({"name": "Readers", "permissions": ["policy.read"], "organization_id": world.acme.id});
    let readers = owner.post("/api/v1/roles", body).await.created()["role"]["id"].clone();
    let over = json!({"jit_provisioning": true, "group_role_mapping": {"read": readers}});
    let provider = world.register(&world.acme, real.registration("Corp"), over).await;
    real.tell_of(json!({"g": {"groups": ["read"]}, "t": {"groups": []}})).await;
    let duplicate = world.enter(world.through(provider, "g~new@acme.example").await).await["user"]["id"].clone();
    let twin = "twin@acme.example";
    let globex = json!({"name": "Globex", "people": [{"email": world.acme.owner.email, "role": "Owner"},
        {"email": twin, "password": PASSWORD, "role": "Viewer"}]});
    provision::run(&world.server.tenancy, serde_json::from_value(globex).unwrap()).await.unwrap();
    let survivor = world.server.sign_in(twin).await.id;
    let merge = json!({"source_user_id": duplicate, "target_user_id": survivor});
    owner.post("/api/v1/users/merge", merge).await.ok();
    assert_eq!(world.roles(twin).await, ["Readers", "Viewer"]);
    world.enter(world.through(provider, "t~twin@acme.example").await).await;
    assert_eq!(world.roles(twin).await, ["Viewer"]);
    world.stop().await;
}

async fn attributes_of_the_provider_are_the_members(backend: Backend) {
    let real = real!();
    let world = World::start(backend).await;
    let over = json!({"attribute_mapping": {"department": "department", "teams": "groups"}});
    let provider = world.register(&world.acme, real.registration("Corp"), over).await;
    let attributes = async || {
        let rows = "SELECT attributes FROM memberships WHERE email = 'viewer@acme.example'";
        let attributes = world.server.rows(rows).await[0]["attributes"].clone();
        attributes.as_str().map_or(attributes.clone(), |text| serde_json::from_str(text).unwrap())
    };
    real.tell_of(json!({"v": {"department": "Sales", "groups": ["a", "b"]}})).await;
    world.enter(world.through(provider, "v~viewer@acme.example").await).await;
    // What administrators set stays.
    assert_eq!(attributes().await, json!({"region": "US", "department": "Sales", "teams": ["a", "b"]}));
    // What does not come any more is not kept: nobody sees what they saw in another department.
    real.tell_of(json!({"v": {"groups": ["b"]}})).await;
    world.enter(world.through(provider, "v~viewer@acme.example").await).await;
    assert_eq!(attributes().await, json!({"region": "US", "teams": "b"}));
    let kept = "SELECT attributes, groups, email FROM sso_identities";
    let kept = &world.server.rows(kept).await[0];
    assert_eq!(kept["email"], "viewer@acme.example");
    world.stop().await;
}

async fn an_account_that_never_proved_its_address_is_not_inherited_with_its_password(backend: Backend) {
    let real = real!();
    let world = World::start(backend).await;
    let provider = world.register(&world.acme, real.registration("Corp"), json!({"jit_provisioning": true})).await;
    // Somebody signs up with an address that is not theirs, and waits.
    let anonymous = world.server.anonymous();
    let signup = json!({"email": "boss@acme.example", "password": rivergen_tests::PASSWORD});
    anonymous.post("/api/v1/auth/signup", signup.clone()).await.created();
    let link = world.server.mailbox().token("boss@acme.example", 1).await;
    let pending = anonymous.post("/api/v1/auth/login", signup.clone()).await.ok();
    assert_eq!(pending["email_verification_required"], true);

    let data = world.enter(world.through(provider, "boss~boss@acme.example").await).await;
    world.person(&data).get("/api/v1/auth/me").await.ok();
    anonymous.post("/api/v1/auth/login", signup).await.error(401, "INVALID_CREDENTIALS");
    let old = anonymous.post("/api/v1/auth/verify-email", json!({"token": link})).await.ok();
    assert_eq!(old["access_token"], Value::Null, "{old}");
    world.stop().await;
}

async fn another_subject_is_not_let_into_a_linked_account(backend: Backend) {
    let real = real!();
    let world = World::start(backend).await;
    let provider = world.register(&world.acme, real.registration("Corp"), json!({"jit_provisioning": true})).await;
    let old = world.enter(world.through(provider, "old~viewer@acme.example").await).await;
    // The address was given to somebody new.
    world.through(provider, "new~viewer@acme.example").await.error(403, "SSO_USER_NOT_ALLOWED");
    assert!(world.refusal().await.contains("linked to another subject"));
    // An administrator unlinks the account; what the old subject opened ends.
    let path = format!("/api/v1/sso/providers/{provider}/identities");
    let owner = &world.acme.owner.client;
    let listed = owner.get(&path).await.ok();
    assert_eq!(
        (&listed["items"][0]["subject"], &listed["pagination"]["total_items"]),
        (&json!("old~viewer@acme.example"), &json!(1))
    );
    // What it said of them is named, and not told.
    let claims = listed["items"][0]["claims"].as_array().unwrap();
    assert!(claims.contains(&json!("email")) && !claims.contains(&json!("viewer@acme.example")), "{listed}");
    owner.delete(&format!("{path}/{}", world.acme.owner.id)).await.error(404, "USER_NOT_FOUND");
    owner.delete(&format!("{path}/{}", world.acme.viewer.id)).await.no_content();
    world.person(&old).get("/api/v1/auth/me").await.error(401, "UNAUTHORIZED");
    world.enter(world.through(provider, "new~viewer@acme.example").await).await;
    world.stop().await;
}

async fn who_is_linked_is_listed_page_by_page(backend: Backend) {
    let world = World::start(backend).await;
    let crooked = Crooked::start().await;
    let provider = world.register(&world.acme, crooked.registration("One"), json!({})).await;
    let (id, user) = (world.acme.id, world.acme.viewer.id);
    let sql = format!(
        "INSERT INTO sso_identities (organization_id, provider_id, subject, user_id, attributes, groups, created_at) \
         WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 34) \
         SELECT {id}, {provider}, 'subject ' || i, {user}, '{{}}', '[]', '2025-01-01 00:00:00+00:00' FROM n"
    );
    world.server.execute(&sql).await;
    let path = format!("/api/v1/sso/providers/{provider}/identities?page_size=10");
    for (page, numbers) in [(1, 10..20), (2, 20..30), (3, 30..35), (4, 0..0)] {
        let listed = world.acme.owner.client.get(&format!("{path}&page={page}")).await.ok();
        let shown: Vec<&str> =
            listed["items"].as_array().unwrap().iter().map(|item| item["subject"].as_str().unwrap()).collect();
        let wanted: Vec<String> = numbers.map(|number| format!("subject {number}")).collect();
        assert_eq!(
            (shown, &listed["pagination"]["total_items"]),
            (wanted.iter().map(String::as_str).collect(), &json!(25))
        );
    }
    world.stop().await;
}

async fn a_provider_signs_in_its_own_domains(backend: Backend) {
    let real = real!();
    let world = World::start(backend).await;
    world.prove(&world.acme, "labs.example").await;
    let over = json!({"jit_provisioning": true, "domains": ["labs.example"]});
    let provider = world.register(&world.acme, real.registration("Labs"), over).await;
    world.through(provider, "v~viewer@acme.example").await.error(403, "SSO_USER_NOT_ALLOWED");
    assert!(world.refusal().await.contains("is not one of this provider's domains"));
    world.enter(world.through(provider, "l~l@labs.example").await).await;
    world.stop().await;
}

async fn two_first_sign_ins_at_once_make_one_account(backend: Backend) {
    let world = World::start(backend).await;
    let crooked = Crooked::start().await;
    crooked.says().claims = json!({"email": "new@acme.example"});
    let provider = world.register(&world.acme, crooked.registration("One"), json!({"jit_provisioning": true})).await;
    let answers = futures::future::join_all((0..6).map(|_| world.lied(provider, &crooked))).await;
    for answer in answers {
        world.enter(answer).await;
    }
    let count = async |table: &str| world.server.count(&format!("SELECT count(*) FROM {table}")).await;
    assert_eq!(count("user_emails WHERE email = 'new@acme.example'").await, 1);
    assert_eq!(count("sso_identities").await, 1);
    assert_eq!(count("memberships WHERE email = 'new@acme.example'").await, 1);
    assert_eq!(count("sso_providers WHERE login_count = 6").await, 1);
    world.stop().await;
}

async fn a_removed_provider_takes_links_and_roles_with_it(backend: Backend) {
    let real = real!();
    let world = World::start(backend).await;
    let over = json!({"jit_provisioning": true, "group_role_mapping": {"build": world.acme.roles["Developer"]}});
    let provider = world.register(&world.acme, real.registration("Corp"), over.clone()).await;
    real.tell_of(json!({"g": {"groups": ["build"]}})).await;
    let data = world.enter(world.through(provider, "g~new@acme.example").await).await;
    let waiting = world.browser();
    let address = world.begin(&waiting, &format!("provider_id={provider}")).await;
    let back = waiting.visit(&address, "g~new@acme.example").await;
    world.acme.owner.client.delete(&format!("/api/v1/sso/providers/{provider}")).await.ok();
    waiting.callback(&back).await.error(400, "SSO_STATE_INVALID");
    assert_eq!(world.roles("new@acme.example").await, ["Viewer"]);
    for table in ["sso_identities", "sso_logins", "sso_states", "sso_role_grants", "sso_provider_domains"] {
        assert_eq!(world.server.count(&format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
    }
    // The account is there, and its session.
    world.person(&data).get("/api/v1/auth/me").await.ok();
    // Registered anew, it links by the address again.
    let provider = world.register(&world.acme, real.registration("Corp"), over).await;
    let again = world.enter(world.through(provider, "g~new@acme.example").await).await;
    assert_eq!(again["user"]["id"], data["user"]["id"]);
    world.stop().await;
}

async fn a_provider_that_is_removed_meanwhile_lets_nobody_in(backend: Backend) {
    let world = World::start(backend).await;
    let crooked = Crooked::start().await;
    let register =
        async || world.register(&world.acme, crooked.registration("One"), json!({"jit_provisioning": true})).await;
    // Elsewhere, while the server waits for what the provider answers.
    let remove_meanwhile = |provider: i64| {
        let db = world.server.platform.db.clone();
        let removed: BoxFuture<'static, ()> = Box::pin(async move {
            let tx = db.begin().await.unwrap();
            let sql = format!("DELETE FROM sso_providers WHERE id = {provider}");
            tx.conn().execute_unprepared(&sql).await.unwrap();
            tx.commit().await.unwrap();
        });
        crooked.says().meanwhile = Some(removed);
    };
    // Before a sign-in begins.
    let provider = register().await;
    remove_meanwhile(provider);
    let start = format!("/api/v1/sso/login?response_mode=json&provider_id={provider}");
    world.server.anonymous().get(&start).await.error(404, "SSO_NOT_CONFIGURED");
    // And before it ends: of somebody new, of a member, and of a member who is linked.
    for (subject, address, is_linked) in
        [("n", "new@acme.example", false), ("v", "viewer@acme.example", false), ("v", "viewer@acme.example", true)]
    {
        let provider = register().await;
        crooked.says().claims = json!({"sub": subject, "email": address});
        if is_linked {
            world.enter(world.lied(provider, &crooked).await).await;
        }
        let browser = world.browser();
        let location = world.begin(&browser, &format!("provider_id={provider}")).await;
        remove_meanwhile(provider);
        let answer = browser.client().get(&path_of(&crooked.send_back(&location))).await;
        answer.error(400, "SSO_STATE_INVALID");
    }
    let count = async |table: &str| world.server.count(&format!("SELECT count(*) FROM {table}")).await;
    assert_eq!(count("user_emails WHERE email = 'new@acme.example'").await, 0);
    assert_eq!(count("sso_identities").await, 0);
    world.stop().await;
}

async fn a_provider_that_is_another_meanwhile_lets_nobody_in(backend: Backend) {
    let world = World::start(backend).await;
    let crooked = Crooked::start().await;
    crooked.says().claims = json!({"sub": "mallory", "email": "viewer@acme.example"});
    let provider = world.register(&world.acme, crooked.registration("One"), json!({})).await;
    for change in [json!({"status": "inactive"}), json!({"issuer": "https://another.example"})] {
        let browser = world.browser();
        let location = world.begin(&browser, &format!("provider_id={provider}")).await;
        let (owner, path) = (world.acme.owner.client.clone(), format!("/api/v1/sso/providers/{provider}"));
        // It lets the server wait for what it says until nobody asks it any more.
        let changed: BoxFuture<'static, ()> = Box::pin(async move {
            owner.put(&path, change).await.ok();
        });
        crooked.says().meanwhile = Some(changed);
        let answer = browser.client().get(&path_of(&crooked.send_back(&location))).await;
        answer.error(400, "SSO_STATE_INVALID");
        for table in ["sso_identities", "sso_logins"] {
            assert_eq!(world.server.count(&format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
        }
        world.change(provider, json!({"status": "active"})).await;
    }
    world.stop().await;
}

async fn what_is_kept_of_a_person_is_handed_out(backend: Backend) {
    let world = World::start(backend).await;
    let crooked = Crooked::start().await;
    let asked = chrono::Utc::now().timestamp();
    crooked.says().claims = json!({"email": "viewer@acme.example", "sub": "the-viewer", "auth_time": asked});
    let provider = world.register(&world.acme, crooked.registration("One"), json!({})).await;
    let data = world.enter(world.lied(provider, &crooked).await).await;
    let path = format!("/api/v1/users/{}/export", world.acme.viewer.id);
    let export = world.person(&data).get(&path).await;
    let text = export.body.to_string();
    assert!(text.contains("sso_identities") && text.contains("the-viewer"), "{} {text}", export.status);
    assert!(!text.contains("code_hash") && !text.contains("logout_hint"));
    world.stop().await;
}

async fn whoever_has_an_account_is_told_that_it_is_linked(backend: Backend) {
    const SUBJECT: &str = "linked to single sign-on";
    let world = World::start(backend).await;
    let crooked = Crooked::start().await;
    let provider = world.register(&world.acme, crooked.registration("Corp"), json!({"jit_provisioning": true})).await;
    let mailbox = world.server.mailbox();
    // Whom the provider is not believed of is not told.
    crooked.says().claims = json!({"sub": "d", "email": "developer@acme.example", "email_verified": false});
    world.lied(provider, &crooked).await.error(403, "SSO_USER_NOT_ALLOWED");
    crooked.says().claims = json!({"sub": "v", "email": "viewer@acme.example"});
    world.enter(world.lied(provider, &crooked).await).await;
    let mail = mailbox.titled("viewer@acme.example", SUBJECT).await;
    for part in ["Corp", "Acme", "127.0.0.1"] {
        assert!(mail.text.contains(part), "no {part} in {}", mail.text);
    }
    // The second time is no news; nor is the link of an account that was made by it.
    world.enter(world.lied(provider, &crooked).await).await;
    crooked.says().claims = json!({"sub": "n", "email": "new@acme.example"});
    world.enter(world.lied(provider, &crooked).await).await;
    let unsent = "SELECT count(*) FROM jobs WHERE kind = 'mail.send' AND state IN ('queued', 'running')";
    eventually("all mails to be sent", async || (world.server.count(unsent).await == 0).then_some(())).await;
    let told = |address: &str| mailbox.to(address).iter().filter(|mail| mail.subject.contains(SUBJECT)).count();
    let addresses = ["viewer@acme.example", "new@acme.example", "developer@acme.example"];
    assert_eq!(addresses.map(told), [1, 0, 0]);
    world.stop().await;
}
