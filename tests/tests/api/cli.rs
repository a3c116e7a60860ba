//! The command line of the real program.

use std::{process::Output, time::Duration};

use rivergen_local_model::tiny::Tiny;
use rivergen_tests::{Binary, Client, PASSWORD, eventually, fixtures, mmdb};
use serde_json::{Value, json};

fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("rivergen-cli-").tempdir().unwrap()
}

#[track_caller]
pub fn succeeded(output: Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{errors}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
pub fn failed(output: Output) -> String {
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).unwrap()
}

/// `UPDATE=1` writes the document anew.
#[test]
fn the_openapi_document_in_docs_is_the_servers() {
    let folder = folder();
    let printed = succeeded(Binary::run(folder.path(), &["openapi"]));
    let document: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(document["info"]["title"], "RiverGen");
    let kept = rivergen_tests::manifest_dir().join("../docs/openapi.json");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&kept, &printed).unwrap();
    }
    let kept = std::fs::read_to_string(&kept).unwrap_or_default();
    assert!(kept == printed, "docs/openapi.json is not what `rivergen openapi` prints: run `make openapi`");
    // It needs neither settings nor a database, and leaves nothing behind.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn help_names_the_commands() {
    let folder = folder();
    let help = succeeded(Binary::run(folder.path(), &["--help"]));
    for word in [
        "serve",
        "demo",
        "migrate",
        "provision",
        "openapi",
        "check-config",
        "eval",
        "people",
        "keys",
        "audit",
        "vault",
        "--config",
        "Examples",
    ] {
        assert!(help.contains(word), "{word} is not in the help:\n{help}");
    }
    let demo = succeeded(Binary::run(folder.path(), &["demo", "--help"]));
    assert!(demo.contains("--rows") && demo.contains("--listen") && demo.contains("--dir"), "{demo}");
    succeeded(Binary::run(folder.path(), &["--version"]));
    let unknown = failed(Binary::run(folder.path(), &["serv"]));
    assert!(unknown.contains("serve"), "{unknown}");
}

#[test]
fn check_config_names_what_is_wrong() {
    let folder = folder();
    // No file is needed.
    succeeded(Binary::run(folder.path(), &["check-config"]));
    let check = |settings: &str| {
        std::fs::write(folder.path().join("rivergen.toml"), settings).unwrap();
        Binary::run(folder.path(), &["check-config"])
    };
    succeeded(check(""));
    for (settings, key) in [
        ("[server]\nlissten = \"127.0.0.1:1\"", "lissten"),
        ("[server]\nlisten = \"nowhere\"", "listen"),
        ("[query]\nmax_rows = \"many\"", "max_rows"),
        ("[database]\nurl = \"mysql://x\"", "database.url"),
        ("[planner]\nkind = \"chat\"", "planner"),
        ("this is no TOML", "TOML"),
    ] {
        let told = failed(check(settings));
        assert!(told.contains(key), "{key} is not named: {told}");
        assert!(told.lines().count() <= 6, "{told}");
    }
    let missing = failed(Binary::run(folder.path(), &["check-config", "--config", "missing.toml"]));
    assert!(missing.contains("missing.toml"), "{missing}");
    // Secrets are not shown; the environment wins.
    let mut command = Binary::command(folder.path(), &["check-config"]);
    std::fs::write(folder.path().join("rivergen.toml"), "[vault]\nkey = \"hunter2\"").unwrap();
    let shown = succeeded(command.env("RIVERGEN_SERVER__LISTEN", "127.0.0.1:4321").output().unwrap());
    assert!(shown.contains("127.0.0.1:4321") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn a_database_of_countries_that_cannot_be_read_stops_the_start() {
    let folder = folder();
    Binary::configure(folder.path());
    let file = folder.path().join("rivergen.toml");
    let settings = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{settings}[geoip]\ndatabase = \"countries.mmdb\"\n")).unwrap();
    let missing = failed(Binary::run(folder.path(), &["serve"]));
    assert!(missing.contains("geoip.database, countries.mmdb: No such file"), "{missing}");
    for (content, reason) in [(b"nonsense".to_vec(), "MaxMind"), (mmdb::of_countries(&[]), "names no country")] {
        std::fs::write(folder.path().join("countries.mmdb"), content).unwrap();
        let broken = failed(Binary::run(folder.path(), &["serve"]));
        assert!(broken.contains("geoip.database, countries.mmdb: ") && broken.contains(reason), "{broken}");
    }
}

