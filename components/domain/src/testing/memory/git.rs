//! Git accounts in memory.

use super::MemoryStore;
use super::transaction::{MemoryTransaction, refuse_taken};
use crate::error::{Kind, Result};
use crate::future::PortFuture;
use crate::git::GitAccount;
use crate::ids::{GitAccountId, UserId};
use crate::store::{GitAccountReads, GitAccountWrites};

impl GitAccountReads for MemoryStore {
    fn list_git_accounts(&self, user: UserId) -> PortFuture<'_, Result<Vec<GitAccount>>> {
        self.read(|state| {
            let fits = |account: &&GitAccount| account.user_id == user;
            let mut found: Vec<_> = state.git_accounts.iter().filter(fits).cloned().collect();
            found.sort_by_key(|account| (account.created_at, account.id));
            found
        })
    }

    fn git_account(
        &self,
        user: UserId,
        id: GitAccountId,
    ) -> PortFuture<'_, Result<Option<GitAccount>>> {
        self.read(|state| {
            let fits = |account: &&GitAccount| account.user_id == user && account.id == id;
            state.git_accounts.iter().find(fits).cloned()
        })
    }
}

impl GitAccountWrites for MemoryTransaction<'_> {
    fn insert_git_account<'a>(&'a self, account: &'a GitAccount) -> PortFuture<'a, Result<()>> {
        self.write(|state| {
            refuse_taken(Kind::GitAccount, "type", &state.git_accounts, |other| {
                other.user_id == account.user_id && other.provider == account.provider
            })?;
            state.git_accounts.push(account.clone());
            Ok(())
        })
    }
}
