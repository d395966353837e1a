//! Trees of files out of git repositories.
//!
//! A repository is fetched over http or https, only as much of it as one commit needs, and is read
//! where it lies: nothing is checked out. So there is no file of a tenant's in this machine's
//! directories, no hook, filter or link that could lead anywhere, and no program is started. What is
//! fetched is bounded in time, bytes, files and nested repositories, and is given up at once when
//! nobody wants it any more.

mod fetch;
mod modules;
mod walk;
mod wire;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use url::Url;
use windlass_outbound::Client;

use wire::Wire;

/// Time for all of a fetch, nested repositories included.
const FETCH_TIME: Duration = Duration::from_secs(10 * 60);
/// Bytes of all answers of one fetch. They are in memory while they are taken apart.
const FETCHED_BYTES: usize = 96 * 1_048_576;
/// The largest object, unpacked.
const OBJECT_BYTES: usize = 64 * 1_048_576;
/// Files and links of a tree, those of nested repositories included.
const ENTRIES: usize = 50_000;
/// Bytes of all files of a tree together.
const TREE_BYTES: u64 = 1_024 * 1_048_576;
/// Directories in directories.
const DEPTH: usize = 64;
/// Bytes of a path.
const PATH_BYTES: usize = 4_096;
/// Repositories in repositories.
const NESTED: usize = 4;
/// Nested repositories in all.
const MODULES: usize = 32;

/// What to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The http or https address of the repository.
    pub repository: String,
    /// A branch or tag; empty for the repository's own choice.
    pub branch: String,
    /// A commit, whole or the beginning of the newest one of the branch; empty for that one.
    pub commit: String,
}

/// What opens a repository that is not for everybody. It goes to the origin of that repository and
/// nowhere else.
#[derive(Clone)]
pub struct Credential {
    /// Whom the provider wants to hear of beside a token.
    pub user: String,
    /// The token.
    pub token: String,
}

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A file.
    File {
        /// Whether it may be run.
        executable: bool,
        /// Its size, in bytes.
        size: u64,
    },
    /// A symbolic link to somewhere in the tree.
    Link {
        /// What is written in it.
        target: String,
    },
}

/// A path of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// From the root, parts separated by `/`.
    pub path: String,
    /// What stands there.
    pub kind: FileKind,
    /// Which of the repositories has it.
    module: usize,
    object: gix::ObjectId,
}

/// Fetches trees.
pub struct Repositories {
    client: Client,
    /// Where they lie while they are read.
    directory: PathBuf,
}

/// A tree that was fetched. What it takes on the disk is given back when it is dropped.
pub struct Checkout {
    commit: String,
    files: Vec<File>,
    modules: Vec<gix::ThreadSafeRepository>,
    _directory: TempDir,
}

impl Repositories {
    /// By this client, laid down for a while in a directory that is this host's alone.
    pub fn new(client: Client, directory: PathBuf) -> Self {
        Self { client, directory }
    }

    /// Fetches the tree of a commit. `line` is told what happens.
    ///
    /// # Errors
    /// A sentence for the tenant.
    pub async fn fetch(
        &self,
        wanted: Wanted,
        credential: Option<Credential>,
        line: impl Fn(&str) + Send + 'static,
        cancelled: &CancellationToken,
    ) -> Result<Checkout, String> {
        let url = address(&wanted.repository)?;
        let directory = self.directory.clone();
        let interrupt = Arc::new(Interrupt::default());
        // Whoever drops this future, or cancels, ends what the thread below is at.
        let _ends = Ends(Arc::clone(&interrupt));
        let session = Session {
            client: self.client.clone(),
            runtime: tokio::runtime::Handle::current(),
            credential,
            cancelled: cancelled.clone(),
            interrupt: Arc::clone(&interrupt),
            until: Instant::now() + FETCH_TIME,
            left: Arc::new(std::sync::atomic::AtomicUsize::new(FETCHED_BYTES)),
        };
        let fetching =
            tokio::task::spawn_blocking(move || session.fetch(&directory, &url, &wanted, &line));
        tokio::select! {
            biased;
            () = cancelled.cancelled() => Err("it is not wanted any more".to_owned()),
            () = tokio::time::sleep(FETCH_TIME) => Err(too_long()),
            fetched = fetching => fetched.map_err(|error| error.to_string())?,
        }
    }
}

