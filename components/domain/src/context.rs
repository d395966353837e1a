//! Who is asking, from where, and by which ports the work is done.
//!
//! No operation runs without a context, so authorization sits in the operation and never in a
//! handler. Credentials are verified before a context is made; here they are only judged.

use crate::error::{Error, Result};
use crate::future::PortBound;
use crate::ids::UserId;
use crate::operations::Signal;
use crate::secrets::Secrets;
use crate::store::Store;
use crate::time::Timestamp;

/// What every operation takes first.
#[derive(Clone)]
pub struct Context<'a> {
    /// Who is asking.
    pub caller: Caller,
    /// From where, for the audit trail and the limits.
    pub origin: Origin,
    /// The only source of time.
    pub clock: &'a dyn Clock,
    /// The only source of fresh ids.
    pub ids: &'a dyn Ids,
    /// Where everything is kept.
    pub store: &'a dyn Store,
    /// Wakes whoever carries out what is promised here.
    pub signal: &'a dyn Signal,
    /// Seals what must not be read again.
    pub secrets: &'a dyn Secrets,
}

impl Context<'_> {
    /// The user who is asking.
    ///
    /// # Errors
    /// `Unauthenticated` for a caller without credentials, or with rejected ones.
    pub fn user(&self) -> Result<UserId> {
        match &self.caller {
            Caller::Anonymous => {
                Err(Error::Unauthenticated("authentication is required".to_owned()))
            }
            Caller::Rejected(reason) => Err(Error::Unauthenticated(reason.clone())),
            Caller::User { id, .. } => Ok(*id),
        }
    }
}

/// What the credentials of a request amount to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// There were none.
    Anonymous,
    /// They are malformed, expired, revoked or not ours; the text says which and is fit for the
    /// client.
    Rejected(String),
    /// They were verified.
    User {
        /// Whose they are.
        id: UserId,
        /// The id of the token itself.
        token_id: String,
    },
}

/// Where a request came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The id of the request, as in the log.
    pub request_id: String,
    /// The address of the client.
    pub client_address: String,
    /// What the client calls itself; empty when it does not say.
    pub user_agent: String,
}

/// The port to time.
pub trait Clock: PortBound {
    /// The current time.
    fn now(&self) -> Timestamp;
}

/// The port to fresh ids: UUIDs of version 7 in production, counted ones in tests.
pub trait Ids: PortBound {
    /// The 128 bits of a UUID that was never given before.
    fn fresh(&self) -> u128;
}
