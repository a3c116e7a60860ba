//! What an organization has, so that its ids can be tried in it and in another.

use rivergen_tests::{Organization, Server};
use serde_json::json;

use super::{
    entries::{PASSWORD, oauth_application, synonym, unique},
    operation::tus_headers,
};

/// What one organization has.
pub struct Ids {
    pub owner: String,
    pub refresh_token: String,
    pub verification_token: String,
    pub organization_id: i64,
    pub domain_id: i64,
    pub workspace_id: i64,
    pub data_source_id: i64,
    /// The table of the source.
    pub dataset_id: i64,
    pub policy_id: i64,
    pub policy_assignment_id: i64,
    pub access_policy_id: i64,
    /// A custom one, which the Owner keeps.
    pub role_id: i64,
    /// Of that role, to the Admin.
    pub assignment_id: i64,
    pub user_id: i64,
    pub owner_id: i64,
    pub query_id: i64,
    /// One question of the Owner's, with its run, and a template.
    pub prompt_id: i64,
    pub execution_id: i64,
    pub template_id: i64,
    pub verified_pair_id: i64,
    pub semantic_entry_id: i64,
    pub schedule_id: i64,
    pub session_id: i64,
    pub token_id: i64,
    pub invitation_id: i64,
    pub invitation_token: String,
    pub file_path: String,
    /// To that file.
    pub link_id: i64,
    pub link_token: String,
    pub share_id: i64,
    pub upload_id: i64,
    /// An identity provider that pushes; the user is one whom it pushed.
    pub provider_id: i64,
    pub scim_token: String,
    pub scim_group_id: i64,
    pub app_id: i64,
}

impl Ids {
    pub async fn of(server: &Server, organization: &Organization) -> Self {
        let owner = &organization.owner;
        let csv = b"sku,product\nP1,Lamp\n".to_vec();
        let data_source_id = owner.file_source("Products", "csv", "products.csv", csv.clone()).await;
        let schemas = owner.client.get(&format!("/api/v1/data-sources/{data_source_id}/schemas")).await.ok();
        let query_id = owner.query(data_source_id, "SELECT 1").await["query_id"].as_i64().unwrap();
        let question = json!({"prompt_text": "How many products are there?", "save_prompt": true,
            "selected_data_source_ids": [data_source_id]});
        let asked = owner.client.post("/api/v1/prompts/execute", question).await.ok();
        let feedback = format!("/api/v1/prompts/executions/{}/feedback", asked["execution_id"]);
        let pair = owner.client.post(&feedback, json!({"verdict": "right"})).await.ok();
        // One that is not verified goes with the next feedback on its run.
        let verify = format!("/api/v1/prompts/verified-pairs/{}/verify", pair["verified_pair_id"]);
        owner.client.post_empty(&verify).await.ok();
        let template = json!({"name": "t", "template_text": "How many products are there?", "category": "sales",
            "compatible_data_source_ids": [data_source_id], "status": "published", "is_public": true});
        let template = owner.client.post("/api/v1/prompt-templates", template).await.created();
        let synonym = owner.client.post("/api/v1/prompts/semantic-layer", synonym("wares")).await.created();
        let schedule = json!({"name": "s", "timing": {"every": "day", "at": "08:00", "time_zone": "UTC"},
            "delivery": {"mail_to_user_ids": [owner.id]}});
        let schedules = format!("/api/v1/prompts/{}/schedules", asked["prompt_id"]);
        let schedule = owner.client.post(&schedules, schedule).await.created();
        let policy = json!({"name": "p", "type": "query_limit", "user_ids": [owner.id]});
        let policy = owner.client.post("/api/v1/policies", policy).await.created();
        let access_policy = json!({"name": "p", "effect": "deny", "resource_type": "datasource",
            "actions": ["datasource.delete"],
            "conditions": {"attribute": "subject.mfa", "operator": "eq", "value": true}});
        let access_policy = owner.client.post("/api/v1/sso/abac/policies", access_policy).await.created();
        let newcomer = unique("@new.example");
        let signup = json!({"email": newcomer, "password": PASSWORD});
        server.anonymous().post("/api/v1/auth/signup", signup).await.created();
        let sessions = owner.client.get("/api/v1/sessions").await.ok();
        let role = json!({"name": unique(" role"), "permissions": [], "organization_id": organization.id});
        let role = owner.client.post("/api/v1/roles", role).await.created();
        let role_id = role["role"]["id"].as_i64().unwrap();
        let assignments = format!("/api/v1/roles/{role_id}/assignments");
        owner.client.post(&assignments, json!({"user_id": owner.id})).await.created();
        let assigned = owner.client.post(&assignments, json!({"user_id": organization.admin.id})).await.created();
        let token = json!({"name": "a program", "scopes": ["read"], "organization_id": organization.id});
        let token = owner.client.post("/api/v1/auth/tokens", token).await.created();
        let invited = unique("@new.example");
        let invitation = json!({"email": invited, "workspace_id": organization.workspace_id,
            "role_id": organization.roles["Viewer"]});
        let invite = format!("/api/v1/organizations/{}/members/invite", organization.id);
        let invitation = owner.client.post(&invite, invitation).await.created();
        let file_path = owner.upload("more.csv", csv).await;
        let link = owner.client.get(&format!("/api/v1/storage/objects/{file_path}/presigned-url")).await.ok();
        let share = json!({"folder": "shared", "workspace_id": organization.workspace_id});
        let share = owner.client.post("/api/v1/storage/shares", share).await.created();
        let upload = tus_headers(owner.client.request(reqwest::Method::POST, "/api/v1/storage/tus"));
        let upload = owner.client.send(upload).await.headers["location"].to_str().unwrap().to_owned();
        let idp = crate::scim::Provider::of(server, organization).await;
        idp.create(&organization.viewer.email).await;
        let scim_group_id = idp.group("A group", &[]).await.parse().unwrap();
        let applications = format!("/api/v1/organizations/{}/oauth-applications", organization.id);
        let app = owner.client.post(&applications, oauth_application()).await.created();
        // Claimed with the organization.
        let domains = owner.client.get(&format!("/api/v1/organizations/{}/domains", organization.id)).await.ok();
        Self {
            owner: owner.email.clone(),
            domain_id: domains["domains"][0]["id"].as_i64().unwrap(),
            invitation_id: invitation["invitation"]["id"].as_i64().unwrap(),
            invitation_token: server.mailbox().token(&invited, 1).await,
            session_id: sessions["sessions"][0]["id"].as_i64().unwrap(),
            token_id: token["id"].as_i64().unwrap(),
            refresh_token: owner.refresh_token.clone(),
            verification_token: server.mailbox().token(&newcomer, 1).await,
            organization_id: organization.id,
            workspace_id: organization.workspace_id,
            data_source_id,
            dataset_id: schemas["schemas"][0]["tables"][0]["dataset_id"].as_i64().unwrap(),
            policy_id: policy["id"].as_i64().unwrap(),
            policy_assignment_id: policy["assignments"][0]["id"].as_i64().unwrap(),
            access_policy_id: access_policy["policy"]["id"].as_i64().unwrap(),
            role_id,
            assignment_id: assigned["assignment"]["id"].as_i64().unwrap(),
            user_id: organization.viewer.id,
            owner_id: organization.owner.id,
            query_id,
            prompt_id: asked["prompt_id"].as_i64().unwrap(),
            execution_id: asked["execution_id"].as_i64().unwrap(),
            template_id: template["id"].as_i64().unwrap(),
            verified_pair_id: pair["verified_pair_id"].as_i64().unwrap(),
            semantic_entry_id: synonym["id"].as_i64().unwrap(),
            schedule_id: schedule["id"].as_i64().unwrap(),
            file_path,
            link_id: link["link_id"].as_i64().unwrap(),
            link_token: last_segment(link["url"].as_str().unwrap()).to_owned(),
            share_id: share["share_id"].as_i64().unwrap(),
            provider_id: idp.id,
            scim_token: idp.client.token().to_owned(),
            scim_group_id,
            app_id: app["id"].as_i64().unwrap(),
            upload_id: last_segment(&upload).parse().unwrap(),
        }
    }

