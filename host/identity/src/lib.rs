//! Who calls, and what keeps the others out: tokens, passwords, rate limits and sealed secrets.
//!
//! Keys are files in the data directory, made at first start; there is no default key. What must
//! be remembered across restarts and hosts (revocations, API tokens) is kept by a [`TokenLedger`]
//! that the binary provides; this crate knows no database. What a caller *may* do is decided by
//! the components, not here.

mod api_tokens;
mod bindings;
mod calls;
mod capability;
mod error;
mod identity;
mod keys;
mod ledger;
mod passwords;
mod secrets;
mod throttle;
mod tokens;
mod vault;

pub use capability::IdentityCapability;
pub use error::IdentityError;
pub use identity::{Clock, Identity, IssuedToken};
pub use ledger::{ApiToken, LedgerFuture, Revocations, TokenLedger};
pub use secrets::SecretsCapability;