#[test]
fn the_printed_defaults_are_settings() {
    let folder = folder();
    let defaults = succeeded(Binary::run(folder.path(), &["check-config", "--defaults"]));
    std::fs::write(folder.path().join("rivergen.toml"), &defaults).unwrap();
    succeeded(Binary::run(folder.path(), &["check-config"]));
}

#[test]
fn migrate_and_provision_can_be_repeated() {
    let folder = folder();
    Binary::configure(folder.path());
    for _ in 0..2 {
        let said = succeeded(Binary::run(folder.path(), &["migrate"]));
        assert!(said.contains("up to date"), "{said}");
    }
    let acme = format!(
        "name = \"Acme\"\n[[people]]\nemail = \"owner@acme.example\"\npassword = \"{PASSWORD}\"\nrole = \"Owner\"\n"
    );
    std::fs::write(folder.path().join("acme.toml"), &acme).unwrap();
    let first = succeeded(Binary::run(folder.path(), &["provision", "acme.toml"]));
    assert!(first.contains("is provisioned"), "{first}");
    let second = succeeded(Binary::run(folder.path(), &["provision", "acme.toml"]));
    assert!(second.contains("complete already"), "{second}");
    let more =
        format!("{acme}[[people]]\nemail = \"viewer@acme.example\"\npassword = \"{PASSWORD}\"\nrole = \"Viewer\"\n");
    std::fs::write(folder.path().join("acme.toml"), more).unwrap();
    let third = succeeded(Binary::run(folder.path(), &["provision", "acme.toml"]));
    assert!(third.contains("is provisioned") && third.contains("2 people"), "{third}");
    let verified = succeeded(Binary::run(folder.path(), &["audit", "verify"]));
    assert!(verified.contains("none was changed"), "{verified}");

    for (text, word) in [
        ("name = \"Globex\"\npeople = []\n", "Owner"),
        ("name = \"Globex\"\n[[people]]\nemail = \"x@globex.example\"\nrole = \"King\"\n", "King"),
        (
            "name = \"Globex\"\n[[people]]\nemail = \"x@globex.example\"\ndisplay_name = \" \"\nrole = \"Owner\"\n",
            "people[0].display_name",
        ),
        ("nam = \"Globex\"\n", "nam"),
    ] {
        std::fs::write(folder.path().join("bad.toml"), text).unwrap();
        let told = failed(Binary::run(folder.path(), &["provision", "bad.toml"]));
        assert!(told.contains(word), "{word} is not named: {told}");
    }
    let missing = failed(Binary::run(folder.path(), &["provision", "missing.toml"]));
    assert!(missing.contains("missing.toml"), "{missing}");
}

