//! `GET /api/v1/storage/download/{token}`: the file behind a link, for whoever has the link.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, Method},
    response::Response,
};
use chrono::DateTime;
use rivergen_identity::user::User;
use rivergen_kernel::{Caller, Credential, Error, ErrorCode, Proofs, Result, SessionId, Tenant, TokenHash};
use rivergen_platform::{
    db::TenantScope,
    errors,
    http::{Path, RequestOrigin},
};
use rivergen_tenancy::organization;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::{Column, Entity, Model};
use crate::{Storage, file, serve::Delivery};

errors! { pub FollowErrors: NotFound, LinkExpired, RangeNotSatisfiable, RateLimited, InternalError, FileDamaged; }

/// Download a file by a link
///
/// Supports `Range` (one range), `If-None-Match` and `If-Range`. The file always comes as an attachment.
#[utoipa::path(get, path = "/api/v1/storage/download/{token}", tag = "storage", security(()),
    params(("token" = String, Path, description = "The end of the link")),
    responses((status = 200, description = "The bytes", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 206, description = "The part that was asked for", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 304, description = "Unchanged: the caller already has it"), FollowErrors))]
pub async fn follow(
    State(storage): State<Storage>,
    Path(token): Path<String>,
    origin: RequestOrigin,
    method: Method,
    headers: HeaderMap,
) -> Result<Response> {
    // Index: storage_links(token_hash), unique.
    let found = Entity::find().filter(Column::TokenHash.eq(TokenHash::of(&token))).one(storage.platform.db.read());
    let link = found.await?.ok_or(ErrorCode::NotFound)?;
    let tenant = Tenant::on_behalf_of(link.organization_id);
    let file = storage.behind(tenant, &link, &origin).await?;
    let actor = origin.anonymous();
    Delivery { storage: &storage, tenant, file: &file, actor, link: Some(link.id) }.respond(&method, &headers).await
}

impl Storage {
    /// The file, if the link holds: its maker could make it now. Whatever it is that came between, it is not told.
    async fn behind(&self, tenant: Tenant, link: &Model, origin: &RequestOrigin) -> Result<file::Model> {
        let now = self.platform.clock.now();
        let dead = || Error::from(ErrorCode::LinkExpired);
        if link.revoked_at.is_some() || link.ends_at(self.longest_link(tenant).await?) <= now {
            return Err(dead());
        }
        let db = self.platform.db.read();
        let file = tenant
            .find::<file::Entity>()
            .filter(file::Column::Id.eq(link.file_id))
            .filter(file::Column::State.eq(file::State::Stored))
            .one(db);
        let file = file.await?.ok_or_else(dead)?;
        let maker = User::find(db, link.created_by_user_id).await?.ok_or_else(dead)?;
        if maker.account.disabled_at.is_some() || maker.account.deletion_requested_at.is_some() {
            return Err(dead());
        }
        // None of a deleted organization.
        let (organization, user, workspace) = (link.organization_id, link.created_by_user_id, link.workspace_id);
        let membership = self.standings.membership(organization, user, workspace, now).await?.ok_or_else(dead)?;
        let maker = Caller {
            user_id: link.created_by_user_id,
            // No session has this number: what asks for one of this caller finds none.
            credential: Credential::Session(SessionId(0)),
            email: maker.email.email.as_str().into(),
            email_verified: maker.is_verified(),
            authenticated_at: DateTime::UNIX_EPOCH,
            membership: Some(Arc::new(membership)),
            proofs: Proofs::of_what_goes_on(origin.ip),
            closed: None,
        };
        if !maker.may(link.ground().permission()) {
            return Err(dead());
        }
        let organization = organization::Entity::find_by_id(link.organization_id).one(db).await?.ok_or_else(dead)?;
        let networks = organization.security()?.allowed_networks;
        let is_admitted = |ip: std::net::IpAddr| networks.iter().any(|network| network.contains(&ip.to_canonical()));
        if !networks.is_empty() && !origin.ip.is_some_and(is_admitted) {
            return Err(dead());
        }
        match self.check_ground(&maker, &file, link.ground()).await {
            Ok(()) => Ok(file),
            Err(error) if error.code.status() >= 500 => Err(error),
            Err(_) => Err(dead()),
        }
    }
}
