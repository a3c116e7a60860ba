//! An organization with somebody of each role, signed in.

use std::collections::BTreeMap;

use rivergen_tenancy::provision::{self, OrganizationFile};
use serde_json::{Value, json};

use crate::{AuthenticatorApp, Client, Server};

/// Everybody's password.
pub const PASSWORD: &str = "Correct1horse";

/// An organization and its people.
pub struct Organization {
    pub id: i64,
    pub name: String,
    /// Its first workspace, in which everybody's session stands.
    pub workspace_id: i64,
    /// The built-in roles by name.
    pub roles: BTreeMap<String, i64>,
    pub owner: Person,
    pub admin: Person,
    /// In the region EU.
    pub developer: Person,
    /// In the region US.
    pub viewer: Person,
}

/// Somebody who is signed in.
#[derive(Clone)]
pub struct Person {
    pub id: i64,
    pub email: String,
    pub client: Client,
    pub refresh_token: String,
}

impl Server {
    /// An organization with an Owner, an Admin, a Developer (region EU) and a Viewer (region US).
    pub async fn organization(&self, name: &str) -> Organization {
        let word = name.to_lowercase();
        let person = |role: &str, attributes: Value| {
            let email = format!("{}@{word}.example", role.to_lowercase());
            json!({"email": email, "password": PASSWORD, "role": role, "attributes": attributes})
        };
        let file: OrganizationFile = serde_json::from_value(json!({"name": name, "domain": format!("{word}.example"),
            "people": [person("Owner", json!({})), person("Admin", json!({})),
                person("Developer", json!({"region": "EU"})), person("Viewer", json!({"region": "US"}))]}))
        .unwrap();
        let made = provision::run(&self.tenancy, file).await.unwrap();
        let id = made.organization_id.0;
        let workspace = format!("SELECT id FROM workspaces WHERE organization_id = {id}");
        let roles = self.rows(&format!("SELECT name, id FROM roles WHERE organization_id = {id}")).await;
        Organization {
            id,
            name: name.to_owned(),
            workspace_id: self.count(&workspace).await,
            roles: roles
                .iter()
                .map(|row| (row["name"].as_str().unwrap().to_owned(), row["id"].as_i64().unwrap()))
                .collect(),
            owner: self.sign_in(&format!("owner@{word}.example")).await,
            admin: self.sign_in(&format!("admin@{word}.example")).await,
            developer: self.sign_in(&format!("developer@{word}.example")).await,
            viewer: self.sign_in(&format!("viewer@{word}.example")).await,
        }
    }

    /// Signs somebody in who has the password of all.
    pub async fn sign_in(&self, email: &str) -> Person {
        let anonymous = self.anonymous();
        let login = json!({"email": email, "password": PASSWORD});
        let data = anonymous.post("/api/v1/auth/login", login).await.ok();
        Person::of_tokens(&anonymous, email, &data)
    }

    /// The first step of the login of somebody who has a second factor: the temporary token.
    pub async fn first_step(&self, email: &str) -> String {
        let login = json!({"email": email, "password": PASSWORD});
        let pending = self.anonymous().post("/api/v1/auth/login", login).await.ok();
        assert_eq!(pending["mfa_required"], true, "{pending}");
        pending["temporary_token"].as_str().unwrap().to_owned()
    }

    /// Signs somebody in with password and app.
    pub async fn sign_in_with(&self, email: &str, app: &AuthenticatorApp) -> Person {
        let body = json!({"temporary_token": self.first_step(email).await, "code": app.next_code(self)});
        let anonymous = self.anonymous();
        let data = anonymous.post("/api/v1/auth/mfa/verify", body).await.ok();
        Person::of_tokens(&anonymous, email, &data)
    }

    /// What an organization asks of its members' sign-ins from now on.
    pub async fn secure(&self, organization: &str, security: Value) {
        let owner = format!("owner@{}.example", organization.to_lowercase());
        let file = json!({"name": organization, "security": security,
            "people": [{"email": owner, "role": "Owner"}]});
        provision::run(&self.tenancy, serde_json::from_value(file).unwrap()).await.unwrap();
    }

    /// Somebody who signed up by themselves and followed the link in the mail.
    pub async fn newcomer(&self, email: &str) -> Person {
        let anonymous = self.anonymous();
        let signup = json!({"email": email, "password": PASSWORD, "agree_to_terms": true});
        anonymous.post("/api/v1/auth/signup", signup).await.created();
        let token = self.mailbox().token(email, 1).await;
        let data = anonymous.post("/api/v1/auth/verify-email", json!({"token": token})).await.ok();
        Person::of_tokens(&anonymous, email, &data)
    }
}

impl Person {
    /// The same session in another workspace; the tokens that it had are dead.
    pub async fn stand_in(&self, workspace: i64) -> Person {
        let body = json!({"workspace_id": workspace});
        let data = self.client.post("/api/v1/auth/switch-workspace", body).await.ok();
        Self {
            client: self.client.with_token(data["access_token"].as_str().unwrap()),
            refresh_token: data["refresh_token"].as_str().unwrap().to_owned(),
            ..self.clone()
        }
    }

    /// A change of their row that is none: until its transaction ends, whoever locks the row waits.
    pub fn held(&self) -> String {
        format!("UPDATE users SET disabled_at = disabled_at WHERE id = {}", self.id)
    }

    fn of_tokens(anonymous: &Client, email: &str, data: &Value) -> Self {
        Self {
            id: data["user_id"].as_i64().unwrap(),
            email: email.to_owned(),
            client: anonymous.with_token(data["access_token"].as_str().unwrap()),
            refresh_token: data["refresh_token"].as_str().unwrap().to_owned(),
        }
    }
}

impl Organization {
    /// Another workspace, made by the Owner, who is its Admin.
    pub async fn workspace(&self, name: &str) -> i64 {
        let body = json!({"name": name, "organization_id": self.id});
        let data = self.owner.client.post("/api/v1/workspaces", body).await.created();
        data["workspace"]["id"].as_i64().unwrap()
    }

    /// Lets a member into a workspace, with a built-in role there.
    pub async fn let_in(&self, workspace: i64, person: &Person, role: &str) {
        let path = format!("/api/v1/organizations/{}/workspaces/{workspace}/members", self.id);
        let body = json!({"user_id": person.id, "role_id": self.roles[role]});
        self.owner.client.post(&path, body).await.created();
    }

    /// A change of its row that is none: until its transaction ends, whoever locks the row waits.
    pub fn held(&self) -> String {
        format!("UPDATE organizations SET updated_at = updated_at WHERE id = {}", self.id)
    }

    /// Its people, each with the name of their role.
    pub fn people(&self) -> [(&'static str, &Person); 4] {
        [("Owner", &self.owner), ("Admin", &self.admin), ("Developer", &self.developer), ("Viewer", &self.viewer)]
    }
}