#[test]
fn create_owner_makes_and_raises_owners() {
    let folder = folder();
    Binary::configure(folder.path());
    let person =
        |role: &str| format!("[[people]]\nemail = \"{}@acme.example\"\nrole = \"{role}\"\n", role.to_lowercase());
    let acme = format!("name = \"Acme\"\n{}{}{}", person("Owner"), person("Viewer"), person("Developer"));
    std::fs::write(folder.path().join("acme.toml"), acme).unwrap();
    succeeded(Binary::run(folder.path(), &["provision", "acme.toml"]));
    let create = |email: &str| Binary::run(folder.path(), &["people", "create-owner", email, "--organization", "acme"]);
    let database = rusqlite::Connection::open(folder.path().join("data/rivergen.db")).unwrap();
    let roles = |email: &str| -> Vec<String> {
        let sql = "SELECT roles.name FROM role_assignments JOIN roles ON roles.id = role_assignments.role_id \
                   JOIN memberships ON memberships.user_id = role_assignments.user_id \
                   WHERE memberships.email = ?1 AND role_assignments.expires_at IS NULL ORDER BY roles.name";
        let mut statement = database.prepare(sql).unwrap();
        statement.query_map([email], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let given = || -> i64 {
        let sql = "SELECT count(*) FROM audit_log WHERE action = 'role.assign' AND actor_user_id IS NULL \
                   AND details NOT LIKE '%\"joined\"%'";
        database.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    let said = succeeded(create("new@acme.example"));
    assert!(said.contains("is an owner of acme.") && said.contains("Set a password"), "{said}");
    assert_eq!((roles("new@acme.example"), given()), (vec!["Owner".to_owned()], 0));
    // A member is raised, with a record, and keeps what they had.
    let said = succeeded(create("viewer@acme.example"));
    assert!(said.contains("is an owner of it now"), "{said}");
    assert_eq!((roles("viewer@acme.example"), given()), (vec!["Owner".to_owned(), "Viewer".to_owned()], 1));
    for email in ["viewer@acme.example", "owner@acme.example"] {
        let said = succeeded(create(email));
        assert!(said.contains("nothing was changed"), "{said}");
    }
    assert_eq!(given(), 1);
    // What was lent is given for good.
    let lend = "UPDATE role_assignments SET expires_at = '2100-01-01T00:00:00+00:00' \
                WHERE role_id = (SELECT id FROM roles WHERE name = 'Owner') \
                AND user_id = (SELECT user_id FROM memberships WHERE email = 'viewer@acme.example')";
    assert_eq!(database.execute(lend, []).unwrap(), 1);
    succeeded(create("viewer@acme.example"));
    assert_eq!((roles("viewer@acme.example").len(), given()), (2, 2));
    // Nobody is given anything while they are locked out, and nothing of an organization that is closed.
    let suspend = "UPDATE memberships SET status = 'suspended' WHERE email = 'developer@acme.example'";
    assert_eq!(database.execute(suspend, []).unwrap(), 1);
    let told = failed(create("developer@acme.example"));
    assert!(told.contains("suspended"), "{told}");
    assert_eq!(database.execute("UPDATE organizations SET deleted_at = created_at", []).unwrap(), 1);
    for email in ["viewer@acme.example", "other@acme.example"] {
        let told = failed(create(email));
        assert!(told.contains("is deleted"), "{told}");
    }
    let verified = succeeded(Binary::run(folder.path(), &["audit", "verify"]));
    assert!(verified.contains("none was changed"), "{verified}");
}

#[test]
fn audit_verify_finds_what_was_changed() {
    let folder = folder();
    Binary::configure(folder.path());
    Binary::provision_acme(folder.path());
    let database = rusqlite::Connection::open(folder.path().join("data/rivergen.db")).unwrap();
    let change = "UPDATE audit_log SET action = 'nothing'";
    assert!(database.execute(change, []).is_err(), "the log is append-only");
    let mut triggers =
        database.prepare("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit_log'").unwrap();
    let names: Vec<String> = triggers.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    for name in names {
        database.execute_batch(&format!("DROP TRIGGER {name}")).unwrap();
    }
    database.execute(change, []).unwrap();
    let output = Binary::run(folder.path(), &["audit", "verify"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("tampered"));
}

#[test]
fn an_exported_log_is_verified_without_settings_and_database() {
    let folder = folder();
    Binary::configure(folder.path());
    let acme = "name = \"Acme\"\n[[people]]\nemail = \"owner@acme.example\"\nrole = \"Owner\"\n";
    std::fs::write(folder.path().join("acme.toml"), acme).unwrap();
    succeeded(Binary::run(folder.path(), &["provision", "acme.toml"]));
    let export = |arguments: &[&str]| -> Vec<String> {
        let output = Binary::run(folder.path(), &[&["audit", "export"], arguments].concat());
        succeeded(output).lines().map(str::to_owned).collect()
    };
    let elsewhere = self::folder();
    std::fs::write(elsewhere.path().join("rivergen.toml"), "no settings").unwrap();
    let verify = |lines: &[String], arguments: &[&str]| {
        std::fs::write(elsewhere.path().join("audit.jsonl"), lines.join("\n")).unwrap();
        let command = [&["audit", "verify", "--file", "audit.jsonl"], arguments].concat();
        Binary::run(elsewhere.path(), &command)
    };

    let all = export(&[]);
    let told = succeeded(verify(&all, &[]));
    let heads: Vec<Value> = all.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let heads: Vec<&Value> = heads.iter().filter(|line| line["type"] == "head").collect();
    let [system, organization] = heads[..] else { panic!("{heads:?}") };
    for (name, head) in [("system", system), ("organization 1", organization)] {
        let end = format!("{name}: record {}, {}", head["sequence"], head["hash"].as_str().unwrap());
        assert!(told.contains(&end), "{end} is not in {told}");
    }
    let of_acme = export(&["--organization", "1"]);
    assert!(of_acme.iter().all(|line| line.contains("\"chain\":1,")), "{of_acme:?}");
    assert!(of_acme[of_acme.len() - 2].contains("audit.export"), "{of_acme:?}");
    succeeded(verify(&of_acme, &[]));
    let of_system = export(&["--system"]);
    assert!(of_system.iter().all(|line| line.contains("\"chain\":0,")), "{of_system:?}");
    succeeded(verify(&of_system, &[]));

    let since = export(&["--from", "2000-01-01T00:00:00Z", "--to", "2999-01-01T00:00:00Z"]);
    succeeded(verify(&since, &["--filtered"]));
    assert_eq!(verify(&since, &[]).status.code(), Some(1));
    assert!(export(&["--to", "2000-01-01T00:00:00Z"]).is_empty());

    let mut changed = all.clone();
    changed[0] = changed[0].replace("success", "failure");
    let output = verify(&changed, &[]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("line 1: chain system, record 1: the record was changed"), "{told}");

    let nobody = failed(Binary::run(folder.path(), &["audit", "export", "--organization", "999"]));
    assert!(nobody.contains("organization 999"), "{nobody}");
    let missing = failed(Binary::run(elsewhere.path(), &["audit", "verify", "--file", "missing.jsonl"]));
    assert!(missing.contains("missing.jsonl"), "{missing}");
}

#[test]
fn vault_keys_can_be_rotated() {
    let folder = folder();
    Binary::configure(folder.path());
    succeeded(Binary::run(folder.path(), &["migrate"]));
    succeeded(Binary::run(folder.path(), &["vault", "rotate"]));
    succeeded(Binary::run(folder.path(), &["vault", "reseal"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_answers_two_people_rightly_and_can_be_repeated() {
    let folder = folder();
    let arguments = ["demo", "--rows", "2000", "--listen", "127.0.0.1:0", "--dir", "demo"];
    let mut introductions = Vec::new();
    for _ in 0..2 {
        let mut demo = Binary::start(folder.path(), &arguments);
        let (last, mut lines) = demo.line(|line| line.contains("Stop with Ctrl-C")).await;
        lines.push(last);
        let curls: Vec<&String> = lines.iter().filter(|line| line.trim_start().starts_with("curl")).collect();
        assert_eq!(curls.len(), 2, "{lines:#?}");
        let mut answers = Vec::new();
        for curl in &curls {
            // As pasted into a shell.
            let output = std::process::Command::new("sh").args(["-c", curl]).output().unwrap();
            assert!(output.status.success(), "{curl}: {}", String::from_utf8_lossy(&output.stderr));
            let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(answer["success"], true, "{answer}");
            answers.push(answer["data"]["result_preview"].clone());
        }
        assert!(answers[0].to_string().contains("EU") && !answers[0].to_string().contains("US"), "{answers:?}");
        assert!(answers[1].to_string().contains("US") && !answers[1].to_string().contains("EU"), "{answers:?}");
        for email in ["owner", "admin", "developer", "viewer"] {
            assert!(lines.iter().any(|line| line.contains(&format!("{email}@acme.example"))), "{lines:#?}");
        }
        introductions.push((lines.iter().any(|line| line.contains("Generating")), answers));

        // What it mails can be read there.
        let url = curls[0].split_whitespace().find_map(|word| word.strip_suffix("/api/v1/prompts/execute")).unwrap();
        let client = Client::new(url);
        let before = client.get("/demo/mails").await.body.as_array().unwrap().len();
        client.post("/api/v1/auth/forgot-password", json!({"email": "owner@acme.example"})).await.ok();
        let mails = eventually("the mail", async || {
            let mails = client.get("/demo/mails").await.body.as_array().unwrap().clone();
            (mails.len() > before).then_some(mails)
        })
        .await;
        let message = mails[0]["message"].as_str().unwrap();
        assert!(message.contains("To: ") && message.contains("owner@acme.example"), "{message}");
        demo.terminate();
        assert!(demo.ended().await.success());
    }
    // The second time nothing is made anew.
    assert_eq!((introductions[0].0, introductions[1].0), (true, false));
    assert_eq!(introductions[0].1, introductions[1].1);
    let database = rusqlite::Connection::open(folder.path().join("demo/rivergen.db")).unwrap();
    let count = |table: &str| -> i64 {
        database.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    assert_eq!([count("users"), count("organizations"), count("data_sources"), count("policies")], [4, 1, 3, 4]);
}

/// A server with an organization and the numbers as a source; answers the Owner and the source.
async fn serving(folder: &std::path::Path) -> (Binary, Client, i64) {
    let url = Binary::configure(folder);
    Binary::provision_acme(folder);
    let server = Binary::serve(folder, &url).await;
    let owner = Binary::acme_owner(&url).await;
    let file = owner.upload("numbers.parquet", fixtures::numbers_parquet(20_000)).await.created();
    let body =
        json!({"name": "Numbers", "type": "parquet", "file_path": file["file_path"], "metadata": {"table": "numbers"}});
    let id = owner.post("/api/v1/data-sources", body).await.created()["id"].as_i64().unwrap();
    eventually("the discovery", async || {
        let source = owner.get(&format!("/api/v1/data-sources/{id}")).await.ok();
        (!source["schema_discovered_at"].is_null()).then_some(())
    })
    .await;
    (server, owner, id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_finishes_a_running_request() {
    let folder = folder();
    let (server, owner, source) = serving(folder.path()).await;
    // Long enough to be running when the signal comes, ended by its own limit and not by the server's end.
    let sql = "SELECT sum(a.n % 7 + b.n % 5) FROM numbers a CROSS JOIN numbers b CROSS JOIN numbers c";
    let path = format!("/api/v1/data-sources/{source}/query");
    let client = owner.clone();
    let running = tokio::spawn(async move { client.post(&path, json!({"query": sql, "timeout_seconds": 3})).await });
    let database = folder.path().join("data/rivergen.db");
    eventually("the query to run", async || {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let database = rusqlite::Connection::open_with_flags(&database, flags).unwrap();
        let count = "SELECT count(*) FROM query_runs WHERE status = 'running'";
        (database.query_row(count, [], |row| row.get::<_, i64>(0)).unwrap() == 1).then_some(())
    })
    .await;
    server.terminate();
    running.await.unwrap().error(504, "QUERY_TIMEOUT");
    assert!(server.ended().await.success());
    let gone = owner.try_send(owner.request(reqwest::Method::GET, "/health/live"));
    assert!(tokio::time::timeout(Duration::from_secs(5), gone).await.unwrap().is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_is_taken_is_told() {
    let folder = folder();
    let url = Binary::configure(folder.path());
    let _taken = std::net::TcpListener::bind(url.trim_start_matches("http://")).unwrap();
    let told = failed(Binary::run(folder.path(), &["serve"]));
    assert!(told.contains("cannot listen on"), "{told}");
}

/// The set that ships with the documentation, as it tells to run it.
#[test]
fn a_planner_is_held_against_questions_with_known_answers() {
    let folder = folder();
    let questions = rivergen_tests::manifest_dir().join("../docs/questions/shop.csv");
    let questions = questions.to_str().unwrap();
    let arguments = ["eval", "csv", questions, "--each", "--at-least", "80", "--at-most-wrong", "0"];
    let output = Binary::run(folder.path(), &arguments);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    assert!(printed.contains("abstained") && printed.contains("How many orders are there?"), "{printed}");
    // Nobody gets everything right.
    failed(Binary::run(folder.path(), &["eval", "csv", questions, "--limit", "5", "--at-least", "101"]));
    failed(Binary::run(folder.path(), &["eval", "csv", "nowhere.csv"]));
    // Without a gold answer neither an answer nor none counts, and nothing wrong of nothing measured is no success.
    let unknown = "question,query,db_name\nHow many orders are there?,SELECT x FROM nowhere,shop\n\
        Which penguins sing?,SELECT x FROM nowhere,shop\n";
    std::fs::write(folder.path().join("unknown.csv"), unknown).unwrap();
    let databases = rivergen_tests::manifest_dir().join("../docs/questions");
    let arguments = ["eval", "csv", "unknown.csv", "--databases", databases.to_str().unwrap(), "--at-most-wrong", "50"];
    let output = Binary::run(folder.path(), &arguments);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success() && printed.contains("2 more could not be measured"), "{printed}");
    for planner in ["chat", "local"] {
        let told = failed(Binary::run(folder.path(), &["eval", "csv", questions, "--planner", planner]));
        assert!(told.contains("none is set"), "{told}");
    }
    // A model on this machine is a planner like the others.
    let answer = json!({"sql": "SELECT 7 AS seven", "explanation": "Seven."}).to_string();
    Tiny { context: 32_768, ..Tiny::knowing("qwen2", &[&answer]) }.write(&folder.path().join("tiny.gguf")).unwrap();
    let settings = "[planner.local]\nfile = \"tiny.gguf\"\ncontext_tokens = 16384\nanswer_tokens = 256";
    std::fs::write(folder.path().join("rivergen.toml"), settings).unwrap();
    let arguments = ["eval", "csv", questions, "--planner", "local", "--limit", "1", "--each"];
    let printed = succeeded(Binary::run(folder.path(), &arguments));
    assert!(printed.contains("SELECT 7 AS seven"), "{printed}");
}

#[test]
fn a_model_on_this_machine_that_cannot_be_used_stops_the_start() {
    let folder = folder();
    Binary::configure(folder.path());
    let (settings, model) = (folder.path().join("rivergen.toml"), folder.path().join("tiny.gguf"));
    let before = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, format!("{before}[planner.local]\nfile = \"tiny.gguf\"\n")).unwrap();
    let told = |reason: &str| {
        for command in ["check-config", "serve"] {
            let told = failed(Binary::run(folder.path(), &[command]));
            assert!(told.contains("planner.local.file: tiny.gguf: ") && told.contains(reason), "{command}: {told}");
        }
    };
    told("No such file");
    std::fs::write(&model, "nonsense").unwrap();
    told("is no GGUF file");
    Tiny::random("gpt5", 0).write(&model).unwrap();
    told("of the architecture gpt5; those that can be used are llama, qwen2, qwen3");
    Tiny::random("llama", 0).write(&model).unwrap();
    told("8192 tokens of context were asked for, and the model has 4096");
    Tiny { context: 8192, ..Tiny::random("qwen3", 0) }.write(&model).unwrap();
    succeeded(Binary::run(folder.path(), &["check-config"]));
}
