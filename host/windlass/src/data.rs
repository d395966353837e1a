//! The data directory: keys, the management token, compiled code and the embedded database. Only
//! its owner may read it, and only one host at a time works in it.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};

/// The file with the management token.
pub(crate) const MANAGEMENT_TOKEN: &str = "management.token";
/// There from before the token is made until it was shown.
const UNSHOWN: &str = "management.token.unshown";
/// The directory of keys, which `windlass_identity` makes.
const KEYS: &str = "keys";
/// The directory of what workloads wrote.
const WORKLOAD_LOGS: &str = "logs";
/// The directory of what jobs write and read.
const BACKUPS: &str = "backups";
/// The directory of repositories that are being built.
const FETCHES: &str = "fetches";
/// The file with this host's name among those that share a database.
const HOST_NAME: &str = "host.name";
/// The directory of compiled code.
const CACHE: &str = "cache";
/// Locked by the host that works in the directory.
const LOCK: &str = "windlass.lock";
/// By any of these a directory is known to be ours: whatever is done first makes one of them.
const OURS: [&str; 4] = [MANAGEMENT_TOKEN, UNSHOWN, KEYS, LOCK];
/// What an empty file system has in it.
const LOST_AND_FOUND: &str = "lost+found";

/// The data directory.
pub(crate) struct DataDirectory {
    /// The way into it; nothing outside of it can be reached through here.
    pub(crate) dir: Dir,
    path: PathBuf,
}

impl DataDirectory {
    /// Opens it, and makes it when it is not there.
    ///
    /// From here on, whatever this process or a library makes is for its owner alone.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        if let Some(present) = Self::look(path)? {
            return Ok(present);
        }
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .with_context(|| unusable(path))?;
        Self::look(path)?.with_context(|| unusable(path))
    }

    /// Opens it when it is there, and makes and changes nothing.
    ///
    /// A directory that others may read, or that somebody else keeps files in, is refused: a
    /// mistyped `data_dir` must not take over a directory that has a use already.
    pub(crate) fn look(path: &Path) -> anyhow::Result<Option<Self>> {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
        if !path.try_exists().with_context(|| unusable(path))? {
            return Ok(None);
        }
        let path = path.canonicalize().with_context(|| unusable(path))?;
        let dir = Dir::open_ambient_dir(&path, ambient_authority());
        let dir = dir.with_context(|| unusable(&path))?;
        let shown = path.display();
        if !is_ours_or_empty(&dir).with_context(|| unusable(&path))? {
            bail!(
                "data_dir is {shown}, which has files in it that are not ours; name a directory \
                 of a previous start, an empty one, or one that is not there yet"
            );
        }
        let mode = path.metadata().with_context(|| unusable(&path))?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            bail!(
                "data_dir is {shown}, which is open to others (mode {mode:o}); run chmod 700 on it"
            );
        }
        Ok(Some(Self { dir, path }))
    }

    /// Keeps other hosts out until what is answered is dropped, or the process ends: what is left
    /// over from the host before is cleared up at a start, and must not be somebody's who lives.
    pub(crate) fn lock(&self) -> anyhow::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).mode(0o600);
        let file = self.dir.open_with(LOCK, &options).with_context(|| unusable(&self.path))?;
        let file = file.into_std();
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(std::fs::TryLockError::WouldBlock) => bail!(
                "data_dir is {}, where another host is running; stop it, or name another directory",
                self.path.display()
            ),
            Err(std::fs::TryLockError::Error(error)) => {
                Err(error).with_context(|| unusable(&self.path))
            }
        }
    }

    /// Its path, for programs and messages that need one.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a start got as far as making keys.
    pub(crate) fn has_keys(&self) -> bool {
        self.dir.is_dir(KEYS)
    }

    /// The directory of compiled code, made when it is not there.
    pub(crate) fn cache(&self) -> anyhow::Result<PathBuf> {
        let path = self.path.join(CACHE);
        if !path.exists() {
            std::fs::DirBuilder::new().mode(0o700).create(&path).context("the code cache")?;
        }
        Ok(path)
    }

    /// The directory of what workloads wrote, made when it is not there.
    pub(crate) fn workload_logs(&self) -> anyhow::Result<Dir> {
        if !self.dir.is_dir(WORKLOAD_LOGS) {
            self.dir.create_dir(WORKLOAD_LOGS).context("the directory of workloads' logs")?;
        }
        self.dir.open_dir(WORKLOAD_LOGS).context("the directory of workloads' logs")
    }

    /// The directory of what jobs write and read, made when it is not there.
    pub(crate) fn backups(&self) -> anyhow::Result<Dir> {
        if !self.dir.is_dir(BACKUPS) {
            self.dir.create_dir(BACKUPS).context("the directory of backups")?;
        }
        self.dir.open_dir(BACKUPS).context("the directory of backups")
    }

    /// The directory of repositories that are being built, empty: what a host that was killed left
    /// there is of no use to anybody.
    pub(crate) fn fetches(&self) -> anyhow::Result<PathBuf> {
        if self.dir.is_dir(FETCHES) {
            self.dir.remove_dir_all(FETCHES).context("the directory of fetched repositories")?;
        }
        self.dir.create_dir(FETCHES).context("the directory of fetched repositories")?;
        Ok(self.path.join(FETCHES))
    }

    /// The name of this host among those that share a database: made once, so that after a restart
    /// it takes up what it held.
    pub(crate) fn host_name(&self) -> anyhow::Result<String> {
        match self.dir.read_to_string(HOST_NAME) {
            Ok(name) => Ok(name.trim().to_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let name = uuid::Uuid::new_v4().to_string();
                self.dir.write(HOST_NAME, &name).context("this host's name")?;
                Ok(name)
            }
            Err(error) => Err(error).context("this host's name"),
        }
    }

    /// The management token, and whether it is still to be shown.
    pub(crate) fn management_token(&self) -> anyhow::Result<(String, bool)> {
        match self.dir.read_to_string(MANAGEMENT_TOKEN) {
            Ok(token) if token.trim().len() >= 32 => {
                Ok((token.trim().to_owned(), self.dir.exists(UNSHOWN)))
            }
            Ok(_) => bail!(
                "{} is damaged; delete it, and a new one is made",
                self.path.join(MANAGEMENT_TOKEN).display()
            ),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let mut bytes = [0; 32];
                getrandom::fill(&mut bytes).context("the system has no randomness")?;
                let token = hex::encode(bytes);
                // The mark first: a token without it was shown.
                self.write(UNSHOWN, "").context("the management token")?;
                self.write(MANAGEMENT_TOKEN, &token).context("the management token")?;
                Ok((token, true))
            }
            Err(error) => Err(error).context("the management token"),
        }
    }

    /// Remembers that the token was shown.
    pub(crate) fn management_token_shown(&self) -> anyhow::Result<()> {
        self.dir.remove_file(UNSHOWN).context("the mark of the management token")
    }

    fn write(&self, name: &str, content: &str) -> std::io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = self.dir.open_with(name, &options)?;
        file.write_all(content.as_bytes())?;
        file.sync_all()
    }
}

