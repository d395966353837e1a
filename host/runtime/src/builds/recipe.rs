//! From what an image is made, and how.

use super::source::{EntryKind, Tree};

/// What makes an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// A Nixpacks plan, by Railpack.
    Railpack,
    /// A Nixpacks plan.
    Nixpacks,
    /// A Dockerfile.
    Dockerfile,
    /// Nothing: the image exists.
    Prebuilt,
}

/// From what an image is made, and how. Empty texts are not set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipe {
    /// What makes it; found out when it is not set.
    pub method: Option<Method>,
    /// The address of a git repository.
    pub repository: String,
    /// A branch or tag.
    pub branch: String,
    /// A commit.
    pub commit: String,
    /// The directory to build in, relative to the repository.
    pub root_directory: String,
    /// The Dockerfile, relative to that directory.
    pub dockerfile: String,
    /// The image to take, in place of a repository.
    pub prebuilt_image: String,
    /// Where the image is sent.
    pub registry_url: String,
    /// Replaces the builder's own command.
    pub build_command: String,
    /// Replaces the image's own command.
    pub start_command: String,
    /// Variables of the environment it is built in.
    pub variables: Vec<(String, String)>,
    /// Arguments of a Dockerfile.
    pub arguments: Vec<(String, String)>,
    /// What is written onto the image.
    pub labels: Vec<(String, String)>,
}

impl Recipe {
    /// The path of the Dockerfile in a tree, if there is one.
    pub(super) fn dockerfile_in(&self, tree: &dyn Tree) -> Option<String> {
        let path = within(&self.root_directory, self.dockerfile_name());
        let is_it = |kind: &EntryKind| matches!(kind, EntryKind::File { .. });
        let found = tree.entries().iter().find(|entry| entry.path == path && is_it(&entry.kind));
        found.map(|entry| entry.path.clone())
    }

    /// What to say when there is nothing that anything can be made of.
    pub(super) fn nothing_to_build(&self) -> String {
        let place = match normal(&self.root_directory).as_str() {
            "" => "the repository".to_owned(),
            folder => format!("the directory {folder:?} of the repository"),
        };
        let dockerfile = self.dockerfile_name();
        match self.method {
            Some(_) => format!("{place} has no file {dockerfile:?}"),
            None => format!(
                "{place} has neither a WebAssembly component nor a file {dockerfile:?}, and this \
                 host has no planner for anything else; put one of them there"
            ),
        }
    }

    fn dockerfile_name(&self) -> &str {
        if self.dockerfile.is_empty() { "Dockerfile" } else { &self.dockerfile }
    }
}

/// A relative path without empty parts and `.`.
pub(super) fn normal(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    parts.join("/")
}

/// A path inside a directory, from the root of the tree.
pub(super) fn within(directory: &str, path: &str) -> String {
    normal(&format!("{directory}/{path}"))
}

/// What is left of a path inside a directory; `None` for what is not in it.
pub(super) fn inside<'a>(directory: &str, path: &'a str) -> Option<&'a str> {
    if directory.is_empty() {
        return Some(path);
    }
    path.strip_prefix(directory)?.strip_prefix('/')
}
