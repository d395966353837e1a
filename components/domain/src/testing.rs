//! The ports in memory, for tests of rules and of handlers.

mod identity;
mod memory;
mod world;

pub use identity::FakeIdentity;
pub use memory::MemoryStore;
pub use world::{CountedIds, FixedClock, World, block_on};
