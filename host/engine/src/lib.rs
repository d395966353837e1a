//! The wasm engine: it checks a component against its grants, compiles it, serves requests with
//! reused instances under limits, and exchanges what serves without losing a request.
//!
//! What the host can do *for* a component (storage, identity, ...) lives in crates of its own,
//! each a [`Capability`]; what wakes a component (HTTP, a timer) lives in the gateway. This crate
//! knows neither, and no API surface.

mod admission;
mod answer;
mod budget;
mod capability;
mod collected;
mod controller;
mod destination;
mod engine;
mod fleet;
mod manifest;
mod memory;
mod meter;
mod network;
mod output;
mod reconciler;
mod refusal;
mod releases;
mod reply;
mod request;
mod routes;
mod slot;
mod state;
mod statistics;
mod surroundings;
mod version;
mod workload;

pub use answer::{Answer, AnswerBody, Failure, is_unbuffered};
pub use capability::{Admission, Capability, InterfaceGrant};
pub use controller::Controller;
pub use destination::{Destination, DestinationFuture};
pub use engine::{Engine, digest};
pub use fleet::Fleet;
pub use manifest::{ComponentId, ComponentManifest, Limits, Manifest, StorageGrant};
pub use meter::{HostError, HostFunction, count_calls};
pub use reconciler::Step;
pub use refusal::Refusal;
pub use releases::{
    LedgerFuture, LeftOut, Listed, Proposal, Recorded, ReleaseLedger, Released, Start, Transition,
};
pub use request::{Authentication, RequestContext};
pub use routes::RoutingTable;
pub use slot::{CanaryPolicy, Slot, Trial, TrialReport};
pub use state::HostState;
pub use statistics::{Snapshot, Statistics};
pub use surroundings::{Lines, Stream, Surroundings};
pub use workload::{Ended, Program, WorkloadSettings};
