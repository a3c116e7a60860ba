//! The Cassandra connector, against a server of the test's own that speaks CQL's native protocol.
//!
//! No Cassandra is in a package registry. The stand-in is made with another driver's library of the protocol. It answers
//! what the driver asks of the system's tables, and SELECT as Cassandra's manual has it: what the key does not answer is
//! refused, and a partition that has static values alone is a row of those who ask for these.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use crate::support::documents::{check, columns, discover, query, table};
use crate::support::kafka::tls_before;
use async_trait::async_trait;
use cassandra_protocol::compression::Compression;
use cassandra_protocol::frame::message_auth_success::BodyReqAuthSuccess;
use cassandra_protocol::frame::message_authenticate::BodyResAuthenticate;
use cassandra_protocol::frame::message_error::{ErrorBody, ErrorType};
use cassandra_protocol::frame::message_request::RequestBody;
use cassandra_protocol::frame::message_result::{
    BodyResResultPrepared, BodyResResultRows, CTuple, CUdt, ColSpec, ColType, ColTypeOption, ColTypeOptionValue,
    PreparedMetadata, ResResultBody, RowsMetadata, RowsMetadataFlags, TableSpec,
};
use cassandra_protocol::frame::message_supported::BodyResSupported;
use cassandra_protocol::frame::{Direction, Envelope, Flags, Opcode, Serialize, Version};
use cassandra_protocol::query::{QueryParams, QueryValues};
use cassandra_protocol::types::value::Value;
use cassandra_protocol::types::{CBytes, CBytesShort};
use rivergen_connectors::{
    AddressGuard, Blocked, ConnectorError, Credentials, DataSourceType, Registry, SourceConfig, SourceContext, Step,
};
use rivergen_kernel::secret::Secret;
use rivergen_platform::net::{HttpOptions, Outbound};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const KEYSPACE: &str = "shop";

type Bytes = Option<Vec<u8>>;

#[derive(Clone)]
struct Table {
    keyspace: &'static str,
    name: &'static str,
    /// Name, kind, position in its kind, type.
    columns: Vec<(&'static str, &'static str, i32, &'static str)>,
    rows: Vec<Vec<Bytes>>,
}

impl Table {
    fn at(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|(column, ..)| *column == name)
    }

    fn of_kind(&self, kind: &str) -> Vec<&'static str> {
        let mut found: Vec<_> = self.columns.iter().filter(|column| column.1 == kind).collect();
        found.sort_by_key(|column| column.2);
        found.into_iter().map(|column| column.0).collect()
    }
}

#[derive(Clone, Default)]
struct Server {
    tables: Arc<Vec<Table>>,
    /// Who may sign in; whoever comes where there is none.
    user: Option<(&'static str, &'static str)>,
    /// Besides those that it always has.
    more: Vec<Table>,
    statements: Arc<Mutex<Vec<String>>>,
    /// How many rows each page was to have.
    pages: Arc<Mutex<Vec<i32>>>,
    prepared: Arc<Mutex<Vec<String>>>,
}

fn text(text: impl AsRef<str>) -> Bytes {
    Some(text.as_ref().as_bytes().to_vec())
}

fn int(value: i32) -> Bytes {
    Some(value.to_be_bytes().to_vec())
}

fn long(value: i64) -> Bytes {
    Some(value.to_be_bytes().to_vec())
}

/// Parts, each with its length before it, as the values of tuples and of user-defined types are.
fn parts(parts: impl IntoIterator<Item = Bytes>) -> Bytes {
    let part = |part: Bytes| match part {
        Some(part) => [(part.len() as i32).to_be_bytes().to_vec(), part].concat(),
        None => (-1_i32).to_be_bytes().to_vec(),
    };
    Some(parts.into_iter().flat_map(part).collect())
}

/// As lists, sets and maps are: how many, and the parts.
fn collection(count: i32, items: Vec<Bytes>) -> Bytes {
    Some([count.to_be_bytes().to_vec(), parts(items).unwrap()].concat())
}

fn strings(items: &[&str]) -> Bytes {
    collection(items.len() as i32, items.iter().map(text).collect())
}

/// A date, so many days after 1970.
fn date(days: u32) -> Bytes {
    Some(((1_u32 << 31) + days).to_be_bytes().to_vec())
}

