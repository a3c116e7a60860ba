//! The tables that the stand-in has, and values as CQL writes them.

pub const KEYSPACE: &str = "shop";

pub type Bytes = Option<Vec<u8>>;

#[derive(Clone)]
pub struct Table {
    pub keyspace: &'static str,
    pub name: &'static str,
    /// Name, kind, position in its kind, type.
    pub columns: Vec<(&'static str, &'static str, i32, &'static str)>,
    pub rows: Vec<Vec<Bytes>>,
}

impl Table {
    pub fn at(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|(column, ..)| *column == name)
    }

    pub fn of_kind(&self, kind: &str) -> Vec<&'static str> {
        let mut found: Vec<_> = self.columns.iter().filter(|column| column.1 == kind).collect();
        found.sort_by_key(|column| column.2);
        found.into_iter().map(|column| column.0).collect()
    }
}

pub fn text(text: impl AsRef<str>) -> Bytes {
    Some(text.as_ref().as_bytes().to_vec())
}

pub fn int(value: i32) -> Bytes {
    Some(value.to_be_bytes().to_vec())
}

pub fn long(value: i64) -> Bytes {
    Some(value.to_be_bytes().to_vec())
}

/// Parts, each with its length before it, as the values of tuples and of user-defined types are.
pub fn parts(parts: impl IntoIterator<Item = Bytes>) -> Bytes {
    let part = |part: Bytes| match part {
        Some(part) => [(part.len() as i32).to_be_bytes().to_vec(), part].concat(),
        None => (-1_i32).to_be_bytes().to_vec(),
    };
    Some(parts.into_iter().flat_map(part).collect())
}

/// As lists, sets and maps are: how many, and the parts.
pub fn collection(count: i32, items: Vec<Bytes>) -> Bytes {
    Some([count.to_be_bytes().to_vec(), parts(items).unwrap()].concat())
}

pub fn strings(items: &[&str]) -> Bytes {
    collection(items.len() as i32, items.iter().map(text).collect())
}

/// A date, so many days after 1970.
pub fn date(days: u32) -> Bytes {
    Some(((1_u32 << 31) + days).to_be_bytes().to_vec())
}

pub const UUID: [u8; 16] =
    [0x12, 0x3e, 0x45, 0x67, 0xe8, 0x9b, 0x42, 0xd3, 0xa4, 0x56, 0x42, 0x66, 0x14, 0x17, 0x40, 0x00];

pub fn events() -> Table {
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

pub fn carts() -> Table {
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
pub fn system(tables: &[Table], peer: Option<[u8; 4]>) -> Vec<Table> {
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
