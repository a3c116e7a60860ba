//! `GET /api/v1/prompts/executions/{execution_id}/events`: a run's steps as they happen.
//!
//! One stream in two forms: a WebSocket where the client asks to upgrade, server-sent events otherwise. Both begin after
//! the event that the client saw last, with what is stored, and end after the run's last event. They end, too, when the
//! client may not follow the run any more: the token is looked at again and again, as a request's is.

use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

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
use rivergen_kernel::{Error, ErrorCode, ExecutionId, Permission, Result, Secret, Tenant};
use rivergen_platform::{
    errors,
    http::{Path, Query, RequestOrigin, SignedIn},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{event, event::ExecutionEvent, live::Follower};
use crate::{Studio, prompt::Status};

/// News can be lost with the connection of the bus, and a permission at any time; looking again costs two indexed reads.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Of what a client says, which has no meaning here, in bytes.
const LARGEST_MESSAGE: usize = 1024;
/// Between two signs of life, below the patience of usual proxies.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Resume {
    /// The `seq` of the last event that was seen; the stream begins after it. The header `Last-Event-ID`, which
    /// browsers send automatically when they reconnect, takes precedence.
    #[garde(inner(range(min = 0)))]
    #[param(default = 0, minimum = 0)]
    pub after: Option<i32>,
}

errors! { pub StreamErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound, ValidationError, RateLimited; }

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
    origin: RequestOrigin,
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
    let follower = studio.live.follow(id, caller.user_id)?;
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.split_once(' '));
    let token = Secret::new(token.map(|(_, token)| token.trim()).unwrap_or_default());
    // Runs from before there were events have none to wait for.
    let is_over = row.status != Status::Processing;
    let is_own = row.user_id == caller.user_id;
    let looked_at = Instant::now();
    let events = events(Following { studio, token, origin, tenant, id, seen, follower, is_own, is_over, looked_at });
    match upgrade {
        Ok(upgrade) => {
            let upgrade = upgrade.max_message_size(LARGEST_MESSAGE).max_frame_size(LARGEST_MESSAGE);
            Ok(upgrade.on_upgrade(move |socket| send(socket, Box::pin(events))))
        }
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
    token: Secret,
    origin: RequestOrigin,
    tenant: Tenant,
    id: ExecutionId,
    seen: i32,
    follower: Follower,
    is_own: bool,
    is_over: bool,
    looked_at: Instant,
}

impl Following {
    /// Whether the client may still follow the run, and whether that goes on; both as they are now.
    async fn look_again(&mut self) -> Result<()> {
        self.looked_at = Instant::now();
        let caller = self.studio.authenticator.authenticate_again(self.token.expose(), self.origin.ip).await?;
        if !caller.email_verified {
            return Err(ErrorCode::EmailNotVerified.into());
        }
        let tenant = caller.require(Permission::PromptRead)?;
        if tenant != self.tenant {
            return Err(ErrorCode::NotFound.into());
        }
        let row = super::find(&self.studio, &caller, tenant, self.id).await?;
        self.is_over = row.status != Status::Processing;
        Ok(())
    }

    /// The next events, which may be none.
    async fn page(&mut self) -> Result<Vec<ExecutionEvent>> {
        if self.looked_at.elapsed() >= LOOK_AGAIN {
            self.look_again().await?;
        }
        let page = event::after(&self.studio.engine.platform, self.tenant, self.id, self.seen).await?;
        Ok(if self.is_own { page } else { page.into_iter().map(ExecutionEvent::for_others).collect() })
    }
}

/// The events after the last one seen; each as soon as it is stored.
fn events(following: Following) -> impl Stream<Item = ExecutionEvent> + Send + 'static {
    let pages = stream::unfold(Some(following), |following| async move {
        let mut following = following?;
        loop {
            let page = match following.page().await {
                Ok(page) => page,
                Err(error) => {
                    // Who still may comes back and goes on where they were.
                    tracing::debug!(%error, "a stream of events broke off");
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
