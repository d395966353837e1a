//! What runs workloads, from outside.

mod registry;
