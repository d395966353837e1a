//! What the Containr controllers share: what errors look like ([`errors`]) and what resources
//! look like ([`views`]). Everything else is each controller's own.

pub mod errors;
pub mod views;

pub use errors::{Error, Result};
