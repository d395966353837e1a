//! Repositories in repositories, as `.gitmodules` names them.

use gix::ObjectId;
use url::Url;

use super::fetch::Revision;
use super::walk::Nested;
use super::{NESTED, address};

/// The largest `.gitmodules`.
const MODULES_BYTES: u64 = 1_048_576;

/// A repository and where its files belong.
pub(super) struct Module {
    /// From the root of everything; empty for the first.
    pub(super) path: String,
    pub(super) url: Url,
    pub(super) revision: Revision,
    /// In how many others it is.
    pub(super) nested: usize,
}

/// The repositories nested in this one. One without an address is left out, as git leaves it out.
pub(super) fn of(
    repository: &gix::Repository,
    module: &Module,
    commit: ObjectId,
    nested: Nested,
    line: &dyn Fn(&str),
) -> Result<Vec<Module>, String> {
    if nested.is_empty() {
        return Ok(Vec::new());
    }
    if module.nested >= NESTED {
        return Err(format!("more than {NESTED} repositories are nested in each other"));
    }
    let addresses = addresses(repository, commit)?;
    let mut modules = Vec::new();
    for (path, commit) in nested {
        let local = match module.path.as_str() {
            "" => path.as_str(),
            parent => path.strip_prefix(parent).map_or("", |rest| rest.trim_start_matches('/')),
        };
        let Some((_, url)) = addresses.iter().find(|(of, _)| of == local) else {
            line(&format!("{path} is a nested repository without an address; it is left out"));
            continue;
        };
        let url = resolved(&module.url, url)?;
        let revision = Revision::Commit(commit);
        modules.push(Module { path, url, revision, nested: module.nested + 1 });
    }
    Ok(modules)
}

/// Paths and addresses as they are written.
fn addresses(
    repository: &gix::Repository,
    commit: ObjectId,
) -> Result<Vec<(String, String)>, String> {
    let damaged = |error: gix::Error| format!(".gitmodules cannot be read: {error}");
    let tree = repository.find_commit(commit).map_err(damaged)?.tree().map_err(damaged)?;
    let Some(entry) = tree.lookup_entry_by_path(".gitmodules").map_err(damaged)? else {
        return Ok(Vec::new());
    };
    let id = entry.object_id();
    if repository.find_header(id).map_err(damaged)?.size() > MODULES_BYTES {
        return Err(format!(".gitmodules is larger than {MODULES_BYTES} bytes"));
    }
    let text = repository.find_object(id).map_err(damaged)?.detach().data;
    let file = gix::config::File::from_bytes_no_includes(
        &text,
        gix::config::file::Metadata::api(),
        Default::default(),
    )
    .map_err(damaged)?;
    let sections = file.sections_by_name("submodule").into_iter().flatten();
    Ok(sections
        .filter_map(|section| {
            let path = section.value("path")?.to_string();
            let url = section.value("url")?.to_string();
            Some((path.trim_end_matches('/').to_owned(), url))
        })
        .collect())
}

/// An address, which may be relative to that of the repository it is named in.
fn resolved(parent: &Url, text: &str) -> Result<Url, String> {
    if !text.starts_with("./") && !text.starts_with("../") {
        return address(text);
    }
    let mut directory = parent.clone();
    // What is relative is meant from inside the repository.
    let inside = format!("{}/", parent.path().trim_end_matches('/'));
    directory.set_path(&inside);
    let joined = directory.join(text).map_err(|_| format!("{text:?} is no address"))?;
    address(joined.as_str())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn relative_addresses_are_meant_from_inside_the_repository() {
        let parent = Url::parse("https://git.example.com/acme/shop.git").unwrap();
        let check = |text: &str, expected: Option<&str>| {
            let found = resolved(&parent, text).ok().map(|url| url.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        };
        check("../crane.git", Some("https://git.example.com/acme/crane.git"));
        check("../../other/crane", Some("https://git.example.com/other/crane"));
        check("https://example.com/crane", Some("https://example.com/crane"));
        check("git@example.com:crane", None);
        check("file:///etc", None);
        check("ssh://git@example.com/crane", None);
        check("/etc", None);
        check("https://user:token@example.com/crane", None);
    }
}
