//! `POST /api/v1/invitations/{invitation_token}/accept`

use chrono::Duration;
use futures::stream::{self, StreamExt};
use rivergen_tests::{Server, on_both_databases};
use serde_json::{Value, json};

use super::{accept, body, invite, invite_path, member, preview_path, token};

on_both_databases! {
    an_invited_person_becomes_a_member;
    a_role_in_another_workspace_counts_there_alone;
    a_repeat_answers_the_same;
    only_the_invited_address_counts_and_it_must_be_proved;
    what_cannot_be_accepted_any_more;
    whoever_is_a_member_already_is_not_made_one_again;
    one_to_a_further_address_of_a_member_ends;
    a_role_or_workspace_may_be_gone;
    whoever_invited_must_still_be_able_to;
    whom_the_organization_takes_in_no_more_stays_out;
    an_inviter_who_goes_at_that_moment_gives_nothing_or_gave_it_before;
    sent_again_it_is_that_of_another;
    of_a_thousand_at_once_one_makes_a_member;
    revoked_and_accepted_at_once_is_one_of_both;
    a_program_accepts_nothing;
    tries_are_bounded with "[limits]\nenabled = true";
}

const ADA: &str = "ada@new.example";

async fn an_invited_person_becomes_a_member(server: &Server) {
    let acme = server.organization("Acme").await;
    invite(&acme, ADA, "Developer").await;
    let token = token(server, ADA, 1).await;
    // An account is made after the mail came.
    let signup = json!({"email": ADA, "password": rivergen_tests::PASSWORD, "agree_to_terms": true});
    server.anonymous().post("/api/v1/auth/signup", signup).await.created();
    let verify = server.mailbox().titled(ADA, "Verify").await;
    let verify = verify.links()[0].split_once("token=").unwrap().1.to_owned();
    server.anonymous().post("/api/v1/auth/verify-email", json!({"token": verify})).await.ok();
    let ada = server.sign_in(ADA).await;
    let members = format!("/api/v1/organizations/{}/members", acme.id);
    ada.client.get(&members).await.error(404, "ORG_NOT_FOUND");

    let data = accept(&ada.client, &token).await.ok();
    assert_eq!(data["organization"], json!({"id": acme.id, "name": "Acme"}));
    assert_eq!(data["workspace"], json!({"id": acme.workspace_id, "name": "Main Workspace"}));
    assert_eq!(data["role"], json!({"id": acme.roles["Developer"], "name": "Developer"}));
    // With the same session, on its very next request.
    assert_eq!(ada.client.get(&members).await.ok()["total_count"], 5);
    let own = member(&acme, &ada).await;
    assert_eq!((&own["role"]["name"], &own["workspaces"]), (&json!("Developer"), &json!([])));
    let membership =
        format!("SELECT source FROM memberships WHERE user_id = {} AND organization_id = {}", ada.id, acme.id);
    assert_eq!(server.rows(&membership).await, [json!({"source": "invitation"})]);
    let invitation = server.rows("SELECT status, accepted_by_user_id FROM invitations").await;
    assert_eq!(invitation, [json!({"status": "accepted", "accepted_by_user_id": ada.id})]);
    assert_eq!(server.audited("invitation.accept", "success").await, 1);
    let kept = ada.client.get(&format!("/api/v1/users/{}/export", ada.id)).await.ok();
    assert_eq!(
        (&kept["invitations"][0]["email"], &kept["invitations"][0]["status"]),
        (&json!(ADA), &json!("accepted"))
    );
}

async fn a_role_in_another_workspace_counts_there_alone(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = format!("/api/v1/organizations/{}/workspaces", acme.id);
    let lab = acme.admin.client.post(&lab, json!({"name": "Lab"})).await.created()["workspace"]["id"].clone();
    let ada = server.newcomer(ADA).await;
    let mut wanted = body(&acme, ADA, "Admin");
    wanted["workspace_id"] = lab.clone();
    acme.admin.client.post(&invite_path(&acme), wanted).await.created();
    let data = accept(&ada.client, &token(server, ADA, 1).await).await.ok();
    assert_eq!((&data["workspace"]["id"], &data["role"]["name"]), (&lab, &json!("Admin")));
    let own = member(&acme, &ada).await;
    assert_eq!(own["role"]["name"], "Viewer");
    let admin = json!({"id": acme.roles["Admin"], "name": "Admin"});
    assert_eq!(own["workspaces"], json!([{"workspace_id": lab, "workspace_name": "Lab", "role": admin}]));
    // An Admin of a workspace is none of the organization.
    let members = format!("/api/v1/organizations/{}/members", acme.id);
    ada.client.get(&members).await.error(403, "FORBIDDEN");
    let switched = ada.client.post("/api/v1/auth/switch-workspace", json!({"workspace_id": lab})).await.ok();
    let there = ada.client.with_token(switched["access_token"].as_str().unwrap());
    there.upload("a.csv", b"a\n1\n".to_vec()).await.created();
    there.get(&members).await.error(403, "FORBIDDEN");
}

