//! Opening an account and logging in.

use containr_common::Result;
use containr_common::views::{LoginView, UserView};
use serde::Deserialize;
use windlass_domain::users::{self, Credentials, NewUser};
use windlass_sdk::{Call, EntityTag, Response, StatusCode};

#[derive(Deserialize)]
struct RegisterRequest {
    email: String,
    password: String,
    name: String,
}

/// `POST /api/v1/auth/register`.
pub(crate) async fn register(call: Call<'_>) -> Result<Response> {
    let RegisterRequest { email, password, name } = call.request.json()?;
    let user =
        users::register(call.context, call.ports.identity, NewUser { email, password, name })
            .await?;
    Ok(Response::json(StatusCode::CREATED, &UserView::from(&user))
        .with_tag(&EntityTag::new(user.revision)))
}

#[derive(Deserialize)]
struct LoginRequest {
    email: String,
    password: String,
}

/// `POST /api/v1/auth/login`.
pub(crate) async fn login(call: Call<'_>) -> Result<Response> {
    let LoginRequest { email, password } = call.request.json()?;
    let session =
        users::login(call.context, call.ports.identity, Credentials { email, password }).await?;
    // A token must not stay behind in a cache.
    Ok(Response::json(StatusCode::OK, &LoginView::from(&session))
        .with_header("cache-control", "no-store"))
}
