//! Trees fetched from a real git server.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use windlass_outbound::{Client, Outbound};
use windlass_source::{Checkout, Credential, FileKind, Repositories, Wanted};
use windlass_test_support::{GitManners, GitRepository, GitServer};

/// A server, and somebody who fetches from it.
struct Stage {
    server: GitServer,
    repositories: Repositories,
    directory: tempfile::TempDir,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Stage {
    fn new() -> Self {
        Self::allowing(&["127.0.0.0/8"])
    }

    fn allowing(networks: &[&str]) -> Self {
        let networks: Vec<String> = networks.iter().map(|text| (*text).to_owned()).collect();
        let client = Client::new(Outbound::allowing(&networks).unwrap()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let repositories = Repositories::new(client, directory.path().to_owned());
        Self { server: GitServer::start(), repositories, directory, lines: Arc::default() }
    }

    async fn fetch(&self, name: &str, branch: &str, commit: &str) -> Result<Checkout, String> {
        self.fetch_with(self.server.url(name), branch, commit, None).await
    }

    async fn fetch_with(
        &self,
        repository: String,
        branch: &str,
        commit: &str,
        credential: Option<Credential>,
    ) -> Result<Checkout, String> {
        let wanted = Wanted { repository, branch: branch.to_owned(), commit: commit.to_owned() };
        let lines = Arc::clone(&self.lines);
        let line = move |text: &str| lines.lock().unwrap().push(text.to_owned());
        self.repositories.fetch(wanted, credential, line, &CancellationToken::new()).await
    }

    async fn refusal(&self, name: &str, branch: &str, commit: &str) -> String {
        match self.fetch(name, branch, commit).await {
            Ok(checkout) => panic!("{:?} was fetched", checkout.files()),
            Err(reason) => reason,
        }
    }
}

fn paths(checkout: &Checkout) -> Vec<&str> {
    checkout.files().iter().map(|file| file.path.as_str()).collect()
}

fn text(checkout: &Checkout, path: &str) -> String {
    let file = checkout.files().iter().find(|file| file.path == path).unwrap();
    String::from_utf8(checkout.read(file).unwrap().to_vec()).unwrap()
}

/// Puts an object at a path of the index, whatever it is.
fn place(repository: &GitRepository, mode: &str, object: &str, path: &str) {
    repository
        .git(&["update-index", "--add", "--cacheinfo", &format!("{mode},{object},{path}")], b"");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_branch_a_tag_and_a_commit_are_fetched() {
    let stage = Stage::new();
    let repository = stage.server.repository("shop.git");
    let first = repository.commit(&[("README.md", b"one"), ("src/main.rs", b"fn main() {}")]);
    repository.branch("old");
    repository.git(&["tag", "--annotate", "--message", "first", "v1"], b"");
    let second = repository.commit(&[("README.md", b"two")]);
    for (branch, commit, expected, content) in [
        ("", "", &second, "two"),
        ("main", "", &second, "two"),
        ("main", &second[..7], &second, "two"),
        ("old", "", &first, "one"),
        ("v1", "", &first, "one"),
        ("main", first.as_str(), &first, "one"),
        ("", first.as_str(), &first, "one"),
    ] {
        let checkout = stage.fetch("shop.git", branch, commit).await.unwrap();
        assert_eq!(checkout.commit(), expected, "{branch} {commit}");
        assert_eq!(paths(&checkout), ["README.md", "src/main.rs"]);
        assert_eq!(text(&checkout, "README.md"), content, "{branch} {commit}");
    }
    let kept = std::fs::read_dir(stage.directory.path()).unwrap().count();
    assert_eq!(kept, 0, "what was fetched is gone with who read it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_is_told_in_a_sentence() {
    let stage = Stage::new();
    let commit = stage.server.repository("shop.git").commit(&[("README.md", b"one")]);
    stage.server.repository("empty.git");
    let check = async |name: &str, branch: &str, commit: &str, part: &str| {
        let reason = stage.refusal(name, branch, commit).await;
        assert!(reason.contains(part), "{name} {branch} {commit}: {reason}");
    };
    check("none.git", "", "", "there is no repository").await;
    check("shop.git", "elsewhere", "", "no branch or tag \"elsewhere\"").await;
    check("shop.git", "main", "fffffff", "does not begin with fffffff").await;
    check("shop.git", "", "0123456789abcdef0123456789abcdef01234567", "").await;
    check("empty.git", "", "", "no commit yet").await;
    assert!(!stage.refusal("shop.git", "main", "fffffff").await.contains("panic"), "{commit}");
    for address in ["file:///etc", "ssh://git@127.0.0.1/shop", "/etc", "https://a:b@example.com/x"]
    {
        let refused = stage.fetch_with(address.to_owned(), "", "", None).await.map(drop);
        assert!(refused.unwrap_err().contains("no http or https address"), "{address}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn modes_and_links_are_kept_and_links_that_lead_out_refused() {
    let stage = Stage::new();
    let repository = stage.server.repository("shop.git");
    repository.commit(&[("bin/run", b"#!"), ("data/here", b"here")]);
    repository.git(&["update-index", "--chmod=+x", "bin/run"], b"");
    let link = repository.git(&["hash-object", "-w", "--stdin"], b"../data/here");
    place(&repository, "120000", &link, "bin/link");
    repository.commit_index();
    let checkout = stage.fetch("shop.git", "", "").await.unwrap();
    let kinds: Vec<_> = checkout.files().iter().map(|file| file.kind.clone()).collect();
    let target = "../data/here".to_owned();
    let file = |executable, size| FileKind::File { executable, size };
    assert_eq!(kinds, [FileKind::Link { target }, file(true, 2), file(false, 4)]);
    for target in ["/etc/passwd", "../../etc/passwd", "here/../../../x"] {
        let link = repository.git(&["hash-object", "-w", "--stdin"], target.as_bytes());
        place(&repository, "120000", &link, "bin/link");
        repository.commit_index();
        let reason = stage.refusal("shop.git", "", "").await;
        assert!(reason.contains("leads out of the repository"), "{target}: {reason}");
    }
}

/// Trees that git itself would not make.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_mean_something_else_are_refused() {
    for name in ["..", ".", ".git", ".GIT", "git~1", "a/b"] {
        let stage = Stage::new();
        let repository = stage.server.repository("shop.git");
        let blob = repository.git(&["hash-object", "-w", "--stdin"], b"content");
        let mut tree = format!("100644 {name}\0").into_bytes();
        for digits in blob.as_bytes().chunks(2) {
            let digits = std::str::from_utf8(digits).unwrap();
            tree.push(u8::from_str_radix(digits, 16).unwrap());
        }
        let arguments = ["hash-object", "-w", "--literally", "-t", "tree", "--stdin"];
        let tree = repository.git(&arguments, &tree);
        let commit = repository.git(&["commit-tree", &tree, "-m", "evil"], b"");
        repository.git(&["update-ref", "refs/heads/main", &commit], b"");
        let reason = stage.refusal("shop.git", "main", "").await;
        assert!(reason.contains("no name of a file"), "{name}: {reason}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nested_repositories_are_fetched_from_where_they_are() {
    let stage = Stage::new();
    let crane = stage.server.repository("crane.git").commit(&[("hook", b"iron")]);
    let shop = stage.server.repository("shop.git");
    let modules = "[submodule \"crane\"]\n\tpath = parts/crane\n\turl = ../crane.git\n";
    shop.commit(&[(".gitmodules", modules.as_bytes()), ("README.md", b"shop")]);
    place(&shop, "160000", &crane, "parts/crane");
    place(&shop, "160000", &crane, "parts/nobody");
    shop.commit_index();
    let checkout = stage.fetch("shop.git", "", "").await.unwrap();
    assert_eq!(paths(&checkout), [".gitmodules", "README.md", "parts/crane/hook"]);
    assert_eq!(text(&checkout, "parts/crane/hook"), "iron");
    let lines = stage.lines.lock().unwrap().clone();
    assert!(lines.iter().any(|line| line.contains("parts/nobody")), "{lines:?}");
}

/// A repository in itself, in itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nesting_has_an_end() {
    let stage = Stage::new();
    let modules = |name: &str| {
        format!("[submodule \"x\"]\n\tpath = deeper\n\turl = ../{name}\n").into_bytes()
    };
    let mut inner = stage.server.repository("0.git").commit(&[("file", b"end")]);
    for number in 1..=5 {
        let repository = stage.server.repository(&format!("{number}.git"));
        repository.commit(&[(".gitmodules", &modules(&format!("{}.git", number - 1)))]);
        place(&repository, "160000", &inner, "deeper");
        inner = repository.commit_index();
    }
    let deep = stage.fetch("4.git", "", "").await.unwrap();
    assert_eq!(text(&deep, "deeper/deeper/deeper/deeper/file"), "end");
    let reason = stage.refusal("5.git", "", "").await;
    assert!(reason.contains("nested in each other"), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credential_opens_its_own_repository_and_goes_nowhere_else() {
    let stage = Stage::new();
    stage.server.repository("shop.git").commit(&[("README.md", b"private")]);
    // ada:secret
    let authorization = Some("Basic YWRhOnNlY3JldA==".to_owned());
    stage.server.behave(GitManners { authorization, ..GitManners::default() });
    let reason = stage.refusal("shop.git", "", "").await;
    assert!(reason.contains("or it is private"), "{reason}");
    let credential = Credential { user: "ada".to_owned(), token: "secret".to_owned() };
    let url = stage.server.url("shop.git");
    let checkout = stage.fetch_with(url, "", "", Some(credential.clone())).await.unwrap();
    assert_eq!(text(&checkout, "README.md"), "private");
    let elsewhere = GitServer::start();
    elsewhere.repository("shop.git").commit(&[("README.md", b"moved")]);
    let moved_to = Some(elsewhere.url("").trim_end_matches('/').to_owned());
    stage.server.behave(GitManners { moved_to, ..GitManners::default() });
    let url = stage.server.url("shop.git");
    let checkout = stage.fetch_with(url, "", "", Some(credential)).await.unwrap();
    assert_eq!(text(&checkout, "README.md"), "moved");
    assert!(elsewhere.asked().iter().all(|asked| !asked.contains("Basic")), "nobody else hears it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn private_networks_are_not_reached() {
    let stage = Stage::allowing(&[]);
    stage.server.repository("shop.git").commit(&[("README.md", b"inside")]);
    let reason = stage.refusal("shop.git", "", "").await;
    assert!(reason.contains("outbound_allow"), "{reason}");
    assert!(stage.server.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fetch_is_given_up_when_nobody_wants_it() {
    let stage = Stage::new();
    stage.server.repository("shop.git").commit(&[("README.md", b"slow")]);
    stage.server.behave(GitManners { silent: true, ..GitManners::default() });
    let (repository, branch, commit) = (stage.server.url("shop.git"), String::new(), String::new());
    let wanted = Wanted { repository, branch, commit };
    let cancelled = CancellationToken::new();
    let fetching = stage.repositories.fetch(wanted, None, |_: &str| {}, &cancelled);
    let cancelling = async {
        while stage.server.asked().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        cancelled.cancel();
    };
    let (fetched, ()) = tokio::join!(fetching, cancelling);
    assert_eq!(fetched.map(drop).unwrap_err(), "it is not wanted any more");
}
