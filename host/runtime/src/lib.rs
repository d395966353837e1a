//! `windlass:runtime`: what runs workloads, behind one trait.
//!
//! A [`Driver`] carries workloads somewhere: the embedded wasm runtime, and others. [`Runtime`] is
//! what the reconciler works with: it finds images, tells the driver what to do, keeps what
//! workloads write in the [`LogBook`] and what the world reaches in the [`Ingress`].
//!
//! [`builds`] makes images, and is begun, looked at and ended in the same way.
//!
//! Nothing here decides what should run. That is written in the database and read by the
//! reconciler, which is a component.

mod archives;
mod bindings;
pub mod builds;
mod capability;
mod docker;
mod driver;
mod images;
mod ingress;
mod job;
mod logbook;
mod registry;
mod runtime;
mod schedule;
mod sealed;
mod wasm;

pub use archives::Archives;
pub use capability::{RuntimeCapability, Secrets};
pub use docker::DockerDriver;
pub use driver::{
    Driver, DriverFuture, Error, Health, Kind, State, Usage, Volume, Workload, WorkloadId,
};
pub use images::{Image, ImageFuture, ImageStore, Images, LOCAL, Registry};
pub use ingress::{Found, Ingress, Route};
pub use job::{Job, JobInput, JobOutcome, JobState};
pub use logbook::{Entry, LogBook, LogWriter, Output};
pub use registry::OciRegistry;
pub use runtime::{Drivers, Runtime};
pub use sealed::Sealed;
pub use wasm::WasmDriver;
