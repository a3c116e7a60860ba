//! Reads the table-like files under `tests/questions`: schemas with their rows, and questions
//! with what must come of them.

use std::path::{Path, PathBuf};

use rivergen_studio::planner::{ColumnContext, ColumnType, Context, Dialect, Layer, TableContext};

/// The rows of each table of a schema, as text; an empty cell is NULL.
pub type Rows = Vec<Vec<Vec<String>>>;

/// Asked of the runner, not of the compiler: a target directory may serve several checkouts.
pub fn folder() -> PathBuf {
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("a runner that is cargo")).join("tests/questions")
}

fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(str::to_owned).collect()
}

fn cells(line: &str) -> Vec<String> {
    line.split('|').map(|cell| cell.trim().to_owned()).collect()
}

pub fn schema(name: &str) -> (Context, Rows) {
    let mut context = Context {
        tables: vec![],
        now: chrono::Utc::now(),
        dialect: Dialect::DataFusion,
        examples: vec![],
        terms: vec![],
        layer: Layer::default(),
        asks: false,
        thread: Vec::new(),
    };
    let mut rows: Rows = Vec::new();
    let mut in_rows = false;
    for line in lines(&folder().join(format!("{name}.schema"))) {
        let line = line.trim();
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "" | "#" => {}
            "now" => context.now = rest.parse().expect("now"),
            "table" => {
                let mut parts = rest.split('.').map(str::to_owned);
                let mut part = || parts.next().expect("catalog.schema.table");
                context.tables.push(TableContext {
                    catalog: part(),
                    schema: part(),
                    name: part(),
                    columns: vec![],
                    row_count: None,
                    comment: None,
                });
                rows.push(vec![]);
                in_rows = false;
            }
            "rows" => in_rows = true,
            _ if in_rows => rows.last_mut().expect("a table").push(cells(line)),
            _ => context.tables.last_mut().expect("a table").columns.push(column(line)),
        }
    }
    (context, rows)
}

/// `name type [key] [masked] [-> table.column] [= value, value]`
fn column(line: &str) -> ColumnContext {
    let (line, values) = line.split_once(" = ").unwrap_or((line, ""));
    let (line, reference) = line.split_once(" -> ").unwrap_or((line, ""));
    let words: Vec<&str> = line.split_whitespace().collect();
    ColumnContext {
        name: words[0].to_owned(),
        data_type: match words[1] {
            "integer" => ColumnType::Integer,
            "decimal" => ColumnType::Decimal,
            "boolean" => ColumnType::Boolean,
            "date" => ColumnType::Date,
            "timestamp" => ColumnType::Timestamp,
            "text" => ColumnType::Text,
            other => panic!("unknown type {other}"),
        },
        masked: words.contains(&"masked"),
        sample_values: values
            .split(',')
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty())
            .collect(),
        comment: None,
        is_primary_key: words.contains(&"key"),
        references: reference.split_once('.').map(|(table, column)| (table.to_owned(), column.to_owned())),
    }
}

/// A question and what must come of it.
#[derive(Debug, Clone, Default)]
pub struct Case {
    pub question: String,
    /// The whole SQL.
    pub sql: Option<String>,
    /// Parts that the explanation must have.
    pub says: Vec<String>,
    /// `phrase = meaning`
    pub understood: Vec<String>,
    /// The answer, each row as cells.
    pub rows: Option<Vec<Vec<String>>>,
    /// The words that must be named as not understood; a single `-` for none.
    pub unknown: Option<Vec<String>>,
    /// Parts that the message of the failure must have.
    pub error: Vec<String>,
    /// Suggestions that must be offered.
    pub suggests: Vec<String>,
}

/// The cases of a file. A line starts with what it is: `?` the question, `sql`, `says`,
/// `understood`, `rows` (with the rows below it, each behind `>`), `unknown`, `error`,
/// `suggests`; `#` is a comment.
pub fn cases(name: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in lines(&folder().join(format!("{name}.txt"))) {
        let line = line.trim();
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let list = || rest.split(',').map(|word| word.trim().to_owned()).filter(|word| word != "-").collect();
        if word == "?" {
            cases.push(Case { question: rest.to_owned(), ..Case::default() });
            continue;
        }
        if word.is_empty() || word == "#" {
            continue;
        }
        let case = cases.last_mut().unwrap_or_else(|| panic!("{name}: {line}: before any question"));
        match word {
            "sql" => case.sql = Some(rest.to_owned()),
            "says" => case.says.push(rest.to_owned()),
            "understood" => case.understood.push(rest.to_owned()),
            "rows" => case.rows = Some(vec![]),
            ">" => case.rows.get_or_insert_default().push(cells(rest)),
            "unknown" => case.unknown = Some(list()),
            "error" => case.error.push(rest.to_owned()),
            "suggests" => case.suggests.push(rest.to_owned()),
            other => panic!("{name}: unknown line {other}"),
        }
    }
    cases
}
