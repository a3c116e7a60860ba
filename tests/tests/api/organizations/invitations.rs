//! `POST /api/v1/organizations/{org_id}/members/invite`, `POST …/members/invite/bulk`,
//! `GET /api/v1/organizations/{org_id}/invitations`, `POST …/invitations/{invitation_id}/resend`

use chrono::Duration;
use futures::future::join_all;
use rivergen_tests::{Organization, Server, on_both_databases};
use serde_json::{Value, json};

use crate::invitations::{accept, body, invite, invite_path, preview_path, token};

on_both_databases! {
    an_invitation_goes_out_by_mail_and_shows_no_token;
    what_people_write_stays_text;
    nobody_invites_beyond_what_they_hold;
    members_and_the_invited_are_not_invited_again;
    one_at_once_for_an_address;
    an_expired_one_makes_room;
    one_whose_inviter_is_gone_makes_room;
    what_is_long_over_is_forgotten;
    the_organization_says_whom_it_invites;
    anothers_is_not_found;
    what_is_not_valid_is_named;
    in_bulk_each_is_judged_for_themselves;
    a_bulk_has_bounds;
    a_bulk_may_be_a_csv;
    a_csv_that_cannot_be_read_is_refused;
    without_a_role_it_is_the_default_one;
    the_list_shows_what_is_pending;
    sent_again_it_is_another_link;
    what_is_over_is_not_sent_again;
    mails_are_bounded with "[limits]\nenabled = true\n[limits.rules]\ngeneral = { limit = 1000, per_seconds = 60 }";
    invitations_are_bounded with "[limits]\nenabled = true\n[limits.rules]\ninvitations = { limit = 2, per_seconds = 3600 }\nbulk_invitations = { limit = 1, per_seconds = 3600 }";
}

const ADA: &str = "ada@new.example";

fn invitations(organization: &Organization) -> String {
    format!("/api/v1/organizations/{}/invitations", organization.id)
}

fn bulk_path(organization: &Organization) -> String {
    format!("{}/bulk", invite_path(organization))
}

fn resend_path(organization: &Organization, id: i64) -> String {
    format!("{}/{id}/resend", invitations(organization))
}

async fn an_invitation_goes_out_by_mail_and_shows_no_token(server: &Server) {
    let acme = server.organization("Acme").await;
    let data = acme.admin.client.post(&invite_path(&acme), body(&acme, "Ada@New.example", "Viewer")).await.created();
    let invitation = &data["invitation"];
    assert_eq!((invitation["email"].as_str(), &invitation["token"]), (Some(ADA), &Value::Null));
    let end = invitation["expires_at"].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    assert_eq!((end - server.platform.clock.now()).num_hours(), 7 * 24 - 1);
    let token = token(server, ADA, 1).await;
    assert!(token.len() == 43 && !token.bytes().all(|byte| byte.is_ascii_digit()));
    let mail = server.mailbox().titled(ADA, "invited").await;
    for word in ["admin", "Acme", "Viewer", ADA] {
        assert!(mail.text.contains(word), "no {word} in {}", mail.text);
    }
    // The token is in the mail, and nowhere else.
    for table in ["invitations", "audit_log", "jobs"] {
        let rows = format!("{:?}", server.rows(&format!("SELECT * FROM {table}")).await);
        assert!(!rows.contains(&token), "{table}");
    }
    assert_eq!(server.audited("member.invite", "success").await, 1);
    assert_eq!(server.count("SELECT count(*) FROM memberships").await, 4);
}

async fn what_people_write_stays_text(server: &Server) {
    let acme = server.organization("Acme").await;
    let mut wanted = body(&acme, ADA, "Viewer");
    wanted["message"] = json!("<script>alert(1)</script> & welcome");
    acme.admin.client.post(&invite_path(&acme), wanted.clone()).await.created();
    let mail = server.mailbox().titled(ADA, "invited").await;
    assert!(mail.text.contains("“<script>alert(1)</script> & welcome”"), "{}", mail.text);
    wanted["message"] = json!("x".repeat(1001));
    acme.admin.client.post(&invite_path(&acme), wanted).await.invalid("message");
}

