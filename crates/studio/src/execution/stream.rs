//! `GET /api/v1/prompts/executions/{execution_id}/events`: a run's steps as they happen.
//!
//! One stream in two forms: a WebSocket where the client asks to upgrade, server-sent events otherwise. Both begin after
//! the event that the client saw last, with what is stored, and end after the run's last event.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::{
        State,
        ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    http::{HeaderMap, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::{Stream, StreamExt, stream};
use garde::Validate;
use rivergen_kernel::{Error, ExecutionId, Permission, Result, Tenant};
use rivergen_platform::{
    errors,
    http::{Path, Query, SignedIn},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{event, event::ExecutionEvent, live::Follower};
use crate::{Studio, prompt::Status};

/// News can be lost with the connection of the bus; looking again costs one indexed read.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Between two signs of life, below the patience of usual proxies.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Resume {
    /// The `seq` of the last event that was seen; the stream begins after it. The header `Last-Event-ID`, which browsers
    /// send by themselves when they reconnect, goes first.
    #[garde(inner(range(min = 0)))]
    #[param(default = 0, minimum = 0)]
    pub after: Option<i32>,
}

errors! { pub StreamErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound, ValidationError; }

/// Follow a run step by step
#[utoipa::path(get, path = "/api/v1/prompts/executions/{execution_id}/events", tag = "prompt_studio",
    params(("execution_id" = ExecutionId, Path, description = "The run"), Resume,
        ("last-event-id" = Option<i32>, Header, description = "As `after`")),
    responses(
        (status = 101, description = "With `Upgrade: websocket`: each event is a text message of JSON"),
        (status = 200, description = "Server-sent events: `id` is the event's `seq`, `event` its name, `data` the event",
            content((ExecutionEvent = "text/event-stream"))),
        StreamErrors))]
pub async fn stream_events(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    Path(id): Path<ExecutionId>,
    Query(resume): Query<Resume>,
    headers: HeaderMap,
    upgrade: std::result::Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response> {
    let tenant = caller.require(Permission::PromptRead)?;
    let row = super::find(&studio, &caller, tenant, id).await?;
    let seen = match headers.get("last-event-id").and_then(|id| id.to_str().ok()) {
        Some(id) => id.parse().map_err(|_| Error::invalid_field("last-event-id", "must be the number of an event"))?,
        None => resume.after.unwrap_or_default(),
    };
    let follower = studio.live.follow(id);
    // Runs from before there were events have none to wait for.
    let is_over = row.status != Status::Processing;
    let events = events(Following { studio, tenant, id, seen, follower, is_over });
    match upgrade {
        Ok(upgrade) => Ok(upgrade.on_upgrade(move |socket| send(socket, Box::pin(events)))),
        Err(_) if headers.contains_key(header::UPGRADE) => {
            Err(Error::invalid_field("upgrade", "is no handshake of a WebSocket, version 13"))
        }
        Err(_) => {
            let told = events.map(|event| Ok::<_, Infallible>(told(&event)));
            Ok(Sse::new(told).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
        }
    }
}

struct Following {
    studio: Studio,
    tenant: Tenant,
    id: ExecutionId,
    seen: i32,
    follower: Follower,
    is_over: bool,
}

/// The events after the last one seen; each as soon as it is stored.
fn events(following: Following) -> impl Stream<Item = ExecutionEvent> + Send + 'static {
    let pages = stream::unfold(Some(following), |following| async move {
        let mut following = following?;
        loop {
            let platform = &following.studio.engine.platform;
            let page = match event::after(platform, following.tenant, following.id, following.seen).await {
                Ok(page) => page,
                Err(error) => {
                    // The client comes back and goes on where it was.
                    tracing::warn!(%error, "a stream of events broke off");
                    return None;
                }
            };
            if let Some(last) = page.last() {
                following.seen = last.seq;
                let goes_on = !last.is_last();
                return Some((page, goes_on.then_some(following)));
            }
            if following.is_over {
                return None;
            }
            tokio::select! {
                () = following.follower.moved() => {}
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        }
    });
    pages.flat_map(stream::iter)
}

fn told(event: &ExecutionEvent) -> Event {
    // An event is an object of texts and numbers: it always has a JSON text.
    let data = serde_json::to_string(event).unwrap_or_default();
    Event::default().id(event.seq.to_string()).event(&event.event).data(data)
}

/// Sends the events, answers pings, and ends when the client does.
async fn send(mut socket: WebSocket, mut events: impl Stream<Item = ExecutionEvent> + Unpin) {
    let mut alive = tokio::time::interval(KEEP_ALIVE);
    loop {
        let message = tokio::select! {
            event = events.next() => match event {
                Some(event) => Message::Text(Utf8Bytes::from(serde_json::to_string(&event).unwrap_or_default())),
                None => break,
            },
            _ = alive.tick() => Message::Ping(Default::default()),
            received = socket.recv() => match received {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                // What clients say has no meaning here.
                Some(Ok(_)) => continue,
            },
        };
        if socket.send(message).await.is_err() {
            return;
        }
    }
    // The client may be gone already.
    let _ = socket.send(Message::Close(None)).await;
}
