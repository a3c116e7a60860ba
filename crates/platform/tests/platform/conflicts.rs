//! Who gives way to another in the database may come again: 503 with `Retry-After`, and nothing of it was done.

use std::time::Duration;

use rivergen_kernel::{Error, ErrorCode};
use rivergen_platform::Transaction;
use sea_orm::{ConnectionTrait, DbErr, SqlxSqliteConnector, Statement, sqlx::sqlite::SqlitePoolOptions};

use crate::database::TestDatabase;

fn may_come_again(error: impl Into<Error>) {
    let error = error.into();
    assert_eq!(error.code, ErrorCode::ServiceUnavailable, "{error:?}");
    assert!(error.retry_after.is_some(), "{error:?}");
}

/// Two rows.
async fn pair(test: &TestDatabase) {
    test.sql("CREATE TABLE pair (id integer PRIMARY KEY, n integer NOT NULL)").await.unwrap();
    test.sql("INSERT INTO pair VALUES (1, 0), (2, 0)").await.unwrap();
}

async fn set(tx: &Transaction, id: i64, n: i64) -> Result<(), DbErr> {
    tx.conn().execute_unprepared(&format!("UPDATE pair SET n = {n} WHERE id = {id}")).await.map(drop)
}

async fn numbers(test: &TestDatabase) -> Vec<i32> {
    let sql = Statement::from_string(test.db.backend(), "SELECT n FROM pair ORDER BY id");
    let rows = test.db.read().query_all_raw(sql).await.unwrap();
    rows.iter().map(|row| row.try_get("", "n").unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_that_wait_for_each_other_one_may_come_again() {
    let Some(test) = TestDatabase::postgres().await else { return };
    pair(&test).await;
    let (one, two) = (test.db.begin().await.unwrap(), test.db.begin().await.unwrap());
    set(&one, 1, 1).await.unwrap();
    set(&two, 2, 2).await.unwrap();
    let both = tokio::join!(set(&one, 2, 1), set(&two, 1, 2));
    let (won, lost, number) = match both {
        (Ok(()), Err(error)) => (one, error, 1),
        (Err(error), Ok(())) => (two, error, 2),
        both => panic!("no deadlock: {both:?}"),
    };
    assert!(lost.to_string().contains("deadlock"), "{lost}");
    may_come_again(lost);
    won.commit().await.unwrap();
    assert_eq!(numbers(&test).await, [number, number], "nothing is left of the other");
    test.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cannot_be_put_in_a_row_with_another_may_come_again() {
    let Some(test) = TestDatabase::postgres().await else { return };
    pair(&test).await;
    let late = test.db.begin().await.unwrap();
    late.conn().execute_unprepared("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").await.unwrap();
    late.conn().execute_unprepared("SELECT n FROM pair").await.unwrap();
    test.sql("UPDATE pair SET n = 1").await.unwrap();
    may_come_again(set(&late, 1, 2).await.unwrap_err());
    drop(late);
    assert_eq!(numbers(&test).await, [1, 1]);
    test.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_finds_the_file_taken_may_come_again() {
    let test = TestDatabase::sqlite().await;
    pair(&test).await;
    let other = test.another_node().await;
    // Its one writing connection: or the test would wait as long as a server does.
    let tx = other.begin().await.unwrap();
    tx.conn().execute_unprepared("PRAGMA busy_timeout = 20").await.unwrap();
    tx.commit().await.unwrap();

    let holder = test.db.begin().await.unwrap();
    set(&holder, 1, 1).await.unwrap();
    let refused = other.begin().await.err().expect("there is one writer");
    may_come_again(refused);
    holder.commit().await.unwrap();
    let again = other.begin().await.unwrap();
    set(&again, 2, 2).await.unwrap();
    again.commit().await.unwrap();
    assert_eq!(numbers(&test).await, [1, 2]);
}

#[tokio::test]
async fn who_gets_no_connection_in_time_may_come_again() {
    let one = SqlitePoolOptions::new().max_connections(1).acquire_timeout(Duration::from_millis(20));
    let pool = one.connect("sqlite::memory:").await.unwrap();
    let held = pool.acquire().await.unwrap();
    let db = SqlxSqliteConnector::from_sqlx_sqlite_pool(pool);
    may_come_again(db.execute_unprepared("SELECT 1").await.unwrap_err());
    drop(held);
    db.execute_unprepared("SELECT 1").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_asked_wrongly_is_still_a_failure_of_ours() {
    let test = TestDatabase::sqlite().await;
    let error = test.sql("UPDATE nothing SET n = 1").await.unwrap_err();
    assert_eq!(Error::from(error).code, ErrorCode::InternalError);
}
