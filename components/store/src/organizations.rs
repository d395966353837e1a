//! Organizations: writes `organization`, `membership` and `event_chain`.

use windlass_domain::events::ChainHead;
use windlass_domain::future::PortFuture;
use windlass_domain::organizations::{Membership, Organization};
use windlass_domain::store::OrganizationWrites;
use windlass_domain::{Kind, Result};

use crate::SqlTransaction;
use crate::errors::unexpected;
use crate::executor::Value;

const INSERT: &str = "\
    INSERT INTO organization (id, name, personal_of, revision, created_at, updated_at) \
    VALUES ($1, $2, $3, $4, $5, $6)";

const INSERT_MEMBERSHIP: &str = "\
    INSERT INTO membership (user_id, organization_id, role, created_at) VALUES ($1, $2, $3, $4)";

const INSERT_CHAIN: &str =
    "INSERT INTO event_chain (organization_id, sequence, hash) VALUES ($1, $2, $3)";

impl OrganizationWrites for SqlTransaction<'_> {
    fn insert_organization<'a>(
        &'a self,
        organization: &'a Organization,
        member: &'a Membership,
    ) -> PortFuture<'a, Result<()>> {
        Box::pin(async move {
            let id = organization.id.to_string();
            let head = ChainHead::EMPTY;
            let statements: [(&'static str, Vec<Value>); 3] = [
                (INSERT, organization_parameters(organization)),
                (INSERT_MEMBERSHIP, membership_parameters(member)),
                (INSERT_CHAIN, vec![id.into(), head.sequence.into(), head.hash.to_string().into()]),
            ];
            for (statement, parameters) in statements {
                let inserted = self.work.execute(statement, parameters).await;
                inserted.map_err(unexpected(Kind::Organization))?;
            }
            Ok(())
        })
    }
}

fn organization_parameters(organization: &Organization) -> Vec<Value> {
    vec![
        organization.id.to_string().into(),
        organization.name.as_str().into(),
        organization.personal_of.map(|id| id.to_string()).into(),
        organization.revision.number().into(),
        organization.created_at.microseconds().into(),
        organization.updated_at.microseconds().into(),
    ]
}

fn membership_parameters(member: &Membership) -> Vec<Value> {
    vec![
        member.user_id.to_string().into(),
        member.organization_id.to_string().into(),
        member.role.as_str().into(),
        member.created_at.microseconds().into(),
    ]
}
