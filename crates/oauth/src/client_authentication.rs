//! Which application is asking, at the doors that no browser comes to: by its secret, in the header (HTTP Basic) or in the
//! form; by a JWT that it signed, where it has keys; a public client by its id alone.
//!
//! What is wrong is never told: unknown, suspended and mistaken all read the same.

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use base64::{Engine, engine::general_purpose::STANDARD};
use rivergen_kernel::{ErrorCode, Secret};

use crate::{
    Oauth,
    application::{
        ClientType,
        known::{Client, Keys},
    },
    assertion,
    error::{Code, OauthError, Result},
    form::Parameters,
};

/// What whoever tried HTTP Basic in vain is told.
const BASIC: &str = "Basic realm=\"RiverGen\"";

/// The application that sent the request; `invalid_client` where it does not prove it.
pub async fn authenticate(oauth: &Oauth, headers: &HeaderMap, form: &Parameters) -> Result<Arc<Client>> {
    let basic = basic(headers)?;
    let (is_basic, challenge) = (basic.is_some(), basic.as_ref().map(|_| BASIC));
    let refused = || OauthError { challenge, ..OauthError::new(Code::InvalidClient, "The client is not known.") };
    if form.get("client_assertion").is_some() && (is_basic || form.get("client_secret").is_some()) {
        return Err(OauthError::new(Code::InvalidRequest, "Authenticate in one way only."));
    }
    let (client_id, secret) = match basic {
        Some(_) if form.get("client_secret").is_some() => {
            let reason = "Authenticate in the header or in the form, not in both.";
            return Err(OauthError::new(Code::InvalidRequest, reason));
        }
        Some((id, _)) if form.get("client_id").is_some_and(|named| named != id) => return Err(refused()),
        Some((id, secret)) => (id, Some(secret)),
        None => (named(form).ok_or_else(refused)?, form.secret("client_secret")),
    };
    let client = match oauth.access.clients.find(&client_id).await {
        Err(error) if error.code == ErrorCode::ApplicationNotFound => return Err(refused()),
        found => found?,
    };
    let now = oauth.platform().clock.now();
    let is_proved = match (client.row.client_type, &secret) {
        (ClientType::Confidential, None) if client.keys.is_some() => is_signed(oauth, &client, form).await?,
        // Whoever has keys has no secret, whatever was kept of one.
        (ClientType::Confidential, _) if client.keys.is_some() => false,
        (ClientType::Confidential, Some(secret)) => client.has_secret(secret.expose(), now),
        (ClientType::Confidential, None) => false,
        // Nobody gave it one: whoever sends one is mistaken about who they are.
        (ClientType::Public, secret) => secret.as_ref().is_none_or(Secret::is_empty),
    };
    if !is_proved {
        return Err(refused());
    }
    oauth.access.clients.touch(&client, now).await?;
    Ok(client)
}

/// The id, which a signed proof names too.
fn named(form: &Parameters) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Claims {
        sub: String,
    }
    if let Some(id) = form.get("client_id") {
        return Some(id.to_owned());
    }
    // Believed only when it verifies with the keys of that application.
    let claims = jsonwebtoken::dangerous::insecure_decode_claims::<Claims>(form.get("client_assertion")?);
    claims.ok().map(|claims| claims.sub)
}

async fn is_signed(oauth: &Oauth, client: &Client, form: &Parameters) -> Result<bool> {
    let Some(text) = form.get("client_assertion") else { return Ok(false) };
    if form.get("client_assertion_type") != Some(assertion::TYPE) {
        return Ok(false);
    }
    let fetched = match &client.keys {
        Some(Keys::At(address)) => oauth.access.published.keys(address).await?,
        _ => None,
    };
    let own = match &client.keys {
        Some(Keys::Own(keys)) => Some(keys),
        _ => fetched.as_ref(),
    };
    let Some(keys) = own else { return Ok(false) };
    Ok(assertion::proves(oauth, &client.row.client_id, keys, text).await?)
}

/// The two halves are form-encoded before they are joined (RFC 6749, section 2.3.1).
fn basic(headers: &HeaderMap) -> Result<Option<(String, Secret)>> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let malformed =
        || OauthError { challenge: Some(BASIC), ..OauthError::new(Code::InvalidClient, "The header cannot be read.") };
    let (scheme, encoded) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(malformed());
    }
    let bytes = STANDARD.decode(encoded.trim()).map_err(|_| malformed())?;
    let text = String::from_utf8(bytes).map_err(|_| malformed())?;
    let (id, secret) = text.split_once(':').ok_or_else(malformed)?;
    let decoded = |text: &str| {
        let pair = format!("x={text}");
        url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
    };
    Ok(Some((decoded(id), Secret::new(decoded(secret)))))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn read(header: &str) -> Result<Option<(String, Secret)>> {
        let value = HeaderValue::from_str(header).unwrap();
        basic(&HeaderMap::from_iter([(header::AUTHORIZATION, value)]))
    }

    #[test]
    fn the_header_is_form_encoded() {
        let (id, secret) = read(&format!("Basic {}", STANDARD.encode("a%2Bb:c%3Ad+e"))).unwrap().unwrap();
        assert_eq!((id.as_str(), secret.expose()), ("a+b", "c:d e"));
        assert!(basic(&HeaderMap::new()).unwrap().is_none());
        for bad in ["Bearer x", "Basic !", &format!("Basic {}", STANDARD.encode("no colon"))] {
            assert_eq!(read(bad).unwrap_err().code, Code::InvalidClient, "{bad}");
        }
    }
}
