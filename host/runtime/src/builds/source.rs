//! The port to what images are made of.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;

use super::report::Report;

/// Which tree of files is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The http or https address of a git repository.
    pub repository: String,
    /// A branch or tag; empty for the repository's own choice.
    pub branch: String,
    /// A commit; empty for the newest one of the branch.
    pub commit: String,
}

/// Where trees of files come from.
pub trait Sources: Send + Sync {
    /// Fetches a tree. It is bounded in bytes, files and time, and given up when the build is not
    /// wanted any more. The error is a sentence for the tenant.
    fn fetch(
        &self,
        source: Source,
        report: Arc<Report>,
    ) -> BoxFuture<'_, Result<Arc<dyn Tree>, String>>;
}

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A file.
    File {
        /// Whether it may be run.
        executable: bool,
        /// Its size, in bytes.
        size: u64,
    },
    /// A symbolic link, which leads to somewhere in the tree.
    Link {
        /// What is written in it.
        target: String,
    },
}

/// A path of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// From the root, parts separated by `/`; never absolute, without `.` and `..`.
    pub path: String,
    /// What stands there.
    pub kind: EntryKind,
}

/// A tree of files that was fetched. It is never laid out on this machine's disk.
pub trait Tree: Send + Sync {
    /// The commit, in hexadecimal digits.
    fn commit(&self) -> &str;

    /// Every file and link, ordered by path.
    fn entries(&self) -> &[Entry];

    /// The content of the file at this place in [`Tree::entries`]. Reading takes the time of a
    /// disk, so it is for threads that may wait.
    ///
    /// # Errors
    /// A sentence, when it is no file or cannot be read.
    fn read(&self, index: usize) -> Result<Bytes, String>;
}
