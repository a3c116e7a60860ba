//! Credentials of a source: sealed when they come in, opened only to connect.

use rivergen_connectors::Credentials;
use rivergen_kernel::{Error, Result, Secret, Tenant};
use rivergen_platform::{
    Transaction,
    vault::{Owner, Sealed, Vault},
};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::source;

const CONTEXT: &str = "data_sources.credentials";

/// Seals them for the tenant; `None` where there is nothing to keep.
pub async fn seal(
    vault: &Vault,
    tx: &Transaction,
    tenant: Tenant,
    credentials: &Credentials,
) -> Result<Option<Sealed>> {
    let secret = |value: &Option<Secret>| value.as_ref().map(|secret| Value::from(secret.expose()));
    let text = |value: &Option<String>| value.clone().map(Value::from);
    let fields = [
        ("username", text(&credentials.username)),
        ("password", secret(&credentials.password)),
        ("api_key", secret(&credentials.api_key)),
        ("oauth_token", secret(&credentials.oauth_token)),
        ("ssh_private_key", secret(&credentials.ssh_private_key)),
        ("ssh_passphrase", secret(&credentials.ssh_passphrase)),
        ("warehouse", text(&credentials.warehouse)),
        ("role", text(&credentials.role)),
        ("connection_string", secret(&credentials.connection_string)),
    ];
    let given: Map<String, Value> =
        fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    if given.is_empty() {
        return Ok(None);
    }
    let plain = Zeroizing::new(serde_json::to_vec(&given).map_err(Error::internal)?);
    let owner = Owner::Organization(tenant.organization_id());
    Ok(Some(vault.seal(tx, owner, CONTEXT, &plain).await?))
}

pub(crate) async fn open(vault: &Vault, source: &source::Model) -> Result<Credentials> {
    match &source.credentials {
        None => Ok(Credentials::default()),
        Some(sealed) => {
            let plain = vault.open(Owner::Organization(source.organization_id), CONTEXT, sealed).await?;
            serde_json::from_slice(&plain).map_err(Error::internal)
        }
    }
}
