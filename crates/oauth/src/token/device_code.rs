//! A device's code against tokens, once its person has agreed.

use super::{Asking, TokenAnswer};
use crate::{
    application::GrantType,
    device::{self, Poll},
    error::{Code, OauthError, Result},
    form::Parameters,
    grant,
};

pub async fn exchange(asking: &Asking<'_>, form: &Parameters) -> Result<TokenAnswer> {
    let invalid = || OauthError::new(Code::InvalidGrant, "The code is unknown, already used, expired, or not yours.");
    if !asking.client.may(GrantType::DeviceCode) {
        return Err(OauthError::new(Code::UnauthorizedClient, "The application may not use this grant."));
    }
    let code = form.require("device_code")?;
    if let Poll::Wait(error) = device::poll(asking.oauth, asking.client, code).await? {
        return Err(error);
    }
    let platform = asking.oauth.platform();
    let now = platform.clock.now();
    let grant = grant::Model::of_code(platform.db.read(), code).await?;
    let grant = grant.filter(|grant| grant.application_id == asking.client.row.id && grant.is_of_device());
    let grant = grant.ok_or_else(invalid)?;
    if grant.exchanged_at.is_some() || grant.ended_at.is_some() || now >= grant.code_expires_at {
        return Err(invalid());
    }
    // A device may well ask twice at once: the second answer is lost, not the grant.
    asking.first_tokens(&grant, form).await?.ok_or_else(invalid)
}
