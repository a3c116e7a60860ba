//! A statement as Cassandra's manual has it, and what it answers.

use std::cmp::Ordering;

use super::tables::{Bytes, KEYSPACE, Table};
use cassandra_protocol::frame::Version;
use cassandra_protocol::frame::message_result::{
    BodyResResultRows, CTuple, CUdt, ColSpec, ColType, ColTypeOption, ColTypeOptionValue, PreparedMetadata,
    ResResultBody, RowsMetadata, RowsMetadataFlags, TableSpec,
};
use cassandra_protocol::query::{QueryParams, QueryValues};
use cassandra_protocol::types::CBytes;
use cassandra_protocol::types::value::Value;

pub fn option(cql: &str) -> ColTypeOption {
    let inner = |prefix: &str| cql.strip_prefix(prefix).and_then(|rest| rest.strip_suffix('>'));
    if let Some(frozen) = inner("frozen<") {
        return option(frozen);
    }
    let boxed = |cql: &str| Box::new(option(cql));
    let (id, value) = if let Some(item) = inner("list<") {
        (ColType::List, Some(ColTypeOptionValue::CList(boxed(item))))
    } else if let Some(item) = inner("set<") {
        (ColType::Set, Some(ColTypeOptionValue::CSet(boxed(item))))
    } else if let Some((key, value)) = inner("map<").and_then(|inner| inner.split_once(", ")) {
        (ColType::Map, Some(ColTypeOptionValue::CMap(boxed(key), boxed(value))))
    } else if let Some(items) = inner("tuple<") {
        let types = items.split(", ").map(option).collect();
        (ColType::Tuple, Some(ColTypeOptionValue::TupleType(CTuple { types })))
    } else if cql == "address" {
        let descriptions = vec![("city".to_owned(), option("text")), ("lat".to_owned(), option("double"))];
        let udt = CUdt { ks: KEYSPACE.into(), udt_name: "address".into(), descriptions };
        (ColType::Udt, Some(ColTypeOptionValue::UdtType(udt)))
    } else {
        let id = match cql {
            "text" => ColType::Varchar,
            "date" => ColType::Date,
            "timestamp" => ColType::Timestamp,
            "int" => ColType::Int,
            "boolean" => ColType::Boolean,
            "double" => ColType::Double,
            "decimal" => ColType::Decimal,
            "varint" => ColType::Varint,
            "smallint" => ColType::Smallint,
            "uuid" => ColType::Uuid,
            "inet" => ColType::Inet,
            "time" => ColType::Time,
            "duration" => ColType::Duration,
            "blob" => ColType::Blob,
            other => panic!("{other}"),
        };
        (id, None)
    };
    ColTypeOption { id, value }
}

pub fn compare(cql: &str, a: &[u8], b: &[u8]) -> Ordering {
    match cql {
        "int" => i32::from_be_bytes(a.try_into().unwrap()).cmp(&i32::from_be_bytes(b.try_into().unwrap())),
        "timestamp" => i64::from_be_bytes(a.try_into().unwrap()).cmp(&i64::from_be_bytes(b.try_into().unwrap())),
        _ => a.cmp(b),
    }
}

/// A statement, taken apart.
pub struct Select {
    pub table: Table,
    pub columns: Vec<String>,
    /// Column, operator.
    pub relations: Vec<(String, String)>,
    pub limit: usize,
}

pub fn unquoted(name: &str) -> String {
    match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(name) => name.replace("\"\"", "\""),
        None => name.to_owned(),
    }
}

impl Select {
    /// What is refused is refused with the reason.
    pub fn read(text: &str, tables: &[Table]) -> Result<Self, String> {
        let (text, limit) = match text.split_once(" LIMIT ") {
            Some((text, limit)) => (text, limit.parse().unwrap()),
            None => (text, usize::MAX),
        };
        let text = text.replace(" where ", " WHERE ").replace(" in ?", " IN ?");
        let (text, relations) = text.split_once(" WHERE ").unwrap_or((&text, ""));
        let (columns, name) = text.strip_prefix("SELECT ").unwrap().split_once(" FROM ").unwrap();
        let (keyspace, name) = name.split_once('.').unwrap();
        let (keyspace, name) = (unquoted(keyspace), unquoted(name));
        let found = tables.iter().find(|table| (table.keyspace, table.name) == (keyspace.as_str(), name.as_str()));
        let table = found.ok_or(format!("unconfigured table {name}"))?.clone();
        let columns: Vec<String> = columns.split(", ").map(unquoted).collect();
        if let Some(unknown) = columns.iter().find(|column| table.at(column).is_none()) {
            return Err(format!("Undefined column name {unknown}"));
        }
        let mut select = Self { table, columns, relations: Vec::new(), limit };
        if !keyspace.starts_with("system") {
            for relation in relations.split(" AND ").filter(|relation| !relation.is_empty()) {
                let relation = relation.strip_suffix(" ?").unwrap();
                let (column, operator) = relation.rsplit_once(' ').unwrap();
                select.relations.push((unquoted(column), operator.to_owned()));
            }
            select.check_keys()?;
        }
        Ok(select)
    }

    pub fn check_keys(&self) -> Result<(), String> {
        let refused = Err("use ALLOW FILTERING".to_owned());
        if self.relations.is_empty() {
            return Ok(());
        }
        let operators = |column: &str| {
            let mut found: Vec<_> = self
                .relations
                .iter()
                .filter(|(name, _)| name == column)
                .map(|(_, operator)| operator.as_str())
                .collect();
            found.sort_unstable();
            found
        };
        let partition = self.table.of_kind("partition_key");
        let clustering = self.table.of_kind("clustering");
        for (at, column) in partition.iter().enumerate() {
            let found = operators(column);
            if found != ["="] && (found != ["IN"] || at + 1 < partition.len()) {
                return refused;
            }
        }
        let mut open = true;
        for column in &clustering {
            let found = operators(column);
            let range = matches!(found[..], ["<" | "<=" | ">" | ">="] | ["<" | "<=", ">" | ">="]);
            if !found.is_empty() && (!open || (found != ["="] && !range)) {
                return refused;
            }
            open &= found == ["="];
        }
        let is_key = |(column, _): &(String, String)| {
            partition.contains(&column.as_str()) || clustering.contains(&column.as_str())
        };
        if self.relations.iter().all(is_key) { Ok(()) } else { refused }
    }

