//! Where builds get their trees from: git repositories, by the guarded way out.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use windlass_outbound::Client;
use windlass_runtime::builds::{EntryKind, Report, Source, Sources, Tree, TreeEntry};
use windlass_source::{Checkout, FileKind, Repositories, Wanted};

use crate::data::DataDirectory;

/// Repositories as builds see them.
pub(crate) struct Trees(Repositories);

impl Trees {
    /// Fetched into a directory of the host, which is empty at every start.
    pub(crate) fn open(client: &Client, data: &DataDirectory) -> anyhow::Result<Self> {
        Ok(Self(Repositories::new(client.clone(), data.fetches()?)))
    }
}

impl Sources for Trees {
    fn fetch(
        &self,
        source: Source,
        report: Arc<Report>,
    ) -> BoxFuture<'_, Result<Arc<dyn Tree>, String>> {
        Box::pin(async move {
            let Source { repository, branch, commit } = source;
            let wanted = Wanted { repository, branch, commit };
            let lines = Arc::clone(&report);
            let line = move |text: &str| lines.line(text);
            let checkout = self.0.fetch(wanted, None, line, report.cancellation()).await?;
            Ok(Arc::new(FetchedTree::new(checkout)) as Arc<dyn Tree>)
        })
    }
}

struct FetchedTree {
    checkout: Checkout,
    entries: Vec<TreeEntry>,
}

impl FetchedTree {
    fn new(checkout: Checkout) -> Self {
        let entry = |file: &windlass_source::File| TreeEntry {
            path: file.path.clone(),
            kind: match &file.kind {
                FileKind::File { executable, size } => {
                    EntryKind::File { executable: *executable, size: *size }
                }
                FileKind::Link { target } => EntryKind::Link { target: target.clone() },
            },
        };
        let entries = checkout.files().iter().map(entry).collect();
        Self { checkout, entries }
    }
}

impl Tree for FetchedTree {
    fn commit(&self) -> &str {
        self.checkout.commit()
    }

    fn entries(&self) -> &[TreeEntry] {
        &self.entries
    }

    fn read(&self, index: usize) -> Result<Bytes, String> {
        let file = self.checkout.files().get(index).ok_or("there is no such file")?;
        self.checkout.read(file)
    }
}
