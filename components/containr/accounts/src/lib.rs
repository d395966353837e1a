//! The Containr controller for accounts: health, registering, logging in and the profile.

mod auth;
mod health;
mod profile;
pub mod routes;

windlass_sdk::component!(crate::routes::router, containr_common::Error, identity);
