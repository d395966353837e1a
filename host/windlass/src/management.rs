//! The management interface: what runs, changing it, tokens, health and metrics. On a listener of
//! its own, loopback by default; all but the health checks need the management token.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use metrics_exporter_prometheus::PrometheusHandle;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use windlass_engine::{
    CanaryPolicy, ComponentId, ComponentManifest, Fleet, LeftOut, Listed, Proposal, Refusal,
    Released,
};
use windlass_identity::Identity;
use windlass_storage::Database;

use crate::data::DataDirectory;
use crate::{credentials, images, records};

/// Bytes of one release: several components of other languages, in base64.
const RELEASE_BYTES: usize = 512 * 1_048_576;

/// What the management interface manages.
pub(crate) struct Management {
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) database: Arc<Database>,
    pub(crate) metrics: PrometheusHandle,
    pub(crate) data: DataDirectory,
    pub(crate) token: String,
    pub(crate) images: Arc<windlass_runtime::Images>,
    pub(crate) image_records: Arc<records::Images>,
}

/// A release as it is asked for.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReleaseRequest {
    pub(crate) components: Vec<ReleaseComponent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) canary: Option<CanaryPolicy>,
}

/// One component of a release.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReleaseComponent {
    pub(crate) id: ComponentId,
    /// The component, in base64.
    pub(crate) wasm: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) manifest: Option<ComponentManifest>,
    /// The version of the code, when the component does not carry it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
}

