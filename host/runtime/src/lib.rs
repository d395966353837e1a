//! `windlass:runtime`: what runs workloads, behind one trait.
//!
//! A [`Driver`] carries workloads somewhere: the embedded wasm runtime, and others. [`Runtime`] is
//! what the reconciler works with: it finds images, tells the driver what to do, keeps what
//! workloads write in the [`LogBook`] and what the world reaches in the [`Ingress`].
//!
//! Nothing here decides what should run. That is written in the database and read by the
//! reconciler, which is a component.

mod bindings;
mod capability;
mod driver;
mod images;
mod ingress;
mod logbook;
mod runtime;
mod wasm;

pub use capability::RuntimeCapability;
pub use driver::{Driver, DriverFuture, Error, Kind, State, Workload, WorkloadId};
pub use images::{Image, ImageFuture, ImageStore, Images, LOCAL, Registry};
pub use ingress::{Found, Ingress, Route};
pub use logbook::{Entry, LogBook, LogWriter, Output};
pub use runtime::Runtime;
pub use wasm::WasmDriver;
