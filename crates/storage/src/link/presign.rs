//! `GET /api/v1/storage/objects/{object_name}/presigned-url`: makes a link to a file; and the same for other rooms.

use axum::extract::State;
use chrono::{DateTime, Duration, Utc};
use garde::Validate;
use rivergen_kernel::{Caller, Error, ErrorCode, FileLinkId, Permission, Result, Tenant, Token};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Query, Reply, RequestOrigin, SignedIn},
};
use rivergen_tenancy::organization;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, EntityTrait};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Ground;
use crate::{Storage, access::ObjectName, file, sight::Reader};

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Lifetime {
    /// Lifetime of the link. The server and the organization may set less; the answer says what it is.
    #[garde(inner(range(min = 1, max = 604_800)))]
    #[param(minimum = 1, maximum = 604_800, default = 3600, example = 3600)]
    pub expires_seconds: Option<i64>,
}

/// A link, shown this once.
#[derive(Serialize, ToSchema)]
pub struct FileLink {
    #[schema(examples("https://data.acme.example/api/v1/storage/download/q3Jw…"))]
    pub url: String,
    #[schema(examples(3600))]
    pub expires_in_seconds: i64,
    pub expires_at: DateTime<Utc>,
    /// To revoke it by.
    pub link_id: FileLinkId,
}

/// A link that another room makes for a caller of its own.
#[derive(Debug, Clone, Copy)]
pub struct LinkRequest<'a> {
    pub path: &'a str,
    pub ground: Ground,
    /// Without it an hour.
    pub expires_seconds: Option<i64>,
}

errors! { pub PresignErrors: Unauthorized, Forbidden, PolicyDenied, EmailNotVerified, NotFound, ValidationError, InternalError; }

/// Create a link to download a file
///
/// Anyone with the link can download the file without signing in, until it expires. It also stops working when it is
/// revoked, when the file is deleted, and when the person who created it is suspended or could no longer create it.
#[utoipa::path(get, path = "/api/v1/storage/objects/{object_name}/presigned-url", tag = "storage",
    params(("object_name" = String, Path, description = "The whole path of the file, with its slashes",
        example = "organizations/1/files/7/orders_20261124_101500_1f3a9c2e.parquet"), Lifetime),
    responses((status = 200, description = "The link", body = Envelope<FileLink>), PresignErrors))]
pub async fn presign(
    State(storage): State<Storage>,
    SignedIn(caller): SignedIn,
    name: ObjectName,
    origin: RequestOrigin,
    Query(lifetime): Query<Lifetime>,
) -> Result<Reply<FileLink>> {
    caller.require(Permission::StorageRead)?;
    let (file, reach) = storage.reach(&caller, &name).await?;
    storage.check_bytes(Reader::of(&caller)?, &file, reach).await?;
    let link = storage.make_link(&caller, &origin, &file, Ground::Folder, lifetime.expires_seconds).await?;
    Ok(Reply::ok(link, "Anyone with this link can download the file."))
}

impl Storage {
    /// Makes a link to a file, for a caller of another room who has the file on that ground. `NOT_FOUND` where there is no
    /// such file, `POLICY_DENIED` where a policy keeps some of it from them.
    pub async fn link(&self, caller: &Caller, origin: &RequestOrigin, wanted: LinkRequest<'_>) -> Result<FileLink> {
        caller.require(wanted.ground.permission())?;
        let name = ObjectName::parse(wanted.path)?;
        let file = match wanted.ground {
            Ground::Folder => {
                let (file, reach) = self.reach(caller, &name).await?;
                self.check_bytes(Reader::of(caller)?, &file, reach).await?;
                file
            }
            Ground::DataSource(_) => {
                let file = self.find(caller.tenant()?, name.as_str()).await?.ok_or(ErrorCode::NotFound)?;
                self.check_ground(caller, &file, wanted.ground).await?;
                file
            }
        };
        self.make_link(caller, origin, &file, wanted.ground, wanted.expires_seconds).await
    }

    /// That somebody has the file, all of it, on this ground.
    pub(super) async fn check_ground(&self, caller: &Caller, file: &file::Model, ground: Ground) -> Result<()> {
        let reader = Reader::of(caller)?;
        match ground {
            Ground::Folder => {
                let reach = self.reach_of(reader, file).await?.ok_or(ErrorCode::NotFound)?;
                self.check_bytes(reader, file, reach).await
            }
            Ground::DataSource(id) => {
                if !self.sight.gives(caller, id, &file.object_name).await? {
                    return Err(ErrorCode::NotFound.into());
                }
                match file.uploaded_by_user_id == reader.user_id {
                    true => Ok(()),
                    false => self.check_whole(reader, file).await,
                }
            }
        }
    }

    async fn make_link(
        &self,
        caller: &Caller,
        origin: &RequestOrigin,
        file: &file::Model,
        ground: Ground,
        expires_seconds: Option<i64>,
    ) -> Result<FileLink> {
        let platform = &self.platform;
        let now = platform.clock.now();
        let longest = self.longest_link(caller.tenant()?).await?;
        let expires_in_seconds = expires_seconds.unwrap_or(3600).clamp(1, longest);
        let token = Token::random(&mut rand::rng());
        let tx = platform.db.begin().await?;
        let link = super::ActiveModel {
            organization_id: Set(file.organization_id),
            file_id: Set(file.id),
            created_by_user_id: Set(caller.user_id),
            workspace_id: Set(caller.membership()?.workspace_id),
            data_source_id: Set(match ground {
                Ground::Folder => None,
                Ground::DataSource(id) => Some(id),
            }),
            token_hash: Set(token.hash()),
            created_at: Set(now),
            expires_at: Set(now + Duration::seconds(expires_in_seconds)),
            revoked_at: Set(None),
            use_count: Set(0),
            last_used_at: Set(None),
            ..Default::default()
        }
        .insert(tx.conn())
        .await?;
        let record = AuditRecord::new(Some(file.organization_id), origin.actor(caller.user_id), "file.link")
            .target("file", file.id)
            .details(serde_json::json!({"link_id": link.id, "expires_in_seconds": expires_in_seconds,
                "data_source_id": link.data_source_id}));
        audit::record(&tx, &platform.clock, record).await?;
        tx.commit().await?;
        Ok(FileLink {
            url: format!("{}/api/v1/storage/download/{}", platform.public_url, token.expose()),
            expires_in_seconds,
            expires_at: link.expires_at,
            link_id: link.id,
        })
    }

    /// In seconds: the least of what the server and the organization set.
    pub(super) async fn longest_link(&self, tenant: Tenant) -> Result<i64> {
        let organization = organization::Entity::find_by_id(tenant.organization_id());
        let row = organization.one(self.platform.db.read()).await?.ok_or_else(|| Error::internal("no organization"))?;
        let own = row.settings()?.max_file_link_minutes.map_or(i64::MAX, |minutes| i64::from(minutes) * 60);
        Ok(own.min(self.settings.max_link_seconds).max(1))
    }
}
