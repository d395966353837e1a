//! From the trees of a commit to a list of files, each of which could be laid out anywhere without
//! harm.

use gix::ObjectId;
use gix::bstr::{BStr, ByteSlice as _};
use gix::objs::tree::EntryKind;

use super::modules::Module;
use super::{DEPTH, ENTRIES, File, FileKind, Interrupt, PATH_BYTES, TREE_BYTES};

/// The longest text of a link.
const LINK_BYTES: u64 = 4_096;

/// A list that grows, tree by tree.
#[derive(Default)]
pub(super) struct Walk {
    files: Vec<File>,
    bytes: u64,
    directories: usize,
}

/// Nested repositories that were found: where they belong, and which commit.
pub(super) type Nested = Vec<(String, ObjectId)>;

impl Walk {
    /// Takes everything in a commit.
    pub(super) fn take(
        &mut self,
        repository: &gix::Repository,
        place: usize,
        module: &Module,
        commit: ObjectId,
        interrupt: &Interrupt,
    ) -> Result<Nested, String> {
        let broken = |error: gix::Error| format!("{} is damaged: {error}", module.url);
        let commit = repository.find_commit(commit).map_err(broken)?;
        let root = commit.tree_id().map_err(broken)?.detach();
        let mut nested = Nested::new();
        let mut waiting = vec![(module.path.clone(), root, 0)];
        while let Some((directory, tree, depth)) = waiting.pop() {
            interrupt.check()?;
            self.directories += 1;
            if depth > DEPTH || self.directories > ENTRIES {
                return Err(format!("{directory} is too deep in the repository"));
            }
            let tree = repository.find_tree(tree).map_err(broken)?;
            for entry in tree.iter() {
                let entry = entry.map_err(broken)?;
                let kind = entry.mode().kind();
                let path = joined(&directory, entry.filename(), kind)?;
                let object = entry.oid().to_owned();
                match kind {
                    EntryKind::Tree => waiting.push((path, object, depth + 1)),
                    EntryKind::Commit => nested.push((path, object)),
                    EntryKind::Blob | EntryKind::BlobExecutable | EntryKind::Link => {
                        let kind = self.measure(repository, &path, kind, object)?;
                        self.add(File { path, kind, module: place, object })?;
                    }
                }
            }
        }
        Ok(nested)
    }

    /// Everything, ordered by path.
    pub(super) fn finish(mut self) -> Vec<File> {
        self.files.sort_by(|one, other| one.path.cmp(&other.path));
        self.files
    }

    fn measure(
        &mut self,
        repository: &gix::Repository,
        path: &str,
        kind: EntryKind,
        object: ObjectId,
    ) -> Result<FileKind, String> {
        let damaged = |error: gix::Error| format!("{path} is damaged: {error}");
        let size = repository.find_header(object).map_err(damaged)?.size();
        self.bytes = self.bytes.saturating_add(size);
        if self.bytes > TREE_BYTES {
            return Err(format!("it has more than {TREE_BYTES} bytes in its files"));
        }
        if kind != EntryKind::Link {
            return Ok(FileKind::File { executable: kind == EntryKind::BlobExecutable, size });
        }
        if size > LINK_BYTES {
            return Err(format!("the link {path} is longer than {LINK_BYTES} bytes"));
        }
        let target = repository.find_object(object).map_err(damaged)?.detach().data;
        let target =
            String::from_utf8(target).map_err(|_| format!("the link {path} is no text"))?;
        if !stays_inside(path, &target) {
            return Err(format!("the link {path} leads out of the repository, to {target:?}"));
        }
        Ok(FileKind::Link { target })
    }

    fn add(&mut self, file: File) -> Result<(), String> {
        if self.files.len() >= ENTRIES {
            return Err(format!("it has more than {ENTRIES} files"));
        }
        self.files.push(file);
        Ok(())
    }
}

/// The path of an entry. Names that mean something else to some file system, that of git's own
/// directory above all, are refused whatever the file system here is.
fn joined(directory: &str, name: &BStr, kind: EntryKind) -> Result<String, String> {
    let refused = || format!("{:?} in {directory:?} is no name of a file", name.to_str_lossy());
    let mode = (kind == EntryKind::Link).then_some(gix::validate::path::component::Mode::Symlink);
    let options = gix::validate::path::component::Options {
        protect_windows: false,
        protect_hfs: true,
        protect_ntfs: true,
    };
    gix::validate::path::component(name, mode, options).map_err(|_| refused())?;
    let name = name.to_str().map_err(|_| refused())?;
    if name.chars().any(char::is_control) {
        return Err(refused());
    }
    let path = match directory {
        "" => name.to_owned(),
        directory => format!("{directory}/{name}"),
    };
    if path.len() > PATH_BYTES {
        return Err(format!("a path is longer than {PATH_BYTES} bytes: it is in {directory:?}"));
    }
    Ok(path)
}

/// Whether a link, followed by its text alone, leads to somewhere in the tree.
fn stays_inside(path: &str, target: &str) -> bool {
    if target.is_empty() || target.starts_with('/') || target.contains(['\0', '\\']) {
        return false;
    }
    let mut depth = path.split('/').count() - 1;
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." if depth == 0 => return false,
            ".." => depth -= 1,
            _ => depth += 1,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_somewhere_in_the_tree() {
        let check = |path: &str, target: &str, expected: bool| {
            assert_eq!(stays_inside(path, target), expected, "{path} -> {target}");
        };
        check("a", "b", true);
        check("a/b", "../c", true);
        check("a/b/c", "../../d", true);
        check("a", "b/../c", true);
        check("a", "..", false);
        check("a/b", "../../c", false);
        check("a", "b/../../c", false);
        check("a", "/etc/passwd", false);
        check("a", "", false);
        check("a", "..\\c", false);
    }

    #[test]
    fn names_are_names_on_every_file_system() {
        let check = |name: &[u8], expected: bool| {
            assert_eq!(joined("x", name.as_bstr(), EntryKind::Blob).is_ok(), expected, "{name:?}");
        };
        check(b"main.rs", true);
        check(b".gitignore", true);
        check(b".gitmodules", true);
        check("h\u{e4}fen".as_bytes(), true);
        check(b"..", false);
        check(b".", false);
        check(b"", false);
        check(b".git", false);
        check(b".GIT", false);
        check(b"git~1", false);
        check(b".git ", false);
        check(".g\u{200c}it".as_bytes(), false);
        check(b"a/b", false);
        check(b"a\nb", false);
        check(b"\xff", false);
    }
}
