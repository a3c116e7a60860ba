//! `GET /api/v1/organizations/{org_id}`

use rivergen_tests::{Server, on_both_databases};

on_both_databases! {
    every_member_sees_it;
    anothers_is_not_found;
    it_needs_a_token;
}

async fn every_member_sees_it(server: &Server) {
    let acme = server.organization("Acme").await;
    for (_, person) in acme.people() {
        let data = person.client.get(&format!("/api/v1/organizations/{}", acme.id)).await.ok();
        assert_eq!(data["organization"]["name"], "Acme");
        assert_eq!(data["organization"]["domain"], "acme.example");
        assert_eq!(data["organization"]["plan"].as_str().map(str::is_empty), Some(false));
    }
}

async fn anothers_is_not_found(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let hidden = acme.owner.client.get(&format!("/api/v1/organizations/{}", globex.id)).await;
    let mut hidden = hidden.error(404, "ORG_NOT_FOUND");
    let missing = acme.owner.client.get("/api/v1/organizations/987654321").await;
    let mut missing = missing.error(404, "ORG_NOT_FOUND");
    // What is another's and what does not exist cannot be told apart.
    assert_ne!(hidden["request_id"].take(), missing["request_id"].take());
    assert_eq!(hidden, missing);
    acme.owner.client.get("/api/v1/organizations/abc").await.error(404, "NOT_FOUND");
}

async fn it_needs_a_token(server: &Server) {
    server.anonymous().get("/api/v1/organizations/1").await.error(401, "UNAUTHORIZED");
}