async fn nobody_invites_beyond_what_they_hold(server: &Server) {
    let acme = server.organization("Acme").await;
    let path = invite_path(&acme);
    acme.admin.client.post(&path, body(&acme, ADA, "Owner")).await.error(403, "FORBIDDEN");
    for person in [&acme.developer, &acme.viewer] {
        person.client.post(&path, body(&acme, ADA, "Viewer")).await.error(403, "FORBIDDEN");
        let many = json!({"invitations": [body(&acme, ADA, "Viewer")]});
        person.client.post(&bulk_path(&acme), many).await.error(403, "FORBIDDEN");
        person.client.get(&invitations(&acme)).await.error(403, "FORBIDDEN");
    }
    // A program that may do nothing but invite gives no role away.
    let program = json!({"name": "x", "scopes": ["member.invite"]});
    let program = acme.owner.client.post("/api/v1/auth/tokens", program).await.created();
    let program = acme.owner.client.with_token(program["token"].as_str().unwrap());
    program.post(&path, body(&acme, ADA, "Viewer")).await.error(403, "FORBIDDEN");
    assert_eq!(server.count("SELECT count(*) FROM invitations").await, 0);
    acme.owner.client.post(&path, body(&acme, ADA, "Owner")).await.created();
    // Nor does an Admin keep an invitation alive that they could not make.
    let id = server.count("SELECT id FROM invitations").await;
    acme.admin.client.post_empty(&resend_path(&acme, id)).await.error(403, "FORBIDDEN");
    server.anonymous().post(&path, body(&acme, ADA, "Viewer")).await.error(401, "UNAUTHORIZED");
}

async fn members_and_the_invited_are_not_invited_again(server: &Server) {
    let acme = server.organization("Acme").await;
    let path = invite_path(&acme);
    let again = async |email: &str| acme.admin.client.post(&path, body(&acme, email, "Viewer")).await;
    again("VIEWER@acme.example").await.error(409, "ALREADY_MEMBER");
    invite(&acme, ADA, "Viewer").await;
    again(ADA).await.error(409, "INVITATION_EXISTS");
    // By a further address of a member, once it is proved.
    let emails = "/api/v1/auth/me/emails";
    acme.viewer.client.post(emails, json!({"email": "vera@home.example"})).await.created();
    let verify = server.mailbox().token("vera@home.example", 1).await;
    server.anonymous().post("/api/v1/auth/verify-email", json!({"token": verify})).await.ok();
    again("vera@home.example").await.error(409, "ALREADY_MEMBER");
    // Another organization invites whom it wants.
    let globex = server.organization("Globex").await;
    invite(&globex, ADA, "Viewer").await;
    invite(&globex, &acme.viewer.email, "Viewer").await;
}

async fn one_at_once_for_an_address(server: &Server) {
    let acme = server.organization("Acme").await;
    let path = invite_path(&acme);
    let many = json!({"invitations": [body(&acme, ADA, "Viewer"), body(&acme, "eve@new.example", "Viewer")]});
    let bulk = bulk_path(&acme);
    let calls = (0..20).map(|call| match call % 2 {
        0 => acme.admin.client.post(&path, body(&acme, ADA, "Viewer")),
        _ => acme.admin.client.post(&bulk, many.clone()),
    });
    let answers = join_all(calls).await;
    assert!(answers.iter().all(|answer| answer.status.as_u16() < 500), "{answers:?}");
    let pending = "SELECT email FROM invitations WHERE status = 'pending' ORDER BY email";
    assert_eq!(server.rows(pending).await, [json!({"email": ADA}), json!({"email": "eve@new.example"})]);
    token(server, ADA, 1).await;
    assert_eq!(server.mailbox().to(ADA).len(), 1);
}

async fn an_expired_one_makes_room(server: &Server) {
    let acme = server.organization("Acme").await;
    let first = invite(&acme, ADA, "Viewer").await;
    server.clock().advance(Duration::days(7));
    let admin = server.sign_in(&acme.admin.email).await.client;
    admin.post(&invite_path(&acme), body(&acme, ADA, "Developer")).await.created();
    // The former one does not come back beside it.
    admin.post_empty(&resend_path(&acme, first)).await.error(409, "INVITATION_EXISTS");
    let statuses = server.rows("SELECT status FROM invitations ORDER BY id").await;
    assert_eq!(statuses, [json!({"status": "expired"}), json!({"status": "pending"})]);
}