async fn a_repeat_answers_the_same(server: &Server) {
    let acme = server.organization("Acme").await;
    let ada = server.newcomer(ADA).await;
    invite(&acme, ADA, "Viewer").await;
    let token = token(server, ADA, 1).await;
    let first = accept(&ada.client, &token).await.ok();
    assert_eq!(accept(&ada.client, &token).await.ok(), first);
    assert_eq!(server.audited("invitation.accept", "success").await, 1);
    // Whoever has left since needs another invitation.
    ada.client.post_empty(&format!("/api/v1/organizations/{}/leave", acme.id)).await.ok();
    accept(&ada.client, &token).await.error(410, "INVITATION_NOT_PENDING");
    invite(&acme, ADA, "Viewer").await;
    accept(&ada.client, &super::token(server, ADA, 2).await).await.ok();
}

async fn only_the_invited_address_counts_and_it_must_be_proved(server: &Server) {
    let acme = server.organization("Acme").await;
    let ada = server.newcomer(ADA).await;
    let eve = server.newcomer("eve@new.example").await;
    // Without case.
    let data = acme.admin.client.post(&invite_path(&acme), body(&acme, "Ada@Home.Example", "Viewer")).await.created();
    assert_eq!(data["invitation"]["email"], "ada@home.example");
    let token = token(server, "ada@home.example", 1).await;
    server.anonymous().post_empty(&format!("{}/accept", preview_path(&token))).await.error(401, "UNAUTHORIZED");
    accept(&eve.client, &token).await.error(403, "EMAIL_MISMATCH");
    accept(&ada.client, &token).await.error(403, "EMAIL_MISMATCH");
    ada.client.post("/api/v1/auth/me/emails", json!({"email": "ada@home.example"})).await.created();
    accept(&ada.client, &token).await.error(403, "EMAIL_MISMATCH");
    let verify = server.mailbox().titled("ada@home.example", "Verify").await;
    let verify = verify.links()[0].split_once("token=").unwrap().1.to_owned();
    server.anonymous().post("/api/v1/auth/verify-email", json!({"token": verify})).await.ok();
    accept(&ada.client, &token).await.ok();
    accept(&eve.client, &token).await.error(403, "EMAIL_MISMATCH");
    let members = format!("SELECT count(*) FROM memberships WHERE organization_id = {}", acme.id);
    assert_eq!(server.count(&members).await, 5);
}

async fn what_cannot_be_accepted_any_more(server: &Server) {
    let acme = server.organization("Acme").await;
    let ada = server.newcomer(ADA).await;
    accept(&ada.client, "nothing").await.error(404, "INVITATION_NOT_FOUND");
    accept(&ada.client, "1").await.error(404, "INVITATION_NOT_FOUND");
    let id = invite(&acme, ADA, "Viewer").await;
    let first = token(server, ADA, 1).await;
    acme.admin.client.delete(&format!("/api/v1/invitations/{id}")).await.ok();
    accept(&ada.client, &first).await.error(410, "INVITATION_NOT_PENDING");
    invite(&acme, ADA, "Viewer").await;
    let second = token(server, ADA, 2).await;
    server.clock().advance(Duration::days(7));
    let ada = server.sign_in(ADA).await;
    accept(&ada.client, &second).await.error(410, "INVITATION_EXPIRED");
    server.execute(&format!("UPDATE organizations SET deleted_at = created_at WHERE id = {}", acme.id)).await;
    accept(&ada.client, &second).await.error(404, "INVITATION_NOT_FOUND");
    assert_eq!(server.audited("invitation.accept", "success").await, 0);
}

