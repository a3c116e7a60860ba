//! Listening, and stopping so that nothing that was begun is cut off.

use std::{net::SocketAddr, time::Duration};

use rivergen_kernel::{Error, Result};
use tokio::net::TcpListener;

use crate::App;

/// Serves until `stop` resolves, then finishes running requests and jobs, but not longer than the grace period.
pub async fn serve(app: App, listener: TcpListener, stop: impl Future<Output = ()> + Send + 'static) -> Result<()> {
    app.recover().await?;
    let jobs = app.start_jobs();
    let grace = app.shutdown_grace();
    let (stopping, stopped) = tokio::sync::oneshot::channel::<()>();
    let service = app.router.into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener, service).with_graceful_shutdown(async move {
        stop.await;
        tracing::info!("stopping: finishing what runs");
        // Nobody listens any more when the server has ended by itself.
        let _ = stopping.send(());
    });
    let too_long = async {
        if stopped.await.is_ok() {
            tokio::time::sleep(grace).await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        result = server.into_future() => result.map_err(Error::internal)?,
        () = too_long => tracing::warn!("some requests did not finish within the grace period"),
    }
    if !jobs.shutdown(Duration::from_secs(10)).await {
        tracing::warn!("some jobs were given back, to be run again at the next start");
    }
    // After all that asks for queries. Those of requests that were too long are cancelled.
    drop(app.query_runtime);
    Ok(())
}

/// Resolves when the process is asked to stop: Ctrl-C or SIGTERM.
pub async fn asked_to_stop() {
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending::<()>().await,
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    tokio::select! { () = interrupted => {}, () = terminated => {} }
}
