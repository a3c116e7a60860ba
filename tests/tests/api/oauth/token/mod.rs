//! `POST /oauth/token`, `/oauth/token/revoke`, `/oauth/introspect`, and what an access token opens.

mod ends;
mod exchange;
mod opens;
mod proof;
mod says;

use rivergen_tests::Person;
use serde_json::{Value, json};

use super::{App, CALLBACK, Pkce, answer_of, granted, text};

fn organization(id: i64) -> String {
    format!("/api/v1/organizations/{id}")
}

/// What a JWT says, unverified.
fn claims(token: &str) -> Value {
    jsonwebtoken::dangerous::insecure_decode_claims(token).unwrap()
}

const SERVICE: &str = "https://mcp.acme.example/";

/// Tokens that a person lets an application show to the service.
async fn shown_to_the_service(app: &App, person: &Person) -> Value {
    let pkce = Pkce::new();
    let body = json!({"client_id": app.client_id, "redirect_uri": CALLBACK, "scope": "openid write read",
        "resource": SERVICE, "code_challenge": pkce.challenge, "code_challenge_method": "S256", "approve": true});
    let data = person.client.post("/api/v1/oauth/authorize", body).await.ok();
    let code = answer_of(text(&data, "redirect_url"), "code").unwrap();
    granted(app.exchange(&code, &pkce).await)
}
