//! Users: reads `user_account` and `organization`; writes `user_account`.

use windlass_domain::future::PortFuture;
use windlass_domain::ids::{OrganizationId, UserId};
use windlass_domain::store::{UserReads, UserWrites};
use windlass_domain::users::{Account, User};
use windlass_domain::{Error, Kind, Result, Revision};

use crate::errors::{unexpected, unique};
use crate::executor::Value;
use crate::rows::{self, Row};
use crate::{SqlStore, SqlTransaction};

/// Reads an account by the id of its user.
pub(crate) const ACCOUNT: &str = "\
    SELECT user_account.id, user_account.email, user_account.name, user_account.avatar_url, \
    user_account.revision, user_account.created_at, user_account.updated_at, organization.id, \
    user_account.password_hash \
    FROM user_account JOIN organization ON organization.personal_of = user_account.id \
    WHERE user_account.id = $1";

/// Reads an account by its address.
pub(crate) const ACCOUNT_BY_EMAIL: &str = "\
    SELECT user_account.id, user_account.email, user_account.name, user_account.avatar_url, \
    user_account.revision, user_account.created_at, user_account.updated_at, organization.id, \
    user_account.password_hash \
    FROM user_account JOIN organization ON organization.personal_of = user_account.id \
    WHERE user_account.email = $1";

const INSERT: &str = "\
    INSERT INTO user_account \
    (id, email, name, avatar_url, password_hash, revision, created_at, updated_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (email) DO NOTHING";

const UPDATE: &str = "\
    UPDATE user_account \
    SET email = $1, name = $2, avatar_url = $3, revision = $4, updated_at = $5 \
    WHERE id = $6 AND revision = $7";

impl UserReads for SqlStore<'_> {
    fn account(&self, id: UserId) -> PortFuture<'_, Result<Option<Account>>> {
        Box::pin(async move {
            let answer = self.executor.query(ACCOUNT, vec![id.to_string().into()]).await;
            rows::first("user", answer.map_err(unexpected(Kind::User))?, account)
        })
    }

    fn account_by_email<'a>(&'a self, email: &'a str) -> PortFuture<'a, Result<Option<Account>>> {
        Box::pin(async move {
            let answer = self.executor.query(ACCOUNT_BY_EMAIL, vec![email.into()]).await;
            rows::first("user", answer.map_err(unexpected(Kind::User))?, account)
        })
    }
}

impl UserWrites for SqlTransaction<'_> {
    fn insert_user<'a>(
        &'a self,
        user: &'a User,
        password_hash: &'a str,
    ) -> PortFuture<'a, Result<()>> {
        Box::pin(async move {
            let parameters = vec![
                user.id.to_string().into(),
                user.email.as_str().into(),
                user.name.as_str().into(),
                user.avatar_url.as_str().into(),
                password_hash.into(),
                user.revision.number().into(),
                user.created_at.microseconds().into(),
                user.updated_at.microseconds().into(),
            ];
            let inserted = self.work.execute(INSERT, parameters).await;
            match inserted.map_err(unexpected(Kind::User))? {
                0 => Err(Error::AlreadyExists { kind: Kind::User, field: "email" }),
                _ => Ok(()),
            }
        })
    }

    fn update_user<'a>(&'a self, user: &'a User, read: Revision) -> PortFuture<'a, Result<bool>> {
        Box::pin(async move {
            let parameters: Vec<Value> = vec![
                user.email.as_str().into(),
                user.name.as_str().into(),
                user.avatar_url.as_str().into(),
                user.revision.number().into(),
                user.updated_at.microseconds().into(),
                user.id.to_string().into(),
                read.number().into(),
            ];
            let updated = self.work.execute(UPDATE, parameters).await;
            Ok(updated.map_err(unique(Kind::User, "email"))? > 0)
        })
    }
}

fn account(row: &mut Row) -> Result<Account> {
    Ok(Account {
        user: User {
            id: row.parsed(UserId::parse)?,
            email: row.text()?,
            name: row.text()?,
            avatar_url: row.text()?,
            revision: row.revision()?,
            created_at: row.timestamp()?,
            updated_at: row.timestamp()?,
        },
        organization_id: row.parsed(OrganizationId::parse)?,
        password_hash: row.text()?,
    })
}