impl Checkout {
    /// The commit, in hexadecimal digits.
    pub fn commit(&self) -> &str {
        &self.commit
    }

    /// Every file and link, ordered by path.
    pub fn files(&self) -> &[File] {
        &self.files
    }

    /// What is in a file.
    ///
    /// # Errors
    /// A sentence, when the object cannot be read.
    pub fn read(&self, file: &File) -> Result<Bytes, String> {
        let unreadable = |reason: String| format!("{} cannot be read: {reason}", file.path);
        let module =
            self.modules.get(file.module).ok_or_else(|| unreadable("no such".to_owned()))?;
        let object = module.to_thread_local();
        let object =
            object.find_object(file.object).map_err(|error| unreadable(error.to_string()))?;
        Ok(Bytes::from(object.detach().data))
    }
}

/// One fetch, on a thread of its own.
struct Session {
    client: Client,
    runtime: tokio::runtime::Handle,
    credential: Option<Credential>,
    cancelled: CancellationToken,
    interrupt: Arc<Interrupt>,
    until: Instant,
    left: Arc<std::sync::atomic::AtomicUsize>,
}

impl Session {
    fn fetch(
        self,
        directory: &std::path::Path,
        url: &Url,
        wanted: &Wanted,
        line: &dyn Fn(&str),
    ) -> Result<Checkout, String> {
        let no_room = |error: std::io::Error| format!("there is no room for it: {error}");
        let directory =
            tempfile::Builder::new().prefix("fetch-").tempdir_in(directory).map_err(no_room)?;
        let mut walk = walk::Walk::default();
        let (mut first, mut modules) = (None, Vec::new());
        let mut waiting = vec![modules::Module {
            path: String::new(),
            url: url.clone(),
            revision: fetch::Revision::of(wanted),
            nested: 0,
        }];
        while let Some(module) = waiting.pop() {
            if modules.len() > MODULES {
                return Err(format!("it has more than {MODULES} nested repositories"));
            }
            if !module.path.is_empty() {
                line(&format!(
                    "fetching the nested repository {} into {}",
                    module.url, module.path
                ));
            }
            let place = directory.path().join(modules.len().to_string());
            let repository = fetch::empty(&place)?;
            let wire = Arc::new(self.wire(&module.url, url));
            let commit = fetch::fetch(&repository, &wire, &module, &self.interrupt.flag)?;
            first.get_or_insert(commit);
            let found = walk.take(&repository, modules.len(), &module, commit, &self.interrupt)?;
            waiting.extend(modules::of(&repository, &module, commit, found, line)?);
            modules.push(repository.into_sync());
        }
        let commit = first.map(|id| id.to_string()).unwrap_or_default();
        Ok(Checkout { commit, files: walk.finish(), modules, _directory: directory })
    }

    fn wire(&self, url: &Url, first: &Url) -> Wire {
        let credential = match url.origin() == first.origin() {
            true => self.credential.clone(),
            false => None,
        };
        Wire::new(
            self.client.clone(),
            self.runtime.clone(),
            url.clone(),
            credential,
            (self.cancelled.clone(), self.until, Arc::clone(&self.left)),
        )
    }
}

/// Says to a thread that it may stop.
#[derive(Default)]
struct Interrupt {
    flag: AtomicBool,
}

impl Interrupt {
    fn check(&self) -> Result<(), String> {
        match self.flag.load(Ordering::Relaxed) {
            true => Err("it was given up".to_owned()),
            false => Ok(()),
        }
    }
}

/// Interrupts when it is dropped.
struct Ends(Arc<Interrupt>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.flag.store(true, Ordering::Relaxed);
    }
}

fn too_long() -> String {
    format!("it was not fetched within {} minutes", FETCH_TIME.as_secs() / 60)
}

/// The address of a repository. What could be in it beside host and path has no meaning here.
fn address(text: &str) -> Result<Url, String> {
    let refused = || format!("{text:?} is no http or https address of a repository");
    let url = Url::parse(text).map_err(|_| refused())?;
    let fits = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none();
    if fits { Ok(url) } else { Err(refused()) }
}