async fn whoever_is_a_member_already_is_not_made_one_again(server: &Server) {
    let acme = server.organization("Acme").await;
    let ada = server.newcomer(ADA).await;
    invite(&acme, ADA, "Admin").await;
    let token = token(server, ADA, 1).await;
    let file = json!({"name": "Acme", "people": [{"email": "owner@acme.example", "role": "Owner"},
        {"email": ADA, "role": "Viewer"}]});
    let file = serde_json::from_value(file).unwrap();
    rivergen_tenancy::provision::run(&server.tenancy, file).await.unwrap();
    accept(&ada.client, &token).await.error(409, "ALREADY_MEMBER");
    // Nor is somebody let in again who is suspended.
    let path = format!("/api/v1/organizations/{}/members/{}", acme.id, ada.id);
    acme.admin.client.patch(&path, json!({"status": "suspended"})).await.ok();
    accept(&ada.client, &token).await.error(409, "ALREADY_MEMBER");
    assert_eq!(member(&acme, &ada).await["role"]["name"], "Viewer");
    // It has ended, since they joined otherwise.
    assert_eq!(server.rows("SELECT status FROM invitations").await, [json!({"status": "revoked"})]);
    let details = server.rows("SELECT details FROM audit_log WHERE action = 'invitation.revoke'").await;
    assert!(details.len() == 1 && details[0]["details"].as_str().unwrap().contains("joined"), "{details:?}");
}

async fn one_to_a_further_address_of_a_member_ends(server: &Server) {
    let acme = server.organization("Acme").await;
    invite(&acme, "vera@home.example", "Admin").await;
    let token = token(server, "vera@home.example", 1).await;
    acme.viewer.client.post("/api/v1/auth/me/emails", json!({"email": "vera@home.example"})).await.created();
    let verify = server.mailbox().titled("vera@home.example", "Verify").await;
    let verify = verify.links()[0].split_once("token=").unwrap().1.to_owned();
    server.anonymous().post("/api/v1/auth/verify-email", json!({"token": verify})).await.ok();
    for _ in 0..2 {
        accept(&acme.viewer.client, &token).await.error(409, "ALREADY_MEMBER");
    }
    let row = server.rows("SELECT status, accepted_by_user_id FROM invitations").await;
    assert_eq!(row, [json!({"status": "revoked", "accepted_by_user_id": null})]);
    assert_eq!(server.audited("invitation.revoke", "success").await, 1);
    assert_eq!(member(&acme, &acme.viewer).await["role"]["name"], "Viewer");
}

async fn a_role_or_workspace_may_be_gone(server: &Server) {
    let acme = server.organization("Acme").await;
    let ada = server.newcomer(ADA).await;
    server
        .execute(&format!(
            "INSERT INTO roles (organization_id, name, name_key, description, is_built_in, permissions, created_at) \
             SELECT organization_id, 'Auditor', 'auditor', '', FALSE, permissions, created_at FROM roles WHERE id = {}",
            acme.roles["Viewer"]
        ))
        .await;
    let auditor = server.count("SELECT id FROM roles WHERE name = 'Auditor'").await;
    let mut wanted = body(&acme, ADA, "Viewer");
    wanted["role_id"] = json!(auditor);
    acme.owner.client.post(&invite_path(&acme), wanted).await.created();
    let token = token(server, ADA, 1).await;
    server.execute(&format!("DELETE FROM roles WHERE id = {auditor}")).await;
    accept(&ada.client, &token).await.error(409, "INVITATION_STALE");
    server.anonymous().get(&preview_path(&token)).await.error(409, "INVITATION_STALE");
    let listed = acme.admin.client.get("/api/v1/invitations").await.ok();
    assert_eq!(listed["invitations"][0]["role"], Value::Null);
    let id = listed["invitations"][0]["id"].as_i64().unwrap();
    acme.admin.client.delete(&format!("/api/v1/invitations/{id}")).await.ok();

    let lab = format!("/api/v1/organizations/{}/workspaces", acme.id);
    let lab = acme.admin.client.post(&lab, json!({"name": "Lab"})).await.created()["workspace"]["id"].clone();
    let mut wanted = body(&acme, ADA, "Viewer");
    wanted["workspace_id"] = lab.clone();
    acme.admin.client.post(&invite_path(&acme), wanted).await.created();
    let token = super::token(server, ADA, 2).await;
    server.execute(&format!("UPDATE workspaces SET deleted_at = created_at WHERE id = {lab}")).await;
    accept(&ada.client, &token).await.error(409, "INVITATION_STALE");
    let members = format!("SELECT count(*) FROM memberships WHERE organization_id = {}", acme.id);
    assert_eq!((server.count(&members).await, server.audited("invitation.accept", "success").await), (4, 0));
}