    pub fn column_specs(&self, names: &[(String, ColTypeOption)]) -> Vec<ColSpec> {
        let spec = |(name, col_type): &(String, ColTypeOption)| ColSpec {
            table_spec: None,
            name: name.clone(),
            col_type: col_type.clone(),
        };
        names.iter().map(spec).collect()
    }

    pub fn table_spec(&self) -> TableSpec {
        TableSpec { ks_name: self.table.keyspace.into(), table_name: self.table.name.into() }
    }

    pub fn metadata(&self, paging_state: Option<CBytes>) -> RowsMetadata {
        let typed: Vec<_> = self
            .columns
            .iter()
            .map(|name| (name.clone(), option(self.table.columns[self.table.at(name).unwrap()].3)))
            .collect();
        let mut flags = RowsMetadataFlags::GLOBAL_TABLE_SPACE;
        flags.set(RowsMetadataFlags::HAS_MORE_PAGES, paging_state.is_some());
        RowsMetadata {
            flags,
            columns_count: typed.len() as i32,
            paging_state,
            new_metadata_id: None,
            global_table_spec: Some(self.table_spec()),
            col_specs: self.column_specs(&typed),
        }
    }

    /// What is bound, and which of it makes the partition key.
    pub fn variables(&self, text: &str) -> PreparedMetadata {
        let list = |cql: &str| option(&format!("list<{cql}>"));
        let mut bound: Vec<_> = self
            .relations
            .iter()
            .map(|(column, operator)| {
                let cql = self.table.columns[self.table.at(column).unwrap()].3;
                (column.clone(), if operator == "IN" { list(cql) } else { option(cql) })
            })
            .collect();
        if self.table.keyspace.starts_with("system") && text.ends_with("in ?") {
            bound.push(("keyspace_name".to_owned(), list("text")));
        }
        let equal =
            |column: &&str| self.relations.iter().position(|(name, operator)| name == column && operator == "=");
        let keys: Option<Vec<_>> =
            self.table.of_kind("partition_key").iter().map(|column| equal(column).map(|at| at as i16)).collect();
        PreparedMetadata {
            pk_indexes: keys.unwrap_or_default(),
            global_table_spec: Some(self.table_spec()),
            col_specs: self.column_specs(&bound),
        }
    }

    pub fn fits(&self, row: &[Bytes], bound: &[Value]) -> bool {
        let of_statics =
            self.table.of_kind("clustering").iter().any(|column| row[self.table.at(column).unwrap()].is_none());
        let asks = self.columns.iter().any(|column| self.table.of_kind("static").contains(&column.as_str()));
        if of_statics && !asks {
            return false;
        }
        self.relations.iter().zip(bound).all(|((column, operator), bound)| {
            let at = self.table.at(column).unwrap();
            let (Some(value), Value::Some(bound)) = (&row[at], bound) else { return false };
            let cql = self.table.columns[at].3;
            match operator.as_str() {
                "IN" => items(bound).iter().any(|item| item == value),
                operator => {
                    let order = compare(cql, value, bound);
                    match operator {
                        "=" => order.is_eq(),
                        "<" => order.is_lt(),
                        "<=" => order.is_le(),
                        ">" => order.is_gt(),
                        ">=" => order.is_ge(),
                        other => panic!("{other}"),
                    }
                }
            }
        })
    }

    pub fn answer(&self, parameters: &QueryParams, version: Version) -> ResResultBody {
        let bound = match &parameters.values {
            Some(QueryValues::SimpleValues(values)) => values.clone(),
            _ => Vec::new(),
        };
        let rows = self.table.rows.iter().filter(|row| self.fits(row, &bound)).take(self.limit);
        let at = parameters.paging_state.as_ref().and_then(CBytes::as_slice);
        let at = at.map_or(0, |state| u32::from_be_bytes(state.try_into().unwrap()) as usize);
        let size = parameters.page_size.map_or(usize::MAX, |size| size as usize);
        let mut rows: Vec<_> = rows.skip(at).take(size.saturating_add(1)).collect();
        let more = rows.len() > size;
        rows.truncate(size);
        let state = more.then(|| CBytes::new(((at + size) as u32).to_be_bytes().to_vec()));
        let cell = |row: &[Bytes], name: &String| {
            row[self.table.at(name).unwrap()].clone().map_or_else(CBytes::new_null, CBytes::new)
        };
        let rows_content: Vec<Vec<CBytes>> =
            rows.into_iter().map(|row| self.columns.iter().map(|name| cell(row, name)).collect()).collect();
        ResResultBody::Rows(BodyResResultRows {
            metadata: self.metadata(state),
            rows_count: rows_content.len() as i32,
            rows_content,
            protocol_version: version,
        })
    }
}

/// The items of a list.
pub fn items(list: &[u8]) -> Vec<Vec<u8>> {
    let (count, mut rest) = list.split_at(4);
    (0..i32::from_be_bytes(count.try_into().unwrap()))
        .map(|_| {
            let (length, more) = rest.split_at(4);
            let (item, more) = more.split_at(i32::from_be_bytes(length.try_into().unwrap()) as usize);
            rest = more;
            item.to_vec()
        })
        .collect()
}
