//! `GET /api/v1/roles/permissions` and `GET /api/v1/roles/templates`

use rivergen_tests::{Server, on_both_databases};
use serde_json::json;

use super::{PATH, words};

on_both_databases! {
    the_catalogue_has_categories_and_sentences;
    a_template_can_be_made_a_role;
}

async fn the_catalogue_has_categories_and_sentences(server: &Server) {
    let acme = server.organization("Acme").await;
    let path = format!("{PATH}/permissions");
    let data = acme.viewer.client.get(&path).await.ok();
    let permissions = data["permissions"].as_array().unwrap();
    assert_eq!(json!(permissions.len()), data["total_count"]);
    for permission in permissions {
        let (name, category) = (permission["name"].as_str().unwrap(), permission["category"].as_str().unwrap());
        assert!(name.starts_with(&format!("{category}.")), "{permission}");
        assert!(permission["description"].as_str().unwrap().ends_with('.'), "{permission}");
    }
    let data = acme.viewer.client.get(&format!("{path}?category=policy")).await.ok();
    let names: Vec<_> =
        data["permissions"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["policy.read", "policy.write", "policy.delete", "policy.detokenize"]);
    assert_eq!(acme.viewer.client.get(&format!("{path}?category=nothing")).await.ok()["total_count"], 0);
    server.anonymous().get(&path).await.error(401, "UNAUTHORIZED");
}

async fn a_template_can_be_made_a_role(server: &Server) {
    let acme = server.organization("Acme").await;
    let path = format!("{PATH}/templates");
    let data = acme.developer.client.get(&path).await.ok();
    let templates = data["templates"].as_array().unwrap();
    let names: Vec<_> = templates.iter().map(|template| template["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Data Engineer", "Data Analyst", "Data Steward", "Security Auditor", "Billing Viewer"]);
    for template in templates {
        assert!(!words(&template["permissions"]).is_empty() && template["key"].is_string());
        let body = json!({"name": template["name"], "permissions": template["permissions"],
            "description": template["description"], "organization_id": acme.id});
        acme.admin.client.post(PATH, body).await.created();
    }
    acme.viewer.client.get(&path).await.error(403, "FORBIDDEN");
    server.anonymous().get(&path).await.error(401, "UNAUTHORIZED");
}