fn is_ours_or_empty(dir: &Dir) -> std::io::Result<bool> {
    let mut is_empty = true;
    for entry in dir.entries()? {
        let name = entry?.file_name();
        if OURS.iter().any(|ours| name == *ours) {
            return Ok(true);
        }
        is_empty &= name == LOST_AND_FOUND;
    }
    Ok(is_empty)
}

fn unusable(path: &Path) -> String {
    format!("data_dir is {}; use a directory we can write", path.display())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;

    /// As `open` wants it, whatever the tests' own umask is.
    fn private() -> std::io::Result<tempfile::TempDir> {
        tempfile::Builder::new().permissions(Permissions::from_mode(0o700)).tempdir()
    }

    fn mode(path: &Path) -> std::io::Result<u32> {
        Ok(path.metadata()?.permissions().mode() & 0o777)
    }

    #[track_caller]
    fn refusal(path: &Path) -> String {
        match DataDirectory::open(path) {
            Ok(_) => panic!("{} was taken", path.display()),
            Err(error) => format!("{error:#}"),
        }
    }

    #[test]
    fn the_token_is_made_once_and_kept_to_its_owner() -> anyhow::Result<()> {
        let temporary = private()?;
        let path = temporary.path().join("data");
        let data = DataDirectory::open(&path)?;
        let (token, _) = data.management_token()?;
        assert_eq!(data.management_token()?.0, token);
        assert_eq!(mode(&path)?, 0o700);
        assert_eq!(mode(&path.join(MANAGEMENT_TOKEN))?, 0o600);
        Ok(())
    }

    #[test]
    fn the_token_is_to_be_shown_until_it_was() -> anyhow::Result<()> {
        let temporary = private()?;
        let data = DataDirectory::open(temporary.path())?;
        // Made by a start that failed, found by the next one.
        assert!(data.management_token()?.1);
        assert!(data.management_token()?.1);
        data.management_token_shown()?;
        assert!(!data.management_token()?.1);
        fs::remove_file(temporary.path().join(MANAGEMENT_TOKEN))?;
        assert!(data.management_token()?.1, "a new one was made");
        Ok(())
    }

    #[test]
    fn a_directory_of_somebody_else_is_refused_and_left_alone() -> anyhow::Result<()> {
        let temporary = private()?;
        let path = temporary.path().join("documents");
        fs::create_dir(&path)?;
        fs::write(path.join("letter.txt"), "dear")?;
        for bits in [0o755, 0o700] {
            fs::set_permissions(&path, Permissions::from_mode(bits))?;
            assert!(refusal(&path).contains("not ours"), "{}", refusal(&path));
            assert_eq!(mode(&path)?, bits);
        }
        assert_eq!(fs::read_dir(&path)?.count(), 1);
        Ok(())
    }

    #[test]
    fn a_directory_that_others_may_read_is_refused_with_the_command_that_mends_it()
    -> anyhow::Result<()> {
        let temporary = private()?;
        DataDirectory::open(temporary.path())?.management_token()?;
        fs::set_permissions(temporary.path(), Permissions::from_mode(0o750))?;
        assert!(refusal(temporary.path()).contains("chmod 700"));
        fs::set_permissions(temporary.path(), Permissions::from_mode(0o700))?;
        DataDirectory::open(temporary.path())?;
        Ok(())
    }

    #[test]
    fn a_look_makes_nothing() -> anyhow::Result<()> {
        let temporary = private()?;
        let path = temporary.path().join("data");
        assert!(DataDirectory::look(&path)?.is_none());
        assert!(!path.exists());
        assert!(DataDirectory::look(temporary.path())?.is_some_and(|data| !data.has_keys()));
        assert_eq!(fs::read_dir(temporary.path())?.count(), 0);
        Ok(())
    }

    #[test]
    fn one_host_works_in_it_at_a_time() -> anyhow::Result<()> {
        let temporary = private()?;
        let data = DataDirectory::open(temporary.path())?;
        let held = data.lock()?;
        let refused = DataDirectory::open(temporary.path())?.lock();
        assert!(refused.is_err_and(|error| error.to_string().contains("another host")));
        drop(held);
        data.lock()?;
        Ok(())
    }
}