async fn one_whose_inviter_is_gone_makes_room(server: &Server) {
    let acme = server.organization("Acme").await;
    let ada = server.newcomer(ADA).await;
    let member = format!("/api/v1/organizations/{}/members/{}", acme.id, acme.admin.id);
    invite(&acme, ADA, "Admin").await;
    invite(&acme, "eve@new.example", "Viewer").await;
    let again = async || acme.owner.client.post(&invite_path(&acme), body(&acme, ADA, "Viewer")).await;
    again().await.error(409, "INVITATION_EXISTS");
    acme.owner.client.patch(&member, json!({"status": "suspended"})).await.ok();
    again().await.created();
    again().await.error(409, "INVITATION_EXISTS");
    let statuses = server.rows("SELECT email, status FROM invitations ORDER BY id").await;
    let row = |email: &str, status: &str| json!({"email": email, "status": status});
    assert_eq!(statuses, [row(ADA, "revoked"), row("eve@new.example", "pending"), row(ADA, "pending")]);
    let details = server.rows("SELECT details FROM audit_log WHERE action = 'invitation.revoke'").await;
    assert!(details.len() == 1 && details[0]["details"].as_str().unwrap().contains("inviter_may_not"), "{details:?}");
    accept(&ada.client, &token(server, ADA, 1).await).await.error(410, "INVITATION_NOT_PENDING");
    accept(&ada.client, &token(server, ADA, 2).await).await.ok();
}

async fn what_is_long_over_is_forgotten(server: &Server) {
    let acme = server.organization("Acme").await;
    let ada = server.newcomer(ADA).await;
    invite(&acme, ADA, "Viewer").await;
    accept(&ada.client, &token(server, ADA, 1).await).await.ok();
    invite(&acme, "eve@new.example", "Viewer").await;
    // After its seven days each is kept for ninety.
    for (days, kept) in [(96, 2), (2, 0)] {
        server.clock().advance(Duration::days(days));
        rivergen_tenancy::invitation::forget::forget(&server.tenancy).await.unwrap();
        assert_eq!(server.count("SELECT count(*) FROM invitations").await, kept);
    }
    // What was done stays on record.
    assert_eq!(server.audited("invitation.accept", "success").await, 1);
}

async fn the_organization_says_whom_it_invites(server: &Server) {
    let acme = server.organization("Acme").await;
    let id = invite(&acme, ADA, "Viewer").await;
    let settings = r#"{"allowed_email_domains": ["acme.example", "Lab.example"], "invitation_expiry_days": 3}"#;
    server.execute(&format!("UPDATE organizations SET settings = '{settings}' WHERE id = {}", acme.id)).await;
    let path = invite_path(&acme);
    acme.admin.client.post(&path, body(&acme, "eve@new.example", "Viewer")).await.invalid("email");
    acme.admin.client.post_empty(&resend_path(&acme, id)).await.invalid("email");
    let data = acme.admin.client.post(&path, body(&acme, "eve@lab.example", "Viewer")).await.created();
    let end = data["invitation"]["expires_at"].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    assert_eq!((end - server.platform.clock.now()).num_days(), 2);
}

async fn anothers_is_not_found(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let owner = &acme.owner.client;
    let wanted = body(&acme, ADA, "Viewer");
    let with = |field: &str, value: i64| {
        let mut wanted = wanted.clone();
        wanted[field] = json!(value);
        wanted
    };
    owner.post(&invite_path(&globex), wanted.clone()).await.error(404, "ORG_NOT_FOUND");
    owner.post(&bulk_path(&globex), json!({"invitations": [wanted]})).await.error(404, "ORG_NOT_FOUND");
    owner.get(&invitations(&globex)).await.error(404, "ORG_NOT_FOUND");
    owner.post(&invite_path(&acme), with("workspace_id", globex.workspace_id)).await.error(404, "WORKSPACE_NOT_FOUND");
    owner.post(&invite_path(&acme), with("role_id", globex.roles["Viewer"])).await.error(404, "ROLE_NOT_FOUND");
    let id = invite(&globex, ADA, "Viewer").await;
    owner.post_empty(&resend_path(&globex, id)).await.error(404, "ORG_NOT_FOUND");
    owner.post_empty(&resend_path(&acme, id)).await.error(404, "INVITATION_NOT_FOUND");
    let own = format!("SELECT count(*) FROM invitations WHERE organization_id = {}", acme.id);
    assert_eq!(server.count(&own).await, 0);
}

