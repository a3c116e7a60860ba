//! Credentials of a source: sealed when they come in, opened only to connect.
//!
//! `PATCH /api/v1/data-sources/{data_source_id}/credentials` replaces some or all of them. With `rotate_credentials` the
//! new ones are tried first, and the old ones stay where they do not work.

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_connectors::{Credentials, Step, TestOutcome};
use rivergen_kernel::{DataSourceId, Error, ErrorCode, Permission, Result, Secret, Tenant};
use rivergen_platform::{
    Event, Transaction,
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Json, Path, Reply, RequestOrigin, SignedIn, given},
    vault::{Owner, Sealed, Vault},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, IntoActiveModel};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::{
    Sources,
    access::Access,
    health::check,
    source::{self, Status},
};

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

/// Whether there is something among them that must not get to another server.
pub(crate) fn hold_a_secret(credentials: &Credentials) -> bool {
    let Credentials { password, api_key, oauth_token, ssh_private_key, ssh_passphrase, connection_string, .. } =
        credentials;
    [password, api_key, oauth_token, ssh_private_key, ssh_passphrase, connection_string].iter().any(|s| s.is_some())
}

/// Fields that are sent are changed, `null` removes, and the rest stays.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"password": "…", "rotate_credentials": true}))]
pub struct UpdateCredentialsRequest {
    #[serde(default, deserialize_with = "given")]
    #[garde(inner(inner(length(min = 1, max = 255))))]
    #[schema(value_type = Option<String>)]
    pub username: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, format = Password)]
    pub password: Option<Option<Secret>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, format = Password)]
    pub api_key: Option<Option<Secret>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, format = Password)]
    pub oauth_token: Option<Option<Secret>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, format = Password)]
    pub ssh_private_key: Option<Option<Secret>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, format = Password)]
    pub ssh_passphrase: Option<Option<Secret>>,
    #[serde(default, deserialize_with = "given")]
    #[garde(inner(inner(length(min = 1, max = 255))))]
    #[schema(value_type = Option<String>)]
    pub warehouse: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[garde(inner(inner(length(min = 1, max = 255))))]
    #[schema(value_type = Option<String>)]
    pub role: Option<Option<String>>,
    /// Test the new ones first, and keep the old ones if they do not work.
    #[schema(default = false)]
    pub rotate_credentials: Option<bool>,
}

impl UpdateCredentialsRequest {
    /// Puts what is sent over what is kept; answers the names of the fields.
    fn apply(self, kept: &mut Credentials) -> Vec<&'static str> {
        let mut sent = Vec::new();
        put(&mut sent, "username", &mut kept.username, self.username);
        put(&mut sent, "password", &mut kept.password, self.password);
        put(&mut sent, "api_key", &mut kept.api_key, self.api_key);
        put(&mut sent, "oauth_token", &mut kept.oauth_token, self.oauth_token);
        put(&mut sent, "ssh_private_key", &mut kept.ssh_private_key, self.ssh_private_key);
        put(&mut sent, "ssh_passphrase", &mut kept.ssh_passphrase, self.ssh_passphrase);
        put(&mut sent, "warehouse", &mut kept.warehouse, self.warehouse);
        put(&mut sent, "role", &mut kept.role, self.role);
        sent
    }
}

fn put<T>(sent: &mut Vec<&'static str>, name: &'static str, place: &mut Option<T>, value: Option<Option<T>>) {
    if let Some(value) = value {
        *place = value;
        sent.push(name);
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct UpdatedCredentials {
    pub data_source_id: DataSourceId,
    pub credentials_updated_at: DateTime<Utc>,
    /// `testing` until the new ones are tried.
    pub status: Status,
}

errors! { pub UpdateCredentialsErrors: InvalidRequest, Unauthorized, Forbidden, PolicyDenied, EmailNotVerified, NotFound,
Conflict, ValidationError, UnreadableFile, ConnectionError, QueryTimeout; }

/// Replace some or all credentials of a data source
#[utoipa::path(patch, path = "/api/v1/data-sources/{data_source_id}/credentials", tag = "data_sources",
    request_body = UpdateCredentialsRequest,
    params(("data_source_id" = DataSourceId, Path, description = "The source")),
    responses((status = 200, description = "Stored, encrypted; open connections are dropped", body = Envelope<UpdatedCredentials>), UpdateCredentialsErrors))]
