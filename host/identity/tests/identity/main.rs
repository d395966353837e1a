//! Identity as the gateway, the binary and components use it, with a clock that the tests move.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fixture;
mod keys;
mod passwords;
mod tokens;
mod vault;
