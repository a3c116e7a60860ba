//! ID tokens: who signed in, when, said to one application (OpenID Connect Core, section 2).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Duration, Utc};
use rivergen_identity::user::User;
use rivergen_kernel::Result;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    Oauth,
    application::known::Client,
    grant,
    scope::{Item, ScopeSet},
};

/// What a JWT of this kind says it is.
const TYPE: &str = "JWT";
const LIVES: Duration = Duration::hours(1);

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: String,
    aud: &'a str,
    iat: i64,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<i64>,
    /// How the person proved who they are (RFC 8176; `fed` where an identity provider vouches), and how strong that was.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    amr: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acr: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    /// The left half of the access token's hash: the two belong together.
    at_hash: String,
    #[serde(flatten)]
    person: PersonClaims,
}

/// Information about a person, as far as the scope allows.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PersonClaims {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(examples("Ada"))]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(examples("ada@acme.example"))]
    pub email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_verified: Option<bool>,
}

impl PersonClaims {
    pub fn of(user: &User, scope: &ScopeSet) -> Self {
        let (profile, email) = (scope.holds(Item::Profile), scope.holds(Item::Email));
        Self {
            name: profile.then(|| user.account.display_name.clone()),
            picture: user.account.profile_image_url.clone().filter(|_| profile),
            email: email.then(|| user.email.email.clone()),
            email_verified: email.then(|| user.is_verified()),
        }
    }
}

/// What a new ID token is to say.
pub struct Said<'a> {
    pub client: &'a Client,
    pub grant: &'a grant::Model,
    pub user: &'a User,
    /// What is asked for of what was granted.
    pub scope: &'a ScopeSet,
    pub access_token: &'a str,
}

pub fn issue(oauth: &Oauth, said: &Said<'_>, now: DateTime<Utc>) -> Result<String> {
    let Said { client, grant, user, scope, access_token } = said;
    let hash = Sha256::digest(access_token.as_bytes());
    let claims = Claims {
        iss: oauth.issuer(),
        sub: grant.user_id.to_string(),
        aud: &client.row.client_id,
        iat: now.timestamp(),
        exp: (now + LIVES).timestamp(),
        auth_time: grant.auth_time(),
        amr: grant.amr.split_whitespace().collect(),
        acr: grant.acr.as_deref(),
        // It was of the sign-in, not of what is refreshed later (OpenID Connect Core, section 12.2).
        nonce: grant.nonce.as_deref().filter(|_| grant.exchanged_at.is_none()),
        at_hash: URL_SAFE_NO_PAD.encode(&hash[..16]),
        person: PersonClaims::of(user, scope),
    };
    oauth.access.keys().sign_id_token(client.row.id_token_signed_response_alg, TYPE, &claims)
}

/// What an ID token says that this server gave, however old: as a hint of who was meant.
#[derive(Deserialize)]
pub struct Hint {
    pub sub: String,
    pub aud: String,
}

/// Reads a hint; `None` for what this server did not give.
pub async fn read(oauth: &Oauth, token: &str) -> Result<Option<Hint>> {
    oauth.access.signed(TYPE, token, &["iss", "sub", "aud"]).await
}
