//! How a domain is proved by its record, who has it, and how that ends.

use chrono::Duration;
use reqwest::Method;
use rivergen_tests::{Backend, eventually, on_both_backends};
use serde_json::{Value, json};

use super::{Claim, World, domains};

on_both_backends! {
    a_domain_is_proved_by_its_record;
    the_record_must_be_the_claims_own;
    strings_of_one_record_are_one_and_aliases_are_followed;
    name_servers_that_do_not_answer_prove_nothing;
    of_two_that_verify_at_once_one_has_the_domain;
    a_proof_lapses_after_seven_days_without_its_record;
    a_record_that_is_back_or_not_to_be_asked_for_keeps_the_proof;
    name_servers_that_fail_hold_up_no_other_domain;
    a_domain_that_cannot_be_dealt_with_holds_up_no_other;
    an_owner_whom_no_mail_reaches_keeps_no_proof_alive;
    a_closed_organization_holds_no_domain;
    domains_of_others_and_of_everybody_are_refused;
    there_is_a_bound_to_domains_and_to_looks;
    the_organizations_own_domain_is_claimed_with_it;
}

async fn a_domain_is_proved_by_its_record(backend: Backend) {
    let world = World::start(backend).await;
    let acme = world.server.organization("Acme").await;
    let added = acme.owner.client.post(&domains(&acme), json!({"domain": "Lab.ACME.Example."})).await.created();
    let domain = &added["domain"];
    assert_eq!((domain["domain"].as_str(), domain["status"].as_str()), (Some("lab.acme.example"), Some("pending")));
    assert_eq!((domain["auto_join"].as_bool(), &domain["verified_at"]), (Some(false), &Value::Null));
    assert_eq!(domain["record"]["type"], "TXT");
    assert_eq!(domain["record"]["name"], "_rivergen-challenge.lab.acme.example");
    let value = domain["record"]["value"].as_str().unwrap();
    assert_eq!(value.strip_prefix("rivergen-domain-verification=").map(str::len), Some(43), "{value}");

    let claim = Claim::of(&acme, "lab.acme.example").await;
    assert_eq!(claim.record_value, value);
    claim.verify().await.error(409, "DOMAIN_PROOF_MISSING");
    world.names.publish("lab.acme.example", value);
    world.names.publish(&claim.record_name, "v=spf1 -all");
    claim.verify().await.error(409, "DOMAIN_PROOF_MISSING");
    claim.auto_join(true).await.error(409, "DOMAIN_NOT_VERIFIED");
    world.names.publish(&claim.record_name, value);
    let verified = claim.verify().await.ok();
    assert_eq!(verified["domain"]["status"], "verified");
    assert!(verified["domain"]["verified_at"].is_string(), "{verified}");
    let again = claim.verify().await.ok();
    assert_eq!(again["domain"]["verified_at"], verified["domain"]["verified_at"]);

    for (_, person) in acme.people() {
        let listed = person.client.get(&domains(&acme)).await.ok();
        let names: Vec<_> = listed["domains"].as_array().unwrap().iter().map(|one| one["domain"].as_str()).collect();
        assert_eq!(
            (names, listed["total_count"].as_i64()),
            (vec![Some("acme.example"), Some("lab.acme.example")], Some(2))
        );
    }
    let page = acme.owner.client.get(&format!("{}?skip=1&limit=1", domains(&acme))).await.ok();
    assert_eq!(page["domains"][0]["domain"], "lab.acme.example");
    for (action, count) in [("domain.add", 1), ("domain.verify", 1), ("domain.update", 0)] {
        assert_eq!(world.server.audited(action, "success").await, count, "{action}");
    }
    claim.auto_join(true).await.ok();
    claim.auto_join(true).await.ok();
    assert_eq!(world.server.audited("domain.update", "success").await, 1);
    claim.remove().await.ok();
    assert_eq!(world.server.audited("domain.remove", "success").await, 1);
    claim.remove().await.error(404, "DOMAIN_NOT_FOUND");
    claim.verify().await.error(404, "DOMAIN_NOT_FOUND");
    // Claimed again it has to be proved again, by another record.
    assert_ne!(Claim::of(&acme, "lab.acme.example").await.record_value, value);
    world.stop().await;
}

