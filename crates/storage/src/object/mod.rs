//! `…/objects/{object_name}`: one file by its path.
//!
//! The name is a path, with slashes that no client escapes, in the middle of the route. The router knows a tail of any
//! length only at a route's end; so there is one route with such a tail, and what follows the name is taken off it here. No
//! file is called `metadata` or `presigned-url`: the name of each ends in the time and a random number.

pub mod delete;
pub mod download;
pub mod metadata;

use axum::{
    extract::{Request, State},
    handler::Handler,
    response::Response,
    routing::get,
};
use rivergen_platform::http::Path;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::{Storage, access::Named, link};

/// What the document says; the router below cannot.
#[derive(OpenApi)]
#[openapi(paths(download::download, delete::delete, metadata::metadata, link::presign::presign))]
struct Documented;

pub(crate) fn operations() -> OpenApiRouter<Storage> {
    OpenApiRouter::with_openapi(Documented::openapi())
        .route("/api/v1/storage/objects/{*object_name}", get(reading).delete(deleting))
}

async fn reading(State(storage): State<Storage>, Path(tail): Path<String>, mut request: Request) -> Response {
    let (name, what) = match tail.rsplit_once('/') {
        Some((name, what @ ("metadata" | "presigned-url"))) => (name, what),
        _ => (tail.as_str(), ""),
    };
    request.extensions_mut().insert(Named(name.to_owned()));
    match what {
        "metadata" => metadata::metadata.call(request, storage).await,
        "presigned-url" => link::presign::presign.call(request, storage).await,
        _ => download::download.call(request, storage).await,
    }
}

async fn deleting(State(storage): State<Storage>, Path(tail): Path<String>, mut request: Request) -> Response {
    request.extensions_mut().insert(Named(tail));
    delete::delete.call(request, storage).await
}