async fn what_is_not_valid_is_named(server: &Server) {
    let acme = server.organization("Acme").await;
    let path = invite_path(&acme);
    let with = |field: &str, value: Value| {
        let mut wanted = body(&acme, ADA, "Viewer");
        wanted[field] = value;
        wanted
    };
    let invite = async |wanted: Value| acme.admin.client.post(&path, wanted).await;
    for email in ["ada", "", "ada@", "a b@new.example", "ada@new.example\r\nBcc: eve@new.example"] {
        invite(with("email", json!(email))).await.invalid("email");
    }
    invite(with("email", json!(7))).await.invalid("email");
    invite(with("workspace_id", Value::Null)).await.invalid("workspace_id");
    invite(with("role_id", json!("x"))).await.invalid("role_id");
    acme.admin.client.get(&format!("{}?status=lost", invitations(&acme))).await.invalid("status");
    acme.admin.client.post_empty(&format!("{}/x/resend", invitations(&acme))).await.error(404, "NOT_FOUND");
    assert_eq!(server.count("SELECT count(*) FROM invitations").await, 0);
}

async fn in_bulk_each_is_judged_for_themselves(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    invite(&acme, "known@new.example", "Viewer").await;
    let with = |email: &str, field: &str, value: i64| {
        let mut wanted = body(&acme, email, "Viewer");
        wanted[field] = json!(value);
        wanted
    };
    let wanted = json!({"message": "Welcome.", "invitations": [
        body(&acme, ADA, "Developer"),
        body(&acme, "nobody", "Viewer"),
        body(&acme, &acme.viewer.email, "Viewer"),
        body(&acme, "known@new.example", "Viewer"),
        body(&acme, "ADA@new.example", "Viewer"),
        body(&acme, "eve@new.example", "Owner"),
        with("eve@new.example", "role_id", globex.roles["Viewer"]),
        with("eve@new.example", "workspace_id", globex.workspace_id),
        body(&acme, "bob@new.example", "Viewer")]});
    let data = acme.admin.client.post(&bulk_path(&acme), wanted).await.ok();
    assert_eq!((data["invited_count"].as_i64(), data["failed_count"].as_i64()), (Some(2), Some(7)));
    let results = data["results"].as_array().unwrap();
    let codes: Vec<Option<&str>> = results.iter().map(|result| result["error_code"].as_str()).collect();
    let failures = [
        "VALIDATION_ERROR",
        "ALREADY_MEMBER",
        "INVITATION_EXISTS",
        "INVITATION_EXISTS",
        "FORBIDDEN",
        "ROLE_NOT_FOUND",
        "WORKSPACE_NOT_FOUND",
    ];
    assert_eq!((codes[0], codes[8]), (None, None));
    assert_eq!(codes[1..8], failures.map(Some));
    for (result, code) in results.iter().zip(&codes) {
        let status = if code.is_some() { "failed" } else { "invited" };
        assert_eq!((result["status"].as_str(), result["invitation_id"].is_i64()), (Some(status), code.is_none()));
    }
    assert_eq!((&results[1]["email"], &results[4]["email"]), (&json!("nobody"), &json!("ADA@new.example")));
    let fields: Vec<_> = results.iter().map(|result| result["field"].as_str()).collect();
    let named = ["email", "email", "email", "email", "role_id", "role_id", "workspace_id"].map(Some);
    assert_eq!((fields[0], &fields[1..8], fields[8]), (None, &named[..], None));
    for email in [ADA, "bob@new.example"] {
        server.anonymous().get(&preview_path(&token(server, email, 1).await)).await.ok();
    }
    assert!(server.mailbox().titled(ADA, "invited").await.text.contains("Welcome."));
    assert_eq!(
        (server.audited("member.invite", "success").await, server.mailbox().to("eve@new.example").len()),
        (3, 0)
    );
    // Where none passes, the answer is the same.
    let none = json!({"invitations": [body(&acme, "nobody", "Viewer"), body(&acme, ADA, "Viewer")]});
    assert_eq!(acme.admin.client.post(&bulk_path(&acme), none).await.ok()["failed_count"], 2);
}

