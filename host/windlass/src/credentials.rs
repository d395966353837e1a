//! The part of the management interface that hands out what outlives a login: API tokens for
//! programs, and the key that signs bearer tokens.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use windlass_identity::IdentityError;

use crate::management::{Managed, Management, Problem, problem};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ApiTokenRequest {
    subject: String,
    /// Without it, the token is good until it is revoked.
    lifetime_seconds: Option<u64>,
}

/// The routes. They are protected by whoever merges them.
pub(crate) fn router() -> Router<Arc<Management>> {
    Router::new()
        .route("/v1/api-tokens", get(list).post(create))
        .route("/v1/token-keys", post(rotate))
}

async fn create(
    State(management): Managed,
    Json(request): Json<ApiTokenRequest>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let ApiTokenRequest { subject, lifetime_seconds } = request;
    let created = management.identity.create_api_token(&subject, lifetime_seconds).await;
    let (token, text) = created.map_err(|error| refused(&error))?;
    tracing::info!(subject, token_id = token.id, "an API token was created");
    let body = json!({
        "token": text,
        "id": token.id,
        "subject": token.subject,
        "expires_at": token.expires_at_us.map(seconds),
    });
    Ok((StatusCode::CREATED, Json(body)))
}

async fn list(State(management): Managed) -> Result<Json<Value>, Problem> {
    let tokens = management.identity.list_api_tokens().await.map_err(|error| refused(&error))?;
    let tokens = tokens.into_iter().map(|token| {
        json!({
            "id": token.id,
            "subject": token.subject,
            "created_at": seconds(token.created_at_us),
            "expires_at": token.expires_at_us.map(seconds),
        })
    });
    Ok(Json(json!({ "api_tokens": tokens.collect::<Vec<_>>() })))
}

async fn rotate(State(management): Managed) -> Result<StatusCode, Problem> {
    let rotated = management.identity.rotate_token_key(&management.data.dir).await;
    rotated.map_err(|error| refused(&error))?;
    tracing::info!("bearer tokens are signed with a new key");
    Ok(StatusCode::NO_CONTENT)
}

fn refused(error: &IdentityError) -> Problem {
    let (status, code) = match error {
        IdentityError::Invalid(_) => (StatusCode::BAD_REQUEST, "invalid_request"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    problem(status, code, &error.to_string())
}

/// As the other tokens of this interface have it: seconds since the Unix epoch.
fn seconds(microseconds: i64) -> i64 {
    microseconds / 1_000_000
}
