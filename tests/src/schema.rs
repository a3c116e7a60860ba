//! What the server's own database consists of, as its catalogue tells it: for tests that must not overlook a table which
//! somebody adds.
//!
//! ```text
//! rows of an organization   organization_id says so, or a foreign key leads to such a row: tokens of its sessions
//! rows of a person          a column leads to users, or is called ..user_id or .._by
//! ```

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, Statement};

use crate::{Backend, Server};

/// All tables.
pub struct Schema(Vec<Table>);

pub struct Table {
    pub name: String,
    columns: Vec<Column>,
    references: Vec<Reference>,
}

struct Column {
    name: String,
    /// In the database's own word.
    kind: String,
    /// One of those that its rows are known by.
    is_key: bool,
    /// A row can be written without it.
    is_optional: bool,
}

/// A foreign key.
struct Reference {
    column: String,
    table: String,
    key: String,
}

/// Whose rows are written.
#[derive(Debug, Clone, Copy)]
pub struct Whose {
    pub organization: i64,
    /// A member of it.
    pub person: i64,
}

/// What a column of a table is to hold, as SQL, where any value is not good enough.
pub type Given<'a> = (&'a str, &'a str, &'a str);

const SQLITE_COLUMNS: &str = "SELECT m.name || '|' || c.name || '|' || lower(c.type) || '|' || (c.pk > 0) || '|' || \
     (c.\"notnull\" = 0 OR c.dflt_value IS NOT NULL OR c.name = 'id') \
     FROM sqlite_master m JOIN pragma_table_info(m.name) c \
     WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' ORDER BY m.name, c.cid";

const SQLITE_REFERENCES: &str = "SELECT m.name || '|' || f.\"from\" || '|' || f.\"table\" || '|' || coalesce(f.\"to\", 'id') \
     FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f WHERE m.type = 'table'";

const POSTGRES_COLUMNS: &str = "SELECT concat_ws('|', t.relname, a.attname, format_type(a.atttypid, NULL), \
     CASE WHEN EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = t.oid AND i.indisprimary AND a.attnum = ANY (i.indkey)) \
     THEN 1 ELSE 0 END, \
     CASE WHEN NOT a.attnotnull OR a.atthasdef OR a.attidentity <> '' THEN 1 ELSE 0 END) \
     FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped \
     WHERE t.relkind = 'r' AND t.relnamespace = 'public'::regnamespace ORDER BY t.relname, a.attnum";

const POSTGRES_REFERENCES: &str = "SELECT concat_ws('|', t.relname, a.attname, r.relname, k.attname) FROM pg_constraint c \
     JOIN pg_class t ON t.oid = c.conrelid \
     JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1] \
     JOIN pg_class r ON r.oid = c.confrelid \
     JOIN pg_attribute k ON k.attrelid = c.confrelid AND k.attnum = c.confkey[1] \
     WHERE c.contype = 'f' AND c.connamespace = 'public'::regnamespace";

impl Server {
    /// The tables of its database, as they are now.
    pub async fn schema(&self) -> Schema {
        let (columns, references) = match self.backend {
            Backend::Sqlite => (SQLITE_COLUMNS, SQLITE_REFERENCES),
            Backend::Postgres => (POSTGRES_COLUMNS, POSTGRES_REFERENCES),
        };
        let mut tables: Vec<Table> = Vec::new();
        for line in self.texts(columns).await {
            let words: Vec<&str> = line.split('|').collect();
            let [table, name, kind, is_key, is_optional] = words[..] else { panic!("{line}") };
            if tables.last().is_none_or(|last| last.name != table) {
                tables.push(Table { name: table.to_owned(), columns: Vec::new(), references: Vec::new() });
            }
            let (is_key, is_optional) = (is_key == "1", is_optional == "1");
            let column = Column { name: name.to_owned(), kind: kind.to_owned(), is_key, is_optional };
            tables.last_mut().unwrap().columns.push(column);
        }
        for line in self.texts(references).await {
            let words: Vec<&str> = line.split('|').collect();
            let [from, column, table, key] = words[..] else { panic!("{line}") };
            let reference = Reference { column: column.to_owned(), table: table.to_owned(), key: key.to_owned() };
            tables.iter_mut().find(|table| table.name == from).unwrap().references.push(reference);
        }
        Schema(tables)
    }

    /// The first column of each row, a text.
    async fn texts(&self, sql: &str) -> Vec<String> {
        let db = self.platform.db.read();
        let statement = Statement::from_string(db.get_database_backend(), sql);
        let rows = db.query_all_raw(statement).await.unwrap();
        rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
    }
}

impl Schema {
    pub fn tables(&self) -> &[Table] {
        &self.0
    }

