//! `/api/v1/organizations/{org_id}/domains…`, against a name server on this machine, and what a verified domain does:
//! people of it join by themselves.

use chrono::Duration;
use reqwest::Method;
use rivergen_tests::{
    Answer, Backend, Client, NameServer, Organization, PASSWORD, Person, Server, eventually, on_both_backends,
};
use serde_json::{Value, json};

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
    a_domain_is_proved_by_a_mailed_code;
    a_mailed_proof_gives_way_to_a_record;
    a_mailed_proof_ends_after_a_year_unless_the_record_is_there;
    domains_of_others_and_of_everybody_are_refused;
    there_is_a_bound_to_domains_and_to_looks;
    the_organizations_own_domain_is_claimed_with_it;
    whoever_proves_an_address_of_the_domain_joins_once;
    every_way_to_prove_an_address_counts;
    they_get_the_default_role;
    nobody_lets_in_with_more_than_they_hold;
    nobody_joins_without_a_verified_domain_that_lets_them;
    nobody_joins_against_the_organizations_rules;
    who_is_invited_is_left_to_the_invitation;
}

/// A server, and the name server that it asks.
struct World {
    names: NameServer,
    server: Server,
}

impl World {
    async fn start(backend: Backend) -> Self {
        Self::with(backend, "").await
    }

    async fn with(backend: Backend, settings: &str) -> Self {
        let names = NameServer::start().await;
        let server = Server::start(backend, &format!("{}{settings}", names.settings())).await;
        Self { names, server }
    }

    async fn stop(self) {
        self.server.stop().await;
    }

    /// Proves the domain for the organization.
    async fn prove(&self, of: &Organization, domain: &str) -> Claim {
        let claim = Claim::of(of, domain).await;
        self.names.publish(&claim.record_name, &claim.record_value);
        claim.verify().await.ok();
        claim
    }

    /// Proves it, and lets its people join.
    async fn open(&self, of: &Organization, domain: &str) -> Claim {
        let claim = self.prove(of, domain).await;
        claim.auto_join(true).await.ok();
        claim
    }

    /// Whether they belong to the organization, as their own list of organizations says.
    async fn belongs(&self, person: &Person, to: &Organization) -> bool {
        let listed = person.client.get("/api/v1/organizations").await.ok();
        listed["organizations"].as_array().unwrap().iter().any(|one| one["id"] == to.id)
    }

    /// The roles of somebody in the organization.
    async fn roles(&self, person: i64, of: &Organization) -> Vec<i64> {
        let roles = "SELECT role_id FROM role_assignments WHERE workspace_id IS NULL AND";
        let rows = format!("{roles} user_id = {person} AND organization_id = {}", of.id);
        self.server.rows(&rows).await.iter().map(|row| row["role_id"].as_i64().unwrap()).collect()
    }

    /// Lets days go by, a little more than that, and waits until the proofs were looked at.
    async fn days_later(&self, days: i64) {
        let before = self.looks().await;
        self.server.clock().advance(Duration::days(days) + Duration::hours(1));
        eventually("a look at the proofs", async || {
            self.server.run_due_jobs().await;
            (self.looks().await != before).then_some(())
        })
        .await;
    }

    async fn looks(&self) -> Vec<Value> {
        self.server.rows("SELECT id, CAST(checked_at AS TEXT) AS looked FROM organization_domains ORDER BY id").await
    }

    async fn with_status(&self, status: &str) -> i64 {
        self.server.count(&format!("SELECT count(*) FROM organization_domains WHERE status = '{status}'")).await
    }
}

/// What an organization claims.
struct Claim {
    owner: Client,
    path: String,
    record_name: String,
    record_value: String,
}

fn domains(of: &Organization) -> String {
    format!("/api/v1/organizations/{}/domains", of.id)
}

impl Claim {
    /// The claim of the organization's own domain, which was made with it, or a new one.
    async fn of(of: &Organization, domain: &str) -> Self {
        let owner = of.owner.client.clone();
        let listed = owner.get(&domains(of)).await.ok();
        let known = listed["domains"].as_array().unwrap().iter().find(|one| one["domain"] == domain).cloned();
        let found = match known {
            Some(known) => known,
            None => owner.post(&domains(of), json!({"domain": domain})).await.created()["domain"].take(),
        };
        let text = |name: &str| found["record"][name].as_str().unwrap().to_owned();
        Self {
            path: format!("{}/{}", domains(of), found["id"]),
            record_name: text("name"),
            record_value: text("value"),
            owner,
        }
    }

    async fn verify(&self) -> Answer {
        self.owner.post_empty(&format!("{}/verify", self.path)).await
    }

    /// Asks for a code by mail, the `count`th to this mailbox, and reads it.
    async fn mailed(&self, server: &Server, mailbox: &str, count: usize) -> String {
        let asked = self.owner.post(&format!("{}/mail", self.path), json!({"mailbox": mailbox})).await.ok();
        let to = asked["sent_to"].as_str().unwrap();
        assert!(to.starts_with(&format!("{mailbox}@")) && asked["expires_in"] == 86_400, "{asked}");
        let mail = server.mailbox().nth_to(to, count).await;
        let code = mail.text.split_once("The code is ").and_then(|(_, rest)| rest.split_whitespace().next());
        code.unwrap_or_else(|| panic!("no code in {}", mail.text)).to_owned()
    }

    async fn verify_by(&self, code: &str) -> Answer {
        self.owner.post(&format!("{}/mail/verify", self.path), json!({"code": code})).await
    }

    async fn auto_join(&self, on: bool) -> Answer {
        self.owner.patch(&self.path, json!({"auto_join": on})).await
    }

    async fn remove(&self) -> Answer {
        self.owner.delete(&self.path).await
    }

    /// The same, by a session of now.
    fn by(self, owner: &Person) -> Self {
        Self { owner: owner.client.clone(), ..self }
    }
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
    let mail = world.server.mailbox().titled("ada@acme.example", "You are a member of Acme").await;
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
