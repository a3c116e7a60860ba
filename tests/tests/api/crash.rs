//! `kill -9` in the midst of work, many times over, on the real program: it starts again, everything that was
//! acknowledged is there, and nothing is half there.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use rand::RngExt;
use reqwest::Method;
use rivergen_tests::{Answer, Binary, Client, PASSWORD};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

/// How often each kind of work is cut off: at least, at most, and how long there is for more than the least.
const LEAST: usize = 3;
const ROUNDS: usize = 8;
const BUDGET: Duration = Duration::from_secs(100);

/// What the server has acknowledged.
#[derive(Default)]
struct Acknowledged {
    signups: Vec<String>,
    files: Vec<(String, usize)>,
    sources: Vec<i64>,
    discovered: Vec<i64>,
    queries: Vec<i64>,
}

/// A folder with settings, an organization, and what was acknowledged in it.
struct World {
    folder: tempfile::TempDir,
    url: String,
    acknowledged: Arc<Mutex<Acknowledged>>,
}

/// One piece of work: does something and remembers what was acknowledged; ends when the server is gone.
type Work = fn(Client, Arc<Mutex<Acknowledged>>) -> futures::future::BoxFuture<'static, Option<()>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn during_signup() {
    World::new().torment(|client, acknowledged| Box::pin(sign_up(client, acknowledged))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn during_upload() {
    World::new().torment(|client, acknowledged| Box::pin(upload(client, acknowledged))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn during_discovery() {
    World::new().torment(|client, acknowledged| Box::pin(discover(client, acknowledged))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn during_a_query() {
    World::new().torment(|client, acknowledged| Box::pin(query(client, acknowledged))).await;
}

/// Sends to a server that dies at some time; `None` when it has.
async fn post(client: &Client, path: &str, body: Value) -> Option<Answer> {
    client.try_send(client.request(Method::POST, path).json(&body)).await.ok()
}

async fn sign_up(client: Client, acknowledged: Arc<Mutex<Acknowledged>>) -> Option<()> {
    loop {
        let email = format!("n{:016x}@new.example", rand::random::<u64>());
        let body = json!({"email": email, "password": PASSWORD});
        post(&client, "/api/v1/auth/signup", body).await?.created();
        acknowledged.lock().unwrap().signups.push(email);
    }
}

async fn upload(client: Client, acknowledged: Arc<Mutex<Acknowledged>>) -> Option<()> {
    loop {
        let size = rand::rng().random_range(1..400_000);
        let part = reqwest::multipart::Part::bytes(vec![b'x'; size]).file_name("x.csv");
        let form = reqwest::multipart::Form::new().part("file", part);
        let request = client.request(Method::POST, "/api/v1/storage/upload").multipart(form);
        let data = client.try_send(request).await.ok()?.created();
        acknowledged.lock().unwrap().files.push((data["file_path"].as_str().unwrap().to_owned(), size));
    }
}

async fn register(client: &Client, acknowledged: &Mutex<Acknowledged>) -> Option<i64> {
    let csv = b"sku,product\nP1,Lamp\nP2,Chair\n".to_vec();
    let part = reqwest::multipart::Part::bytes(csv).file_name("products.csv");
    let form = reqwest::multipart::Form::new().part("file", part);
    let request = client.request(Method::POST, "/api/v1/storage/upload").multipart(form);
    let file = client.try_send(request).await.ok()?.created();
    let body = json!({"name": format!("n{:016x}", rand::random::<u64>()), "type": "csv", "file_path": file["file_path"],
        "metadata": {"table": "products"}});
    let id = post(client, "/api/v1/data-sources", body).await?.created()["id"].as_i64().unwrap();
    acknowledged.lock().unwrap().sources.push(id);
    Some(id)
}

async fn discover(client: Client, acknowledged: Arc<Mutex<Acknowledged>>) -> Option<()> {
    loop {
        let id = register(&client, &acknowledged).await?;
        let path = format!("/api/v1/data-sources/{id}/discover-schema?refresh=true");
        let data = post(&client, &path, json!({})).await?.ok();
        assert_eq!(data["total_tables"], 1);
        acknowledged.lock().unwrap().discovered.push(id);
    }
}

async fn query(client: Client, acknowledged: Arc<Mutex<Acknowledged>>) -> Option<()> {
    let id = register(&client, &acknowledged).await?;
    let discover = format!("/api/v1/data-sources/{id}/discover-schema?refresh=true");
    post(&client, &discover, json!({})).await?.ok();
    loop {
        let body = json!({"query": "SELECT count(*) FROM products"});
        let data = post(&client, &format!("/api/v1/data-sources/{id}/query"), body).await?.ok();
        assert_eq!(data["rows"], json!([[2]]));
        acknowledged.lock().unwrap().queries.push(data["query_id"].as_i64().unwrap());
    }
}

impl World {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("rivergen-crash-").tempdir().unwrap();
        let url = Binary::configure(folder.path());
        Binary::provision_acme(folder.path());
        Self { folder, url, acknowledged: Arc::default() }
    }

    /// Starts the server, works, kills it; over and over. At the end it starts once more.
    async fn torment(self, work: Work) {
        let started = Instant::now();
        let mut rounds = 0;
        while rounds < LEAST || (rounds < ROUNDS && (self.done() == 0 || started.elapsed() < BUDGET)) {
            let server = Binary::serve(self.folder.path(), &self.url).await;
            self.verify().await;
            let owner = self.owner().await;
            let workers: Vec<_> =
                (0..3).map(|_| tokio::spawn(work(owner.clone(), self.acknowledged.clone()))).collect();
            let delay = rand::rng().random_range(50..1_500);
            tokio::time::sleep(Duration::from_millis(delay)).await;
            server.kill().await;
            for worker in workers {
                // A refusal or a wrong answer panics in the worker.
                worker.await.unwrap();
            }
            rounds += 1;
        }
        let server = Binary::serve(self.folder.path(), &self.url).await;
        self.verify().await;
        server.terminate();
        assert!(server.ended().await.success());

        let output = Binary::run(self.folder.path(), &["audit", "verify"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let count = self.done();
        assert!(count > 0, "{rounds} kills, and nothing was acknowledged before any of them");
        println!("{rounds} kills, {count} acknowledgements, all kept");
    }

    /// How much has been acknowledged.
    fn done(&self) -> usize {
        let done = self.acknowledged.lock().unwrap();
        done.signups.len() + done.files.len() + done.sources.len() + done.queries.len()
    }

    async fn owner(&self) -> Client {
        Binary::acme_owner(&self.url).await
    }

    /// Everything acknowledged is there, by the API; nothing is half there, by the database.
    async fn verify(&self) {
        let owner = self.owner().await;
        let (signups, files, discovered) = {
            let done = self.acknowledged.lock().unwrap();
            (done.signups.clone(), done.files.clone(), done.discovered.clone())
        };
        // The latest are those that the kill could have taken.
        for email in signups.iter().rev().take(10) {
            let login = json!({"email": email, "password": PASSWORD});
            let data = owner.anonymous().post("/api/v1/auth/login", login).await.ok();
            assert_eq!(data["email_verification_required"], true, "{data}");
        }
        for id in discovered.iter().rev().take(3) {
            let source = owner.get(&format!("/api/v1/data-sources/{id}")).await.ok();
            assert!(!source["schema_discovered_at"].is_null(), "{source}");
            let body = json!({"query": "SELECT product FROM products ORDER BY sku"});
            let data = owner.post(&format!("/api/v1/data-sources/{id}/query"), body).await.ok();
            assert_eq!(data["rows"], json!([["Lamp"], ["Chair"]]));
        }
        let listed = owner.get("/api/v1/storage/files?page_size=100").await.ok();
        let listed = listed["items"].as_array().unwrap();
        for (path, size) in files.iter().rev().take(20) {
            let item = listed.iter().find(|item| item["object_name"] == *path);
            assert_eq!(item.and_then(|item| item["size_bytes"].as_u64()), Some(*size as u64), "{path} is lost");
        }
        self.verify_database();
    }

    fn verify_database(&self) {
        let data = self.folder.path().join("data");
        let database = Connection::open_with_flags(data.join("rivergen.db"), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let count = |sql: &str| database.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        let done = self.acknowledged.lock().unwrap();
        for (sql, what) in [
            (
                "SELECT count(*) FROM users WHERE id NOT IN (SELECT user_id FROM user_emails)",
                "accounts without an address",
            ),
            (
                "SELECT count(*) FROM users WHERE id NOT IN (SELECT user_id FROM role_assignments)",
                "accounts without a role",
            ),
            (
                "SELECT count(*) FROM organizations WHERE id NOT IN (SELECT organization_id FROM workspaces)",
                "organizations without a workspace",
            ),
            ("SELECT count(*) FROM query_runs WHERE status = 'running'", "queries that nobody runs"),
            (
                "SELECT count(*) FROM storage_usage u WHERE used_bytes <> (SELECT coalesce(sum(size_bytes), 0) \
                 FROM storage_files f WHERE f.organization_id = u.organization_id AND f.state = 'stored')",
                "sums of storage that are wrong",
            ),
            (
                "SELECT count(*) FROM data_sources WHERE schema_discovered_at IS NOT NULL \
                 AND id NOT IN (SELECT data_source_id FROM data_source_tables)",
                "discovered sources without tables",
            ),
        ] {
            assert_eq!(count(sql), 0, "{what}");
        }
        let unverified = count("SELECT count(*) FROM user_emails WHERE verified_at IS NULL");
        assert!(unverified >= i64::try_from(done.signups.len()).unwrap());
        let sources = count("SELECT count(*) FROM data_sources");
        assert!(sources >= i64::try_from(done.sources.len()).unwrap());
        for id in &done.queries {
            let status: String =
                database.query_row("SELECT status FROM query_runs WHERE id = ?1", [id], |row| row.get(0)).unwrap();
            assert_eq!(status, "succeeded");
        }
        stored_files_lie_in_the_store(&database, &data);
    }
}

fn stored_files_lie_in_the_store(database: &Connection, data: &Path) {
    let mut statement = database.prepare("SELECT object_name FROM storage_files WHERE state = 'stored'").unwrap();
    for path in statement.query_map([], |row| row.get::<_, String>(0)).unwrap() {
        let path = data.join("files").join(path.unwrap());
        assert!(path.exists(), "{} is lost", path.display());
    }
}
