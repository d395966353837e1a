//! One commit of one repository, fetched into an empty one.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use gix::ObjectId;
use gix::progress::Discard;
use gix::remote::Direction;
use gix::remote::fetch::{Shallow, Tags};
use gix_transport::Protocol;
use gix_transport::client::blocking_io::http::Transport;

use super::modules::Module;
use super::wire::{GitHttp, Wire};
use super::{OBJECT_BYTES, Wanted};

/// Where a fetched branch is noted.
const BRANCH: &str = "refs/windlass/branch";
/// Where a fetched tag is noted.
const TAG: &str = "refs/windlass/tag";
/// Where a fetched commit is noted.
const COMMIT: &str = "refs/windlass/commit";

/// Which commit is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Revision {
    /// By its whole hash.
    Commit(ObjectId),
    /// The newest one of a branch or tag (empty: of the repository's choice), whose hash begins so.
    Newest { name: String, beginning: String },
}

impl Revision {
    pub(super) fn of(wanted: &Wanted) -> Self {
        match ObjectId::from_hex(wanted.commit.to_ascii_lowercase().as_bytes()) {
            Ok(id) => Self::Commit(id),
            Err(_) => Self::Newest {
                name: wanted.branch.clone(),
                beginning: wanted.commit.to_ascii_lowercase(),
            },
        }
    }

    fn specifications(&self) -> Vec<String> {
        match self {
            Self::Commit(id) => vec![format!("{id}:{COMMIT}")],
            Self::Newest { name, .. } if name.is_empty() => vec![format!("+HEAD:{BRANCH}")],
            Self::Newest { name, .. } => {
                vec![format!("+refs/heads/{name}:{BRANCH}"), format!("+refs/tags/{name}:{TAG}")]
            }
        }
    }
}

/// A repository with nothing in it, which takes no configuration from anywhere.
pub(super) fn empty(place: &Path) -> Result<gix::Repository, String> {
    let options = gix::open::Options::isolated()
        .config_overrides([format!("gitoxide.objects.allocLimit={OBJECT_BYTES}")]);
    let kind = gix::create::Kind::Bare;
    let made = gix::ThreadSafeRepository::init_opts(place, kind, Default::default(), options);
    made.map(|made| made.to_thread_local())
        .map_err(|error| format!("there is no room for the repository: {error}"))
}

/// Fetches a commit and everything in it, and nothing from before it.
pub(super) fn fetch(
    repository: &gix::Repository,
    wire: &Arc<Wire>,
    module: &Module,
    interrupt: &AtomicBool,
) -> Result<ObjectId, String> {
    let url = &module.url;
    let broken = |error: gix::Error| wire.failure().unwrap_or_else(|| format!("{url}: {error}"));
    let address = gix::url::parse(url.as_str())
        .map_err(|_| format!("{url} is no address of a repository"))?;
    let remote = repository
        .remote_at_without_url_rewrite(address.clone())
        .map_err(broken)?
        .with_refspecs(
            module.revision.specifications().iter().map(String::as_str),
            Direction::Fetch,
        )
        .map_err(broken)?
        .with_fetch_tags(Tags::None);
    let http = GitHttp::new(Arc::clone(wire));
    let transport = Transport::new_http(http, address, Protocol::V2, false);
    let prepared = remote
        .to_connection_with_transport(transport)
        // No helper and no prompt: what is known is on the wire already.
        .with_credentials(|_| Ok(None))
        .prepare_fetch(Discard, Default::default())
        .map_err(broken)?;
    let tip = tip(prepared.ref_map(), module)?;
    prepared
        .with_shallow(Shallow::DepthAtRemote(std::num::NonZeroU32::MIN))
        .receive(Discard, interrupt)
        .map_err(broken)?;
    let commit = repository.find_object(tip).map_err(broken)?;
    let commit = commit.peel_to_kind(gix::object::Kind::Commit);
    let commit = commit.map_err(|_| format!("{tip} of {url} is no commit"))?.id;
    check_beginning(commit, module)?;
    Ok(commit)
}

/// The object that is wanted, by what the server says it has.
fn tip(map: &gix::remote::fetch::RefMap, module: &Module) -> Result<ObjectId, String> {
    let url = &module.url;
    let of = |local: &str| {
        let mapping = map.mappings.iter().find(|mapping| {
            mapping.local.as_ref().is_some_and(|name| name.as_slice() == local.as_bytes())
        })?;
        mapping.remote.as_id().map(|id| id.to_owned())
    };
    let found = of(BRANCH).or_else(|| of(TAG)).or_else(|| of(COMMIT));
    found.ok_or_else(|| match &module.revision {
        Revision::Commit(id) => format!("{url} has no commit {id}"),
        Revision::Newest { name, .. } if name.is_empty() => {
            format!("{url} has no commit yet, or says not which branch is its main one")
        }
        Revision::Newest { name, .. } => format!("{url} has no branch or tag {name:?}"),
    })
}

fn check_beginning(commit: ObjectId, module: &Module) -> Result<(), String> {
    let Revision::Newest { name, beginning } = &module.revision else { return Ok(()) };
    if commit.to_string().starts_with(beginning) {
        return Ok(());
    }
    let place = match name.as_str() {
        "" => "the main branch".to_owned(),
        name => format!("{name:?}"),
    };
    Err(format!(
        "the newest commit of {place} is {commit} and does not begin with {beginning}; name an \
         earlier one by all of its digits"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_hashes_are_commits_and_others_beginnings() {
        let of = |branch: &str, commit: &str| {
            let (repository, branch) = ("https://x".to_owned(), branch.to_owned());
            Revision::of(&Wanted { repository, branch, commit: commit.to_owned() })
        };
        let whole = "0123456789ABCDEF0123456789abcdef01234567";
        assert!(matches!(of("main", whole), Revision::Commit(_)));
        let newest = |name: &str, beginning: &str| Revision::Newest {
            name: name.to_owned(),
            beginning: beginning.to_owned(),
        };
        assert_eq!(of("main", "0123ABC"), newest("main", "0123abc"));
        assert_eq!(of("", ""), newest("", ""));
        assert_eq!(newest("", "").specifications(), ["+HEAD:refs/windlass/branch"]);
    }
}
