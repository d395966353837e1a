//! The one way out of the host.
//!
//! What tenants name (a git provider, a repository, a registry) is reached from here and from
//! nowhere else. Three things are kept:
//!
//! - **Where to.** [`Outbound`] refuses addresses of private networks, of this machine and of its
//!   neighbours, unless the operator lists them. It looks at the address that is connected to, in the
//!   moment it is connected to, so that a name cannot be one thing when it is checked and another
//!   when it is used, and it does so again for every redirect. No proxy is asked to connect for us,
//!   because what a proxy connects to cannot be seen from here.
//! - **How much.** Every request has [`Bounds`]: time for all of it, and bytes of its answer.
//! - **What goes along.** A header that is marked sensitive is sent to the origin it was meant for,
//!   and is left behind when a redirect leads elsewhere.
//!
//! [`Client`] speaks HTTP this way. Whoever speaks something else takes [`Outbound::connect`].

mod client;
mod error;
mod networks;
mod outbound;

pub use client::{Answer, Bounds, Client};
pub use error::Error;
pub use outbound::Outbound;
