//! Sign-ins from a new country, with a database of the tests' own; the tests are a proxy that says where people are.

use reqwest::Method;
use rivergen_tests::{Answer, Backend, PASSWORD, Server, eventually, mmdb, on_both_backends};
use serde_json::{Value, json};

on_both_backends! {
    a_sign_in_from_a_new_country_is_mailed;
    without_a_database_no_country_is_known;
}

const PROXY: &str = "[server]\ntrusted_proxies = [\"127.0.0.0/8\"]\n";

const CURL: &str = "curl/8.5";

/// A sign-in of somebody at the address; with no name of a program, as the harness sends it.
async fn sign_in(server: &Server, email: &str, password: &str, ip: &str, user_agent: Option<&str>) -> Answer {
    let client = server.anonymous();
    let mut request = client.request(Method::POST, "/api/v1/auth/login").header("x-forwarded-for", ip);
    if let Some(user_agent) = user_agent {
        request = request.header("user-agent", user_agent);
    }
    client.send(request.json(&json!({"email": email, "password": password}))).await
}

/// The mails that were written, sent or not yet.
async fn mails(server: &Server) -> i64 {
    server.count("SELECT count(*) FROM jobs WHERE kind = 'mail.send'").await
}

/// The countries in the records of sign-ins that ended so, in their order.
async fn recorded(server: &Server, outcome: &str) -> Vec<String> {
    let sql =
        format!("SELECT details FROM audit_log WHERE action = 'auth.login' AND outcome = '{outcome}' ORDER BY id");
    let details = server.rows(&sql).await;
    let details = details.iter().map(|row| serde_json::from_str::<Value>(row["details"].as_str().unwrap()).unwrap());
    details.filter_map(|details| details["country"].as_str().map(str::to_owned)).collect()
}

async fn a_sign_in_from_a_new_country_is_mailed(backend: Backend) {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("countries.mmdb");
    std::fs::write(&database, mmdb::of_countries(&[(1, "AU"), (2, "FR"), (3, "JP")])).unwrap();
    let path = database.display().to_string();
    let settings = format!("{PROXY}[geoip]\ndatabase = {path:?}\n");
    let server = Server::start(backend, &settings).await;
    // The first session of each is from this machine, which is in no country.
    let viewer = server.organization("Acme").await.viewer;
    let before = mails(&server).await;
    let from = async |ip: &str, user_agent: Option<&str>| {
        sign_in(&server, &viewer.email, PASSWORD, ip, user_agent).await.ok();
        mails(&server).await - before
    };

    // The first country that is known is no new one, and what is not known is none.
    for ip in ["1.0.0.1", "1.200.0.1", "9.9.9.9", "10.0.0.1"] {
        assert_eq!(from(ip, None).await, 0, "{ip}");
    }
    assert_eq!(from("2.0.0.1", None).await, 1);
    for ip in ["2.0.0.1", "2.0.0.2", "1.0.0.1", "::ffff:2.0.0.1"] {
        assert_eq!(from(ip, None).await, 1, "{ip}");
    }
    // Each of both alone, and both in one mail.
    assert_eq!(
        from("2.0.0.1", Some("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")).await,
        2
    );
    assert_eq!(from("3.0.0.1", Some(CURL)).await, 3);
    assert_eq!(from("3.0.0.1", Some(CURL)).await, 3);
    sign_in(&server, &viewer.email, "Wrong1horse", "3.0.0.1", None).await.error(401, "INVALID_CREDENTIALS");

    let mut told = eventually("three mails", async || {
        let told = server.mailbox().to(&viewer.email);
        (told.len() == 3).then_some(told)
    })
    .await;
    told.sort_by(|one, other| one.subject.cmp(&other.subject));
    let subjects: Vec<&str> = told.iter().map(|mail| mail.subject.as_str()).collect();
    let expected = [
        "A sign-in from a new country",
        "A sign-in from a new country and a new device",
        "A sign-in from a new device",
    ];
    assert_eq!(subjects, expected);
    for (mail, words) in [(&told[0], ["(FR)", "2.0.0.1"]), (&told[1], ["(JP)", "3.0.0.1"])] {
        assert!(words.iter().all(|word| mail.text.contains(word)), "{}", mail.text);
    }

    let countries = ["AU", "AU", "FR", "FR", "FR", "AU", "FR", "FR", "JP", "JP"];
    assert_eq!(recorded(&server, "success").await, countries);
    assert_eq!(recorded(&server, "failure").await, ["JP"]);
    let sessions = viewer.client.get("/api/v1/sessions").await.ok();
    assert!(!sessions.to_string().contains("country"), "{sessions}");
    server.stop().await;
}

async fn without_a_database_no_country_is_known(backend: Backend) {
    let server = Server::start(backend, PROXY).await;
    let viewer = server.organization("Acme").await.viewer;
    let before = mails(&server).await;
    for ip in ["1.0.0.1", "2.0.0.1"] {
        sign_in(&server, &viewer.email, PASSWORD, ip, None).await.ok();
    }
    assert_eq!(mails(&server).await, before);
    assert_eq!(server.count("SELECT count(*) FROM sessions WHERE country IS NOT NULL").await, 0);
    assert!(recorded(&server, "success").await.is_empty());
    server.stop().await;
}
