//! `PATCH /api/v1/data-sources/{data_source_id}`: changes what is sent of a source's configuration.
//!
//! A secret never gets to another server than the one that it was entered for: where the target changes (host, port,
//! connection string, tunnel, or a setting that could decide where the connection goes and how it is protected), the kept
//! credentials are not used any more and fresh ones must come with the change.
//!
//! Nor does it lead round the policies: what is read changes by the hand of those who see all of it
//! ([`crate::sight`]).
//!
//! What is read from elsewhere now is tested and discovered anew; what was known of its tables is forgotten.

use axum::extract::State;
use garde::Validate;
use rivergen_connectors::{Credentials, tunnel};
use rivergen_kernel::{Caller, DataSourceId, Error, ErrorCode, Permission, Result, Secret, Tenant};
use rivergen_platform::{
    Event,
    audit::{self, AuditRecord},
    db::TenantScope,
    errors,
    http::{Envelope, Json, Path, Reply, RequestOrigin, SignedIn, given},
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, Condition, IntoActiveModel, QueryFilter,
    sea_query::{Expr, ExprTrait, Func},
};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    Sources,
    access::Access,
    create::{DataSourceCredentials, check_file, name_taken},
    credentials,
    discovery::next_discovery,
    health::check,
    source::{self, Column, DataSource, Model, Status, slug_of},
    table,
};

/// Fields that are sent are changed; `null` removes those that may be absent.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"host": "db2.acme.example", "credentials": {"username": "rivergen", "password": "…"}}))]
pub struct UpdateDataSourceRequest {
    /// The SQL name stays: queries and policies name it.
    #[garde(inner(length(chars, min = 1, max = 255)))]
    pub name: Option<String>,
    #[serde(default, deserialize_with = "given")]
    #[garde(inner(inner(length(max = 2000))))]
    #[schema(value_type = Option<String>)]
    pub description: Option<Option<String>>,
    /// Needs `credentials`, like the other fields that decide where the connection goes.
    #[serde(default, deserialize_with = "given")]
    #[garde(inner(inner(length(min = 1, max = 255))))]
    #[schema(value_type = Option<String>)]
    pub host: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u16>)]
    pub port: Option<Option<u16>>,
    #[serde(default, deserialize_with = "given")]
    #[garde(inner(inner(length(min = 1, max = 255))))]
    #[schema(value_type = Option<String>)]
    pub database_name: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[garde(inner(inner(length(min = 1, max = 255))))]
    #[schema(value_type = Option<String>)]
    pub schema_name: Option<Option<String>>,
    /// Takes the place of all credentials that are kept.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, format = Password)]
    pub connection_string: Option<Option<Secret>>,
    /// The `file_path` from the answer to an upload.
    #[garde(inner(length(min = 1, max = 1000)))]
    pub file_path: Option<String>,
    /// Reach it through the SSH server `ssh_host`, or no longer.
    pub use_ssh_tunnel: Option<bool>,
    #[serde(default, deserialize_with = "given")]
    #[garde(inner(inner(length(min = 1, max = 255))))]
    #[schema(value_type = Option<String>)]
    pub ssh_host: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u16>)]
    pub ssh_port: Option<Option<u16>>,
    #[serde(default, deserialize_with = "given")]
    #[garde(inner(inner(length(min = 1, max = 255))))]
    #[schema(value_type = Option<String>)]
    pub ssh_username: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u16>)]
    pub ssh_local_port: Option<Option<u16>>,
    #[garde(inner(range(min = 1, max = 100)))]
    pub connection_pool_size: Option<i32>,
    /// Seconds.
    #[garde(inner(range(min = 1, max = 600)))]
    pub connection_timeout: Option<i32>,
    /// Seconds.
    #[garde(inner(range(min = 1, max = 86400)))]
    pub query_timeout: Option<i32>,
    #[garde(inner(range(min = 0, max = 10)))]
    pub max_retries: Option<i32>,
    pub schema_auto_refresh: Option<bool>,
    /// Seconds.
    #[garde(inner(range(min = 60, max = 2592000)))]
    pub schema_refresh_interval: Option<i32>,
    /// Takes the place of all that is kept.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<serde_json::Map<String, serde_json::Value>>,
    #[garde(inner(length(max = 50), inner(length(min = 1, max = 100))))]
    pub tags: Option<Vec<String>>,
    /// `inactive` and `maintenance` switch the source off: nobody is connected to it. `active` switches it on.
    pub status: Option<Switch>,
    /// Take the place of all that are kept; to change some of them there is an operation of its own.
    #[schema(value_type = Option<DataSourceCredentials>)]
    pub credentials: Option<Credentials>,
}

