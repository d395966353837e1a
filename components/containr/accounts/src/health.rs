//! Whether the API answers. Whether its database does is the management listener's to say.

use containr_common::Result;
use serde::Serialize;
use windlass_sdk::{Call, Response, StatusCode};

#[derive(Serialize)]
struct HealthView {
    status: &'static str,
    service: &'static str,
    version: &'static str,
}

/// `GET /api/v1/health`.
pub(crate) async fn view(_call: Call<'_>) -> Result<Response> {
    let view = HealthView { status: "ok", service: "containr-api", version: "1.0.0" };
    Ok(Response::json(StatusCode::OK, &view))
}