const UUID: [u8; 16] = [0x12, 0x3e, 0x45, 0x67, 0xe8, 0x9b, 0x42, 0xd3, 0xa4, 0x56, 0x42, 0x66, 0x14, 0x17, 0x40, 0x00];

fn events() -> Table {
    let columns = vec![
        ("tenant", "partition_key", 0, "text"),
        ("day", "partition_key", 1, "date"),
        ("at", "clustering", 0, "timestamp"),
        ("n", "clustering", 1, "int"),
        ("name", "regular", -1, "text"),
        ("ok", "regular", -1, "boolean"),
        ("score", "regular", -1, "double"),
        ("price", "regular", -1, "decimal"),
        ("big", "regular", -1, "varint"),
        ("small", "regular", -1, "smallint"),
        ("id", "regular", -1, "uuid"),
        ("ip", "regular", -1, "inet"),
        ("seen", "regular", -1, "time"),
        ("lasts", "regular", -1, "duration"),
        ("raw", "regular", -1, "blob"),
        ("tags", "regular", -1, "list<text>"),
        ("labels", "regular", -1, "map<text, int>"),
        ("kinds", "regular", -1, "set<int>"),
        ("home", "regular", -1, "frozen<address>"),
        ("pair", "regular", -1, "frozen<tuple<int, text>>"),
    ];
    let row = |n: i32| {
        let there = |value: Bytes| if n % 7 == 0 { None } else { value };
        vec![
            text(["acme", "beta", "Çelik"][n as usize % 3]),
            date(19_000 + n as u32 % 4),
            long(1_000 * i64::from(n / 12)),
            int(n - 60),
            there(text(["Anna", "anna", "Jürgen", "Bob"][n as usize % 4])),
            there(Some(vec![u8::from(n % 2 == 0)])),
            there(Some((f64::from(n) / 8.0).to_be_bytes().to_vec())),
            there(Some([2_i32.to_be_bytes().to_vec(), vec![n as u8]].concat())),
            there(Some(vec![0xff, n as u8])),
            there(Some((n as i16).to_be_bytes().to_vec())),
            there(Some(UUID.to_vec())),
            there(Some(vec![10, 0, 0, n as u8])),
            there(long(1_000_000_000 * i64::from(n))),
            // Zigzag of one byte each.
            there(Some(vec![2, 4, 6])),
            there(Some(vec![0, n as u8])),
            there(strings(&["a", "b"])),
            there(collection(1, vec![text("k"), int(n)])),
            there(collection(2, vec![int(1), int(2)])),
            there(parts([text("Rome"), None])),
            there(parts([int(n), text("x")])),
        ]
    };
    Table { keyspace: KEYSPACE, name: "events", columns, rows: (0..120).map(row).collect() }
}

fn carts() -> Table {
    let columns = vec![
        ("customer", "partition_key", 0, "uuid"),
        ("item", "clustering", 0, "int"),
        ("Note \"s\"", "static", -1, "text"),
        ("count", "regular", -1, "int"),
    ];
    let mut rows: Vec<_> = (0..6).map(|n| vec![Some(UUID.to_vec()), int(n), text("hi"), int(n * 2)]).collect();
    rows.push(vec![Some([1; 16].to_vec()), None, text("empty"), None]);
    Table { keyspace: KEYSPACE, name: "carts", columns, rows }
}

