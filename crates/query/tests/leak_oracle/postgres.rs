//! The same tables in PostgreSQL, through the connector that the server reads it with.

use std::{cell::Cell, sync::Arc};

use datafusion::catalog::TableProvider;

use crate::{
    connected,
    reference::{Kind, Value, literal},
};

/// A database for the cases of a run, a schema for each of them.
pub struct Postgres {
    database: connected::Postgres,
    cases: Cell<u32>,
}

impl Postgres {
    /// `None` where no server is named.
    pub async fn create() -> Option<Self> {
        let database = connected::Postgres::create("oracle").await?;
        Some(Self { database, cases: Cell::new(0) })
    }

    pub async fn remove(self) {
        self.database.remove().await;
    }

    /// Room for the tables of one case. Texts are ordered by their bytes in every other, and by a language in the rest,
    /// where less is pushed.
    pub async fn case(&self) -> Case<'_> {
        self.cases.set(self.cases.get() + 1);
        let schema = format!("case_{}", self.cases.get());
        self.database.execute(&format!("CREATE SCHEMA {schema}")).await;
        Case { database: &self.database, schema, by_bytes: self.cases.get().is_multiple_of(2) }
    }
}

pub struct Case<'a> {
    database: &'a connected::Postgres,
    schema: String,
    by_bytes: bool,
}

impl Case<'_> {
    pub async fn table(&self, name: &str, columns: &[(&str, Kind)], rows: &[Vec<Value>]) -> Arc<dyn TableProvider> {
        let schema = &self.schema;
        let declared: Vec<_> =
            columns.iter().map(|(column, kind)| format!("\"{column}\" {}", self.type_of(*kind))).collect();
        let mut script = format!("CREATE TABLE {schema}.\"{name}\" ({});", declared.join(", "));
        for row in rows {
            let values: Vec<_> = row.iter().map(literal).collect();
            script.push_str(&format!("INSERT INTO {schema}.\"{name}\" VALUES ({});", values.join(", ")));
        }
        self.database.execute(&script).await;
        self.database.table(schema, name).await
    }

    fn type_of(&self, kind: Kind) -> &'static str {
        match kind {
            Kind::Int => "BIGINT",
            Kind::Float => "DOUBLE PRECISION",
            Kind::Text if self.by_bytes => "TEXT COLLATE \"C\"",
            Kind::Text => "TEXT",
            Kind::Date => "DATE",
        }
    }
}
