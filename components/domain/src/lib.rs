//! Every rule of Windlass, written once and linked into each controller.
//!
//! The public functions of the modules named after a noun are the whole product: each takes the
//! [`Context`] first, authorizes by itself and writes its audit [`events::Event`] in the same
//! transaction as its change. What a rule needs from outside (storage, time, fresh ids, password
//! hashes) comes through the ports in [`store`], [`context`] and [`identity`].
//!
//! Left to others: HTTP and JSON to the controllers, SQL to the store, WIT to the guest kit.

pub mod builders;
pub mod builds;
pub mod context;
pub mod databases;
pub mod deployments;
pub mod environments;
pub mod error;
pub mod events;
pub mod future;
pub mod git;
pub mod identity;
pub mod ids;
pub mod logs;
pub mod measurements;
pub mod operations;
pub mod organizations;
pub mod page;
pub mod projects;
pub mod reconcile;
pub mod runtime;
pub mod secrets;
pub mod services;
pub mod store;
pub mod templates;
mod text;
pub mod time;
pub mod users;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use context::{Caller, Context, Origin};
pub use error::{Conflict, Error, Kind, Result, Violation};
pub use ids::Revision;
pub use page::{Page, PageRequest, PartialPage};
pub use time::Timestamp;