async fn a_bulk_has_bounds(server: &Server) {
    let acme = server.organization("Acme").await;
    let of = |count: usize| {
        let each = (0..count).map(|index| body(&acme, &format!("p{index}@new.example"), "Viewer"));
        json!({"invitations": each.collect::<Vec<_>>()})
    };
    let bulk = async |body: Value| acme.admin.client.post(&bulk_path(&acme), body).await;
    bulk(of(0)).await.invalid("invitations");
    bulk(of(101)).await.invalid("invitations");
    bulk(json!({})).await.invalid("invitations");
    bulk(json!({"invitations": [{"email": ADA}]})).await.invalid("invitations[0].workspace_id");
    let data = bulk(of(100)).await.ok();
    assert_eq!(data["invited_count"], 100);
    let last = &data["results"][99];
    assert_eq!(last["email"], "p99@new.example");
    let id = server.count("SELECT id FROM invitations WHERE email = 'p99@new.example'").await;
    assert_eq!(last["invitation_id"], id);
    assert_eq!(acme.admin.client.get(&invitations(&acme)).await.ok()["total_count"], 100);
}

async fn the_list_shows_what_is_pending(server: &Server) {
    let acme = server.organization("Acme").await;
    let ada = server.newcomer(ADA).await;
    invite(&acme, ADA, "Viewer").await;
    let eve = invite(&acme, "eve@new.example", "Developer").await;
    let data = acme.admin.client.get(&invitations(&acme)).await.ok();
    assert_eq!(data["total_count"], 2);
    let first = &data["invitations"][0];
    assert_eq!((first["id"].as_i64(), first["email"].as_str()), (Some(eve), Some("eve@new.example")));
    assert_eq!((&first["status"], &first["invited_by"]), (&json!("pending"), &json!(acme.admin.id)));
    assert_eq!(first["organization"], json!({"id": acme.id, "name": "Acme"}));
    assert_eq!(first["role"], json!({"id": acme.roles["Developer"], "name": "Developer"}));
    assert!(first.get("token").is_none() && first.get("token_hash").is_none());
    accept(&ada.client, &token(server, ADA, 1).await).await.ok();
    assert_eq!(acme.admin.client.get(&invitations(&acme)).await.ok()["total_count"], 1);
    let accepted = acme.admin.client.get(&format!("{}?status=accepted", invitations(&acme))).await.ok();
    assert_eq!((accepted["total_count"].as_i64(), &accepted["invitations"][0]["email"]), (Some(1), &json!(ADA)));
    let page = acme.admin.client.get(&format!("{}?skip=1", invitations(&acme))).await.ok();
    assert_eq!((page["total_count"].as_i64(), &page["invitations"]), (Some(1), &json!([])));
    server.anonymous().get(&invitations(&acme)).await.error(401, "UNAUTHORIZED");
}

async fn sent_again_it_is_another_link(server: &Server) {
    let acme = server.organization("Acme").await;
    let ada = server.newcomer(ADA).await;
    let id = invite(&acme, ADA, "Viewer").await;
    let first = token(server, ADA, 1).await;
    server.clock().advance(Duration::days(8));
    let admin = server.sign_in(&acme.admin.email).await.client;
    let data = admin.post_empty(&resend_path(&acme, id)).await.ok();
    let sent = &data["invitation"];
    assert_eq!((sent["id"].as_i64(), sent["status"].as_str()), (Some(id), Some("pending")));
    let end = sent["expires_at"].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    assert_eq!((end - server.platform.clock.now()).num_days(), 6);
    let second = token(server, ADA, 2).await;
    assert_ne!(first, second);
    assert!(!data.to_string().contains(&second));
    server.anonymous().get(&preview_path(&first)).await.error(404, "INVITATION_NOT_FOUND");
    let ada = server.sign_in(&ada.email).await;
    accept(&ada.client, &second).await.ok();
    assert_eq!(server.audited("invitation.resend", "success").await, 1);
}

async fn what_is_over_is_not_sent_again(server: &Server) {
    let acme = server.organization("Acme").await;
    let ada = server.newcomer(ADA).await;
    let resend = async |id: i64| acme.admin.client.post_empty(&resend_path(&acme, id)).await;
    let id = invite(&acme, ADA, "Viewer").await;
    accept(&ada.client, &token(server, ADA, 1).await).await.ok();
    resend(id).await.error(409, "INVITATION_NOT_PENDING");
    let id = invite(&acme, "eve@new.example", "Viewer").await;
    acme.admin.client.delete(&format!("/api/v1/invitations/{id}")).await.ok();
    resend(id).await.error(409, "INVITATION_NOT_PENDING");
    resend(987_654_321).await.error(404, "INVITATION_NOT_FOUND");
    acme.developer.client.post_empty(&resend_path(&acme, id)).await.error(403, "FORBIDDEN");
    server.anonymous().post_empty(&resend_path(&acme, id)).await.error(401, "UNAUTHORIZED");
}

