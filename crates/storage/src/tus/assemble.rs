//! The end of an upload: its pieces become one file.
//!
//! The file is written under a name of its own and counts when one transaction says so, so this can be cut off anywhere and
//! begun again, and twice at once: one of the two files is taken back.

use futures::TryStreamExt;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt, WriteMultipart};
use rivergen_kernel::{Error, Result};
use rivergen_platform::audit::{self, Actor, AuditRecord};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr};

use super::{Column, Entity, Model, State, piece};
use crate::{
    Storage,
    arrival::{NewFile, check_content},
    content,
    file::{self, usage},
    sealed::SealedStore,
    serve,
};

/// Rows of pieces that are read at a time.
const PAGE: u64 = 1000;

impl Storage {
    /// Makes the file of an upload that is all there, if it is not made yet; answers how the upload stands then.
    pub(crate) async fn complete(&self, upload: Model, actor: Actor) -> Result<Model> {
        if upload.state != State::Receiving {
            return Ok(upload);
        }
        let row = self
            .announce(NewFile {
                tenant: upload.tenant(),
                owner: upload.uploaded_by_user_id,
                workspace_id: upload.workspace_id,
                file_name: &upload.file_name,
                folder: upload.folder.as_deref(),
                category: upload.category,
            })
            .await?;
        let head = match self.join_pieces(&upload, &row).await {
            Ok(head) => head,
            Err(error) => {
                self.discard(upload.tenant(), &row).await?;
                // Another request was quicker, and has taken the pieces away.
                let now = self.upload_now(&upload).await?;
                return if now.state == State::Stored { Ok(now) } else { Err(error) };
            }
        };
        if let Err(refusal) = check_content(upload.category, &head) {
            self.discard(upload.tenant(), &row).await?;
            if self.end_upload(&upload, actor).await? {
                self.clear_upload(&upload).await?;
            }
            return Err(refusal);
        }
        let is_ours = self.store_upload(&upload, &row, &head, actor).await?;
        if !is_ours {
            self.discard(upload.tenant(), &row).await?;
        }
        // The row stays for as long as a client may ask how it ended.
        self.remove_folder(&upload.place()).await?;
        self.upload_now(&upload).await
    }

    pub(super) async fn upload_now(&self, upload: &Model) -> Result<Model> {
        let now = Entity::find_by_id(upload.id).one(self.platform.db.read()).await?;
        now.ok_or_else(|| Error::internal("an upload was swept while it became a file"))
    }

    /// Copies the pieces into the place of the file; answers its first bytes.
    async fn join_pieces(&self, upload: &Model, row: &file::Model) -> Result<Vec<u8>> {
        let store = self.store(upload.tenant()).await?;
        let put = store.put_multipart(&row.object_name.as_str().into()).await.map_err(Error::internal)?;
        let mut writer = WriteMultipart::new_with_chunk_size(put, 5 * 1024 * 1024);
        match self.copy_pieces(upload, row, &store, &mut writer).await {
            Ok(head) => {
                writer.finish().await.map_err(Error::internal)?;
                Ok(head)
            }
            Err(error) => {
                // What a bucket has of it would stay there, where nobody sees it.
                if let Err(left) = writer.abort().await {
                    tracing::warn!(upload = %upload.id, error = %left, "what was written of a file could not be taken back");
                }
                Err(error)
            }
        }
    }

    async fn copy_pieces(
        &self,
        upload: &Model,
        row: &file::Model,
        store: &SealedStore,
        writer: &mut WriteMultipart,
    ) -> Result<Vec<u8>> {
        let mut head = Vec::new();
        let mut end = 0;
        while end < upload.size_bytes {
            // Index: storage_upload_pieces(upload_id, start_bytes), unique.
            let pieces = piece::Entity::find()
                .filter(piece::Column::UploadId.eq(upload.id))
                .filter(piece::Column::StartBytes.gte(end))
                .order_by_asc(piece::Column::StartBytes)
                .limit(PAGE)
                .all(self.platform.db.read())
                .await?;
            if pieces.is_empty() {
                return Err(Error::internal("a piece of an upload is missing"));
            }
            for piece in pieces {
                if piece.start_bytes != end {
                    return Err(Error::internal("a piece of an upload is missing"));
                }
                end += piece.size_bytes;
                let path = piece.object_name.as_str().into();
                let found = store.get_opts(&path, GetOptions::default()).await;
                let mut bytes = found.map_err(|error| serve::unreadable(row, error))?.into_stream();
                while let Some(chunk) = bytes.try_next().await.map_err(|error| serve::unreadable(row, error))? {
                    content::look(&mut head, &chunk);
                    writer.wait_for_capacity(2).await.map_err(Error::internal)?;
                    writer.put(chunk);
                }
            }
        }
        Ok(head)
    }

    /// `false` where another request was first.
    async fn store_upload(&self, upload: &Model, row: &file::Model, head: &[u8], actor: Actor) -> Result<bool> {
        let platform = &self.platform;
        let tx = platform.db.begin().await?;
        let stored = Entity::update_many()
            .col_expr(Column::State, Expr::value(State::Stored))
            .col_expr(Column::FileId, Expr::value(row.id))
            .filter(Column::Id.eq(upload.id))
            .filter(Column::State.eq(State::Receiving))
            .exec(tx.conn())
            .await?;
        if stored.rows_affected == 0 {
            return Ok(false);
        }
        let size = upload.size_bytes;
        piece::Entity::delete_many().filter(piece::Column::UploadId.eq(upload.id)).exec(tx.conn()).await?;
        let file = self.settle(&tx, row.clone(), size, head).await?;
        usage::add(&tx, upload.tenant(), size, 1, -size).await?;
        let record = AuditRecord::new(Some(upload.organization_id), actor, "file.upload")
            .target("file", file.id)
            .details(serde_json::json!({"size": size, "category": upload.category, "upload_id": upload.id}));
        audit::record(&tx, &platform.clock, record).await?;
        tx.commit().await?;
        Ok(true)
    }
}
