//! What row filters look up in other tables of their source, as it stands when somebody asks.
//!
//! Which rows a person sees changes with it, though no policy does. A result that is kept is given back as long as the
//! sub-selects find what they found when the query ran; of what they find a digest is all that is kept.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use futures::StreamExt;
use rivergen_kernel::{Error, ErrorCode, Result, Tenant};
use rivergen_policies::{
    condition::{Bound, Entitlement, Literal},
    decision::{Decision, PolicyRef, RowFilter},
};
use rivergen_query::{
    GovernedTable, Limits, Session, SessionSpec,
    filter::{Entitlements, named_in},
    json,
    statement::{quoted, quoted_table},
};
use sha2::{Digest, Sha256};

use crate::{
    Engine,
    catalogue::{Catalogue, CatalogueTable, entitlement_table},
    engine::Form,
    told::answerable,
};

/// The sub-selects of some row filters, with a caller's attributes in them.
pub(crate) struct Lookups {
    tenant: Tenant,
    limits: Limits,
    each: Vec<Lookup>,
}

impl Lookups {
    pub fn is_empty(&self) -> bool {
        self.each.is_empty()
    }
}

/// One sub-select of a row filter.
struct Lookup {
    policy: PolicyRef,
    /// That it reads: as it is, whatever the caller may see of it.
    table: CatalogueTable,
    written: Entitlement,
    bound: Entitlement<Literal>,
}

impl Lookup {
    /// The rows of its table that it looks at, and in which column; nothing where the table has other columns by now.
    fn over(&self, provider: Arc<dyn TableProvider>) -> Option<(GovernedTable, String)> {
        let columns = provider.schema();
        let (written, bound) = (named_in(&self.written, &columns).ok()?, named_in(&self.bound, &columns).ok()?);
        let filter = written.filter.zip(bound.filter);
        let row_filters =
            filter.map(|(written, rows)| RowFilter { policy: self.policy.clone(), written, rows: Bound::Rows(rows) });
        let table = GovernedTable {
            name: self.table.name.clone(),
            source_id: self.table.source_id,
            provider,
            decision: Decision { row_filters: row_filters.into_iter().collect(), ..Decision::unrestricted() },
            entitlements: Entitlements::new(),
        };
        Some((table, bound.column))
    }
}

impl Engine {
    /// What the row filters of some tables look up. `CONFLICT` where there is no such table any more.
    pub(crate) fn lookups<'a>(
        &self,
        catalogue: &Catalogue,
        governed: impl Iterator<Item = &'a CatalogueTable>,
    ) -> Result<Lookups> {
        let mut each = Vec::new();
        for governed in governed {
            for filter in &governed.decision.row_filters {
                let Bound::Rows(rows) = &filter.rows else { continue };
                // To bind a condition leaves its shape.
                for (written, bound) in filter.written.sub_selects().into_iter().zip(rows.sub_selects()) {
                    let table = entitlement_table(&catalogue.tables, governed, &bound.table).ok_or_else(changed)?;
                    each.push(Lookup {
                        policy: filter.policy.clone(),
                        table: table.clone(),
                        written: written.clone(),
                        bound: bound.clone(),
                    });
                }
            }
        }
        let limits = self.limits(catalogue, Form::Download, None, None);
        Ok(Lookups { tenant: catalogue.tenant, limits, each })
    }

    /// A digest of what they find now; empty where nothing is looked up. To be called from a place in the line.
    pub(crate) async fn looked_up(&self, lookups: &Lookups) -> Result<Vec<u8>> {
        let mut found = Vec::with_capacity(lookups.each.len());
        for lookup in &lookups.each {
            // What planning and running hold is large.
            found.push(Box::pin(self.values_of(lookups, lookup)).await.map_err(untold)?);
        }
        if found.is_empty() {
            return Ok(Vec::new());
        }
        // In whichever order the tables are known.
        found.sort();
        Ok(Sha256::digest(found.concat()).to_vec())
    }

    async fn values_of(&self, lookups: &Lookups, lookup: &Lookup) -> Result<Vec<u8>> {
        let name = &lookup.table.name;
        let handle = self.sources.opened(lookups.tenant, lookup.table.source_id).await?;
        let provider = handle.open_table(&name.schema, &name.table, Some(&lookup.table.discovered)).await?;
        let (table, column) = lookup.over(provider).ok_or_else(changed)?;
        let session = Session::open(SessionSpec {
            tables: vec![table],
            limits: lookups.limits.clone(),
            hash_key: self.hash_keys.of(lookups.tenant).await?,
            default_schema: None,
            object_stores: Vec::new(),
            target_partitions: None,
            threads: self.threads.clone(),
        })?;
        // A NULL opens nothing.
        let (column, from) = (quoted(&column), quoted_table(name));
        let sql = format!("SELECT DISTINCT {column} FROM {from} WHERE {column} IS NOT NULL ORDER BY {column}");
        let planned = session.plan(&sql, &serde_json::Map::new()).await.map_err(answerable)?;
        let mut answer = planned.run().await.map_err(answerable)?;
        let mut digest = Sha256::new();
        digest.update(format!("{name:?} {:?}", lookup.bound));
        while let Some(batch) = answer.next().await {
            let mut rows = Vec::new();
            json::append_rows(&batch.map_err(answerable)?, &mut rows)?;
            for row in rows {
                digest.update(serde_json::to_vec(&row).map_err(Error::internal)?);
            }
        }
        if answer.outcome().truncated {
            return Err(ErrorCode::QueryLimitExceeded.into());
        }
        Ok(digest.finalize().to_vec())
    }
}

/// What somebody may see is not what it was.
pub(crate) fn changed() -> Error {
    Error::new(ErrorCode::Conflict)
        .with_message("What you may see of this data has changed since; run the query again.")
}

/// What went wrong with a table that the caller need not know of: neither its name is told, nor what is in it.
pub(crate) fn untold(error: Error) -> Error {
    use ErrorCode::{Conflict, ConnectionError, InternalError, QueryCancelled, QueryLimitExceeded, QueryTimeout};
    let code = match error.code {
        Conflict | InternalError | QueryCancelled => return error,
        code @ (ConnectionError | QueryLimitExceeded | QueryTimeout) => code,
        _ => ErrorCode::DataSourceUnavailable,
    };
    let message = "What tells which rows you may see of this data cannot be read now; tell your administrator.";
    Error::new(code).with_message(message).with_source(error)
}
