//! `GET /api/v1/data-sources/{data_source_id}`.

use axum::extract::State;
use rivergen_kernel::{DataSourceId, Permission, Result};
use rivergen_platform::{
    errors,
    http::{Envelope, Path, Reply, SignedIn},
};

use crate::{Sources, access::Access, source::DataSource};

errors! { pub GetErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound; }

/// Read a data source with its configuration and state
#[utoipa::path(get, path = "/api/v1/data-sources/{data_source_id}", tag = "data_sources",
    params(("data_source_id" = DataSourceId, Path, description = "The source")),
    responses((status = 200, description = "The source, without its secrets", body = Envelope<DataSource>), GetErrors))]
pub async fn get(
    State(sources): State<Sources>,
    SignedIn(caller): SignedIn,
    Path(id): Path<DataSourceId>,
) -> Result<Reply<DataSource>> {
    let access = Access::of(&caller, Permission::DataSourceRead)?;
    let source = DataSource::from(sources.find(&access, id).await?);
    Ok(Reply::ok(source.shown_to(&caller), "The data source."))
}
