//! `PUT /api/v1/auth/me/profile`: name, picture and free profile data.

use axum::extract::State;
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_kernel::{Error, ErrorCode, Result, UserId};
use rivergen_platform::{
    Event,
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Json, Reply, RequestOrigin, SignedIn, not_blank},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, IntoActiveModel};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{Identity, user::User};

const MAX_IMAGE: usize = 256 * 1024;
const MAX_PROFILE: usize = 64 * 1024;
const MAX_URL: usize = 2048;

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"display_name": "Ada Lovelace", "profile": {"locale": "en"}}))]
#[garde(allow_unvalidated)]
pub struct UpdateProfileRequest {
    #[garde(inner(length(chars, min = 1, max = 255), custom(not_blank)))]
    pub display_name: Option<String>,
    /// An address that begins with https://, or a data URL with a PNG, JPEG, WebP or GIF of at most 256 KiB. The console shows
    /// the latter alone: its pages load nothing from elsewhere.
    pub profile_image_url: Option<String>,
    /// Merged into what is there; `null` removes a key. At most 64 KiB in all.
    #[schema(value_type = Option<Object>)]
    pub profile: Option<Map<String, Value>>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct UpdatedProfile {
    pub user_id: UserId,
    #[schema(examples("Ada Lovelace"))]
    pub display_name: String,
    pub profile_image_url: Option<String>,
    #[schema(value_type = Object)]
    pub profile: Value,
    pub updated_at: DateTime<Utc>,
}

errors! { pub UpdateProfileErrors: ProfileUpdateFailed, InvalidRequest, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, ValidationError; }

/// Change your own profile
#[utoipa::path(put, path = "/api/v1/auth/me/profile", tag = "authentication", request_body = UpdateProfileRequest,
    responses((status = 200, description = "The profile as it is now", body = Envelope<UpdatedProfile>), UpdateProfileErrors))]
pub async fn update_profile(
    State(identity): State<Identity>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Json(request): Json<UpdateProfileRequest>,
) -> Result<Reply<UpdatedProfile>> {
    let platform = &identity.platform;
    caller.session()?;
    if let Some(image) = &request.profile_image_url {
        check_image(image)?;
    }
    let tx = platform.db.begin().await?;
    let user = User::find(tx.conn(), caller.user_id).await?.ok_or(ErrorCode::Unauthorized)?;
    let before = user.account.clone();
    let mut account = user.account.into_active_model();
    let mut changed = Vec::new();
    if let Some(name) = request.display_name {
        account.display_name = Set(name);
        changed.push("display_name");
    }
    if let Some(image) = request.profile_image_url {
        account.profile_image_url = Set(Some(image).filter(|image| !image.is_empty()));
        changed.push("profile_image_url");
    }
    if let Some(patch) = request.profile {
        let mut profile = before.profile;
        merge(&mut profile, Value::Object(patch));
        if profile.to_string().len() > MAX_PROFILE {
            return Err(Error::invalid_field("profile", "must not be larger than 64 KiB in total"));
        }
        account.profile = Set(profile);
        changed.push("profile");
    }
    account.updated_at = Set(platform.clock.now());
    let account = account.update(tx.conn()).await?;
    if changed.contains(&"display_name") {
        identity.directory.person_renamed(&tx, caller.user_id).await?;
    }
    tx.publish(Event::UserChanged(caller.user_id)).await?;
    let record = AuditRecord::new(None, origin.actor(caller.user_id), "user.update_profile")
        .target("user", caller.user_id.0)
        .details(serde_json::json!({"changed": changed}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await.map_err(|error| error.or_internally(ErrorCode::ProfileUpdateFailed))?;
    let profile = UpdatedProfile {
        user_id: account.id,
        display_name: account.display_name,
        profile_image_url: account.profile_image_url,
        profile: account.profile,
        updated_at: account.updated_at,
    };
    Ok(Reply::ok(profile, "The profile was changed."))
}

/// A JSON merge patch (RFC 7386).
fn merge(into: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *into = patch;
        return;
    };
    if !into.is_object() {
        *into = Value::Object(Map::new());
    }
    if let Value::Object(into) = into {
        for (key, value) in patch {
            match value {
                Value::Null => drop(into.remove(&key)),
                value => merge(into.entry(key).or_insert(Value::Null), value),
            }
        }
    }
}

/// Empty (none), an address, or a picture as a data URL whose bytes are what it says.
pub fn check_image(text: &str) -> Result<()> {
    let no = |reason: &str| Err(Error::invalid_field("profile_image_url", reason.to_owned()));
    if text.is_empty() {
        return Ok(());
    }
    if let Some(data) = text.strip_prefix("data:") {
        return check_picture(data, MAX_IMAGE).or_else(|reason| no(&reason));
    }
    match url::Url::parse(text) {
        Ok(url) if url.scheme() == "https" && url.has_host() && text.len() <= MAX_URL => Ok(()),
        _ => no("must begin with https:// or be a data URL"),
    }
}

/// Whether what stands behind the `data:` of a data URL is a picture of the kind that it says, of that many bytes at most; the
/// reason where not.
pub fn check_picture(data: &str, largest: usize) -> Result<(), String> {
    let no = |reason: &str| Err(reason.to_owned());
    let Some((kind, data)) = data.split_once(";base64,") else { return no("must be a data URL in base64") };
    if data.len() > largest * 4 / 3 + 4 {
        return Err(format!("must not be larger than {} KiB", largest / 1024));
    }
    let Ok(bytes) = STANDARD.decode(data) else { return no("is not base64") };
    let is = |magic: &[u8]| bytes.starts_with(magic);
    let found = match () {
        () if is(b"\x89PNG\r\n\x1a\n") => "image/png",
        () if is(b"\xff\xd8\xff") => "image/jpeg",
        () if is(b"GIF87a") || is(b"GIF89a") => "image/gif",
        () if is(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") => "image/webp",
        () => return no("must be a PNG, JPEG, WebP or GIF"),
    };
    if found == kind { Ok(()) } else { no("is not the kind of file that it claims to be") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_merge_goes_deep_and_null_removes() {
        // The cases of RFC 7386, appendix A, that have an object on both sides.
        for (mut into, patch, merged) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [1]}), json!({"a": {"b": null}}), json!({"a": {}})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
        ] {
            merge(&mut into, patch);
            assert_eq!(into, merged);
        }
    }

    #[test]
    fn pictures_are_what_they_say() {
        let png = format!("data:image/png;base64,{}", STANDARD.encode(b"\x89PNG\r\n\x1a\nrest"));
        assert!(check_image(&png).is_ok() && check_image("https://acme.example/ada.png").is_ok());
        let lie = png.replace("image/png", "image/gif");
        let svg = format!("data:image/svg+xml;base64,{}", STANDARD.encode(b"<svg/>"));
        let large = format!("data:image/png;base64,{}", "A".repeat(MAX_IMAGE * 2));
        for bad in [&lie, &svg, &large, "http://acme.example/a.png", "javascript:alert(1)", "data:,x", "x"] {
            assert!(check_image(bad).is_err(), "{bad:.60}");
        }
    }
}
