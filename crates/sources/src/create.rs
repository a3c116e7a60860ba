//! `POST /api/v1/data-sources`: registers a source with its credentials.
//!
//! The configuration is checked before anything is kept; whether the source answers is found out by a job
//! that runs right after (status `testing` until then), so an unreachable host holds nobody up.

use axum::extract::State;
use garde::Validate;
use rivergen_connectors::{Credentials, DataSourceCategory, DataSourceType, SourceConfig, tunnel::TunnelConfig};
use rivergen_kernel::{
    Caller, Error, ErrorCode, FieldError, Permission, Result, Secret, Tenant, WorkspaceId, access::Resource,
};
use rivergen_platform::{
    Event,
    audit::{self, AuditRecord},
    db::duplicate_is,
    errors,
    http::{Envelope, Json, Reply, RequestOrigin, SignedIn, given},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    Sources,
    access::Access,
    credentials,
    health::check,
    source::{self, DataSource, SSH_PORT, Status, slug_of},
};

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"name": "CRM", "type": "postgresql", "host": "db.acme.example", "port": 5432,
    "database_name": "crm", "credentials": {"username": "rivergen", "password": "…"}, "metadata": {"sslmode": "require"}}))]
pub struct CreateDataSourceRequest {
    /// Without it, the workspace of the session; `null` makes it available to the whole organization.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<WorkspaceId>)]
    pub workspace_id: Option<Option<WorkspaceId>>,
    /// Its SQL name is made from it and must be free in the organization.
    #[garde(length(chars, min = 1, max = 255))]
    pub name: String,
    #[serde(rename = "type")]
    #[garde(length(min = 1, max = 40))]
    #[schema(examples("postgresql"))]
    pub kind: String,
    #[garde(inner(length(max = 2000)))]
    pub description: Option<String>,
    #[garde(inner(length(min = 1, max = 255)))]
    pub host: Option<String>,
    pub port: Option<u16>,
    #[garde(inner(length(min = 1, max = 255)))]
    pub database_name: Option<String>,
    #[garde(inner(length(min = 1, max = 255)))]
    pub schema_name: Option<String>,
    /// Replaces host, port, database and credentials. Stored encrypted and never shown.
    #[schema(value_type = Option<String>, format = Password)]
    pub connection_string: Option<Secret>,
    /// The `file_path` from the answer to the upload.
    #[garde(inner(length(min = 1, max = 1000)))]
    pub file_path: Option<String>,
    /// Accepted and ignored; `file_path` replaces it.
    #[schema(deprecated)]
    pub storage_file_id: Option<i64>,
    /// Reach it through the SSH server `ssh_host`; needs `ssh_username` and `credentials.ssh_private_key`, and
    /// `metadata.ssh_host_key` to know the server by.
    #[schema(default = false)]
    pub use_ssh_tunnel: Option<bool>,
    #[garde(inner(length(min = 1, max = 255)))]
    pub ssh_host: Option<String>,
    #[schema(default = 22)]
    pub ssh_port: Option<u16>,
    #[garde(inner(length(min = 1, max = 255)))]
    pub ssh_username: Option<String>,
    /// Stored but not used: each connection has a port of its own.
    pub ssh_local_port: Option<u16>,
    #[garde(inner(range(min = 1, max = 100)))]
    #[schema(default = 5)]
    pub connection_pool_size: Option<i32>,
    /// Seconds.
    #[garde(inner(range(min = 1, max = 600)))]
    #[schema(default = 30)]
    pub connection_timeout: Option<i32>,
    /// Seconds.
    #[garde(inner(range(min = 1, max = 86400)))]
    #[schema(default = 300)]
    pub query_timeout: Option<i32>,
    #[garde(inner(range(min = 0, max = 10)))]
    #[schema(default = 3)]
    pub max_retries: Option<i32>,
    #[schema(default = true)]
    pub schema_auto_refresh: Option<bool>,
    /// Seconds.
    #[garde(inner(range(min = 60, max = 2592000)))]
    #[schema(default = 3600)]
    pub schema_refresh_interval: Option<i32>,
    #[schema(value_type = Option<DataSourceCredentials>)]
    pub credentials: Option<Credentials>,
    /// Settings of some kinds only: `sslmode`, `delimiter`, `has_header`, `table`, …
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<serde_json::Map<String, serde_json::Value>>,
    #[garde(inner(length(max = 50), inner(length(min = 1, max = 100))))]
    pub tags: Option<Vec<String>>,
}

