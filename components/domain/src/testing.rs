//! The ports in memory, for tests of rules and of handlers.

mod hosting;
mod identity;
mod logs;
mod measurements;
mod memory;
mod runtime;
mod secrets;
mod signal;
mod world;

pub use hosting::FakeHosting;
pub use identity::FakeIdentity;
pub use logs::MemoryLogs;
pub use measurements::MemoryMeasurements;
pub use memory::MemoryStore;
pub use runtime::FakeRuntime;
pub use secrets::FakeSecrets;
pub use signal::CountedSignal;
pub use world::{CountedIds, FixedClock, World, block_on};