async fn the_record_must_be_the_claims_own(backend: Backend) {
    let world = World::start(backend).await;
    let (acme, globex) = (world.server.organization("Acme").await, world.server.organization("Globex").await);
    let (of_acme, of_globex) = (Claim::of(&acme, "shared.example").await, Claim::of(&globex, "shared.example").await);
    assert_eq!(of_acme.record_name, of_globex.record_name);
    world.names.publish(&of_globex.record_name, &of_globex.record_value);
    world.names.publish(&of_acme.record_name, &of_acme.record_value.to_uppercase());
    world.names.publish(&of_acme.record_name, &format!("{}x", of_acme.record_value));
    of_acme.verify().await.error(409, "DOMAIN_PROOF_MISSING");
    of_globex.verify().await.ok();
    // Only who has proved it is told that another has it.
    of_acme.verify().await.error(409, "DOMAIN_PROOF_MISSING");
    world.names.publish(&of_acme.record_name, &of_acme.record_value);
    of_acme.verify().await.error(409, "DOMAIN_TAKEN");
    of_globex.remove().await.ok();
    of_acme.verify().await.ok();
    world.stop().await;
}

async fn strings_of_one_record_are_one_and_aliases_are_followed(backend: Backend) {
    let world = World::start(backend).await;
    let acme = world.server.organization("Acme").await;
    let claim = Claim::of(&acme, "parts.example").await;
    let (first, rest) = claim.record_value.split_at(20);
    world.names.publish(&claim.record_name, first);
    world.names.publish(&claim.record_name, rest);
    claim.verify().await.error(409, "DOMAIN_PROOF_MISSING");
    world.names.publish_in_parts(&claim.record_name, &[first, rest]);
    claim.verify().await.ok();

    let claim = Claim::of(&acme, "alias.example").await;
    world.names.alias(&claim.record_name, "proofs.dns.example");
    claim.verify().await.error(409, "DOMAIN_PROOF_MISSING");
    world.names.publish("proofs.dns.example", &claim.record_value);
    claim.verify().await.ok();
    world.stop().await;
}

async fn name_servers_that_do_not_answer_prove_nothing(backend: Backend) {
    let world = World::start(backend).await;
    let acme = world.server.organization("Acme").await;
    let claim = Claim::of(&acme, "acme.example").await;
    world.names.publish(&claim.record_name, &claim.record_value);
    world.names.fail(true);
    let error = claim.verify().await.error(503, "SERVICE_UNAVAILABLE").to_string().to_lowercase();
    assert!(!["hickory", "servfail", "failure", "127.0.0.1"].iter().any(|word| error.contains(word)), "{error}");
    world.names.fail(false);
    claim.verify().await.ok();
    world.stop().await;
}

async fn of_two_that_verify_at_once_one_has_the_domain(backend: Backend) {
    let world = World::start(backend).await;
    let (acme, globex) = (world.server.organization("Acme").await, world.server.organization("Globex").await);
    for round in 0..5 {
        let domain = format!("shared{round}.example");
        let (one, other) = (Claim::of(&acme, &domain).await, Claim::of(&globex, &domain).await);
        for claim in [&one, &other] {
            world.names.publish(&claim.record_name, &claim.record_value);
        }
        let (first, second) = tokio::join!(one.verify(), other.verify());
        let (won, lost) = if first.status.is_success() { (first, second) } else { (second, first) };
        won.ok();
        lost.error(409, "DOMAIN_TAKEN");
    }
    assert_eq!(world.with_status("verified").await, 5);
    assert_eq!(world.server.audited("domain.verify", "success").await, 5);
    world.stop().await;
}

async fn a_proof_lapses_after_seven_days_without_its_record(backend: Backend) {
    let world = World::start(backend).await;
    let (acme, globex) = (world.server.organization("Acme").await, world.server.organization("Globex").await);
    let claim = world.open(&acme, "acme.example").await;
    let heir = Claim::of(&globex, "acme.example").await;
    world.names.clear(&claim.record_name);
    world.names.publish(&heir.record_name, &heir.record_value);
    heir.verify().await.error(409, "DOMAIN_TAKEN");
    // It is missing from the first look on that found it so.
    world.days_later(1).await;
    world.days_later(6).await;
    assert_eq!(world.with_status("verified").await, 1);
    world.days_later(1).await;
    assert_eq!(world.with_status("lapsed").await, 1);
    assert_eq!(world.server.audited("domain.lapse", "success").await, 1);
    let mail = world.server.mailbox().titled(&acme.owner.email, "no longer verified").await;
    assert!(mail.text.contains(&claim.record_name), "{}", mail.text);
    assert!(world.server.mailbox().to(&acme.admin.email).is_empty());

    let claim = claim.by(&world.server.sign_in(&acme.owner.email).await);
    let listed = claim.owner.get(&domains(&acme)).await.ok();
    let shown = &listed["domains"][0];
    assert_eq!((shown["status"].as_str(), shown["auto_join"].as_bool()), (Some("lapsed"), Some(false)));
    claim.auto_join(true).await.error(409, "DOMAIN_NOT_VERIFIED");
    let heir = heir.by(&world.server.sign_in(&globex.owner.email).await);
    heir.verify().await.ok();
    world.names.publish(&claim.record_name, &claim.record_value);
    claim.verify().await.error(409, "DOMAIN_TAKEN");
    world.stop().await;
}

