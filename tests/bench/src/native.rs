//! What windlass is measured against: the same list of projects written natively with axum and
//! sqlx, over the same file with the same statement, a hyper server that says hello, and a proxy.

use std::convert::Infallible;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::ListenerExt as _;
use axum::{Json, Router};
use bytes::Bytes;
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::DecodePrivateKey as _;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use moka::sync::Cache;
use serde::{Deserialize, Serialize};
use sqlx::Row as _;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use tokio::net::TcpListener;

use crate::process::LISTENING;

/// The connections of the native server to its file: what sqlx takes by default.
const DATABASE_CONNECTIONS: u32 = 10;
/// Tokens the variant that remembers them remembers.
const REMEMBERED: u64 = 10_000;

/// What the native server holds.
struct Projects {
    database: SqlitePool,
    list: &'static str,
    key: DecodingKey,
    validation: Validation,
    remembered: Option<Cache<String, String>>,
}

/// Serves the list of projects from a data directory of windlass until it is killed. With
/// `remember`, a token whose signature was verified once is believed from then on.
pub(crate) async fn projects(data: &Path, remember: bool) -> Result<()> {
    let options = SqliteConnectOptions::new().filename(data.join("windlass.db"));
    let pool = SqlitePoolOptions::new().max_connections(DATABASE_CONNECTIONS);
    let key = SigningKey::read_pkcs8_pem_file(data.join("keys/token-0001.pem"))
        .map_err(|error| anyhow::anyhow!("the token key cannot be read: {error}"))?;
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_issuer(&["windlass"]);
    let mut statements = windlass_store::statements::READS.iter();
    let (_, list) = statements
        .find(|(name, _)| *name == "projects list")
        .context("the statements of the store have no \"projects list\"")?;
    let state = Projects {
        database: pool.connect_with(options).await?,
        list,
        key: DecodingKey::from_ed_der(key.verifying_key().as_bytes()),
        validation,
        remembered: remember.then(|| Cache::new(REMEMBERED)),
    };
    let router =
        Router::new().route("/api/v1/projects", get(list_projects)).with_state(Arc::new(state));
    let listener = listen().await?.tap_io(|stream| {
        // Windlass and hyper have it so too; where it cannot be set, the figures still stand.
        let _best_effort = stream.set_nodelay(true);
    });
    Ok(axum::serve(listener, router).await?)
}

/// Serves the word that the component `greeter_a` says, until it is killed.
pub(crate) async fn hello() -> Result<()> {
    let listener = listen().await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let greet = |_| async { Ok::<_, Infallible>(hyper::Response::new(body("a"))) };
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service_fn(greet));
            // The load closes its connections between rounds; that is no fault.
            let _closed = connection.await;
        });
    }
}

/// Passes every request on to a server over connections that are kept, until it is killed.
pub(crate) async fn proxy(upstream: SocketAddr) -> Result<()> {
    let listener = listen().await?;
    let client = Client::builder(TokioExecutor::new()).build_http::<hyper::body::Incoming>();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let client = client.clone();
        tokio::spawn(async move {
            let pass_on = |mut request: hyper::Request<hyper::body::Incoming>| {
                let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
                let target = format!("http://{upstream}{path}").parse();
                let client = client.clone();
                async move {
                    *request.uri_mut() = target?;
                    anyhow::Ok(client.request(request).await?)
                }
            };
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service_fn(pass_on));
            // The load closes its connections between rounds; that is no fault.
            let _closed = connection.await;
        });
    }
}

fn body(text: &'static str) -> Full<Bytes> {
    Full::new(Bytes::from_static(text.as_bytes()))
}

async fn listen() -> Result<TcpListener> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let mut output = std::io::stdout().lock();
    writeln!(output, "{LISTENING}http://{}", listener.local_addr()?)?;
    output.flush()?;
    Ok(listener)
}

/// The part of a token this endpoint needs; the rest is checked by the validation.
#[derive(Deserialize)]
struct Claims {
    sub: String,
}

#[derive(Deserialize)]
struct ListQuery {
    #[serde(default = "first_page")]
    page: i64,
    #[serde(default = "default_limit")]
    limit: i64,
}

fn first_page() -> i64 {
    1
}

fn default_limit() -> i64 {
    20
}

#[derive(Serialize)]
struct ProjectView<'r> {
    id: &'r str,
    name: &'r str,
    description: &'r str,
    owner_id: &'r str,
    created_at: Time,
    updated_at: Time,
    services_count: i64,
}

#[derive(Serialize)]
struct Pagination {
    page: i64,
    limit: i64,
    total: i64,
    total_pages: i64,
}

#[derive(Serialize)]
struct ProjectsView<'r> {
    projects: Vec<ProjectView<'r>>,
    pagination: Pagination,
}

/// Microseconds since the Unix epoch, written as RFC 3339.
struct Time(i64);

impl Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let time = jiff::Timestamp::from_microsecond(self.0).map_err(serde::ser::Error::custom)?;
        serializer.collect_str(&format_args!("{time:.6}"))
    }
}

async fn list_projects(
    State(state): State<Arc<Projects>>,
    Query(query): Query<ListQuery>,
    headers: HeaderMap,
) -> Result<Response, StatusCode> {
    let member = authenticate(&state, &headers).ok_or(StatusCode::UNAUTHORIZED)?;
    answer(&state, &member, &query).await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

/// The caller's id.
fn authenticate(state: &Projects, headers: &HeaderMap) -> Option<String> {
    let token = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
    if let Some(subject) = state.remembered.as_ref().and_then(|cache| cache.get(token)) {
        return Some(subject);
    }
    let claims = jsonwebtoken::decode::<Claims>(token, &state.key, &state.validation).ok()?.claims;
    if let Some(cache) = &state.remembered {
        cache.insert(token.to_owned(), claims.sub.clone());
    }
    Some(claims.sub)
}

async fn answer(state: &Projects, member: &str, query: &ListQuery) -> sqlx::Result<Response> {
    let rows = sqlx::query(state.list)
        .bind(member)
        .bind(query.limit)
        .bind((query.page - 1) * query.limit)
        .fetch_all(&state.database)
        .await?;
    let total: i64 = rows.first().map_or(Ok(0), |row| row.try_get(9))?;
    let projects = rows.iter().map(|row| {
        Ok(ProjectView {
            id: row.try_get(0)?,
            owner_id: row.try_get(2)?,
            name: row.try_get(3)?,
            description: row.try_get(4)?,
            created_at: Time(row.try_get(6)?),
            updated_at: Time(row.try_get(7)?),
            services_count: row.try_get(8)?,
        })
    });
    let view = ProjectsView {
        projects: projects.collect::<sqlx::Result<_>>()?,
        pagination: Pagination {
            page: query.page,
            limit: query.limit,
            total,
            total_pages: (total + query.limit - 1) / query.limit,
        },
    };
    Ok(Json(view).into_response())
}
