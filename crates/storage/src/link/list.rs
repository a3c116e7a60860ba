//! `GET /api/v1/storage/links`: the links that one has made, or that there are to a file; never the links themselves.

use std::collections::BTreeMap;

use axum::extract::State;
use chrono::{DateTime, Duration, Utc};
use garde::Validate;
use rivergen_kernel::{DataSourceId, FileId, FileLinkId, Page, Permission, Result, UserId};
use rivergen_platform::{
    db::TenantScope,
    errors,
    http::{Envelope, PageQuery, Query, Reply, SignedIn},
};
use sea_orm::{ColumnTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Column, Entity, Model};
use crate::{Storage, access::ObjectName, file};

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct Filter {
    /// The links to this file, whoever created them: for its owner, and with `storage.manage`.
    #[param(example = "organizations/1/files/7/orders_20261124_101500_1f3a9c2e.parquet")]
    pub object_name: Option<String>,
    /// With `storage.manage`: the links of all members.
    #[param(default = false, example = false)]
    pub all: Option<bool>,
}

/// A link that someone created.
#[derive(Debug, Serialize, ToSchema)]
pub struct ListedLink {
    pub link_id: FileLinkId,
    pub storage_file_id: FileId,
    #[schema(examples("orders.parquet"))]
    pub file_name: String,
    #[schema(examples("organizations/1/files/7/orders_20261124_101500_1f3a9c2e.parquet"))]
    pub object_name: String,
    /// The data source that it was created for.
    pub data_source_id: Option<DataSourceId>,
    pub created_by_user_id: UserId,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    /// How often it was used to download.
    #[schema(examples(3))]
    pub use_count: i64,
    pub last_used_at: Option<DateTime<Utc>>,
}

errors! { pub ListLinksErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound, ValidationError; }

/// List the links to files that still work
#[utoipa::path(get, path = "/api/v1/storage/links", tag = "storage", params(PageQuery, Filter),
    responses((status = 200, description = "Newest first; neither expired nor revoked ones", body = Envelope<Page<ListedLink>>), ListLinksErrors))]
pub async fn list(
    State(storage): State<Storage>,
    SignedIn(caller): SignedIn,
    Query(page): Query<PageQuery>,
    Query(filter): Query<Filter>,
) -> Result<Reply<Page<ListedLink>>> {
    let tenant = caller.require(Permission::StorageRead)?;
    let page = page.request()?;
    let (now, longest) = (storage.platform.clock.now(), storage.longest_link(tenant).await?);
    let mut query = tenant
        .find::<Entity>()
        .filter(Column::RevokedAt.is_null())
        .filter(Column::ExpiresAt.gt(now))
        .filter(Column::CreatedAt.gt(now - Duration::seconds(longest)));
    let mut everybodys = caller.may(Permission::StorageManage);
    if filter.all == Some(true) {
        caller.require(Permission::StorageManage)?;
    } else if let Some(name) = &filter.object_name {
        let (file, _) = storage.reach(&caller, &ObjectName::parse(name)?).await?;
        // Index: storage_links(file_id).
        query = query.filter(Column::FileId.eq(file.id));
        everybodys |= file.uploaded_by_user_id == caller.user_id;
    } else {
        everybodys = false;
    }
    if !everybodys {
        // Index: storage_links(created_by_user_id, id).
        query = query.filter(Column::CreatedByUserId.eq(caller.user_id));
    }
    let db = storage.platform.db.read();
    let total = query.clone().count(db).await?;
    let rows = query.order_by_desc(Column::Id).offset(page.offset()).limit(page.limit()).all(db).await?;
    let files = tenant.find::<file::Entity>().filter(file::Column::Id.is_in(rows.iter().map(|row| row.file_id)));
    let files: BTreeMap<FileId, file::Model> = files.all(db).await?.into_iter().map(|file| (file.id, file)).collect();
    let items =
        rows.into_iter().filter_map(|row| Some(ListedLink::of(files.get(&row.file_id)?, row, longest))).collect();
    Ok(Reply::ok(Page::new(items, page, total), "The links that can be used."))
}

impl ListedLink {
    fn of(file: &file::Model, row: Model, longest: i64) -> Self {
        Self {
            expires_at: row.ends_at(longest),
            link_id: row.id,
            storage_file_id: row.file_id,
            file_name: file.file_name.clone(),
            object_name: file.object_name.clone(),
            data_source_id: row.data_source_id,
            created_by_user_id: row.created_by_user_id,
            created_at: row.created_at,
            use_count: row.use_count,
            last_used_at: row.last_used_at,
        }
    }
}