/// What the driver asks of the system's tables.
fn system(tables: &[Table], peer: Option<[u8; 4]>) -> Vec<Table> {
    let node = |id: u8, address: [u8; 4], token: &str| {
        vec![Some([id; 16].to_vec()), Some(address.to_vec()), text("dc1"), text("r1"), strings(&[token])]
    };
    let node_columns = vec![
        ("host_id", "regular", -1, "uuid"),
        ("rpc_address", "regular", -1, "inet"),
        ("data_center", "regular", -1, "text"),
        ("rack", "regular", -1, "text"),
        ("tokens", "regular", -1, "set<text>"),
    ];
    let mut local = node(1, [127, 0, 0, 1], "0");
    local.extend([text("tests"), text("4.1.7")]);
    let mut local_columns = node_columns.clone();
    local_columns.extend([("cluster_name", "regular", -1, "text"), ("release_version", "regular", -1, "text")]);
    let schema = |name, columns: Vec<(&'static str, &'static str)>, rows| Table {
        keyspace: "system_schema",
        name,
        columns: columns.into_iter().map(|(name, cql)| (name, "regular", -1, cql)).collect(),
        rows,
    };
    let replication = ["class", "SimpleStrategy", "replication_factor", "1"];
    let columns = tables.iter().flat_map(|table| {
        table.columns.iter().map(|(name, kind, position, cql)| {
            vec![text(table.keyspace), text(table.name), text(name), text(kind), int(*position), text(cql)]
        })
    });
    let names = tables.iter().filter(|table| table.name != "events_by_name");
    vec![
        Table { keyspace: "system", name: "local", columns: local_columns, rows: vec![local] },
        Table {
            keyspace: "system",
            name: "peers",
            columns: node_columns,
            rows: peer.into_iter().map(|address| node(2, address, "4611686018427387904")).collect(),
        },
        schema(
            "keyspaces",
            vec![("keyspace_name", "text"), ("replication", "map<text, text>"), ("durable_writes", "boolean")],
            vec![vec![text(KEYSPACE), collection(2, replication.iter().map(text).collect()), Some(vec![1])]],
        ),
        schema(
            "tables",
            vec![("keyspace_name", "text"), ("table_name", "text")],
            names.map(|table| vec![text(table.keyspace), text(table.name)]).collect(),
        ),
        schema(
            "columns",
            vec![
                ("keyspace_name", "text"),
                ("table_name", "text"),
                ("column_name", "text"),
                ("kind", "text"),
                ("position", "int"),
                ("type", "text"),
            ],
            columns.collect(),
        ),
        schema(
            "types",
            vec![
                ("keyspace_name", "text"),
                ("type_name", "text"),
                ("field_names", "list<text>"),
                ("field_types", "list<text>"),
            ],
            vec![vec![text(KEYSPACE), text("address"), strings(&["city", "lat"]), strings(&["text", "double"])]],
        ),
        schema(
            "views",
            vec![("keyspace_name", "text"), ("view_name", "text"), ("base_table_name", "text")],
            vec![vec![text(KEYSPACE), text("events_by_name"), text("events")]],
        ),
    ]
}

fn option(cql: &str) -> ColTypeOption {
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

fn compare(cql: &str, a: &[u8], b: &[u8]) -> Ordering {
    match cql {
        "int" => i32::from_be_bytes(a.try_into().unwrap()).cmp(&i32::from_be_bytes(b.try_into().unwrap())),
        "timestamp" => i64::from_be_bytes(a.try_into().unwrap()).cmp(&i64::from_be_bytes(b.try_into().unwrap())),
        _ => a.cmp(b),
    }
}

/// A statement, taken apart.
struct Select {
    table: Table,
    columns: Vec<String>,
    /// Column, operator.
    relations: Vec<(String, String)>,
    limit: usize,
}

fn unquoted(name: &str) -> String {
    match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(name) => name.replace("\"\"", "\""),
        None => name.to_owned(),
    }
}

