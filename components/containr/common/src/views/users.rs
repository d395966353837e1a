//! `User` and `LoginResponse`.

use serde::Serialize;
use windlass_domain::ids::UserId;
use windlass_domain::users::{Session, User};

use super::{Text, Time};

/// `User`.
#[derive(Serialize)]
pub struct UserView<'a> {
    id: Text<UserId>,
    email: &'a str,
    name: &'a str,
    avatar_url: &'a str,
    created_at: Time,
    updated_at: Time,
}

impl<'a> From<&'a User> for UserView<'a> {
    fn from(user: &'a User) -> Self {
        Self {
            id: Text(user.id),
            email: &user.email,
            name: &user.name,
            avatar_url: &user.avatar_url,
            created_at: Time(user.created_at),
            updated_at: Time(user.updated_at),
        }
    }
}

/// `LoginResponse`.
#[derive(Serialize)]
pub struct LoginView<'a> {
    token: &'a str,
    user: UserView<'a>,
}

impl<'a> From<&'a Session> for LoginView<'a> {
    fn from(session: &'a Session) -> Self {
        Self { token: &session.token, user: UserView::from(&session.user) }
    }
}