    /// The id that a parameter or field of this name bears; `None` for one that bears none.
    pub fn named(&self, name: &str) -> Option<i64> {
        let singular = name.strip_suffix("_ids").map(|stem| format!("{stem}_id")).unwrap_or_else(|| name.to_owned());
        let known = [
            ("org_id", self.organization_id),
            ("organization_id", self.organization_id),
            ("domain_id", self.domain_id),
            ("workspace_id", self.workspace_id),
            ("data_source_id", self.data_source_id),
            ("dataset_id", self.dataset_id),
            ("policy_id", self.policy_id),
            ("policy_assignment_id", self.policy_assignment_id),
            ("role_id", self.role_id),
            ("assignment_id", self.assignment_id),
            ("user_id", self.user_id),
            ("query_id", self.query_id),
            ("prompt_id", self.prompt_id),
            ("execution_id", self.execution_id),
            ("template_id", self.template_id),
            ("verified_pair_id", self.verified_pair_id),
            ("semantic_entry_id", self.semantic_entry_id),
            ("schedule_id", self.schedule_id),
            ("session_id", self.session_id),
            ("token_id", self.token_id),
            ("invitation_id", self.invitation_id),
            ("link_id", self.link_id),
            ("share_id", self.share_id),
            ("upload_id", self.upload_id),
            ("provider_id", self.provider_id),
            ("scim_group_id", self.scim_group_id),
            ("app_id", self.app_id),
            // There are none of these yet, so every id is foreign.
            ("import_id", 1),
            ("device_id", 1),
            ("credential_id", 1),
            ("storage_file_id", 1),
        ];
        if !singular.ends_with("_id") {
            return None;
        }
        let found = known.iter().find(|(word, _)| singular == *word || singular.ends_with(&format!("_{word}")));
        Some(found.unwrap_or_else(|| panic!("the matrix does not know the ids called {name}")).1)
    }
}

fn last_segment(url: &str) -> &str {
    url.rsplit('/').next().unwrap()
}
