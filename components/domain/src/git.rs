//! Git accounts: how users reach their repositories.
//!
//! An account belongs to the user who added it and to nobody else, whatever organization they are in:
//! it is that person's access to a provider. Its token is sealed when it comes in and is not seen
//! again: neither in answers nor in the trail, and the host opens it only to ask that provider.

use crate::context::Context;
use crate::error::{Conflict, Error, Kind, Result};
use crate::events::{self, Action, Entry, Resource};
use crate::future::{PortBound, PortFuture};
use crate::ids::{GitAccountId, UserId};
use crate::text::{self, Violations};
use crate::time::Timestamp;

/// The longest name.
pub const MAXIMUM_NAME: usize = 100;
/// The longest token: providers stay far below.
pub const MAXIMUM_TOKEN: usize = 4096;
/// How long to wait before a provider is asked again that was asked too often, in seconds.
const ASK_AGAIN_SECONDS: u32 = 60;

/// Who keeps repositories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GitProvider {
    /// GitHub.
    GitHub,
    /// GitLab.
    GitLab,
    /// Bitbucket.
    Bitbucket,
}

impl GitProvider {
    /// The lower-case word for it, as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GitHub => "github",
            Self::GitLab => "gitlab",
            Self::Bitbucket => "bitbucket",
        }
    }

    /// Reads the word; `None` for any other.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "github" => Some(Self::GitHub),
            "gitlab" => Some(Self::GitLab),
            "bitbucket" => Some(Self::Bitbucket),
            _ => None,
        }
    }

    /// What it calls itself.
    pub const fn name(self) -> &'static str {
        match self {
            Self::GitHub => "GitHub",
            Self::GitLab => "GitLab",
            Self::Bitbucket => "Bitbucket",
        }
    }
}

/// A user's access to a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitAccount {
    /// Its id.
    pub id: GitAccountId,
    /// Whose it is.
    pub user_id: UserId,
    /// At whom.
    pub provider: GitProvider,
    /// What people call it.
    pub name: String,
    /// The token, sealed in the context `git:<provider>:<id>`.
    pub sealed_token: String,
    /// When it was added.
    pub created_at: Timestamp,
}

/// What an account is made from.
#[derive(Clone, PartialEq, Eq)]
pub struct NewGitAccount {
    /// At whom.
    pub provider: GitProvider,
    /// Up to 100 characters; the provider's own name when it is blank.
    pub name: String,
    /// The token: printable ASCII, up to 4,096 characters, blanks around it left out.
    pub token: String,
}

/// A repository, as its provider describes it. What the provider does not say is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repository {
    /// The provider's id of it.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its name with its owner's.
    pub full_name: String,
    /// What it is for.
    pub description: String,
    /// Whether it is for members alone.
    pub private: bool,
    /// The branch that is taken when none is named.
    pub default_branch: String,
    /// Where it is cloned from.
    pub clone_url: String,
    /// Where people look at it.
    pub web_url: String,
}

/// Why a provider did not tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostingFault {
    /// It refuses the token, or what is asked with it. The text is fit for the user.
    Refused(String),
    /// It was asked too often. The text is fit for the user.
    TooOften(String),
    /// It cannot be reached, or does not answer as it should. The text is fit for the user.
    Unreachable(String),
    /// A fault of ours; the text is for the log.
    Internal(String),
}

/// The port to those who keep repositories.
pub trait Hosting: PortBound {
    /// What an account may see, in the provider's order, at most 1,000.
    fn repositories<'a>(
        &'a self,
        account: &'a GitAccount,
    ) -> PortFuture<'a, Result<Vec<Repository>, HostingFault>>;
}

/// The caller's accounts, the oldest first: one for each provider at the most.
///
/// # Errors
/// `Unauthenticated`.
pub async fn list(ctx: &Context<'_>) -> Result<Vec<GitAccount>> {
    let user = ctx.user()?;
    ctx.store.list_git_accounts(user).await
}

/// Adds an account of the caller.
///
/// # Errors
/// `Unauthenticated`, also when the caller's own account is gone; `Invalid`; `AlreadyExists` when
/// there is one at this provider.
pub async fn create(ctx: &Context<'_>, new_account: NewGitAccount) -> Result<GitAccount> {
    let user_id = ctx.user()?;
    let (name, token) = check(&new_account)?;
    let user = ctx.store.account(user_id).await?;
    let user =
        user.ok_or_else(|| Error::Unauthenticated("the account no longer exists".to_owned()))?;
    let id = GitAccountId::from_u128(ctx.ids.fresh());
    let provider = new_account.provider;
    let context = format!("git:{}:{id}", provider.as_str());
    let account = GitAccount {
        id,
        user_id,
        provider,
        name,
        sealed_token: ctx.secrets.seal(&context, token).await?,
        created_at: ctx.clock.now(),
    };
    let transaction = ctx.store.begin().await?;
    transaction.insert_git_account(&account).await?;
    let entry = Entry {
        organization_id: user.organization_id,
        actor_id: user_id,
        actor_email: user.user.email,
        resource: Resource::GitAccount,
        resource_id: id.to_string(),
        action: Action::Create,
        changes: events::differences(
            &[],
            &[("type", provider.as_str().to_owned()), ("name", account.name.clone())],
        ),
    };
    events::record(ctx, &*transaction, entry).await?;
    transaction.commit().await?;
    Ok(account)
}

/// The repositories that one of the caller's accounts may see.
///
/// # Errors
/// `Unauthenticated`; `NotFound`; `Conflict` when the provider refuses the token; `QuotaExceeded`
/// when it was asked too often; `NotAvailable` when it cannot be reached.
pub async fn repositories(
    ctx: &Context<'_>,
    hosting: &dyn Hosting,
    id: &str,
) -> Result<Vec<Repository>> {
    let user = ctx.user()?;
    let found = match GitAccountId::parse(id) {
        Some(id) => ctx.store.git_account(user, id).await?,
        None => None,
    };
    let account = found.ok_or_else(|| Error::not_found(Kind::GitAccount, id))?;
    hosting.repositories(&account).await.map_err(|fault| match fault {
        HostingFault::Refused(reason) => {
            Error::Conflict { kind: Kind::GitAccount, cause: Conflict::Elsewhere(reason) }
        }
        HostingFault::TooOften(reason) => Error::QuotaExceeded {
            reason: reason.into(),
            retry_after_seconds: Some(ASK_AGAIN_SECONDS),
        },
        HostingFault::Unreachable(reason) => Error::NotAvailable(reason.into()),
        HostingFault::Internal(internal) => Error::internal_fault(internal),
    })
}

/// The name and the token as they are kept.
fn check(new_account: &NewGitAccount) -> Result<(String, &str)> {
    let mut violations = Violations::default();
    let name = violations.name("name", &new_account.name, 0, MAXIMUM_NAME);
    let token = new_account.token.trim();
    let fits = (1..=MAXIMUM_TOKEN).contains(&token.len()) && text::is_printable_ascii(token);
    // What it is, is not repeated.
    violations.require(
        fits && new_account.token.len() <= MAXIMUM_TOKEN,
        "access_token",
        "must be printable ASCII without blanks, of 1 to 4096 characters",
    );
    violations.finish()?;
    let name = if name.is_empty() { new_account.provider.name().to_owned() } else { name };
    Ok((name, token))
}

#[cfg(test)]
mod tests;
