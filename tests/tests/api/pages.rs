//! What is no operation of the API: pages, health, metrics, and what every answer carries.

use reqwest::Method;
use rivergen_tests::{Server, on_both_databases};

on_both_databases! {
    health_answers_bare;
    metrics_are_prometheus;
    the_pages_load_nothing_from_elsewhere;
    each_answer_has_a_request_id;
    what_is_not_there_is_said_so;
}

async fn health_answers_bare(server: &Server) {
    for path in ["/health/live", "/health/ready"] {
        let answer = server.anonymous().get(path).await;
        assert_eq!((answer.status.as_u16(), answer.body["status"].as_str()), (200, Some("ok")), "{answer:?}");
    }
}

async fn metrics_are_prometheus(server: &Server) {
    // The recorder is installed by the first question for it.
    server.anonymous().get("/metrics").await;
    server.anonymous().get("/api/v1/auth/me").await;
    let answer = server.anonymous().get("/metrics").await;
    let text = answer.body.as_str().unwrap();
    let line = text.lines().find(|line| line.starts_with("rivergen_http_requests_total{") && line.contains("auth/me"));
    assert!(line.is_some_and(|line| line.contains("status=\"401\"")), "{text}");
}

async fn the_pages_load_nothing_from_elsewhere(server: &Server) {
    for path in ["/", "/verify-email?token=x", "/reset-password?token=x", "/invitation?token=x", "/docs/"] {
        let answer = server.anonymous().get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        let html = answer.body.as_str().unwrap();
        for mark in ["src=\"http", "href=\"http", "src='http", "@import", "src=\"//"] {
            assert!(!html.contains(mark), "{path} loads from elsewhere: {mark}");
        }
    }
    let verify = server.anonymous().get("/verify-email?token=x").await;
    assert_eq!(
        (&verify.headers["referrer-policy"], &verify.headers["cache-control"]),
        (&"no-referrer".parse().unwrap(), &"no-store".parse().unwrap())
    );
    let document = server.anonymous().get("/openapi.json").await;
    assert_eq!(document.body["info"]["title"], "RiverGen");
}

async fn each_answer_has_a_request_id(server: &Server) {
    let client = server.anonymous();
    let first = client.get("/health/live").await.headers["x-request-id"].clone();
    let second = client.get("/health/live").await.headers["x-request-id"].clone();
    assert_ne!(first, second);
    let own = client.request(Method::GET, "/api/v1/auth/me").header("x-request-id", "trace-12345");
    assert_eq!(client.send(own).await.error(401, "UNAUTHORIZED")["request_id"], "trace-12345");
    let bad = client.request(Method::GET, "/api/v1/auth/me").header("x-request-id", "a b\"}");
    assert_ne!(client.send(bad).await.error(401, "UNAUTHORIZED")["request_id"], "a b\"}");
}

async fn what_is_not_there_is_said_so(server: &Server) {
    server.anonymous().get("/api/v1/nothing").await.error(404, "NOT_FOUND");
    // Only a demo shows what it has mailed.
    server.anonymous().get("/demo/mails").await.error(404, "NOT_FOUND");
    let client = server.anonymous();
    let answer = client.send(client.request(Method::DELETE, "/api/v1/auth/login")).await;
    answer.error(405, "METHOD_NOT_ALLOWED");
}
