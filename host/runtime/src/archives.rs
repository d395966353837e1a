//! Archives: files that jobs write and read, in a folder of the host's own.
//!
//! An archive appears under its name when it is whole and on disk, and not at all otherwise: it is
//! written beside, under a name nobody can ask for, and takes its place at the end.

use std::io::{Read, Write};
use std::sync::Arc;

use cap_std::fs::{Dir, File, OpenOptions};
use sha2::{Digest as _, Sha256};

use crate::driver::Error;

/// Bytes of one archive: what a small machine can hold a few of.
pub(crate) const ARCHIVE_BYTES: u64 = 64 * 1_073_741_824;
/// Characters of a name: enough for a UUID, a word and a date.
const NAME_LENGTH: usize = 128;
/// What names of archives that are being written end with. It is no part of a proper name.
const UNFINISHED: &str = "~";
/// Bytes read at once to hash an archive.
const CHUNK: usize = 256 * 1_024;

/// The folder.
#[derive(Clone)]
pub struct Archives(Arc<Dir>);

/// An archive that is being written. Gone when it is dropped before it was finished.
pub(crate) struct Unfinished {
    directory: Arc<Dir>,
    name: String,
    file: Option<File>,
    written: u64,
    hash: Sha256,
}

impl Archives {
    /// Keeps archives in a directory that nobody else writes to.
    pub fn new(directory: Dir) -> Self {
        Self(Arc::new(directory))
    }

    /// Begins an archive.
    pub(crate) fn create(&self, name: &str) -> Result<Unfinished, Error> {
        check_name(name)?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        let file =
            self.0.open_with(format!("{name}{UNFINISHED}"), &options).map_err(unavailable)?;
        Ok(Unfinished {
            directory: Arc::clone(&self.0),
            name: name.to_owned(),
            file: Some(file),
            written: 0,
            hash: Sha256::new(),
        })
    }

    /// Opens an archive to be read, after it was compared with what it must hash to.
    pub(crate) fn open(&self, name: &str, sha256: &str) -> Result<File, Error> {
        check_name(name)?;
        let open = || {
            self.0.open(name).map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => {
                    Error::NotFound(format!("there is no archive {name}"))
                }
                _ => unavailable(error),
            })
        };
        if !sha256.is_empty() {
            let found = hash(open()?).map_err(unavailable)?;
            if found != sha256 {
                return Err(Error::Conflict(format!(
                    "the archive {name} is damaged: it hashes to {found} and not to {sha256}"
                )));
            }
        }
        open()
    }

    /// The names of all that are whole.
    pub(crate) fn list(&self) -> Result<Vec<String>, Error> {
        let mut names = Vec::new();
        for entry in self.0.entries().map_err(unavailable)? {
            let name = entry.map_err(unavailable)?.file_name();
            if let Some(name) = name.to_str().filter(|name| check_name(name).is_ok()) {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Sees to it that there is none of this name.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Error> {
        check_name(name)?;
        match self.0.remove_file(name) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(unavailable(error)),
            _ => Ok(()),
        }
    }
}

impl Unfinished {
    /// Adds to it.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.written += bytes.len() as u64;
        if self.written > ARCHIVE_BYTES {
            let limit = ARCHIVE_BYTES >> 30;
            return Err(Error::Quota(format!("the archive would be larger than {limit} GiB")));
        }
        self.hash.update(bytes);
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_all(bytes).map_err(unavailable)
    }

    /// Makes it an archive, replacing one of its name; answers its size and what it hashes to.
    pub(crate) fn finish(mut self) -> Result<(u64, String), Error> {
        let Some(file) = self.file.take() else { return Ok((0, String::new())) };
        let unfinished = format!("{}{UNFINISHED}", self.name);
        let finished = file
            .sync_all()
            .and_then(|()| self.directory.rename(&unfinished, &self.directory, &self.name))
            // The name is on disk only when the directory is.
            .and_then(|()| self.directory.open(".")?.sync_all());
        if let Err(error) = finished {
            _ = self.directory.remove_file(&unfinished);
            return Err(unavailable(error));
        }
        Ok((self.written, hex::encode(std::mem::take(&mut self.hash).finalize())))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // If this fails it is replaced by the next one of its name, and never asked for.
            _ = self.directory.remove_file(format!("{}{UNFINISHED}", self.name));
        }
    }
}

fn hash(mut file: File) -> std::io::Result<String> {
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(hex::encode(hash.finalize())),
            length => hash.update(chunk.get(..length).unwrap_or_default()),
        }
    }
}

/// `^[a-z0-9][a-z0-9._-]*$`, of at most [`NAME_LENGTH`] characters.
fn check_name(name: &str) -> Result<(), Error> {
    let is_first = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let fits = name.len() <= NAME_LENGTH
        && name.bytes().next().is_some_and(is_first)
        && name.bytes().all(|byte| is_first(byte) || b"._-".contains(&byte));
    let wrong = || {
        Error::Invalid(format!(
            "{name:?} is no name of an archive: use up to {NAME_LENGTH} lower-case letters, \
             digits and ._-"
        ))
    };
    fits.then_some(()).ok_or_else(wrong)
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err by name")]
fn unavailable(error: std::io::Error) -> Error {
    Error::Unavailable(format!("the folder of archives: {error}"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn archives(directory: &tempfile::TempDir) -> Archives {
        let opened = Dir::open_ambient_dir(directory.path(), cap_std::ambient_authority());
        Archives::new(opened.unwrap())
    }

    #[test]
    fn an_archive_is_there_when_it_is_whole_and_not_before() {
        let directory = tempfile::tempdir().unwrap();
        let archives = archives(&directory);
        let mut unfinished = archives.create("backup-1").unwrap();
        unfinished.write(b"content").unwrap();
        assert!(archives.list().unwrap().is_empty());
        let (size, sha256) = unfinished.finish().unwrap();
        assert_eq!((size, archives.list().unwrap()), (7, vec!["backup-1".to_owned()]));
        let mut content = String::new();
        archives.open("backup-1", &sha256).unwrap().read_to_string(&mut content).unwrap();
        assert_eq!(content, "content");
        archives.remove("backup-1").unwrap();
        archives.remove("backup-1").unwrap();
        assert!(matches!(archives.open("backup-1", ""), Err(Error::NotFound(_))));
    }

    #[test]
    fn one_that_was_given_up_leaves_nothing_and_the_old_one() {
        let directory = tempfile::tempdir().unwrap();
        let archives = archives(&directory);
        archives.create("a").unwrap().finish().unwrap();
        archives.create("a").unwrap().write(b"half").unwrap();
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
        assert!(archives.open("a", "").is_ok());
    }

    #[test]
    fn a_damaged_archive_is_not_opened() {
        let directory = tempfile::tempdir().unwrap();
        let archives = archives(&directory);
        let (_, sha256) = archives.create("a").unwrap().finish().unwrap();
        std::fs::write(directory.path().join("a"), "other").unwrap();
        let refused = archives.open("a", &sha256).unwrap_err();
        assert!(refused.to_string().contains("damaged"), "{refused}");
    }

    #[test]
    fn names_lead_nowhere_else() {
        let directory = tempfile::tempdir().unwrap();
        let archives = archives(&directory);
        for name in ["", "..", "a/b", "/etc/passwd", "A", "a~", ".hidden", &"a".repeat(129)] {
            let refused = archives.create(name).map(drop).unwrap_err();
            assert!(matches!(refused, Error::Invalid(_)), "{name}");
        }
    }
}