    #[track_caller]
    pub fn table(&self, name: &str) -> &Table {
        self.0.iter().find(|table| table.name == name).unwrap_or_else(|| panic!("no table {name}"))
    }

    /// The condition for an organization's rows, in the tables that have any.
    pub fn of_organization(&self, table: &Table, organization: i64) -> Option<String> {
        if table.name == "organizations" {
            return Some(format!("id = {organization}"));
        }
        if table.columns.iter().any(|column| column.name == "organization_id") {
            return Some(format!("organization_id = {organization}"));
        }
        let led: Vec<String> = table
            .references
            .iter()
            .filter_map(|Reference { column, table, key }| {
                let of = self.of_organization(self.table(table), organization)?;
                Some(format!("{column} IN (SELECT {key} FROM {table} WHERE {of})"))
            })
            .collect();
        (!led.is_empty()).then(|| led.join(" OR "))
    }

    /// Writes a row into each table of the organization that has none of it, as [`insert`](Self::insert) does.
    pub async fn fill(&self, server: &Server, whose: Whose, given: &[Given<'_>]) {
        for table in &self.0 {
            if self.is_empty(server, table, whose.organization).await {
                self.insert(server, table, whose, given).await;
            }
        }
    }

    /// One row more, with nothing in it but what the table asks for, and the person wherever somebody is named; and those
    /// that it refers to, where the organization has none of them.
    pub async fn insert(&self, server: &Server, table: &Table, whose: Whose, given: &[Given<'_>]) {
        for reference in &table.references {
            let parent = self.table(&reference.table);
            if self.is_empty(server, parent, whose.organization).await {
                Box::pin(self.insert(server, parent, whose, given)).await;
            }
        }
        let (mut columns, mut values) = (Vec::new(), Vec::new());
        for column in &table.columns {
            let reference = table.references.iter().find(|reference| reference.column == column.name);
            let given = given.iter().find(|(of, name, _)| *of == table.name && *name == column.name);
            let value = match (given, reference) {
                (Some((_, _, value)), _) => (*value).to_owned(),
                _ if column.name == "organization_id" => whose.organization.to_string(),
                _ if table.is_persons(column) => whose.person.to_string(),
                (None, Some(Reference { table, key, .. })) => {
                    let of = self.of_organization(self.table(table), whose.organization).unwrap();
                    format!("(SELECT min({key}) FROM {table} WHERE {of})")
                }
                (None, None) if column.is_optional => continue,
                (None, None) => column.anything().to_owned(),
            };
            columns.push(column.name.as_str());
            values.push(value);
        }
        let (columns, values) = (columns.join(", "), values.join(", "));
        server.execute(&format!("INSERT INTO {} ({columns}) VALUES ({values})", table.name)).await;
    }

    /// Whether the organization could have rows in the table, and has none.
    async fn is_empty(&self, server: &Server, table: &Table, organization: i64) -> bool {
        let Some(of) = self.of_organization(table, organization) else { return false };
        server.count(&format!("SELECT count(*) FROM {} WHERE {of}", table.name)).await == 0
    }
}

impl Table {
    /// What the rows are known by, of those that the condition (all, if none) is true of.
    pub async fn keys(&self, server: &Server, condition: Option<&str>) -> BTreeSet<String> {
        let key = self.columns.iter().filter(|column| column.is_key);
        let key: Vec<String> = key.map(|column| format!("CAST({} AS text)", column.name)).collect();
        assert!(!key.is_empty(), "{} has no primary key", self.name);
        let condition = condition.unwrap_or("1 = 1");
        let sql = format!("SELECT {} FROM {} WHERE {condition}", key.join(" || ' ' || "), self.name);
        server.texts(&sql).await.into_iter().collect()
    }

    /// The columns that name somebody.
    pub fn people(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().filter(|column| self.is_persons(column)).map(|column| column.name.as_str())
    }

    fn is_persons(&self, column: &Column) -> bool {
        match self.references.iter().find(|reference| reference.column == column.name) {
            Some(reference) => reference.table == "users",
            None => column.name.ends_with("user_id") || column.name.ends_with("_by"),
        }
    }
}

impl Column {
    /// Any value of its kind, as SQL; times are far off, so that nothing sweeps the row away meanwhile.
    fn anything(&self) -> &'static str {
        // The order matters: SQLite keeps times and documents in kinds of text.
        let kinds = [
            ("timestamp", "'2999-01-01T00:00:00+00:00'"),
            ("date", "'2999-01-01'"),
            ("json", "'[]'"),
            ("bool", "FALSE"),
            ("int", "1"),
        ];
        kinds.iter().find(|(kind, _)| self.kind.contains(kind)).map_or("'x'", |(_, value)| value)
    }
}