/// The statuses that can be set; the others are detected.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = DataSourceSwitch)]
pub enum Switch {
    Active,
    Inactive,
    Maintenance,
}

errors! { pub UpdateErrors: InvalidRequest, Unauthorized, Forbidden, PolicyDenied, EmailNotVerified, NotFound, Conflict, ValidationError; }

/// Change part of a data source's configuration
#[utoipa::path(patch, path = "/api/v1/data-sources/{data_source_id}", tag = "data_sources",
    request_body = UpdateDataSourceRequest,
    params(("data_source_id" = DataSourceId, Path, description = "The source")),
    responses((status = 200, description = "The source as it is now; open connections are dropped", body = Envelope<DataSource>), UpdateErrors))]
pub async fn update_data_source(
    State(sources): State<Sources>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<DataSourceId>,
    Json(request): Json<UpdateDataSourceRequest>,
) -> Result<Reply<DataSource>> {
    let access = Access::of(&caller, Permission::DataSourceWrite)?;
    let before = sources.find(&access, id).await?;
    let change = Change::of(&sources, &caller, access.tenant(), &before, request).await?;
    if change.fields.is_empty() {
        return Ok(Reply::ok(before.into(), "Nothing had to be changed."));
    }
    let after = change.keep(&sources, &caller, &origin, &before).await?;
    Ok(Reply::ok(after.into(), "The data source was changed."))
}

/// What decides where a connection goes.
const TARGET: [&str; 7] =
    ["host", "port", "connection_string", "use_ssh_tunnel", "ssh_host", "ssh_port", "ssh_username"];
/// What decides what is read there.
const CONTENT: [&str; 5] = ["database_name", "schema_name", "file_path", "metadata", "credentials"];
/// Settings in `metadata` that say how a source is read and not how it is reached. What is not named here might.
const OF_READING: [&str; 14] = [
    "table",
    "delimiter",
    "has_header",
    "sheet",
    "topic",
    "stream",
    "index",
    "tables",
    "depth",
    "page_size",
    "max_pages",
    "window_minutes",
    "window_messages",
    "avro_schema",
];

/// A change that is allowed.
struct Change {
    /// The row with the configuration as it is to be.
    row: Model,
    /// What takes the place of all credentials.
    credentials: Option<Credentials>,
    switch: Option<Switch>,
    /// What is different from before.
    fields: Vec<&'static str>,
}

impl Change {
    async fn of(
        sources: &Sources,
        caller: &Caller,
        tenant: Tenant,
        before: &Model,
        request: UpdateDataSourceRequest,
    ) -> Result<Self> {
        let kept = credentials::open(&sources.platform.vault, before).await?;
        let mut change = Self { row: before.clone(), credentials: None, switch: request.status, fields: Vec::new() };
        let other_target = change.apply(&request);
        change.credentials = fresh(kept.clone(), request.credentials, request.connection_string, other_target)?;
        if change.credentials.is_some() {
            change.fields.push("credentials");
        }
        if change.switches() {
            change.fields.push("status");
        }
        if change.reads_elsewhere() {
            sources.check_whole(caller, before).await?;
        }
        if change.differs_in("name") {
            check_name(sources, tenant, &change.row).await?;
        }
        if change.reads_elsewhere() {
            let credentials = change.credentials.as_ref().unwrap_or(&kept);
            let faults = sources.registry.validate(&change.row.config()?, credentials)?;
            if !faults.is_empty() {
                return Err(Error::new(ErrorCode::ValidationError).with_details(faults));
            }
        }
        if change.differs_in("file_path") {
            check_file(sources, tenant, caller, before.kind()?, change.row.file_path.as_deref()).await?;
        }
        Ok(change)
    }