impl Select {
    /// What is refused is refused with the reason.
    fn read(text: &str, tables: &[Table]) -> Result<Self, String> {
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

    fn check_keys(&self) -> Result<(), String> {
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

    fn column_specs(&self, names: &[(String, ColTypeOption)]) -> Vec<ColSpec> {
        let spec = |(name, col_type): &(String, ColTypeOption)| ColSpec {
            table_spec: None,
            name: name.clone(),
            col_type: col_type.clone(),
        };
        names.iter().map(spec).collect()
    }

    fn table_spec(&self) -> TableSpec {
        TableSpec { ks_name: self.table.keyspace.into(), table_name: self.table.name.into() }
    }

    fn metadata(&self, paging_state: Option<CBytes>) -> RowsMetadata {
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
    fn variables(&self, text: &str) -> PreparedMetadata {
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

    fn fits(&self, row: &[Bytes], bound: &[Value]) -> bool {
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

    fn answer(&self, parameters: &QueryParams, version: Version) -> ResResultBody {
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
fn items(list: &[u8]) -> Vec<Vec<u8>> {
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

impl Server {
    async fn start(mut self, peer: Option<[u8; 4]>) -> (u16, Self) {
        let view = Table { name: "events_by_name", rows: Vec::new(), ..events() };
        let tables = [vec![events(), carts(), view], self.more.clone()].concat();
        self.tables = Arc::new([system(&tables, peer), tables].concat());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = server.clone();
                tokio::spawn(async move { server.serve(stream).await });
            }
        });
        (port, self)
    }

    async fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        loop {
            let mut message = vec![0; 9];
            stream.read_exact(&mut message).await?;
            let length = i32::from_be_bytes(message[5..9].try_into().unwrap()) as usize;
            message.resize(9 + length, 0);
            stream.read_exact(&mut message[9..]).await?;
            let request = Envelope::from_buffer(&message, Compression::None).unwrap().envelope;
            let (opcode, body) = self.answer(request.request_body().unwrap(), request.version);
            let answer = Envelope::new(
                request.version,
                Direction::Response,
                Flags::empty(),
                opcode,
                request.stream_id,
                body,
                None,
                vec![],
            );
            stream.write_all(&answer.encode_with(Compression::None).unwrap()).await?;
        }
    }

    fn answer(&self, request: RequestBody, version: Version) -> (Opcode, Vec<u8>) {
        let error = |ty, message: String| (Opcode::Error, ErrorBody { message, ty }.serialize_to_vec(version));
        let result = |result: ResResultBody| (Opcode::Result, result.serialize_to_vec(version));
        match request {
            RequestBody::Options(_) => {
                let data = HashMap::from([("CQL_VERSION".to_owned(), vec!["3.4.6".to_owned()])]);
                (Opcode::Supported, BodyResSupported { data }.serialize_to_vec(version))
            }
            RequestBody::Startup(_) if self.user.is_some() => {
                let data = "org.apache.cassandra.auth.PasswordAuthenticator".to_owned();
                (Opcode::Authenticate, BodyResAuthenticate { data }.serialize_to_vec(version))
            }
            RequestBody::Startup(_) | RequestBody::Register(_) => (Opcode::Ready, Vec::new()),
            RequestBody::AuthResponse(response) => {
                let (user, password) = self.user.unwrap();
                if response.data.as_slice() == Some(format!("\0{user}\0{password}").as_bytes()) {
                    let data = CBytes::new_null();
                    (Opcode::AuthSuccess, BodyReqAuthSuccess { data }.serialize_to_vec(version))
                } else {
                    error(ErrorType::Authentication, "secret of the server".to_owned())
                }
            }
            RequestBody::Query(query) => match Select::read(&query.query, &self.tables) {
                Ok(select) => result(select.answer(&query.query_params, version)),
                Err(reason) => error(ErrorType::Invalid, reason),
            },
            RequestBody::Prepare(prepare) => match Select::read(&prepare.query, &self.tables) {
                Ok(select) => {
                    let mut prepared = self.prepared.lock().unwrap();
                    // The id is of the text, on all connections.
                    let known = prepared.iter().position(|text| *text == prepare.query);
                    let id = known.unwrap_or_else(|| {
                        prepared.push(prepare.query.clone());
                        prepared.len() - 1
                    });
                    result(ResResultBody::Prepared(BodyResResultPrepared {
                        id: CBytesShort::new((id as u32).to_be_bytes().to_vec()),
                        result_metadata_id: None,
                        metadata: select.variables(&prepare.query),
                        result_metadata: select.metadata(None),
                    }))
                }
                Err(reason) => error(ErrorType::Invalid, reason),
            },
            RequestBody::Execute(execute) => {
                let id = u32::from_be_bytes(execute.id.into_bytes().unwrap().try_into().unwrap());
                let text = self.prepared.lock().unwrap()[id as usize].clone();
                let select = Select::read(&text, &self.tables).unwrap();
                if !select.table.keyspace.starts_with("system") {
                    let parameters = &execute.query_parameters;
                    self.pages.lock().unwrap().extend(parameters.page_size);
                    // A further page is no further statement.
                    if parameters.paging_state.is_none() {
                        self.statements.lock().unwrap().push(text);
                    }
                }
                result(select.answer(&execute.query_parameters, version))
            }
            other => panic!("{other:?}"),
        }
    }

    /// The statements since the last time.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.statements.lock().unwrap())
    }
}

fn source(port: u16) -> (SourceContext, tempfile::TempDir) {
    let mut config = SourceConfig::new(DataSourceType::Cassandra);
    config.host = Some("127.0.0.1".into());
    config.port = Some(port);
    config.database_name = Some(KEYSPACE.into());
    config.connection_timeout = 10;
    config.max_retries = 0;
    config.metadata.insert("sslmode".into(), "disable".into());
    crate::support::source("cassandra", config, Credentials::default())
}

#[tokio::test]
async fn tables_are_typed_and_keys_answer_filters() {
    let (port, server) = Server::default().start(None).await;
    let (context, _cache) = source(port);
    let source = crate::support::open(&context).await;
    assert_eq!(source.probe().await.unwrap().as_deref(), Some("Cassandra 4.1.7"));
    let tables = discover(&source, KEYSPACE).await;
    assert_eq!(
        tables.iter().map(|table| table.name.as_str()).collect::<Vec<_>>(),
        ["carts", "events", "events_by_name"]
    );
    let keys: Vec<_> = tables[1].columns.iter().filter(|c| c.primary_key).map(|c| c.name.as_str()).collect();
    assert_eq!(keys, ["tenant", "day", "at", "n"]);
    assert_eq!(tables[1].columns[5].source_type, "frozen<address>");
    let events = table(&source, KEYSPACE, "events").await;
    assert_eq!(
        columns(&events),
        [
            "tenant Utf8",
            "day Utf8",
            "at Timestamp(µs, \"UTC\")",
            "n Int64",
            "big Decimal128(38, 0)",
            "home Struct(\"city\": Utf8, \"lat\": Float64)",
            "id Utf8",
            "ip Utf8",
            "kinds List(Int64)",
            "labels List(Struct(\"key\": Utf8, \"value\": Int64))",
            "lasts Utf8",
            "name Utf8",
            "ok Boolean",
            "pair Struct(\"1\": Int64, \"2\": Utf8)",
            "price Decimal128(38, 10)",
            "raw Binary",
            "score Float64",
            "seen Utf8",
            "small Int64",
            "tags List(Utf8)",
        ]
    );
    let found = query(
        &events,
        "SELECT tenant, day, at, big, home['city'], id, ip, kinds[2], labels[1]['value'], lasts, ok, pair['1'], price, raw, score, \
         seen, small, tags[1] FROM t WHERE n = -47",
    )
    .await;
    assert_eq!(
        found,
        [[
            "beta",
            "2022-01-09",
            "1970-01-01T00:00:01Z",
            "-243",
            "Rome",
            "123e4567-e89b-42d3-a456-426614174000",
            "10.0.0.13",
            "2",
            "13",
            "P1M2DT0.000000003S",
            "false",
            "13",
            "0.1300000000",
            "000d",
            "1.62500000000e0",
            "00:00:13.000000000",
            "13",
            "a"
        ]]
    );
    check(
        events.clone(),
        &[
            "SELECT n FROM t WHERE tenant = 'acme' AND day = '2022-01-08'",
            "SELECT n, name FROM t WHERE tenant = 'Çelik' AND day IN ('2022-01-08', '2022-01-11', '1999-01-01')",
            "SELECT n FROM t WHERE tenant = 'acme' AND day = '2022-01-08' AND at >= '1970-01-01T00:00:03Z'",
            "SELECT n FROM t WHERE tenant = 'acme' AND day = '2022-01-08' AND at BETWEEN '1970-01-01T00:00:02.9999Z' AND '1970-01-01T00:00:05Z'",
            "SELECT n FROM t WHERE tenant = 'acme' AND day = '2022-01-08' AND at = '1970-01-01T00:00:03Z' AND n > -24",
            "SELECT n FROM t WHERE tenant = 'acme' AND day = '2022-01-08' AND n < 0 AND name = 'Anna'",
            "SELECT n FROM t WHERE tenant = 'nobody' AND day = '2022-01-08'",
            "SELECT n FROM t WHERE tenant = 'acme'",
            "SELECT count(*) FROM t WHERE tenant = 'acme' AND day = '2022-01-09'",
            "SELECT n FROM t WHERE n BETWEEN -3 AND 3",
        ],
        &[
            "SELECT count(*) FROM t",
            "SELECT n FROM t WHERE name = 'Anna' AND ok",
            "SELECT n FROM t WHERE day < '2022-01-09'",
            "SELECT n FROM t WHERE tenant = '' OR day = '2022-01-08'",
            "SELECT n FROM t WHERE price > 0.5",
            "SELECT n FROM t WHERE name IS NULL",
        ],
    )
    .await;
    server.asked();
    let asked = async |sql: &str| {
        query(&events, sql).await;
        server.asked()
    };
    let all = "SELECT \"n\" FROM \"shop\".\"events\"";
    assert_eq!(
        asked("SELECT n FROM t WHERE tenant = 'acme' AND day = '2022-01-08' AND at > '1970-01-01T00:00:03Z'").await,
        [
            "SELECT \"tenant\", \"day\", \"at\", \"n\" FROM \"shop\".\"events\" WHERE \"tenant\" = ? AND \"day\" = ? AND \"at\" > ?"
        ]
    );
    assert_eq!(asked("SELECT n FROM t LIMIT 9").await, [format!("{all} LIMIT 9")]);
    assert!(asked("SELECT n FROM t WHERE n = 3 AND at = '1970-01-01T00:00:03Z'").await[0].ends_with("\"events\""));
    for (schema, name) in [(KEYSPACE, "gone"), ("other", "events"), (KEYSPACE, "")] {
        assert!(source.open_table(schema, name, None).await.is_err());
    }
}

#[tokio::test]
async fn a_partition_with_static_values_alone_is_a_row() {
    let (port, server) = Server::default().start(None).await;
    let (context, _cache) = source(port);
    let source = crate::support::open(&context).await;
    let carts = table(&source, KEYSPACE, "carts").await;
    assert_eq!(query(&carts, "SELECT count(*) FROM t").await, [["7"]]);
    assert_eq!(query(&carts, "SELECT count(item), count(customer) FROM t").await, [["6", "7"]]);
    assert_eq!(
        query(&carts, "SELECT customer, \"Note \"\"s\"\"\" FROM t WHERE item IS NULL").await,
        [["01010101-0101-0101-0101-010101010101", "empty"]]
    );
    check(
        carts.clone(),
        &[
            "SELECT item FROM t WHERE customer = '123e4567-e89b-42d3-a456-426614174000'",
            "SELECT item FROM t WHERE customer = '123E4567-E89B-42D3-A456-426614174000'",
            "SELECT item FROM t WHERE customer IN ('123e4567-e89b-42d3-a456-426614174000', '01010101-0101-0101-0101-010101010101')",
            "SELECT count FROM t WHERE customer = '123e4567-e89b-42d3-a456-426614174000' AND item >= 2 AND item < 5",
        ],
        &["SELECT item FROM t WHERE customer = 'nobody'", "SELECT item FROM t WHERE customer > '0'"],
    )
    .await;
    assert!(!server.asked().iter().any(|text| text.contains("ALLOW FILTERING")));
}

/// A page is held in memory, so it is measured by bytes.
#[tokio::test]
async fn pages_of_wide_rows_have_fewer_of_them() {
    let columns = vec![("k", "partition_key", 0, "int"), ("raw", "regular", -1, "blob")];
    let rows = (0..60).map(|n| vec![int(n), Some(vec![n as u8; 1024 * 1024])]).collect();
    let wide = Table { keyspace: KEYSPACE, name: "wide", columns, rows };
    let (port, server) = Server { more: vec![wide], ..Server::default() }.start(None).await;
    let (context, _cache) = source(port);
    let source = crate::support::open(&context).await;
    let wide = source.open_table(KEYSPACE, "wide", None).await.unwrap();
    assert_eq!(query(&wide, "SELECT count(*), count(raw), sum(k) FROM t").await, [["60", "60", "1770"]]);
    let pages = std::mem::take(&mut *server.pages.lock().unwrap());
    assert!(pages.len() > 6 && pages[1..].iter().all(|rows| (2..=8).contains(rows)), "{pages:?}");
    let events = source.open_table(KEYSPACE, "events", None).await.unwrap();
    assert_eq!(query(&events, "SELECT count(n) FROM t").await, [["120"]]);
    assert_eq!(*server.pages.lock().unwrap(), [10, 100, 1_000], "of narrow rows there are soon a thousand");
}

/// A guard that remembers what it was asked.
#[derive(Debug)]
struct Watched {
    inner: Arc<Outbound>,
    asked: Mutex<Vec<String>>,
}

#[async_trait]
impl AddressGuard for Watched {
    async fn check(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Blocked> {
        self.asked.lock().unwrap().push(host.to_owned());
        self.inner.check(host, port).await
    }

    fn http(&self, options: &HttpOptions) -> Result<reqwest::Client, Box<dyn std::error::Error + Send + Sync>> {
        AddressGuard::http(self.inner.as_ref(), options)
    }
}

#[tokio::test]
async fn nodes_that_the_cluster_names_are_guarded_too() {
    let (port, _server) = Server::default().start(Some([169, 254, 169, 254])).await;
    let (mut context, _cache) = source(port);
    let guard = Arc::new(Watched { inner: crate::support::outbound(true), asked: Mutex::default() });
    context.guard = guard.clone();
    let source = crate::support::open(&context).await;
    let carts = table(&source, KEYSPACE, "carts").await;
    assert_eq!(query(&carts, "SELECT count(*) FROM t").await, [["7"]]);
    for _ in 0..100 {
        if guard.asked.lock().unwrap().iter().any(|host| host == "169.254.169.254") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(guard.asked.lock().unwrap().iter().any(|host| host == "169.254.169.254"));
    context.guard = crate::support::outbound(false);
    let failed = crate::support::try_open(&context).await.unwrap_err();
    assert!(matches!(failed, ConnectorError::Blocked), "{failed:?}");
}

#[tokio::test]
async fn sign_in_and_tls() {
    let server = Server { user: Some(("ann", "hunter2")), ..Server::default() };
    let (port, _server) = server.start(None).await;
    let (tls, certificate) = tls_before(port).await;
    let (mut context, _cache) = source(tls);
    context.config.host = Some("localhost".into());
    context.config.metadata.insert("sslmode".into(), "verify-full".into());
    context.config.metadata.insert("ssl_root_certificate".into(), certificate.clone().into());
    context.credentials.username = Some("ann".into());
    context.credentials.password = Some(Secret::new("hunter2"));
    let source = crate::support::open(&context).await;
    assert!(!format!("{source:?}{context:?}").contains("hunter2"));
    let carts = table(&source, KEYSPACE, "carts").await;
    assert_eq!(query(&carts, "SELECT count(*) FROM t").await, [["7"]]);

    let registry = Registry::new();
    let connector = registry.connector(DataSourceType::Cassandra).unwrap();
    context.credentials.password = Some(Secret::new("wrong"));
    let outcome = connector.test(&context).await;
    assert_eq!((outcome.successful, outcome.failed_at), (false, Some(Step::SignIn)), "{outcome:?}");
    assert!(!outcome.error_message.unwrap().contains("secret"));
    context.config.metadata.remove("ssl_root_certificate");
    assert_eq!(connector.test(&context).await.failed_at, Some(Step::Tls));
    // The certificate is of another name.
    context.config.metadata.insert("ssl_root_certificate".into(), certificate.into());
    context.config.host = Some("127.0.0.1".into());
    assert_eq!(connector.test(&context).await.failed_at, Some(Step::Tls));
    let (mut context, _cache) = self::source(port);
    assert_eq!(connector.test(&context).await.failed_at, Some(Step::SignIn));
    context.config.port = Some(1);
    assert_eq!(connector.test(&context).await.failed_at, Some(Step::Connection));
}

#[tokio::test]
async fn a_keyspace_that_is_not_there_is_named() {
    let (port, _server) = Server::default().start(None).await;
    let (mut context, _cache) = source(port);
    context.config.database_name = Some("gone".into());
    let registry = Registry::new();
    let outcome = registry.connector(DataSourceType::Cassandra).unwrap().test(&context).await;
    assert_eq!(outcome.failed_at, Some(Step::Permission));
    assert!(outcome.error_message.unwrap().contains("keyspace gone"));
}

#[test]
fn wrong_configurations_name_their_field() {
    let registry = Registry::new();
    let connector = registry.connector(DataSourceType::Cassandra).unwrap();
    for (change, credentials, field) in [
        (json!({"host": "a,b"}), json!({}), "host"),
        (json!({"database_name": "a b"}), json!({}), "database_name"),
        (json!({"database_name": ""}), json!({}), "database_name"),
        (json!({}), json!({"username": "ann"}), "credentials.password"),
        (json!({}), json!({"password": "x"}), "credentials.username"),
        (json!({"metadata": {"sslmode": "prefer"}}), json!({}), "metadata.sslmode"),
        (json!({"metadata": {"ssl_root_certificate": "x"}}), json!({}), "metadata.ssl_root_certificate"),
    ] {
        let mut config = json!({"kind": "cassandra", "host": "h", "port": 9042, "database_name": "k"});
        config.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let credentials: Credentials = serde_json::from_value(credentials).unwrap();
        let wrong = connector.validate(&serde_json::from_value(config).unwrap(), &credentials);
        assert_eq!(wrong.iter().map(|w| w.field.as_str()).collect::<Vec<_>>(), [field], "{change}");
    }
}
