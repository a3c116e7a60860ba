//! `/health/live`, `/health/ready` and `/metrics`, for those who run the server.

use std::sync::OnceLock;

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use rivergen_platform::{Database, audit::streams::Streams};
use serde_json::json;

/// The routes; none of them needs a token.
pub fn routes(db: Database, streams: Streams) -> Router {
    Router::new()
        .route("/health/live", get(|| async { Json(json!({"status": "ok"})) }))
        .route("/health/ready", get(ready))
        .with_state(db)
        .merge(Router::new().route("/metrics", get(metrics)).with_state(streams))
}

/// How far streams are is the same on all nodes and changes without them, so it is looked up when it is asked for.
async fn metrics(State(streams): State<Streams>) -> String {
    let recorder = recorder();
    if let Err(error) = streams.measure().await {
        tracing::warn!(%error, "the metrics of the audit streams are old");
    }
    recorder.render()
}

/// Ready as long as the database answers.
async fn ready(State(db): State<Database>) -> Response {
    match db.ping().await {
        Ok(()) => Json(json!({"status": "ok", "checks": {"database": "ok"}})).into_response(),
        Err(error) => {
            tracing::error!(%error, "the database does not answer");
            let body = json!({"status": "unavailable", "checks": {"database": "does not answer"}});
            (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
        }
    }
}

/// The process's one recorder of metrics, installed at its first use.
pub fn recorder() -> &'static PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    RECORDER.get_or_init(|| {
        let buckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];
        let builder = PrometheusBuilder::new().set_buckets(&buckets);
        let recorder = builder.unwrap_or_else(|_| PrometheusBuilder::new()).build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("another recorder of metrics is installed; /metrics stays empty");
        }
        handle
    })
}