/// How to sign in at the source. Write-only.
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct DataSourceCredentials {
    username: Option<String>,
    #[schema(format = Password)]
    password: Option<String>,
    #[schema(format = Password)]
    api_key: Option<String>,
    #[schema(format = Password)]
    oauth_token: Option<String>,
    #[schema(format = Password)]
    ssh_private_key: Option<String>,
    #[schema(format = Password)]
    ssh_passphrase: Option<String>,
    warehouse: Option<String>,
    role: Option<String>,
}

errors! { pub CreateErrors: InvalidRequest, Unauthorized, Forbidden, EmailNotVerified, NotFound, Conflict, ValidationError; }

/// Register a data source with its credentials
#[utoipa::path(post, path = "/api/v1/data-sources", tag = "data_sources", request_body = CreateDataSourceRequest,
    responses((status = 201, description = "Registered; its first test and discovery are running", body = Envelope<DataSource>), CreateErrors))]
pub async fn create(
    State(sources): State<Sources>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Json(request): Json<CreateDataSourceRequest>,
) -> Result<Reply<DataSource>> {
    let access = Access::of(&caller, Permission::DataSourceWrite)?;
    let tenant = access.tenant();
    let (config, given) = check_request(&sources, &request)?;
    check_file(&sources, tenant, &caller, config.kind, config.file_path.as_deref()).await?;
    let workspace_id = workspace_of(&caller, &access, request.workspace_id)?;
    access.judge(&Resource { id: None, workspace_id, owner_id: Some(caller.user_id) })?;
    let slug = slug_of(&request.name);
    if slug.is_empty() || slug == "rivergen" {
        return Err(Error::invalid_field("name", "must have at least one letter or digit, and may not be rivergen"));
    }

    let platform = &sources.platform;
    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    let sealed = credentials::seal(&platform.vault, &tx, tenant, &given).await?;
    let row = source::ActiveModel {
        organization_id: Set(tenant.organization_id()),
        workspace_id: Set(workspace_id),
        name: Set(request.name.trim().to_owned()),
        slug: Set(slug),
        kind: Set(config.kind.as_str().to_owned()),
        description: Set(request.description),
        host: Set(config.host),
        port: Set(config.port.map(i32::from)),
        database_name: Set(config.database_name),
        schema_name: Set(config.schema_name),
        file_path: Set(config.file_path),
        use_ssh_tunnel: Set(config.tunnel.is_some()),
        ssh_port: Set(request.ssh_port.or(request.ssh_host.as_ref().map(|_| SSH_PORT)).map(i32::from)),
        ssh_host: Set(request.ssh_host),
        ssh_username: Set(request.ssh_username),
        ssh_local_port: Set(request.ssh_local_port.map(i32::from)),
        connection_pool_size: Set(request.connection_pool_size.unwrap_or(5)),
        connection_timeout: Set(request.connection_timeout.unwrap_or(30)),
        query_timeout: Set(request.query_timeout.unwrap_or(300)),
        max_retries: Set(request.max_retries.unwrap_or(3)),
        schema_auto_refresh: Set(request.schema_auto_refresh.unwrap_or(true)),
        schema_refresh_interval: Set(request.schema_refresh_interval.unwrap_or(3600)),
        metadata: Set(config.metadata.into()),
        tags: Set(request.tags.unwrap_or_default().into()),
        credentials_updated_at: Set(sealed.as_ref().map(|_| now)),
        credentials: Set(sealed),
        status: Set(Status::Testing),
        last_tested_at: Set(None),
        last_successful_connection_at: Set(None),
        last_failed_connection_at: Set(None),
        failure_count: Set(0),
        failure_reason: Set(None),
        schema_discovered_at: Set(None),
        next_check_at: Set(sources.next_check(now, 0)),
        next_discovery_at: Set(None),
        created_by_user_id: Set(caller.user_id),
        updated_by_user_id: Set(None),
        created_at: Set(now),
        updated_at: Set(now),
        deleted_at: Set(None),
        ..Default::default()
    };
    let row = row.insert(tx.conn()).await.map_err(duplicate_is(name_taken()))?;
    check::enqueue(&sources, &tx, &row).await?;
    let record = AuditRecord::new(Some(row.organization_id), origin.actor(caller.user_id), "data_source.create")
        .target("data_source", row.id)
        .details(serde_json::json!({"name": row.name, "type": row.kind}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.publish(Event::DataSourceChanged(row.id)).await?;
    tx.commit().await?;
    Ok(Reply::created(row.into(), "The data source was registered; its first test is running."))
}

/// Everything that can be known without a connection.
fn check_request(sources: &Sources, request: &CreateDataSourceRequest) -> Result<(SourceConfig, Credentials)> {
    let kind: DataSourceType = request
        .kind
        .parse()
        .map_err(|_| Error::invalid_field("type", "is not a kind of data source; see the list in the documentation"))?;
    sources.registry.connector(kind).map_err(|error| Error::invalid_field("type", error.to_string()))?;
    let config = SourceConfig {
        host: request.host.clone(),
        port: request.port.or(request.host.as_ref().and_then(|_| kind.default_port())),
        database_name: request.database_name.clone(),
        schema_name: request.schema_name.clone(),
        file_path: request.file_path.clone(),
        tunnel: request.use_ssh_tunnel.unwrap_or(false).then(|| TunnelConfig {
            host: request.ssh_host.clone().unwrap_or_default(),
            port: request.ssh_port.unwrap_or(SSH_PORT),
            username: request.ssh_username.clone().unwrap_or_default(),
        }),
        metadata: request.metadata.clone().unwrap_or_default(),
        ..SourceConfig::new(kind)
    };
    let mut credentials = request.credentials.clone().unwrap_or_default();
    credentials.connection_string = request.connection_string.clone();
    let faults: Vec<FieldError> = sources.registry.validate(&config, &credentials)?;
    if faults.is_empty() {
        Ok((config, credentials))
    } else {
        Err(Error::new(ErrorCode::ValidationError).with_details(faults))
    }
}

/// Whether what a source of the kind reads is a file in storage.
pub(crate) fn lies_in_storage(kind: DataSourceType) -> bool {
    kind.category() == DataSourceCategory::Files || kind == DataSourceType::Sqlite
}

/// The SQL name that goes with a name is taken, perhaps by a source that is deleted and can be restored.
pub(crate) fn name_taken() -> Error {
    Error::new(ErrorCode::Conflict).with_message(
        "A data source with this name, or one like it, already exists. It may be in another workspace, renamed, or \
         deleted: a deleted one keeps its SQL name until it is deleted for good (force=true).",
    )
}

/// The file must be the caller's own: otherwise a source would be a way into a colleague's folder. So would one whose kind
/// reads no file be, if it were let name one.
pub(crate) async fn check_file(
    sources: &Sources,
    tenant: Tenant,
    caller: &Caller,
    kind: DataSourceType,
    path: Option<&str>,
) -> Result<()> {
    if !lies_in_storage(kind) {
        let reason = || format!("must be left out: a source of kind {kind} does not read a file in storage");
        return path.map_or(Ok(()), |_| Err(Error::invalid_field("file_path", reason())));
    }
    let file = sources.storage.find(tenant, path.unwrap_or_default()).await?;
    match file {
        Some(file) if file.uploaded_by_user_id == caller.user_id => Ok(()),
        _ => Err(Error::invalid_field(
            "file_path",
            "is not one of your files; upload it first and send the file_path of the answer",
        )),
    }
}

/// The wanted workspace must be the session's; what is to be the whole organization's needs the permission in it.
fn workspace_of(caller: &Caller, access: &Access, wanted: Option<Option<WorkspaceId>>) -> Result<Option<WorkspaceId>> {
    let current = caller.membership()?.workspace_id;
    match wanted {
        Some(None) => access.check_organization().map(|()| None),
        Some(wanted) if wanted != current => Err(Error::new(ErrorCode::NotFound)
            .with_message("There is no such workspace, or your session is in another one; switch to it first.")),
        _ => Ok(current),
    }
}