async fn of_a_thousand_at_once_one_makes_a_member(server: &Server) {
    let acme = server.organization("Acme").await;
    let ada = server.newcomer(ADA).await;
    invite(&acme, ADA, "Viewer").await;
    let token = token(server, ADA, 1).await;
    // As many at a time as a process may have connections open, at both ends.
    let tries = stream::iter((0..1_000).map(|_| accept(&ada.client, &token)));
    let answers: Vec<_> = tries.buffer_unordered(200).collect().await;
    assert_eq!(answers.len(), 1_000);
    let mut answers = answers.into_iter().map(|answer| answer.ok());
    let first = answers.next().unwrap();
    assert!(answers.all(|other| other == first));
    for table in ["memberships", "role_assignments"] {
        let rows = format!("SELECT count(*) FROM {table} WHERE user_id = {} AND organization_id = {}", ada.id, acme.id);
        assert_eq!(server.count(&rows).await, 1, "{table}");
    }
    assert_eq!(server.audited("invitation.accept", "success").await, 1);
}

async fn revoked_and_accepted_at_once_is_one_of_both(server: &Server) {
    let acme = server.organization("Acme").await;
    let ada = server.newcomer(ADA).await;
    for count in 1..=10 {
        let id = invite(&acme, ADA, "Viewer").await;
        let token = token(server, ADA, count).await;
        let path = format!("/api/v1/invitations/{id}");
        let (accepted, revoked) = tokio::join!(accept(&ada.client, &token), acme.admin.client.delete(&path));
        assert_ne!(accepted.status.is_success(), revoked.status.is_success(), "{accepted:?} {revoked:?}");
        match accepted.status.is_success() {
            true => {
                revoked.error(409, "INVITATION_NOT_PENDING");
                ada.client.post_empty(&format!("/api/v1/organizations/{}/leave", acme.id)).await.ok();
            }
            false => drop(accepted.error(410, "INVITATION_NOT_PENDING")),
        }
    }
}

async fn a_program_accepts_nothing(server: &Server) {
    let acme = server.organization("Acme").await;
    let ada = server.newcomer(ADA).await;
    invite(&acme, ADA, "Viewer").await;
    let program = json!({"name": "x", "scopes": ["admin"]});
    let program = ada.client.post("/api/v1/auth/tokens", program).await.created();
    let program = ada.client.with_token(program["token"].as_str().unwrap());
    accept(&program, &token(server, ADA, 1).await).await.error(403, "FORBIDDEN");
}

async fn tries_are_bounded(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    for _ in 0..20 {
        accept(&viewer.client, "nothing").await.error(404, "INVITATION_NOT_FOUND");
    }
    let answer = accept(&viewer.client, "nothing").await;
    assert!(answer.number("retry-after") > 0);
    answer.error(429, "RATE_LIMITED");
}

/// What makes an inviter somebody who may invite no more.
async fn fall(acme: &rivergen_tests::Organization, how: &str) {
    let path = format!("/api/v1/organizations/{}/members/{}", acme.id, acme.admin.id);
    match how {
        "removed" => drop(acme.owner.client.delete(&path).await.ok()),
        "suspended" => drop(acme.owner.client.patch(&path, json!({"status": "suspended"})).await.ok()),
        // May invite nobody.
        "reduced" => drop(acme.owner.client.patch(&path, json!({"role_id": acme.roles["Viewer"]})).await.ok()),
        how => panic!("{how}"),
    }
}

