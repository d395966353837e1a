//! Environments: writes `environment`.

use windlass_domain::environments::Environment;
use windlass_domain::future::PortFuture;
use windlass_domain::store::EnvironmentWrites;
use windlass_domain::{Kind, Result};

use crate::SqlTransaction;
use crate::errors::unexpected;
use crate::executor::Value;

const INSERT: &str = "\
    INSERT INTO environment (id, project_id, name, mode, revision, created_at, updated_at) VALUES \
    ($1, $2, $3, $4, $5, $6, $7), \
    ($8, $9, $10, $11, $12, $13, $14), \
    ($15, $16, $17, $18, $19, $20, $21)";

impl EnvironmentWrites for SqlTransaction<'_> {
    fn insert_environments<'a>(
        &'a self,
        environments: &'a [Environment; 3],
    ) -> PortFuture<'a, Result<()>> {
        Box::pin(async move {
            let parameters = environments.iter().flat_map(parameters).collect();
            let inserted = self.work.execute(INSERT, parameters).await;
            inserted.map_err(unexpected(Kind::Environment))?;
            Ok(())
        })
    }
}

fn parameters(environment: &Environment) -> [Value; 7] {
    [
        environment.id.to_string().into(),
        environment.project_id.to_string().into(),
        environment.name.as_str().into(),
        environment.mode.as_str().into(),
        environment.revision.number().into(),
        environment.created_at.microseconds().into(),
        environment.updated_at.microseconds().into(),
    ]
}
