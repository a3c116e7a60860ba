//! `POST …/domains/{domain_id}/mail` and `…/mail/verify`: how a domain is proved by a code, and for how long.

use rivergen_tests::{Backend, on_both_backends};
use serde_json::{Value, json};

use super::{Claim, World, domains};

on_both_backends! {
    a_domain_is_proved_by_a_mailed_code;
    a_mailed_proof_gives_way_to_a_record;
    a_mailed_proof_ends_after_a_year_unless_the_record_is_there;
}

async fn a_domain_is_proved_by_a_mailed_code(backend: Backend) {
    let world = World::start(backend).await;
    let (acme, globex) = (world.server.organization("Acme").await, world.server.organization("Globex").await);
    let (claim, other) = (Claim::of(&acme, "mailed.example").await, Claim::of(&globex, "mailed.example").await);
    // A mailbox that anybody may have proves nothing.
    for mailbox in ["info", "ada", "postmaster@evil.example", ""] {
        claim.owner.post(&format!("{}/mail", claim.path), json!({"mailbox": mailbox})).await.invalid("mailbox");
    }
    claim.verify_by("never mailed").await.error(400, "INVALID_CODE");
    let former = claim.mailed(&world.server, "postmaster", 1).await;
    let code = claim.mailed(&world.server, "postmaster", 2).await;
    let theirs = other.mailed(&world.server, "admin", 1).await;
    // That of before, that of another claim, and one that is a day old are worth nothing.
    claim.verify_by(&former).await.error(400, "INVALID_CODE");
    claim.verify_by(&theirs).await.error(400, "INVALID_CODE");
    let good_until =
        |year: i32| format!("UPDATE organization_domains SET mail_code_expires_at = '{year}-01-01 00:00:00+00:00'");
    world.server.execute(&good_until(2020)).await;
    claim.verify_by(&code).await.error(400, "INVALID_CODE");
    world.server.execute(&good_until(2099)).await;
    let verified = claim.verify_by(&code).await.ok()["domain"].take();
    assert_eq!((&verified["status"], &verified["missing_since"]), (&json!("verified"), &Value::Null));
    assert!(verified["mail_proof_until"].is_string() && verified["verified_at"].is_string(), "{verified}");
    claim.verify_by(&code).await.error(400, "INVALID_CODE");
    // One at a time has it.
    other.verify_by(&theirs).await.error(409, "DOMAIN_TAKEN");
    let told = "SELECT count(*) FROM audit_log WHERE action = 'domain.verify' AND details LIKE '%\"by\":\"mail\"%'";
    assert_eq!(world.server.count(told).await, 1);
    assert_eq!(world.server.audited("domain.mail", "success").await, 3);
    // Where the record is there it is what proves the domain.
    world.names.publish(&claim.record_name, &claim.record_value);
    assert_eq!(claim.verify().await.ok()["domain"]["mail_proof_until"], Value::Null);
    let code = claim.mailed(&world.server, "webmaster", 1).await;
    assert_eq!(claim.verify_by(&code).await.ok()["domain"]["mail_proof_until"], Value::Null);
    world.stop().await;
}

async fn a_mailed_proof_gives_way_to_a_record(backend: Backend) {
    let world = World::start(backend).await;
    let (acme, globex) = (world.server.organization("Acme").await, world.server.organization("Globex").await);
    let claim = Claim::of(&acme, "acme.example").await;
    let code = claim.mailed(&world.server, "postmaster", 1).await;
    claim.verify_by(&code).await.ok();
    claim.auto_join(true).await.ok();
    let heir = Claim::of(&globex, "acme.example").await;
    heir.verify().await.error(409, "DOMAIN_PROOF_MISSING");
    world.names.publish(&heir.record_name, &heir.record_value);
    assert_eq!(heir.verify().await.ok()["domain"]["mail_proof_until"], Value::Null);
    let listed = claim.owner.get(&domains(&acme)).await.ok()["domains"][0].take();
    assert_eq!(
        (&listed["status"], &listed["auto_join"], &listed["mail_proof_until"]),
        (&json!("lapsed"), &json!(false), &Value::Null)
    );
    assert_eq!(world.server.audited("domain.lapse", "success").await, 1);
    let mail = world.server.mailbox().titled(&acme.owner.email, "no longer verified").await;
    assert!(mail.text.contains("Another organization"), "{}", mail.text);
    // What a record proves gives way to no mail.
    let code = claim.mailed(&world.server, "postmaster", 2).await;
    claim.verify_by(&code).await.error(409, "DOMAIN_TAKEN");
    world.stop().await;
}

async fn a_mailed_proof_ends_after_a_year_unless_the_record_is_there(backend: Backend) {
    let world = World::start(backend).await;
    let acme = world.server.organization("Acme").await;
    let mut claims = Vec::new();
    for domain in ["acme.example", "kept.example"] {
        let claim = Claim::of(&acme, domain).await;
        let code = claim.mailed(&world.server, "hostmaster", 1).await;
        claim.verify_by(&code).await.ok();
        claims.push(claim);
    }
    // The record of one of them comes meanwhile.
    world.names.publish(&claims[1].record_name, &claims[1].record_value);
    let missing = "SELECT count(*) FROM organization_domains WHERE missing_since IS NOT NULL";
    world.days_later(360).await;
    assert_eq!((world.with_status("verified").await, world.server.count(missing).await), (2, 0));
    world.days_later(6).await;
    assert_eq!((world.with_status("verified").await, world.server.count(missing).await), (2, 1));
    world.days_later(7).await;
    assert_eq!((world.with_status("verified").await, world.with_status("lapsed").await), (1, 1));
    world.stop().await;
}