    /// Puts what is sent over the row; answers whether the connection may go elsewhere by it.
    fn apply(&mut self, request: &UpdateDataSourceRequest) -> bool {
        let Self { row, fields, .. } = self;
        let number = |port: Option<Option<u16>>| port.map(|port| port.map(i32::from));
        put(fields, "name", &mut row.name, request.name.as_ref().map(|name| name.trim().to_owned()));
        put(fields, "description", &mut row.description, request.description.clone());
        put(fields, "host", &mut row.host, request.host.clone());
        put(fields, "port", &mut row.port, number(request.port));
        put(fields, "database_name", &mut row.database_name, request.database_name.clone());
        put(fields, "schema_name", &mut row.schema_name, request.schema_name.clone());
        put(fields, "file_path", &mut row.file_path, request.file_path.clone().map(Some));
        put(fields, "use_ssh_tunnel", &mut row.use_ssh_tunnel, request.use_ssh_tunnel);
        put(fields, "ssh_host", &mut row.ssh_host, request.ssh_host.clone());
        put(fields, "ssh_port", &mut row.ssh_port, number(request.ssh_port));
        put(fields, "ssh_username", &mut row.ssh_username, request.ssh_username.clone());
        put(fields, "ssh_local_port", &mut row.ssh_local_port, number(request.ssh_local_port));
        put(fields, "connection_pool_size", &mut row.connection_pool_size, request.connection_pool_size);
        put(fields, "connection_timeout", &mut row.connection_timeout, request.connection_timeout);
        put(fields, "query_timeout", &mut row.query_timeout, request.query_timeout);
        put(fields, "max_retries", &mut row.max_retries, request.max_retries);
        put(fields, "schema_auto_refresh", &mut row.schema_auto_refresh, request.schema_auto_refresh);
        put(fields, "schema_refresh_interval", &mut row.schema_refresh_interval, request.schema_refresh_interval);
        put(fields, "tags", &mut row.tags, request.tags.clone().map(serde_json::Value::from));
        let metadata = request.metadata.clone().map(serde_json::Value::from);
        let other_way = metadata.as_ref().is_some_and(|new| changes_the_way(&row.metadata, new));
        put(fields, "metadata", &mut row.metadata, metadata);
        if request.connection_string.is_some() {
            fields.push("connection_string");
        }
        other_way || fields.iter().any(|field| TARGET.contains(field))
    }

    fn differs_in(&self, field: &str) -> bool {
        self.fields.contains(&field)
    }

    fn reads_elsewhere(&self) -> bool {
        self.fields.iter().any(|field| TARGET.contains(field) || CONTENT.contains(field))
    }

    fn switches(&self) -> bool {
        match self.switch {
            None => false,
            Some(Switch::Active) => self.row.status != Status::Active,
            Some(Switch::Inactive) => self.row.status != Status::Inactive,
            Some(Switch::Maintenance) => self.row.status != Status::Maintenance,
        }
    }

    /// The status that the source has by it, and whether it is to be tested.
    fn status(&self, current: &Model) -> (Status, bool) {
        let was_off = current.check_enabled().is_err();
        match self.switch {
            Some(Switch::Inactive) => (Status::Inactive, false),
            Some(Switch::Maintenance) => (Status::Maintenance, false),
            None if was_off => (current.status, false),
            _ if self.reads_elsewhere() => (Status::Testing, true),
            // It was good when it was switched off; a test may say otherwise at once.
            Some(Switch::Active) if was_off && current.last_successful_connection_at.is_some() => {
                (Status::Active, true)
            }
            Some(Switch::Active) if current.status != Status::Active => (Status::Testing, true),
            _ => (current.status, false),
        }
    }

