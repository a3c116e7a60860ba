//! `GET /api/v1/data-sources/{data_source_id}/file-url`: a link to the file behind a source, for somebody who sees all of it.
//!
//! The file itself knows no policy, so whoever sees only a part of the source gets no link. The link passes through the
//! server, which asks again when it is followed.

use axum::extract::State;
use rivergen_kernel::{DataSourceId, Error, ErrorCode, Permission, Result};
use rivergen_platform::{
    errors,
    http::{Envelope, Path, Query, Reply, RequestOrigin, SignedIn},
};
use rivergen_storage::link::{FileLink, Ground, Lifetime, LinkRequest};

use crate::{Sources, access::Access};

errors! { pub FileUrlErrors: Unauthorized, Forbidden, PolicyDenied, EmailNotVerified, NotFound, DataSourceUnavailable, ValidationError, InternalError; }

/// Create a link to the file behind a data source
#[utoipa::path(get, path = "/api/v1/data-sources/{data_source_id}/file-url", tag = "data_sources",
    params(("data_source_id" = DataSourceId, Path, description = "The source"), Lifetime),
    responses((status = 200, description = "The link; POLICY_DENIED for those who only see part of the source",
        body = Envelope<FileLink>), FileUrlErrors))]
pub async fn get_file_url(
    State(sources): State<Sources>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<DataSourceId>,
    Query(lifetime): Query<Lifetime>,
) -> Result<Reply<FileLink>> {
    let access = Access::of(&caller, Permission::DataSourceQuery)?;
    let source = sources.find(&access, id).await?;
    source.check_enabled()?;
    let path = source.stored_file();
    let path =
        path.ok_or_else(|| Error::new(ErrorCode::NotFound).with_message("The data source has no file in storage."))?;
    let wanted = LinkRequest { path, ground: Ground::DataSource(id), expires_seconds: lifetime.expires_seconds };
    let link = sources.storage.link(&caller, &origin, wanted).await?;
    Ok(Reply::ok(link, "Anyone with this link can download the file."))
}
