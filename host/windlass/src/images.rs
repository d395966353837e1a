//! The part of the management interface that takes the images of workloads.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use windlass_runtime::{Error, LOCAL};

use crate::management::{Managed, Management, Problem, problem};

/// Bytes of one push: a component of another language, in base64.
const PUSH_BYTES: usize = 256 * 1_048_576;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Push {
    /// Name and tag.
    name: String,
    /// The component, in base64.
    wasm: String,
}

/// The routes. They are protected by whoever merges them.
pub(crate) fn router() -> Router<Arc<Management>> {
    let routes = get(list).post(push);
    Router::new().route("/v1/images", routes.layer(DefaultBodyLimit::max(PUSH_BYTES)))
}

async fn push(
    State(management): Managed,
    Json(Push { name, wasm }): Json<Push>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let wasm = STANDARD.decode(wasm).map_err(|error| {
        problem(StatusCode::BAD_REQUEST, "invalid_request", &format!("wasm: {error}"))
    })?;
    let image = management.images.push(&name, wasm.into()).await.map_err(|error| {
        let (status, code) = match error {
            Error::Invalid(_) => (StatusCode::BAD_REQUEST, "invalid_request"),
            _ => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        };
        problem(status, code, &error.to_string())
    })?;
    let name = format!("{LOCAL}{}", name.strip_prefix(LOCAL).unwrap_or(&name));
    tracing::info!(name, digest = image.digest, "an image was pushed");
    let body = json!({ "name": name, "digest": image.digest, "size_bytes": image.size_bytes });
    Ok((StatusCode::CREATED, Json(body)))
}

async fn list(State(management): Managed) -> Result<Json<Value>, Problem> {
    let named = management
        .image_records
        .list()
        .await
        .map_err(|error| problem(StatusCode::SERVICE_UNAVAILABLE, "unavailable", &error))?;
    let images = named.into_iter().map(|named| {
        json!({
            "name": format!("{LOCAL}{}", named.name),
            "digest": named.image.digest,
            "size_bytes": named.image.size_bytes,
            "pushed_at": named.pushed_at_us / 1_000_000,
        })
    });
    Ok(Json(json!({ "images": images.collect::<Vec<_>>() })))
}