async fn a_record_that_is_back_or_not_to_be_asked_for_keeps_the_proof(backend: Backend) {
    let world = World::start(backend).await;
    let acme = world.server.organization("Acme").await;
    let claim = world.prove(&acme, "acme.example").await;
    let missing = "SELECT count(*) FROM organization_domains WHERE missing_since IS NOT NULL";
    world.names.clear(&claim.record_name);
    world.days_later(1).await;
    assert_eq!(world.server.count(missing).await, 1);
    world.names.publish(&claim.record_name, &claim.record_value);
    world.days_later(5).await;
    assert_eq!(world.server.count(missing).await, 0);
    // The days begin anew.
    world.names.clear(&claim.record_name);
    world.days_later(3).await;
    world.days_later(6).await;
    assert_eq!((world.server.count(missing).await, world.with_status("verified").await), (1, 1));
    world.names.fail(true);
    world.days_later(20).await;
    assert_eq!((world.server.count(missing).await, world.with_status("verified").await), (1, 1));
    world.stop().await;
}

async fn name_servers_that_fail_hold_up_no_other_domain(backend: Backend) {
    let world = World::start(backend).await;
    let (acme, globex) = (world.server.organization("Acme").await, world.server.organization("Globex").await);
    let broken = world.prove(&acme, "acme.example").await;
    world.server.clock().advance(Duration::minutes(1));
    world.prove(&globex, "globex.example").await;
    world.names.fail_at(&broken.record_name);
    let before = world.looks().await;
    world.days_later(1).await;
    // Both have had their look, and none is due.
    let after = eventually("a look at both", async || {
        let after = world.looks().await;
        let moved = before.iter().zip(&after).all(|(before, after)| before != after);
        moved.then_some(after)
    })
    .await;
    world.server.run_due_jobs().await;
    assert_eq!(world.looks().await, after);
    assert_eq!(world.with_status("verified").await, 2);
    world.stop().await;
}

async fn a_domain_that_cannot_be_dealt_with_holds_up_no_other(backend: Backend) {
    let world = World::start(backend).await;
    let (acme, globex) = (world.server.organization("Acme").await, world.server.organization("Globex").await);
    let first = world.prove(&acme, "acme.example").await;
    world.server.clock().advance(Duration::minutes(1));
    let second = world.prove(&globex, "globex.example").await;
    for claim in [&first, &second] {
        world.names.clear(&claim.record_name);
    }
    world.days_later(1).await;
    let missing = "SELECT count(*) FROM organization_domains WHERE missing_since IS NOT NULL";
    eventually("a look at both", async || (world.server.count(missing).await == 2).then_some(())).await;
    // As no organization is: there are no owners to be told, and so the proof cannot lapse.
    let sql = format!("UPDATE roles SET name_key = 'nobody' WHERE organization_id = {} AND name = 'Owner'", acme.id);
    world.server.execute(&sql).await;
    let before = world.looks().await;
    world.days_later(7).await;
    eventually("the other's end", async || (world.with_status("lapsed").await == 1).then_some(())).await;
    let lapsed = world.server.rows("SELECT domain FROM organization_domains WHERE status = 'lapsed'").await;
    assert_eq!(lapsed, [json!({"domain": "globex.example"})]);
    // It comes after the others, and not before its turn.
    let after = world.looks().await;
    assert!(before.iter().zip(&after).all(|(before, after)| before != after), "{before:?} {after:?}");
    world.server.run_due_jobs().await;
    assert_eq!(world.looks().await, after);
    world.stop().await;
}

async fn an_owner_whom_no_mail_reaches_keeps_no_proof_alive(backend: Backend) {
    let world = World::start(backend).await;
    let acme = world.server.organization("Acme").await;
    let claim = world.prove(&acme, "acme.example").await;
    let owners = format!("/api/v1/roles/{}/assignments", acme.roles["Owner"]);
    acme.owner.client.post(&owners, json!({"user_id": acme.admin.id})).await.created();
    let sql = format!("UPDATE memberships SET email = 'a..b@acme.example' WHERE user_id = {}", acme.owner.id);
    world.server.execute(&sql).await;
    world.names.clear(&claim.record_name);
    world.days_later(1).await;
    world.days_later(7).await;
    assert_eq!(world.with_status("lapsed").await, 1);
    world.server.mailbox().titled(&acme.admin.email, "no longer verified").await;
    world.stop().await;
}

