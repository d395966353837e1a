//! The JSON shapes of this surface. All fields of a schema are always there; what is unset is an
//! empty text. The exception are enumerations, whose schemas have no empty word: they are left
//! out while unset.

mod audit;
mod projects;
mod services;
mod users;

pub use audit::{AuditLogListView, AuditLogView};
pub use projects::{PaginationView, ProjectView, ProjectsView};
pub use services::{BuildConfigView, ResourceConfigView, ServiceSourceView, ServiceView};
pub use users::{LoginView, UserView};

use serde::{Serialize, Serializer};
use windlass_domain::Timestamp;

/// RFC 3339 in UTC with a `Z` and microseconds.
pub(crate) struct Time(Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let time = jiff::Timestamp::from_microsecond(self.0.microseconds())
            .map_err(serde::ser::Error::custom)?;
        serializer.collect_str(&format_args!("{time:.6}"))
    }
}

/// Ids and other things that are written as they are displayed.
pub(crate) struct Text<T>(T);

impl<T: std::fmt::Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}
