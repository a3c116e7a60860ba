//! Sets of questions in the formats in which they are published.
//!
//! | format | questions | databases |
//! | --- | --- | --- |
//! | Spider | `dev.json`: `question`, `query`, `db_id`, `sql` | `tables.json`, `database/<db_id>/<db_id>.sqlite` |
//! | WikiSQL | `dev.jsonl`: `question`, `table_id`, `sql` with `sel`, `agg`, `conds` | `dev.tables.jsonl` |
//! | CSV | columns `question`, `query`, `db_name`; one whose query is empty or reads no table cannot be answered | `<db_name>.sql`, `.sqlite`, or in a folder of that name |

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::Value;

use super::{Database, EvalError, database::Described, difficulty};

/// Columns of a choice at most.
const MOST_CHOICES: usize = 5;

/// A question.
#[derive(Debug, Clone)]
pub struct Case {
    pub question: String,
    pub gold: Gold,
    pub database: String,
    pub difficulty: String,
}

/// The right answer.
#[derive(Debug, Clone)]
pub enum Gold {
    /// In SQLite's SQL.
    Sqlite(String),
    /// In the SQL of the engine, which is close to PostgreSQL's: any of them will do.
    Engine(Vec<String>),
    /// WikiSQL's: one column, aggregated or not, under conditions.
    Sketch(Sketch),
    /// The data cannot answer it.
    None,
}

/// WikiSQL's form of a query over one table.
#[derive(Debug, Clone, Deserialize)]
pub struct Sketch {
    pub sel: usize,
    pub agg: usize,
    pub conds: Vec<(usize, usize, Value)>,
}

/// Questions and where their databases are.
pub struct Suite {
    pub cases: Vec<Case>,
    databases: Databases,
}

enum Databases {
    /// SQLite files in folders of their names, with what is said of them.
    Spider {
        folder: PathBuf,
        described: HashMap<String, Described>,
    },
    WikiSql(BTreeMap<String, WikiTable>),
    /// Dumps or SQLite files beside one another.
    Files(PathBuf),
}

/// A table of WikiSQL.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct WikiTable {
    pub id: String,
    pub header: Vec<String>,
    pub types: Vec<String>,
    pub rows: Vec<Vec<Value>>,
}

#[derive(Deserialize)]
struct SpiderQuestion {
    db_id: String,
    question: String,
    query: String,
    #[serde(default)]
    sql: Value,
}

#[derive(Deserialize)]
struct WikiQuestion {
    question: String,
    table_id: String,
    sql: Sketch,
}

#[derive(Deserialize)]
struct CsvQuestion {
    question: String,
    #[serde(default)]
    query: String,
    #[serde(alias = "database")]
    db_name: String,
    #[serde(default, alias = "query_category")]
    difficulty: String,
}

fn read(path: &Path) -> Result<String, EvalError> {
    fs::read_to_string(path).map_err(|error| EvalError::new(path, error))
}

/// The queries that a gold query stands for: in `SELECT {a, b}` any of the columns will do, alone or together, and `{}` later
/// in it stands for the same. One that reads no table says that the data has no answer.
fn spelled_out(query: &str) -> Vec<String> {
    let query = query.trim();
    if !query.to_lowercase().contains("from") {
        return Vec::new();
    }
    let Some((before, rest)) = query.split_once('{') else { return vec![query.to_owned()] };
    let Some((inside, after)) = rest.split_once('}') else { return vec![query.to_owned()] };
    let columns: Vec<&str> =
        inside.split(',').map(str::trim).filter(|column| !column.is_empty()).take(MOST_CHOICES).collect();
    let subsets = (1_u32..1 << columns.len()).map(|chosen| {
        let own = columns.iter().enumerate().filter(|(index, _)| chosen & (1 << index) != 0).map(|(_, column)| *column);
        own.collect::<Vec<_>>().join(", ")
    });
    subsets.map(|own| format!("{before}{own}{}", after.replace("{}", &own))).collect()
}

/// One JSON value a line.
fn lines<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Vec<T>, EvalError> {
    let text = read(path)?;
    let parse = |line: &str| serde_json::from_str(line).map_err(|error| EvalError::new(path, error));
    text.lines().filter(|line| !line.trim().is_empty()).map(parse).collect()
}

