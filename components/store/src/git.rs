//! Git accounts: reads and writes `git_account`.

use windlass_domain::future::PortFuture;
use windlass_domain::git::{GitAccount, GitProvider};
use windlass_domain::ids::{GitAccountId, UserId};
use windlass_domain::store::{GitAccountReads, GitAccountWrites};
use windlass_domain::{Error, Kind, Result};

use crate::errors::unexpected;
use crate::rows::{self, Row};
use crate::{SqlStore, SqlTransaction};

/// The accounts of a user.
pub(crate) const LIST: &str = "\
    SELECT git_account.id, git_account.user_id, git_account.provider, git_account.name, \
    git_account.token, git_account.created_at \
    FROM git_account WHERE git_account.user_id = $1 \
    ORDER BY git_account.created_at, git_account.id";

/// One account of a user.
pub(crate) const VIEW: &str = "\
    SELECT git_account.id, git_account.user_id, git_account.provider, git_account.name, \
    git_account.token, git_account.created_at \
    FROM git_account WHERE git_account.user_id = $1 AND git_account.id = $2";

const INSERT: &str = "\
    INSERT INTO git_account (id, user_id, provider, name, token, created_at) \
    VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (user_id, provider) DO NOTHING";

impl GitAccountReads for SqlStore<'_> {
    fn list_git_accounts(&self, user: UserId) -> PortFuture<'_, Result<Vec<GitAccount>>> {
        Box::pin(async move {
            let answer = self.executor.query(LIST, vec![user.to_string().into()]).await;
            rows::all("git account", answer.map_err(unexpected(Kind::GitAccount))?, account)
        })
    }

    fn git_account(
        &self,
        user: UserId,
        id: GitAccountId,
    ) -> PortFuture<'_, Result<Option<GitAccount>>> {
        Box::pin(async move {
            let parameters = vec![user.to_string().into(), id.to_string().into()];
            let answer = self.executor.query(VIEW, parameters).await;
            rows::first("git account", answer.map_err(unexpected(Kind::GitAccount))?, account)
        })
    }
}

impl GitAccountWrites for SqlTransaction<'_> {
    fn insert_git_account<'a>(&'a self, account: &'a GitAccount) -> PortFuture<'a, Result<()>> {
        Box::pin(async move {
            let parameters = vec![
                account.id.to_string().into(),
                account.user_id.to_string().into(),
                account.provider.as_str().into(),
                account.name.as_str().into(),
                account.sealed_token.as_str().into(),
                account.created_at.microseconds().into(),
            ];
            let inserted = self.work.execute(INSERT, parameters).await;
            match inserted.map_err(unexpected(Kind::GitAccount))? {
                0 => Err(Error::AlreadyExists { kind: Kind::GitAccount, field: "type" }),
                _ => Ok(()),
            }
        })
    }
}

fn account(row: &mut Row) -> Result<GitAccount> {
    Ok(GitAccount {
        id: row.parsed(GitAccountId::parse)?,
        user_id: row.parsed(UserId::parse)?,
        provider: row.parsed(GitProvider::parse)?,
        name: row.text()?,
        sealed_token: row.text()?,
        created_at: row.timestamp()?,
    })
}
