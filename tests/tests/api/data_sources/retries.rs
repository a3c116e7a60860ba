//! `max_retries`: what could not be reached is tried again; what has begun is not.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicUsize, Ordering},
};

use rivergen_tests::{Organization, PostgresDatabase, Server, on_both_databases};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::of;

on_both_databases! {
    a_connection_that_is_dropped_is_tried_again;
    so_often_and_no_more;
    a_result_that_breaks_off_is_not_asked_for_again;
}

/// Something between the server and its source that drops connections.
struct Gate {
    port: u16,
    connections: Arc<AtomicUsize>,
    /// How many of the next connections are dropped at once.
    drops: Arc<AtomicI64>,
    /// After how many bytes of answers a connection is cut.
    cut_after: Arc<AtomicUsize>,
}

impl Gate {
    async fn before(database: &PostgresDatabase) -> Self {
        let source = database.source("W");
        let target = format!("{}:{}", source["host"].as_str().unwrap(), source["port"]);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gate = Self {
            port: listener.local_addr().unwrap().port(),
            connections: Arc::default(),
            drops: Arc::default(),
            cut_after: Arc::new(AtomicUsize::new(usize::MAX)),
        };
        let (connections, drops, cut_after) = (gate.connections.clone(), gate.drops.clone(), gate.cut_after.clone());
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                connections.fetch_add(1, Ordering::SeqCst);
                if drops.fetch_sub(1, Ordering::SeqCst) > 0 {
                    continue;
                }
                let server = TcpStream::connect(&target).await.unwrap();
                tokio::spawn(pass(client, server, cut_after.clone()));
            }
        });
        gate
    }

    /// Drops the next connections, and forgets those before.
    fn drop_next(&self, connections: i64) {
        self.drops.store(connections, Ordering::SeqCst);
        self.connections.store(0, Ordering::SeqCst);
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// The database through the gate, registered.
    async fn register(&self, acme: &Organization, database: &PostgresDatabase, name: &str, max_retries: u32) -> i64 {
        let mut source = database.source(name);
        source["host"] = json!("127.0.0.1");
        source["port"] = json!(self.port);
        source["max_retries"] = json!(max_retries);
        let id = acme.admin.register(source).await;
        assert_eq!(acme.admin.checked(id).await["status"], "active");
        id
    }
}

/// Passes bytes both ways, until so many have come from the server.
async fn pass(client: TcpStream, server: TcpStream, cut_after: Arc<AtomicUsize>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let requests = tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
    let (mut passed, mut buffer) = (0, vec![0; 16 * 1024]);
    while let Ok(length @ 1..) = from_server.read(&mut buffer).await {
        passed += length;
        if passed > cut_after.load(Ordering::SeqCst) || to_client.write_all(&buffer[..length]).await.is_err() {
            break;
        }
    }
    requests.abort();
}

/// Drops the sessions that are open, so that the next query needs a new one.
async fn close(acme: &Organization, id: i64) {
    acme.admin.client.patch(&of(id, ""), json!({"description": format!("{:x}", rand::random::<u32>())})).await.ok();
}

fn rows() -> Value {
    json!({"query": "SELECT sku FROM stock"})
}

async fn a_connection_that_is_dropped_is_tried_again(server: &Server) {
    let acme = server.organization("Acme").await;
    let database = PostgresDatabase::empty().await;
    database.execute("CREATE TABLE stock (sku text)").await;
    let gate = Gate::before(&database).await;
    let id = gate.register(&acme, &database, "W", 3).await;
    close(&acme, id).await;
    gate.drop_next(2);
    acme.viewer.query_with(id, rows()).await.ok();
    assert_eq!(gate.connections(), 3);
    // So is the start of a discovery.
    close(&acme, id).await;
    gate.drop_next(1);
    acme.admin.client.post_empty(&of(id, "/discover-schema?refresh=true")).await.ok();
    assert_eq!(gate.connections(), 2);
    // A test says how it is now.
    gate.drop_next(1);
    let data = acme.admin.client.post_empty(&of(id, "/test")).await.ok();
    assert_eq!((data["connection_successful"].as_bool(), gate.connections()), (Some(false), 1));
    database.remove().await;
}

async fn so_often_and_no_more(server: &Server) {
    let acme = server.organization("Acme").await;
    let database = PostgresDatabase::empty().await;
    database.execute("CREATE TABLE stock (sku text)").await;
    let gate = Gate::before(&database).await;
    let (never, once) =
        (gate.register(&acme, &database, "Never", 0).await, gate.register(&acme, &database, "Once", 1).await);
    for (id, attempts) in [(never, 1), (once, 2)] {
        close(&acme, id).await;
        gate.drop_next(9);
        acme.viewer.query_with(id, rows()).await.error(502, "CONNECTION_ERROR");
        assert_eq!(gate.connections(), attempts);
    }
    // Credentials that are refused are not tried again.
    gate.drop_next(0);
    acme.admin.client.patch(&of(once, "/credentials"), json!({"username": "nobody_at_all"})).await.ok();
    acme.admin.checked(once).await;
    gate.drop_next(0);
    acme.admin.client.post_empty(&of(once, "/discover-schema?refresh=true")).await.error(502, "CONNECTION_ERROR");
    assert_eq!(gate.connections(), 1);
    database.remove().await;
}

async fn a_result_that_breaks_off_is_not_asked_for_again(server: &Server) {
    let acme = server.organization("Acme").await;
    let database = PostgresDatabase::empty().await;
    database.execute("CREATE TABLE stock AS SELECT repeat('x', 500) AS sku FROM generate_series(1, 9000)").await;
    let gate = Gate::before(&database).await;
    let id = gate.register(&acme, &database, "W", 3).await;
    close(&acme, id).await;
    gate.drop_next(0);
    gate.cut_after.store(1_000_000, Ordering::SeqCst);
    let query = json!({"query": "SELECT sku FROM stock", "max_rows": 10_000});
    acme.viewer.query_with(id, query.clone()).await.error(502, "CONNECTION_ERROR");
    // One for the query, and one to cancel it at the source.
    assert!(gate.connections() <= 2, "{}", gate.connections());
    gate.cut_after.store(usize::MAX, Ordering::SeqCst);
    assert_eq!(acme.viewer.query_with(id, query).await.ok()["row_count"], 9000);
    database.remove().await;
}