async fn mails_are_bounded(server: &Server) {
    let acme = server.organization("Acme").await;
    let id = invite(&acme, ADA, "Viewer").await;
    for _ in 0..5 {
        acme.admin.client.post_empty(&resend_path(&acme, id)).await.ok();
    }
    let answer = acme.admin.client.post_empty(&resend_path(&acme, id)).await;
    assert!(answer.number("retry-after") > 3600);
    answer.error(429, "RATE_LIMITED");
    // Six mails so far; whatever comes of it, no more than ten go to one address.
    for _ in 0..4 {
        let id = server.count("SELECT max(id) FROM invitations").await;
        acme.admin.client.delete(&format!("/api/v1/invitations/{id}")).await.ok();
        invite(&acme, ADA, "Viewer").await;
    }
    let id = server.count("SELECT max(id) FROM invitations").await;
    acme.admin.client.delete(&format!("/api/v1/invitations/{id}")).await.ok();
    acme.admin.client.post(&invite_path(&acme), body(&acme, ADA, "Viewer")).await.error(429, "RATE_LIMITED");
    let many = json!({"invitations": [body(&acme, ADA, "Viewer"), body(&acme, "eve@new.example", "Viewer")]});
    let data = acme.admin.client.post(&bulk_path(&acme), many).await.ok();
    assert_eq!((&data["results"][0]["error_code"], &data["invited_count"]), (&json!("RATE_LIMITED"), &json!(1)));
}

async fn invitations_are_bounded(server: &Server) {
    let acme = server.organization("Acme").await;
    invite(&acme, "one@new.example", "Viewer").await;
    invite(&acme, "two@new.example", "Viewer").await;
    let third = body(&acme, "three@new.example", "Viewer");
    // The limit is the organization's.
    acme.owner.client.post(&invite_path(&acme), third.clone()).await.error(429, "RATE_LIMITED");
    let many = json!({"invitations": [third]});
    acme.admin.client.post(&bulk_path(&acme), many.clone()).await.ok();
    acme.admin.client.post(&bulk_path(&acme), many).await.error(429, "RATE_LIMITED");
}

async fn a_bulk_may_be_a_csv(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let lab = acme.workspace("Data Lab").await;
    let (viewer, developer) = (acme.roles["Viewer"], acme.roles["Developer"]);
    let foreign = (globex.workspace_id, globex.roles["Viewer"]);
    let file = format!(
        "email,workspace,role\nada@new.example,data-lab,developer\n\"bob@new.example\",{lab},{viewer}\n\
         carl@new.example,,\nnobody,,\n{},,\ndora@new.example,nowhere,\ndora@new.example,{},\n\
         dora@new.example,,Pilot\ndora@new.example,,{}\ndora@new.example,,Owner\nADA@new.example,,\n",
        acme.viewer.email, foreign.0, foreign.1
    );
    let send = async |content_type: &str, file: String| {
        acme.admin.client.post_raw(&bulk_path(&acme), content_type, file).await
    };
    let data = send("text/csv; charset=utf-8", file).await.ok();
    assert_eq!((data["invited_count"].as_i64(), data["failed_count"].as_i64()), (Some(3), Some(8)));
    let results = data["results"].as_array().unwrap();
    let codes: Vec<Option<&str>> = results.iter().map(|result| result["error_code"].as_str()).collect();
    let failures = [
        "VALIDATION_ERROR",
        "ALREADY_MEMBER",
        "WORKSPACE_NOT_FOUND",
        "WORKSPACE_NOT_FOUND",
        "ROLE_NOT_FOUND",
        "ROLE_NOT_FOUND",
        "FORBIDDEN",
        "INVITATION_EXISTS",
    ];
    assert_eq!((&codes[..3], &codes[3..]), (&[None; 3][..], &failures.map(Some)[..]));
    assert_eq!((&results[0]["status"], &results[3]["email"]), (&json!("invited"), &json!("nobody")));
    // Each is told which row it was, and what of it was wrong.
    let told: Vec<_> = results.iter().map(|result| (result["row"].as_u64(), result["field"].as_str())).collect();
    let fields = ["email", "email", "workspace", "workspace", "role", "role", "role", "email"];
    let expected = [None; 3].into_iter().chain(fields.map(Some));
    assert_eq!(told, (1..).map(Some).zip(expected).collect::<Vec<_>>());
    let invited = server.rows("SELECT email, workspace_id, role_id FROM invitations ORDER BY email").await;
    let row = |email: &str, workspace: i64, role: i64| json!({"email": format!("{email}@new.example"), "workspace_id": workspace, "role_id": role});
    let expected = [row("ada", lab, developer), row("bob", lab, viewer), row("carl", acme.workspace_id, viewer)];
    assert_eq!(invited, expected);
    server.anonymous().get(&preview_path(&token(server, ADA, 1).await)).await.ok();
    // The rules of the operation are those of the other form.
    let people = || "email\neve@new.example\n".to_owned();
    for person in [&acme.developer, &acme.viewer] {
        person.client.post_raw(&bulk_path(&acme), "text/csv", people()).await.error(403, "FORBIDDEN");
    }
    globex.owner.client.post_raw(&bulk_path(&acme), "text/csv", people()).await.error(404, "ORG_NOT_FOUND");
    server.anonymous().post_raw(&bulk_path(&acme), "text/csv", people()).await.error(401, "UNAUTHORIZED");
    send("text/plain", people()).await.error(415, "UNSUPPORTED_MEDIA_TYPE");
    let document = serde_json::to_value(rivergen::openapi::document()).unwrap();
    let operation = &document["paths"]["/api/v1/organizations/{org_id}/members/invite/bulk"]["post"];
    for content_type in ["application/json", "text/csv"] {
        assert!(operation["requestBody"]["content"][content_type].is_object(), "{content_type}");
    }
}

