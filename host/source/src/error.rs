//! Why a git provider did not tell.

use windlass_outbound::Error as OutboundError;

/// Why a git provider did not tell. The texts are fit for the tenant whose account it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The provider refuses the token, or what is asked with it.
    #[error("{0}")]
    Denied(String),
    /// What was asked is malformed, or the token was sealed for something else.
    #[error("{0}")]
    Invalid(String),
    /// The provider cannot be reached, or does not answer as it should.
    #[error("{0}")]
    Unavailable(String),
    /// The provider was asked too often.
    #[error("{0}")]
    Quota(String),
    /// The provider took too long.
    #[error("{0}")]
    Timeout(String),
}

impl From<OutboundError> for Error {
    fn from(error: OutboundError) -> Self {
        match error {
            OutboundError::Late { .. } => Self::Timeout(error.to_string()),
            OutboundError::Refused { .. }
            | OutboundError::Unreachable { .. }
            | OutboundError::TooLarge { .. }
            | OutboundError::Misled { .. }
            | OutboundError::NoAddress { .. } => Self::Unavailable(error.to_string()),
        }
    }
}