pub async fn update_credentials(
    State(sources): State<Sources>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<DataSourceId>,
    Json(request): Json<UpdateCredentialsRequest>,
) -> Result<Reply<UpdatedCredentials>> {
    let access = Access::of(&caller, Permission::DataSourceWrite)?;
    let before = sources.find(&access, id).await?;
    // Another login may read what no policy was made for.
    sources.check_whole(&caller, &before).await?;
    let rotates = request.rotate_credentials.unwrap_or(false);
    let mut credentials = open(&sources.platform.vault, &before).await?;
    let sent = request.apply(&mut credentials);
    check_sent(&sources, &before, &credentials, &sent)?;
    let outcome = if rotates { Some(try_out(&sources, access.tenant(), &before, &credentials).await?) } else { None };

    let platform = &sources.platform;
    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    let current = source::hold_unchanged(&tx, &before).await?;
    let goes_on_test = current.check_enabled().is_ok() && !rotates;
    let status = if goes_on_test { Status::Testing } else { current.status };
    let mut row = current.into_active_model();
    row.credentials = Set(seal(&platform.vault, &tx, access.tenant(), &credentials).await?);
    row.credentials_updated_at = Set(Some(now));
    row.updated_at = Set(now);
    row.updated_by_user_id = Set(Some(caller.user_id));
    row.status = Set(status);
    let mut row = row.update(tx.conn()).await?;
    match outcome {
        Some(outcome) => row.status = check::record(&sources, &tx, &row, &outcome, check::Origin::Manual, now).await?,
        None if goes_on_test => check::enqueue(&sources, &tx, &row).await?,
        None => {}
    }
    tx.publish(Event::DataSourceChanged(id)).await?;
    let record = AuditRecord::new(Some(row.organization_id), origin.actor(caller.user_id), "data_source.credentials")
        .target("data_source", id)
        .details(serde_json::json!({"fields": sent, "rotated": rotates}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let answer = UpdatedCredentials { data_source_id: id, credentials_updated_at: now, status: row.status };
    Ok(Reply::ok(answer, "The credentials were replaced."))
}

/// Everything that can be known without a connection.
fn check_sent(sources: &Sources, source: &source::Model, new: &Credentials, sent: &[&str]) -> Result<()> {
    if sent.is_empty() {
        return Err(Error::invalid_field("password", "send at least one of the credentials"));
    }
    // What signs in at the SSH server is never in it.
    let in_string = sent.iter().find(|field| !field.starts_with("ssh_"));
    if let Some(first) = in_string.filter(|_| new.connection_string.is_some()) {
        let reason = "the source signs in with its connection string; change that, as a setting of the source";
        return Err(Error::invalid_field(*first, reason));
    }
    let faults = sources.registry.validate(&source.config()?, new)?;
    if faults.is_empty() { Ok(()) } else { Err(Error::new(ErrorCode::ValidationError).with_details(faults)) }
}

/// Connects with credentials that are not kept yet.
async fn try_out(
    sources: &Sources,
    tenant: Tenant,
    source: &source::Model,
    credentials: &Credentials,
) -> Result<TestOutcome> {
    let context = sources.context_with(tenant, source, credentials.clone()).await?;
    let outcome = sources.registry.connector(context.config.kind)?.test(&context).await;
    if outcome.successful {
        return Ok(outcome);
    }
    let reason = outcome.error_message.unwrap_or_default();
    match outcome.failed_at {
        Some(Step::SignIn | Step::Configuration) => {
            Err(Error::invalid_field("credentials", format!("{reason}; the old ones are kept")))
        }
        _ => Err(Error::new(ErrorCode::ConnectionError)
            .with_message(format!("The new credentials could not be tested, so the old ones are kept: {reason}."))),
    }
}