#[derive(Serialize)]
struct ReleaseReport {
    components: Vec<Released>,
    milliseconds: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenRequest {
    subject: String,
    lifetime_seconds: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum Revocation {
    TokenId(String),
    Subject(String),
}

/// The routes.
pub(crate) fn router(management: Arc<Management>) -> Router {
    let protected = Router::new()
        .route("/metrics", get(metrics))
        .route("/v1/components", get(list))
        .route("/v1/components/{id}", delete(remove))
        .route("/v1/components/{id}/promote", post(promote))
        .route("/v1/components/{id}/rollback", post(rollback))
        .route("/v1/releases", post(release).layer(DefaultBodyLimit::max(RELEASE_BYTES)))
        .route("/v1/tokens", post(issue))
        .route("/v1/tokens/revoke", post(revoke))
        .merge(credentials::router())
        .merge(images::router())
        .layer(middleware::from_fn_with_state(Arc::clone(&management), authorize));
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .merge(protected)
        .with_state(management)
}

pub(crate) type Managed = State<Arc<Management>>;

/// Lets through who knows the token. Compared by digest, so that timing tells nothing.
async fn authorize(State(management): Managed, request: Request, next: Next) -> Response {
    let sent = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let sent = sent.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    if Sha256::digest(sent) == Sha256::digest(&management.token) {
        return next.run(request).await;
    }
    let error = "send the management token as Authorization: Bearer; it is in management.token in \
                 the data directory";
    problem(StatusCode::UNAUTHORIZED, "unauthenticated", error).into_response()
}

/// Ready means: something is routed, and the database answers.
async fn ready(State(management): Managed) -> Response {
    if management.fleet.table().slots().is_empty() {
        let error = "no component runs yet";
        return problem(StatusCode::SERVICE_UNAVAILABLE, "starting", error).into_response();
    }
    match records::check(&management.database).await {
        Ok(()) => "ready\n".into_response(),
        Err(error) => problem(StatusCode::SERVICE_UNAVAILABLE, "database", &error).into_response(),
    }
}

async fn metrics(State(management): Managed) -> String {
    management.fleet.release_idle();
    management.metrics.render()
}

async fn list(State(management): Managed) -> Json<Value> {
    let components: Vec<Listed> = management.fleet.list();
    let left_out: Vec<LeftOut> = management.fleet.left_out();
    Json(json!({ "components": components, "left_out": left_out }))
}

async fn release(
    State(management): Managed,
    Json(request): Json<ReleaseRequest>,
) -> Result<Json<ReleaseReport>, Problem> {
    if request.components.is_empty() {
        return Err(problem(StatusCode::BAD_REQUEST, "invalid_request", "components is empty"));
    }
    if let Some(Err(reason)) = request.canary.as_ref().map(CanaryPolicy::check) {
        return Err(problem(StatusCode::BAD_REQUEST, "invalid_request", &reason));
    }
    let proposals = request.components.into_iter().map(proposal).collect::<Result<_, _>>();
    let proposals = proposals
        .map_err(|error: String| problem(StatusCode::BAD_REQUEST, "invalid_request", &error))?;
    let begun = Instant::now();
    let fleet = Arc::clone(&management.fleet);
    let change = async move { fleet.release(proposals, request.canary).await };
    let components = to_the_end(change).await?;
    for released in &components {
        tracing::info!(component = %released.id, digest = released.digest, "released");
    }
    let milliseconds = begun.elapsed().as_secs_f64() * 1_000.0;
    Ok(Json(ReleaseReport { components, milliseconds }))
}

fn proposal(component: ReleaseComponent) -> Result<Proposal, String> {
    let ReleaseComponent { id, wasm, manifest, version } = component;
    let wasm = STANDARD.decode(wasm).map_err(|error| format!("wasm of {id}: {error}"))?;
    Ok(Proposal { id, wasm: wasm.into(), manifest, version })
}

/// Makes a change in a task of its own: it is made as a whole also when whoever asked for it hangs
/// up in the middle.
async fn to_the_end<T: Send + 'static>(
    change: impl Future<Output = Result<T, Refusal>> + Send + 'static,
) -> Result<T, Problem> {
    let made = tokio::spawn(change).await;
    let made = made.map_err(|error| Refusal::Engine(format!("the change was given up: {error}")));
    made.and_then(|made| made).map_err(refused)
}

async fn promote(
    State(management): Managed,
    Path(id): Path<String>,
) -> Result<Json<Released>, Problem> {
    let id = component(&id)?;
    let fleet = Arc::clone(&management.fleet);
    to_the_end(async move { fleet.promote(&id).await }).await.map(Json)
}

async fn rollback(
    State(management): Managed,
    Path(id): Path<String>,
) -> Result<Json<Released>, Problem> {
    let id = component(&id)?;
    let fleet = Arc::clone(&management.fleet);
    to_the_end(async move { fleet.rollback(&id).await }).await.map(Json)
}

async fn remove(State(management): Managed, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    let id = component(&id)?;
    let fleet = Arc::clone(&management.fleet);
    to_the_end(async move { fleet.remove(&id).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn issue(
    State(management): Managed,
    Json(request): Json<TokenRequest>,
) -> Result<Json<Value>, Problem> {
    let issued = management.identity.issue(&request.subject, request.lifetime_seconds);
    let issued = issued
        .map_err(|error| problem(StatusCode::BAD_REQUEST, "invalid_request", &error.to_string()))?;
    Ok(Json(json!({
        "token": issued.token,
        "id": issued.id,
        "expires_at": issued.expires_at_seconds,
    })))
}

async fn revoke(
    State(management): Managed,
    Json(revocation): Json<Revocation>,
) -> Result<StatusCode, Problem> {
    let revoked = match &revocation {
        Revocation::TokenId(id) => management.identity.revoke(id).await,
        Revocation::Subject(subject) => management.identity.revoke_subject(subject).await,
    };
    revoked.map_err(|error| {
        problem(StatusCode::SERVICE_UNAVAILABLE, "unavailable", &error.to_string())
    })?;
    Ok(StatusCode::NO_CONTENT)
}

fn component(id: &str) -> Result<ComponentId, Problem> {
    ComponentId::new(id)
        .map_err(|reason| problem(StatusCode::BAD_REQUEST, "invalid_request", &reason))
}

/// The status says whether the component, the request or the host is to be mended.
fn refused(refusal: Refusal) -> Problem {
    let (status, code) = match refusal {
        Refusal::Unknown { .. } => (StatusCode::NOT_FOUND, "not_found"),
        Refusal::NothingThere { .. } => (StatusCode::CONFLICT, "conflict"),
        Refusal::Ledger(_) | Refusal::Engine(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        Refusal::NotAComponent { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "not_a_component"),
        Refusal::Compile { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "does_not_compile"),
        Refusal::Ungranted { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "ungranted_import"),
        Refusal::UnknownImport { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "unknown_import"),
        Refusal::Mismatch { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "mismatched_import"),
        Refusal::NoHandler { .. } | Refusal::NoProgram { .. } => {
            (StatusCode::UNPROCESSABLE_ENTITY, "no_handler")
        }
        Refusal::ExceedsPool { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "exceeds_pool"),
        Refusal::Grant { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "impossible_grant"),
        Refusal::Limit { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "impossible_limit"),
        Refusal::Canary { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "failed_canary"),
        Refusal::Route { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "impossible_route"),
        Refusal::ManifestMissing { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "manifest_missing"),
        Refusal::Manifest { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_manifest"),
    };
    tracing::warn!(code, "refused: {refusal}");
    problem(status, code, &refusal.to_string())
}

/// What is answered when a request cannot be carried out.
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    error: String,
}

pub(crate) fn problem(status: StatusCode, code: &'static str, error: &str) -> Problem {
    Problem { status, code, error: error.to_owned() }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.error, "code": self.code, "details": {} });
        (self.status, Json(body)).into_response()
    }
}
