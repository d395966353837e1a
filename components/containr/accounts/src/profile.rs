//! The caller's own account.

use containr_common::Result;
use containr_common::views::UserView;
use serde::Deserialize;
use windlass_domain::users::{self, ProfileChange};
use windlass_sdk::{Call, EntityTag, Response, StatusCode, json};

/// `GET /api/v1/user/profile`.
pub(crate) async fn view(call: Call<'_>) -> Result<Response> {
    let user = users::view_profile(call.context).await?;
    Ok(Response::view(call.request, &EntityTag::new(user.revision), || UserView::from(&user)))
}

#[derive(Deserialize)]
struct UpdateUserRequest {
    #[serde(default, deserialize_with = "json::present")]
    name: Option<String>,
    #[serde(default, deserialize_with = "json::present")]
    email: Option<String>,
    #[serde(default, deserialize_with = "json::present")]
    avatar_url: Option<String>,
}

/// `PUT /api/v1/user/profile`.
pub(crate) async fn update(call: Call<'_>) -> Result<Response> {
    let expected = call.request.expected_revision()?;
    let UpdateUserRequest { name, email, avatar_url } = call.request.json()?;
    let change = ProfileChange { name, email, avatar_url };
    let user = users::update_profile(call.context, change, expected).await?;
    Ok(Response::json(StatusCode::OK, &UserView::from(&user))
        .with_tag(&EntityTag::new(user.revision)))
}
