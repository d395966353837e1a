//! Which components run.

use std::collections::BTreeMap;

use anyhow::{Context, anyhow};
use windlass_engine::{ComponentId, LedgerFuture, Recorded, ReleaseLedger, Transition};
use windlass_storage::Database;
use windlass_store::platform::releases::{self, Change, ReleaseRecord};

use super::executor::Records;
use super::now;
use super::tokens::sentence;

/// Who changes what runs, until administrators have names of their own.
const ACTOR: &str = "management token";

/// The ledger of releases.
pub(crate) struct Releases {
    records: Records,
    /// The digest of the file the map names, for each component it names.
    bases: BTreeMap<ComponentId, String>,
}

/// A component that was released.
pub(crate) struct Release {
    /// The component.
    pub(crate) component: Recorded,
    /// The digest of the file the map named then; `None` when it named none.
    pub(crate) base: Option<String>,
}

impl Releases {
    /// The ledger over this database.
    pub(crate) fn new(database: &Database, bases: BTreeMap<ComponentId, String>) -> Self {
        Self { records: Records::new(database), bases }
    }

    /// Everything that was released and not removed.
    pub(crate) async fn running(&self) -> anyhow::Result<BTreeMap<ComponentId, Release>> {
        let records = releases::current(&self.records).await.map_err(|error| anyhow!("{error}"))?;
        let running = records.into_iter().map(|record| {
            let base = record.base_digest.clone();
            let component = recorded(record).map_err(anyhow::Error::msg)?;
            Ok((component.id.clone(), Release { component, base }))
        });
        running.collect::<anyhow::Result<_>>().context("the record of releases")
    }

    fn record_of(&self, component: &Recorded) -> Result<ReleaseRecord, String> {
        Ok(ReleaseRecord {
            component: component.id.to_string(),
            digest: component.digest.clone(),
            manifest: serde_json::to_string(&component.manifest)
                .map_err(|error| error.to_string())?,
            base_digest: self.bases.get(&component.id).cloned(),
            version: component.manifest.version.clone(),
            bytes: component.wasm.to_vec(),
        })
    }
}

impl ReleaseLedger for Releases {
    fn record<'a>(&'a self, transitions: &'a [Transition]) -> LedgerFuture<'a, ()> {
        Box::pin(async move {
            let changes = transitions.iter().map(|transition| {
                let before = transition.before.as_ref().map(|before| self.record_of(before));
                Ok(Change { now: self.record_of(&transition.now)?, before: before.transpose()? })
            });
            let changes = changes.collect::<Result<Vec<_>, String>>()?;
            releases::record(&self.records, ACTOR, changes, now()).await.map_err(sentence)
        })
    }

    fn previous<'a>(&'a self, id: &'a ComponentId) -> LedgerFuture<'a, Option<Recorded>> {
        Box::pin(async move {
            let found = releases::previous(&self.records, id.as_str()).await.map_err(sentence)?;
            found.map(recorded).transpose()
        })
    }

    fn forget<'a>(&'a self, id: &'a ComponentId) -> LedgerFuture<'a, ()> {
        Box::pin(
            async move { releases::remove(&self.records, id.as_str()).await.map_err(sentence) },
        )
    }
}

fn recorded(record: ReleaseRecord) -> Result<Recorded, String> {
    let ReleaseRecord { component, digest, manifest, bytes, .. } = record;
    Ok(Recorded {
        id: ComponentId::new(&component)?,
        digest,
        manifest: serde_json::from_str(&manifest)
            .map_err(|error| format!("the manifest of {component}: {error}"))?,
        wasm: bytes.into(),
    })
}
