//! Which components run.

use std::collections::BTreeMap;

use anyhow::anyhow;
use bytes::Bytes;
use windlass_engine::{
    ComponentId, ComponentManifest, LedgerFuture, Recorded, ReleaseLedger, Transition,
};
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
    named: BTreeMap<ComponentId, Named>,
}

/// What the map says of a component it names.
pub(crate) struct Named {
    /// What it is given.
    pub(crate) manifest: ComponentManifest,
    /// The digest of its file.
    pub(crate) digest: String,
}

/// A component that was released.
pub(crate) struct Release {
    /// The digest of its code.
    pub(crate) digest: String,
    /// The version of its code.
    pub(crate) version: Option<String>,
    /// What it was given, or why that cannot be read any more.
    pub(crate) manifest: Result<ComponentManifest, String>,
    /// Its code.
    pub(crate) wasm: Bytes,
    /// The digest of the file the map named then; `None` when it named none.
    pub(crate) base: Option<String>,
}

impl Releases {
    /// The ledger over this database, beside this map.
    pub(crate) fn new(database: &Database, named: BTreeMap<ComponentId, Named>) -> Self {
        Self { records: Records::new(database), named }
    }

    /// Everything that was released and not removed.
    pub(crate) async fn running(&self) -> anyhow::Result<BTreeMap<ComponentId, Release>> {
        let records = releases::current(&self.records).await.map_err(|error| anyhow!("{error}"))?;
        let mut running = BTreeMap::new();
        for record in records {
            match ComponentId::new(&record.component) {
                Ok(id) => _ = running.insert(id, release(record)),
                Err(reason) => tracing::error!("a recorded release does not run: {reason}"),
            }
        }
        Ok(running)
    }

    fn record_of(&self, component: &Recorded) -> Result<ReleaseRecord, String> {
        Ok(ReleaseRecord {
            component: component.id.to_string(),
            digest: component.digest.clone(),
            manifest: serde_json::to_string(&component.manifest)
                .map_err(|error| error.to_string())?,
            base_digest: self.named.get(&component.id).map(|named| named.digest.clone()),
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
            let Some(record) = found else { return Ok(None) };
            let Release { digest, version, manifest, wasm, .. } = release(record);
            let manifest = match self.named.get(id) {
                // The map's grants win here too: going back must not undo that they were narrowed.
                Some(named) => ComponentManifest { version, ..named.manifest.clone() },
                None => manifest?,
            };
            Ok(Some(Recorded { id: id.clone(), digest, manifest, wasm }))
        })
    }

    fn forget<'a>(&'a self, id: &'a ComponentId) -> LedgerFuture<'a, ()> {
        Box::pin(
            async move { releases::remove(&self.records, id.as_str()).await.map_err(sentence) },
        )
    }
}

fn release(record: ReleaseRecord) -> Release {
    let ReleaseRecord { digest, manifest, base_digest, version, bytes, .. } = record;
    let manifest = serde_json::from_str(&manifest)
        .map_err(|error| format!("its recorded manifest cannot be read: {error}"));
    Release { digest, version, manifest, wasm: bytes.into(), base: base_digest }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_that_cannot_be_read_is_told_and_keeps_the_rest_readable() {
        let release = release(ReleaseRecord {
            component: "guest".to_owned(),
            digest: "sha256:1".to_owned(),
            manifest: "{\"routes\": [], \"grant\": []}".to_owned(),
            base_digest: None,
            version: None,
            bytes: vec![1],
        });
        let reason = release.manifest.map_or_else(|reason| reason, |_| String::new());
        assert!(reason.contains("recorded manifest") && reason.contains("grant"), "{reason}");
        assert_eq!((release.digest.as_str(), release.wasm.as_ref()), ("sha256:1", &[1][..]));
    }
}
