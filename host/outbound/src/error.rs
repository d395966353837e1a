//! Why something outside was not reached.

/// Why something outside was not reached. The texts are fit for the tenant who named it: they say
/// nothing of the network beyond what the tenant wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The address belongs to a network that tenants do not reach through this host.
    #[error(
        "{host} is in a private network, which this host does not reach; its operator can allow \
         that with outbound_allow"
    )]
    Refused {
        /// The name, as it was written.
        host: String,
    },
    /// There is nobody there, now.
    #[error("{host} cannot be reached: {reason}")]
    Unreachable {
        /// The name, as it was written.
        host: String,
        /// What happened.
        reason: String,
    },
    /// It took too long.
    #[error("{host} did not answer within {seconds} seconds")]
    Late {
        /// The name, as it was written.
        host: String,
        /// The time it had.
        seconds: u64,
    },
    /// It answered too much.
    #[error("{host} answered more than {bytes} bytes")]
    TooLarge {
        /// The name, as it was written.
        host: String,
        /// What would have been taken.
        bytes: usize,
    },
    /// It sent us somewhere we do not go.
    #[error("{host} redirects {reason}")]
    Misled {
        /// The name, as it was written.
        host: String,
        /// Where to, or how often.
        reason: String,
    },
    /// There is nothing to connect to in the address.
    #[error("{text:?} is no http or https address")]
    NoAddress {
        /// What was written.
        text: String,
    },
}

impl Error {
    /// Whether trying again later may help.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Late { .. })
    }
}
