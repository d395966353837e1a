//! Asking git providers by way of `windlass:source/hosting`.

use windlass_domain::future::PortFuture;
use windlass_domain::git::{GitAccount, Hosting, HostingFault, Repository};

use super::{Host, Nothing};
use crate::bindings::windlass::source::hosting as wit;
use crate::bindings::windlass::source::types::{Account, Error as SourceError};

impl Hosting for Host {
    fn repositories<'a>(
        &'a self,
        account: &'a GitAccount,
    ) -> PortFuture<'a, Result<Vec<Repository>, HostingFault>> {
        Box::pin(async move {
            let account = Account {
                provider: account.provider.as_str().to_owned(),
                id: account.id.to_string(),
                token: account.sealed_token.clone(),
            };
            let found = wit::repositories(account).await.map_err(failed)?;
            Ok(found.into_iter().map(repository).collect())
        })
    }
}

impl Hosting for Nothing {
    fn repositories<'a>(
        &'a self,
        _account: &'a GitAccount,
    ) -> PortFuture<'a, Result<Vec<Repository>, HostingFault>> {
        let missing = "the component was made without `source`".to_owned();
        Box::pin(async { Err(HostingFault::Internal(missing)) })
    }
}

fn repository(repository: wit::Repository) -> Repository {
    Repository {
        id: repository.id,
        name: repository.name,
        full_name: repository.full_name,
        description: repository.description,
        private: repository.private,
        default_branch: repository.default_branch,
        clone_url: repository.clone_url,
        web_url: repository.web_url,
    }
}

fn failed(error: SourceError) -> HostingFault {
    match error {
        SourceError::Denied(text) | SourceError::Invalid(text) => HostingFault::Refused(text),
        SourceError::Quota(text) => HostingFault::TooOften(text),
        SourceError::Unavailable(text) | SourceError::Timeout(text) => {
            HostingFault::Unreachable(text)
        }
        SourceError::NotFound(text) | SourceError::Conflict(text) | SourceError::Other(text) => {
            HostingFault::Internal(format!("source: {text}"))
        }
    }
}