async fn whoever_invited_must_still_be_able_to(server: &Server) {
    for (name, how) in [("Acme", "removed"), ("Globex", "suspended"), ("Initech", "reduced")] {
        let acme = server.organization(name).await;
        let ada = server.newcomer(&format!("{how}@new.example")).await;
        match how {
            // By an import as well.
            "suspended" => {
                let file = format!("email,role\n{},Developer\n", ada.email);
                let import = json!({"organization_id": acme.id, "format": "csv", "content": file});
                acme.admin.client.post("/api/v1/users/bulk-import", import).await.ok();
            }
            _ => {
                invite(&acme, &ada.email, "Developer").await;
            }
        }
        let token = token(server, &ada.email, 1).await;
        server.anonymous().get(&preview_path(&token)).await.ok();
        fall(&acme, how).await;
        server.anonymous().get(&preview_path(&token)).await.error(409, "INVITATION_STALE");
        accept(&ada.client, &token).await.error(409, "INVITATION_STALE");
        // It has ended.
        accept(&ada.client, &token).await.error(410, "INVITATION_NOT_PENDING");
        let row =
            format!("SELECT status, accepted_by_user_id, ended_at FROM invitations WHERE email = '{}'", ada.email);
        let row = server.rows(&row).await.remove(0);
        assert_eq!((&row["status"], &row["accepted_by_user_id"]), (&json!("revoked"), &Value::Null));
        assert!(!row["ended_at"].is_null());
        let members =
            format!("SELECT count(*) FROM memberships WHERE user_id = {} AND organization_id = {}", ada.id, acme.id);
        assert_eq!(server.count(&members).await, 0);
        // Somebody else may invite them.
        let path = invite_path(&acme);
        acme.owner.client.post(&path, body(&acme, &ada.email, "Developer")).await.created();
        accept(&ada.client, &super::token(server, &ada.email, 2).await).await.ok();
    }
    assert_eq!(server.audited("invitation.revoke", "success").await, 3);
    let details = "SELECT details FROM audit_log WHERE action = 'invitation.revoke'";
    for row in server.rows(details).await {
        assert!(row["details"].as_str().unwrap().contains("inviter_may_not"), "{row}");
    }
}

async fn whom_the_organization_takes_in_no_more_stays_out(server: &Server) {
    let acme = server.organization("Acme").await;
    let ada = server.newcomer(ADA).await;
    let settings = format!("/api/v1/organizations/{}/settings", acme.id);
    let take_in = async |domains: Value| {
        let body = json!({"settings": {"allowed_email_domains": domains}});
        acme.owner.client.patch(&settings, body).await.ok();
    };
    invite(&acme, ADA, "Developer").await;
    let link = token(server, ADA, 1).await;
    take_in(json!(["acme.example"])).await;
    server.anonymous().get(&preview_path(&link)).await.error(409, "INVITATION_STALE");
    accept(&ada.client, &link).await.error(409, "INVITATION_STALE");
    accept(&ada.client, &link).await.error(410, "INVITATION_NOT_PENDING");
    take_in(json!([])).await;
    invite(&acme, ADA, "Developer").await;
    accept(&ada.client, &token(server, ADA, 2).await).await.ok();
}

async fn an_inviter_who_goes_at_that_moment_gives_nothing_or_gave_it_before(server: &Server) {
    let acme = server.organization("Acme").await;
    let path = format!("/api/v1/organizations/{}/members/{}", acme.id, acme.admin.id);
    let role = |role: &str| json!({"role_id": acme.roles[role]});
    let ada = server.newcomer(ADA).await;
    for count in 1..=8 {
        invite(&acme, ADA, "Developer").await;
        let token = token(server, ADA, count).await;
        let (accepted, demoted) =
            tokio::join!(accept(&ada.client, &token), acme.owner.client.patch(&path, role("Viewer")));
        demoted.ok();
        match accepted.status.as_u16() {
            200 => drop(ada.client.post_empty(&format!("/api/v1/organizations/{}/leave", acme.id)).await.ok()),
            _ => drop(accepted.error(409, "INVITATION_STALE")),
        }
        acme.owner.client.patch(&path, role("Admin")).await.ok();
    }
}

async fn sent_again_it_is_that_of_another(server: &Server) {
    let acme = server.organization("Acme").await;
    let ada = server.newcomer(ADA).await;
    let id = invite(&acme, ADA, "Developer").await;
    fall(&acme, "removed").await;
    let resend = format!("/api/v1/organizations/{}/invitations/{id}/resend", acme.id);
    let data = acme.owner.client.post_empty(&resend).await.ok();
    assert_eq!(data["invitation"]["invited_by"], acme.owner.id);
    accept(&ada.client, &token(server, ADA, 2).await).await.ok();
}