    async fn keep(self, sources: &Sources, caller: &Caller, origin: &RequestOrigin, before: &Model) -> Result<Model> {
        let platform = &sources.platform;
        let tenant = Tenant::on_behalf_of(before.organization_id);
        let now = platform.clock.now();
        let tx = platform.db.begin().await?;
        let current = source::hold_unchanged(&tx, before).await?;
        let (status, is_tested) = self.status(&current);
        let is_off = matches!(status, Status::Inactive | Status::Maintenance);
        let reads_elsewhere = self.reads_elsewhere();
        let next_check_at = current.next_check_at.or_else(|| sources.next_check(now, 0));
        let rhythm = ["schema_auto_refresh", "schema_refresh_interval", "status"];
        let next_discovery_at = match rhythm.iter().any(|field| self.differs_in(field)) {
            true => next_discovery(&self.row, now),
            false => current.next_discovery_at,
        };
        let mut row = source::ActiveModel {
            name: Set(self.row.name),
            description: Set(self.row.description),
            host: Set(self.row.host),
            port: Set(self.row.port),
            database_name: Set(self.row.database_name),
            schema_name: Set(self.row.schema_name),
            file_path: Set(self.row.file_path),
            use_ssh_tunnel: Set(self.row.use_ssh_tunnel),
            ssh_host: Set(self.row.ssh_host),
            ssh_port: Set(self.row.ssh_port),
            ssh_username: Set(self.row.ssh_username),
            ssh_local_port: Set(self.row.ssh_local_port),
            connection_pool_size: Set(self.row.connection_pool_size),
            connection_timeout: Set(self.row.connection_timeout),
            query_timeout: Set(self.row.query_timeout),
            max_retries: Set(self.row.max_retries),
            schema_auto_refresh: Set(self.row.schema_auto_refresh),
            schema_refresh_interval: Set(self.row.schema_refresh_interval),
            metadata: Set(self.row.metadata),
            tags: Set(self.row.tags),
            status: Set(status),
            next_check_at: Set(next_check_at.filter(|_| !is_off)),
            next_discovery_at: Set(next_discovery_at.filter(|_| !is_off)),
            updated_at: Set(now),
            updated_by_user_id: Set(Some(caller.user_id)),
            ..current.into_active_model()
        };
        if let Some(credentials) = &self.credentials {
            row.credentials = Set(credentials::seal(&platform.vault, &tx, tenant, credentials).await?);
            row.credentials_updated_at = Set(Some(now));
        }
        if reads_elsewhere {
            table::forget(&tx, before.id).await?;
            row.schema_discovered_at = Set(None);
        }
        let row = row.update(tx.conn()).await?;
        if is_tested {
            check::enqueue(sources, &tx, &row).await?;
        }
        tx.publish(Event::DataSourceChanged(row.id)).await?;
        let record = AuditRecord::new(Some(row.organization_id), origin.actor(caller.user_id), "data_source.update")
            .target("data_source", row.id)
            .details(serde_json::json!({"name": row.name, "changed": self.fields, "status": row.status}));
        audit::record(&tx, &platform.clock, record).await?;
        tx.commit().await?;
        Ok(row)
    }
}

fn put<T: PartialEq>(changed: &mut Vec<&'static str>, name: &'static str, place: &mut T, value: Option<T>) {
    if let Some(value) = value
        && *place != value
    {
        *place = value;
        changed.push(name);
    }
}

/// Whether a setting changes that might decide where the connection goes, or how it is protected.
fn changes_the_way(before: &serde_json::Value, after: &serde_json::Value) -> bool {
    let keys = [before, after].into_iter().filter_map(|value| value.as_object()).flat_map(|object| object.keys());
    // Where the tunnel trusted nobody, nothing went through it yet.
    let confirms = |key: &str| key == tunnel::HOST_KEY && before.get(key).is_none();
    let mut others = keys.filter(|key| !OF_READING.contains(&key.as_str()) && !confirms(key));
    others.any(|key| before.get(key) != after.get(key))
}

/// The credentials that take the place of all that are kept, where any do.
fn fresh(
    kept: Credentials,
    sent: Option<Credentials>,
    connection_string: Option<Option<Secret>>,
    other_target: bool,
) -> Result<Option<Credentials>> {
    let string = connection_string.flatten();
    if sent.is_none() && string.is_none() && (!other_target || !credentials::hold_a_secret(&kept)) {
        return Ok(None);
    }
    if sent.is_none() && string.is_none() {
        return Err(Error::invalid_field(
            "credentials",
            "must be entered again: the stored ones were entered for another target and are not sent to this one",
        ));
    }
    let mut fresh = sent.unwrap_or_default();
    fresh.connection_string = string;
    Ok(Some(fresh))
}

/// Whether the name is nobody else's, neither as it is nor as an SQL name.
async fn check_name(sources: &Sources, tenant: Tenant, row: &Model) -> Result<()> {
    let slug = slug_of(&row.name);
    if slug.is_empty() || slug == "rivergen" {
        return Err(Error::invalid_field("name", "must have at least one letter or digit, and may not be rivergen"));
    }
    let same_name = Expr::expr(Func::lower(Expr::col(Column::Name))).eq(row.name.to_lowercase());
    // Index: data_sources(organization_id, slug).
    let taken = tenant
        .find::<source::Entity>()
        .filter(Column::Id.ne(row.id))
        .filter(Condition::any().add(Column::Slug.eq(slug)).add(same_name))
        .one(sources.platform.db.read())
        .await?;
    if taken.is_some() { Err(name_taken()) } else { Ok(()) }
}
