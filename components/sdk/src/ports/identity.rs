//! Passwords, tokens and limits by way of `windlass:identity`.

use windlass_domain::future::PortFuture;
use windlass_domain::identity::{Identity, IssuedToken};
use windlass_domain::ids::UserId;
use windlass_domain::{Error, Result, Timestamp};

use super::{Host, Nothing};
use crate::bindings::windlass::identity::types::Error as IdentityError;
use crate::bindings::windlass::identity::{passwords, throttle, tokens};

impl Identity for Host {
    fn hash_password<'a>(&'a self, password: &'a str) -> PortFuture<'a, Result<String>> {
        Box::pin(async move { passwords::hash(password.to_owned()).await.map_err(identity_error) })
    }

    fn verify_password<'a>(
        &'a self,
        password: &'a str,
        hash: Option<&'a str>,
    ) -> PortFuture<'a, Result<bool>> {
        Box::pin(async move {
            passwords::verify(password.to_owned(), hash.map(str::to_owned))
                .await
                .map_err(identity_error)
        })
    }

    fn issue_token<'a>(
        &'a self,
        subject: UserId,
        lifetime_seconds: u64,
    ) -> PortFuture<'a, Result<IssuedToken>> {
        Box::pin(async move {
            let issued = tokens::issue(subject.to_string(), lifetime_seconds)
                .await
                .map_err(identity_error)?;
            let seconds = i64::try_from(issued.expires_at_seconds).unwrap_or(i64::MAX);
            Ok(IssuedToken {
                id: issued.id,
                token: issued.token,
                expires_at: Timestamp::from_seconds(seconds),
            })
        })
    }

    fn admit<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        burst: u32,
        period_seconds: u32,
    ) -> PortFuture<'a, std::result::Result<(), u32>> {
        let admitted = throttle::admit(bucket, key, burst, period_seconds);
        Box::pin(async move { admitted })
    }
}

impl Nothing {
    fn missing<T>(&self) -> PortFuture<'_, Result<T>> {
        Box::pin(async { Err(Error::internal_fault("the component was made without `identity`")) })
    }
}

impl Identity for Nothing {
    fn hash_password<'a>(&'a self, _password: &'a str) -> PortFuture<'a, Result<String>> {
        self.missing()
    }

    fn verify_password<'a>(
        &'a self,
        _password: &'a str,
        _hash: Option<&'a str>,
    ) -> PortFuture<'a, Result<bool>> {
        self.missing()
    }

    fn issue_token<'a>(
        &'a self,
        _subject: UserId,
        _lifetime_seconds: u64,
    ) -> PortFuture<'a, Result<IssuedToken>> {
        self.missing()
    }

    fn admit<'a>(
        &'a self,
        _bucket: &'a str,
        _key: &'a str,
        _burst: u32,
        period_seconds: u32,
    ) -> PortFuture<'a, std::result::Result<(), u32>> {
        Box::pin(async move { Err(period_seconds) })
    }
}

/// What the host's identity functions refuse, in the domain's words.
fn identity_error(error: IdentityError) -> Error {
    match error {
        IdentityError::Quota(_) => Error::QuotaExceeded {
            reason: "too many password checks at once".into(),
            retry_after_seconds: Some(1),
        },
        IdentityError::Unavailable(text) | IdentityError::Timeout(text) => {
            Error::unavailable(format!("identity: {text}"))
        }
        IdentityError::Denied(text)
        | IdentityError::NotFound(text)
        | IdentityError::Conflict(text)
        | IdentityError::Invalid(text)
        | IdentityError::Other(text) => Error::internal_fault(format!("identity: {text}")),
    }
}