async fn a_closed_organization_holds_no_domain(backend: Backend) {
    let world = World::start(backend).await;
    let (acme, globex) = (world.server.organization("Acme").await, world.server.organization("Globex").await);
    world.open(&acme, "acme.example").await;
    let heir = Claim::of(&globex, "acme.example").await;
    world.names.publish(&heir.record_name, &heir.record_value);
    heir.verify().await.error(409, "DOMAIN_TAKEN");
    let close = acme.owner.client.request(Method::DELETE, &format!("/api/v1/organizations/{}", acme.id));
    acme.owner.client.send(close.json(&json!({"confirm_name": "Acme"}))).await.ok();
    let ada = world.server.newcomer("ada@acme.example").await;
    assert!(!world.belongs(&ada, &acme).await);
    assert_eq!(world.server.audited("member.join", "success").await, 0);
    heir.verify().await.ok();
    assert_eq!(world.server.audited("domain.lapse", "success").await, 1);
    world.stop().await;
}

async fn domains_of_others_and_of_everybody_are_refused(backend: Backend) {
    let world = World::start(backend).await;
    let (acme, globex) = (world.server.organization("Acme").await, world.server.organization("Globex").await);
    let client = &acme.owner.client;
    for domain in [
        "gmail.com",
        "Outlook.com.",
        "co.uk",
        "github.io",
        "example",
        "nonsense",
        "10.0.0.1",
        "a b.example",
        "",
        "%61.b",
    ] {
        client.post(&domains(&acme), json!({"domain": domain})).await.invalid("domain");
    }
    client.post(&domains(&acme), json!({"domain": "ACME.example"})).await.error(409, "DOMAIN_EXISTS");
    client.post(&domains(&acme), json!({"domain": "bücher.example"})).await.created();
    client.post(&domains(&acme), json!({"domain": "xn--bcher-kva.example"})).await.error(409, "DOMAIN_EXISTS");
    client.post(&domains(&acme), json!({"domain": "acme.org", "status": "verified"})).await.invalid("status");
    let claim = Claim::of(&acme, "acme.example").await;
    client.patch(&claim.path, json!({})).await.invalid("auto_join");
    // Under the path of one's own organization another's does not exist, either.
    let foreign = Claim::of(&globex, "globex.example").await;
    let id = foreign.path.rsplit('/').next().unwrap();
    client.delete(&format!("{}/{id}", domains(&acme))).await.error(404, "DOMAIN_NOT_FOUND");
    client.delete(&foreign.path).await.error(404, "ORG_NOT_FOUND");
    acme.developer.client.delete(&claim.path).await.error(403, "FORBIDDEN");
    world.stop().await;
}

async fn there_is_a_bound_to_domains_and_to_looks(backend: Backend) {
    let looks = "[limits]\nenabled = true\n[limits.rules]\ndomain_verifications = { limit = 2, per_seconds = 3600 }\n";
    let world = World::with(backend, looks).await;
    let acme = world.server.organization("Acme").await;
    for number in 1..50 {
        acme.owner.client.post(&domains(&acme), json!({"domain": format!("d{number}.example")})).await.created();
    }
    let one_more = acme.owner.client.post(&domains(&acme), json!({"domain": "d50.example"})).await;
    one_more.error(403, "PLAN_LIMIT_REACHED");
    let claim = Claim::of(&acme, "acme.example").await;
    claim.verify().await.error(409, "DOMAIN_PROOF_MISSING");
    claim.verify().await.error(409, "DOMAIN_PROOF_MISSING");
    claim.verify().await.error(429, "RATE_LIMITED");
    world.stop().await;
}

async fn the_organizations_own_domain_is_claimed_with_it(backend: Backend) {
    let world = World::start(backend).await;
    let acme = world.server.organization("Acme").await;
    let (client, path) = (&acme.owner.client, format!("/api/v1/organizations/{}", acme.id));
    let shown = async || client.get(&path).await.ok()["organization"].take();
    assert_eq!(shown().await["domain_verified"], false);
    world.prove(&acme, "acme.example").await;
    assert_eq!(shown().await["domain_verified"], true);
    assert_eq!(client.get("/api/v1/organizations").await.ok()["organizations"][0]["domain_verified"], true);
    // Another one is to be proved for itself.
    client.patch(&path, json!({"domain": "acme.org"})).await.ok();
    assert_eq!(shown().await["domain_verified"], false);
    world.prove(&acme, "acme.org").await;
    assert_eq!(shown().await["domain_verified"], true);
    client.patch(&path, json!({"domain": "acme.example"})).await.ok();
    assert_eq!(shown().await["domain_verified"], true);
    // What nobody can prove is a name and no claim.
    client.patch(&path, json!({"domain": "gmail.com"})).await.ok();
    assert_eq!(client.get(&domains(&acme)).await.ok()["total_count"], 2);
    client.patch(&path, json!({"domain": null})).await.ok();
    assert_eq!(shown().await["domain_verified"], false);
    world.stop().await;
}