async fn a_csv_that_cannot_be_read_is_refused(server: &Server) {
    let acme = server.organization("Acme").await;
    let send = async |file: Vec<u8>| acme.admin.client.post_raw(&bulk_path(&acme), "text/csv", file).await;
    for bad in ["", "name\nAda\n", "email,password\na@b.example,x\n", "email,role\na@b.example\n"] {
        send(bad.as_bytes().to_vec()).await.error(400, "INVALID_REQUEST");
    }
    send(b"email\n\xff\n".to_vec()).await.error(400, "INVALID_REQUEST");
    send(b"email,role\na@b.example,a\0b\n".to_vec()).await.invalid("body");
    let of = |count: usize| {
        let rows: String = (0..count).map(|index| format!("p{index}@new.example\n")).collect();
        format!("email\n{rows}").into_bytes()
    };
    send(of(0)).await.invalid("invitations");
    send(of(101)).await.invalid("invitations");
    assert_eq!(send(of(100)).await.ok()["invited_count"], 100);
}

async fn without_a_role_it_is_the_default_one(server: &Server) {
    let acme = server.organization("Acme").await;
    let ada = server.newcomer(ADA).await;
    let lab = acme.workspace("Lab").await;
    let settings = json!({"settings": {"default_role_id": acme.roles["Developer"]}});
    acme.owner.client.put(&format!("/api/v1/workspaces/{lab}/settings"), settings).await.ok();
    let wanted = |email: &str, workspace: i64| json!({"email": email, "workspace_id": workspace});
    acme.admin.client.post(&invite_path(&acme), wanted(ADA, lab)).await.created();
    let many = json!({"invitations": [wanted("bob@new.example", lab), wanted("eve@new.example", acme.workspace_id)]});
    assert_eq!(acme.admin.client.post(&bulk_path(&acme), many).await.ok()["invited_count"], 2);
    let roles = server.rows("SELECT role_id FROM invitations ORDER BY email").await;
    let roles: Vec<i64> = roles.iter().map(|row| row["role_id"].as_i64().unwrap()).collect();
    assert_eq!(roles, [acme.roles["Developer"], acme.roles["Developer"], acme.roles["Viewer"]]);
    accept(&ada.client, &token(server, ADA, 1).await).await.ok();
    ada.stand_in(lab).await.client.upload("a.csv", b"a\n1\n".to_vec()).await.created();
    // Nobody gives more by it than they hold.
    let settings = json!({"settings": {"default_role_id": acme.roles["Owner"]}});
    acme.owner.client.put(&format!("/api/v1/workspaces/{lab}/settings"), settings).await.ok();
    acme.admin.client.post(&invite_path(&acme), wanted("zoe@new.example", lab)).await.error(403, "FORBIDDEN");
}