impl Suite {
    /// Spider's, of the folder that has its `tables.json`.
    pub fn spider(folder: &Path, questions: &str) -> Result<Self, EvalError> {
        let path = folder.join(questions);
        let questions: Vec<SpiderQuestion> =
            serde_json::from_str(&read(&path)?).map_err(|error| EvalError::new(&path, error))?;
        let path = folder.join("tables.json");
        let tables: Vec<Value> = serde_json::from_str(&read(&path)?).map_err(|error| EvalError::new(&path, error))?;
        let described = tables.iter().map(|tables| (name(&tables["db_id"]), Described::of_spider(tables))).collect();
        let case = |question: SpiderQuestion| Case {
            difficulty: difficulty::of_spider(&question.sql).to_owned(),
            gold: Gold::Sqlite(question.query),
            question: question.question,
            database: question.db_id,
        };
        let cases = questions.into_iter().map(case).collect();
        Ok(Self { cases, databases: Databases::Spider { folder: folder.join("database"), described } })
    }

    /// WikiSQL's questions, `dev.jsonl`, with the tables beside them, `dev.tables.jsonl`.
    pub fn wikisql(questions: &Path) -> Result<Self, EvalError> {
        let tables: Vec<WikiTable> = lines(&questions.with_extension("tables.jsonl"))?;
        let case = |question: WikiQuestion| Case {
            difficulty: if question.sql.agg == 0 { "plain" } else { "aggregate" }.to_owned(),
            gold: Gold::Sketch(question.sql),
            question: question.question,
            database: question.table_id,
        };
        let cases = lines(questions)?.into_iter().map(case).collect();
        let tables = tables.into_iter().map(|table| (table.id.clone(), table)).collect();
        Ok(Self { cases, databases: Databases::WikiSql(tables) })
    }

    /// Questions of a CSV file, with databases in a folder: the file's own, if none is named.
    pub fn csv(questions: &Path, databases: Option<&Path>) -> Result<Self, EvalError> {
        let fault = |error: csv::Error| EvalError::new(questions, error);
        let mut reader = csv::Reader::from_path(questions).map_err(fault)?;
        let mut cases = Vec::new();
        for question in reader.deserialize::<CsvQuestion>() {
            let question = question.map_err(fault)?;
            let queries: Vec<String> = question.query.split(';').flat_map(spelled_out).collect();
            cases.push(Case {
                difficulty: if question.difficulty.is_empty() { "plain".to_owned() } else { question.difficulty },
                gold: if queries.is_empty() { Gold::None } else { Gold::Engine(queries) },
                question: question.question,
                database: question.db_name,
            });
        }
        let beside = questions.parent().unwrap_or(Path::new(".")).to_owned();
        Ok(Self { cases, databases: Databases::Files(databases.map_or(beside, Path::to_owned)) })
    }

    /// Only so many of its questions, evenly from all of it.
    pub fn sampled(mut self, most: usize) -> Self {
        let all = self.cases.len();
        if most > 0 && most < all {
            let mut index = 0;
            self.cases.retain(|_| {
                let chosen = (index * most / all) != ((index + 1) * most / all);
                index += 1;
                chosen
            });
        }
        self
    }

    pub(super) async fn open(&self, name: &str) -> Result<Database, EvalError> {
        match &self.databases {
            Databases::Spider { folder, described } => {
                let path = folder.join(name).join(format!("{name}.sqlite"));
                Database::of_sqlite(name, &path, described.get(name)).await
            }
            Databases::WikiSql(tables) => {
                let table = tables.get(name).ok_or_else(|| EvalError::new(name, "there is no such table"))?;
                Database::of_wikisql(table).await
            }
            Databases::Files(folder) => {
                let places = [folder.clone(), folder.join(name)];
                for place in &places {
                    let (dump, file) = (place.join(format!("{name}.sql")), place.join(format!("{name}.sqlite")));
                    if file.exists() {
                        return Database::of_sqlite(name, &file, None).await;
                    }
                    if dump.exists() {
                        return Database::of_dump(name, &dump).await;
                    }
                }
                Err(EvalError::new(folder, format!("there is no {name}.sql and no {name}.sqlite")))
            }
        }
    }
}

pub(super) fn name(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_of_columns_is_each_of_them_and_all() {
        let queries = spelled_out("SELECT {a.x, a.y}, count(*) FROM a GROUP BY {}");
        assert_eq!(queries.len(), 3);
        assert_eq!(queries[0], "SELECT a.x, count(*) FROM a GROUP BY a.x");
        assert_eq!(queries[2], "SELECT a.x, a.y, count(*) FROM a GROUP BY a.x, a.y");
        assert!(spelled_out("SELECT 'there is no answer'").is_empty());
    }
}
