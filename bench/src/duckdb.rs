//! DuckDB as a yardstick, in a Python process.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use crate::{
    cores,
    engine::Timed,
    error::{BenchError, Result},
};

/// DuckDB in a Python process.
pub struct DuckDb {
    pub version: String,
    process: Child,
    queries: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl DuckDb {
    pub fn start(python: &Path, files: &[(&'static str, PathBuf)]) -> Result<Self> {
        let mut command = Command::new(python);
        command.arg("-c").arg(include_str!("duckdb_session.py")).arg(cores().to_string());
        command.args(files.iter().map(|(name, path)| format!("{name}={}", path.display())));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().map_err(|source| BenchError::Start { program: python.to_owned(), source })?;
        let (Some(queries), Some(answers)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(BenchError::DuckDb("it has no input and output".into()));
        };
        let mut duckdb = Self { version: String::new(), process, queries, answers: BufReader::new(answers) };
        duckdb.version = duckdb.answer()?["version"].as_str().unwrap_or_default().to_owned();
        Ok(duckdb)
    }

    pub fn run(&mut self, sql: &str) -> Result<Timed> {
        // One line a query.
        writeln!(self.queries, "{}", sql.split_whitespace().collect::<Vec<_>>().join(" "))?;
        self.queries.flush()?;
        let answer = self.answer()?;
        let rows = answer["rows"].as_array().into_iter().flatten();
        let rows = rows.map(|row| row.as_array().cloned().unwrap_or_default()).collect();
        let seconds = answer["seconds"].as_f64().ok_or_else(|| BenchError::DuckDb("it told no time".into()))?;
        Ok(Timed { rows, masked: Vec::new(), took: Duration::from_secs_f64(seconds) })
    }

    fn answer(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err(BenchError::DuckDb("the session ended; its error is above".into()));
        }
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for DuckDb {
    fn drop(&mut self) {
        // It is gone already, or it ends now; nothing else can be done about it here.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
