//! SQLite for the tests: each has a file of its own, copied from one that has the server's tables.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rivergen_platform::{Database, db::DatabaseConfig};

/// Puts a migrated database at the path.
pub async fn migrated(path: &Path) {
    let template = template();
    if !is_of_this_build(&template).unwrap() {
        make(&template).await;
    }
    fs::copy(template, path).unwrap();
}

/// Beside the test's program, and as old.
fn template() -> PathBuf {
    std::env::current_exe().unwrap().with_extension("template.db")
}

fn is_of_this_build(template: &Path) -> io::Result<bool> {
    let built = fs::metadata(std::env::current_exe()?)?.modified()?;
    match fs::metadata(template) {
        Ok(metadata) => Ok(metadata.modified()? >= built),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Tests that come here at once make one each; the last stays, and they are alike.
async fn make(template: &Path) {
    let folder = tempfile::tempdir_in(template.parent().unwrap()).unwrap();
    let (first, packed) = (folder.path().join("first.db"), folder.path().join("packed.db"));
    let config = DatabaseConfig { url: format!("sqlite:{}", first.display()), max_connections: 1 };
    let db = Database::connect(&config).await.unwrap();
    db.migrate(rivergen::assembly::migrations).await.unwrap();
    drop(db);
    // One file, without the log beside it.
    let connection = rusqlite::Connection::open(&first).unwrap();
    connection.execute("VACUUM INTO ?1", [packed.to_str().unwrap()]).unwrap();
    fs::rename(packed, template).unwrap();
}
