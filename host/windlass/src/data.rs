//! The data directory: keys, the management token, compiled code and the embedded database. Only
//! its owner may read it.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};

/// The file with the management token.
pub(crate) const MANAGEMENT_TOKEN: &str = "management.token";
/// The directory of compiled code.
const CACHE: &str = "cache";

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
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
        let hint = || format!("data_dir is {}; use a directory we can write", path.display());
        if !path.exists() {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(path)
                .with_context(hint)?;
        }
        let path = path.canonicalize().with_context(hint)?;
        let mode = path.metadata().with_context(hint)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            std::fs::set_permissions(&path, Permissions::from_mode(0o700)).with_context(|| {
                format!("{} is open to others (mode {mode:o}); run chmod 700 on it", path.display())
            })?;
        }
        let dir = Dir::open_ambient_dir(&path, ambient_authority()).with_context(hint)?;
        Ok(Self { dir, path })
    }

    /// Its path, for programs and messages that need one.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The directory of compiled code, made when it is not there.
    pub(crate) fn cache(&self) -> anyhow::Result<PathBuf> {
        let path = self.path.join(CACHE);
        if !path.exists() {
            std::fs::DirBuilder::new().mode(0o700).create(&path).context("the code cache")?;
        }
        Ok(path)
    }

    /// The management token, and whether it was made just now.
    pub(crate) fn management_token(&self) -> anyhow::Result<(String, bool)> {
        match self.dir.read_to_string(MANAGEMENT_TOKEN) {
            Ok(token) if token.trim().len() >= 32 => Ok((token.trim().to_owned(), false)),
            Ok(_) => bail!(
                "{} is damaged; delete it, and a new one is made",
                self.path.join(MANAGEMENT_TOKEN).display()
            ),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let mut bytes = [0; 32];
                getrandom::fill(&mut bytes).context("the system has no randomness")?;
                let token = hex::encode(bytes);
                let mut options = OpenOptions::new();
                options.write(true).create_new(true).mode(0o600);
                let mut file = self.dir.open_with(MANAGEMENT_TOKEN, &options)?;
                file.write_all(token.as_bytes())?;
                file.sync_all()?;
                Ok((token, true))
            }
            Err(error) => Err(error).context("the management token"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_made_once_and_kept_to_its_owner() -> anyhow::Result<()> {
        let temporary = tempfile::tempdir()?;
        let path = temporary.path().join("data");
        let data = DataDirectory::open(&path)?;
        let (token, made) = data.management_token()?;
        assert!(made);
        assert_eq!(data.management_token()?, (token, false));
        let mode = |path: &Path| path.metadata().map(|data| data.permissions().mode() & 0o777);
        assert_eq!(mode(&path)?, 0o700);
        assert_eq!(mode(&path.join(MANAGEMENT_TOKEN))?, 0o600);
        Ok(())
    }
}
