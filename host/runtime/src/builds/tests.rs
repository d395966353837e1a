//! Builds over a tree in memory.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use futures::future::BoxFuture;

use super::*;
use crate::images::{ImageFuture, ImageStore};
use crate::logbook::LogBook;

const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0content";
const MODULE: &[u8] = b"\0asm\x01\0\0\0content";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A tree in memory.
struct Files {
    entries: Vec<TreeEntry>,
    contents: Vec<Vec<u8>>,
}

impl Tree for Files {
    fn commit(&self) -> &str {
        COMMIT
    }

    fn entries(&self) -> &[TreeEntry] {
        &self.entries
    }

    fn read(&self, index: usize) -> Result<Bytes, String> {
        self.contents.get(index).cloned().map(Bytes::from).ok_or_else(|| "no such".to_owned())
    }
}

/// Has one repository, or keeps everybody waiting.
struct OneRepository(Option<Arc<dyn Tree>>);

impl Sources for OneRepository {
    fn fetch(
        &self,
        _source: Source,
        _report: Arc<Report>,
    ) -> BoxFuture<'_, Result<Arc<dyn Tree>, String>> {
        Box::pin(async move {
            match &self.0 {
                Some(tree) => Ok(Arc::clone(tree)),
                None => std::future::pending().await,
            }
        })
    }
}

/// Keeps nothing and says it does.
struct Anything;

impl ImageStore for Anything {
    fn find<'a>(&'a self, name: &'a str) -> ImageFuture<'a, Option<Image>> {
        let image = Image { digest: "sha256:found".to_owned(), size_bytes: 7 };
        Box::pin(async move { Ok((name == "shop:1").then_some(image)) })
    }

    fn read<'a>(&'a self, _digest: &'a str) -> ImageFuture<'a, Option<Bytes>> {
        Box::pin(async { Ok(None) })
    }

    fn save<'a>(&'a self, _: Option<&'a str>, _: &'a Image, _: Bytes) -> ImageFuture<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}

struct Stage {
    builds: Arc<Builds>,
    log: Arc<LogBook>,
    _directory: tempfile::TempDir,
}

impl Stage {
    fn of(files: &[(&str, &[u8])]) -> Self {
        let entry = |(path, content): &(&str, &[u8])| TreeEntry {
            path: (*path).to_owned(),
            kind: EntryKind::File { executable: false, size: content.len() as u64 },
        };
        let tree = Files {
            entries: files.iter().map(entry).collect(),
            contents: files.iter().map(|(_, content)| content.to_vec()).collect(),
        };
        Self::over(OneRepository(Some(Arc::new(tree))))
    }

    fn over(sources: OneRepository) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let authority = cap_std::ambient_authority();
        let dir = cap_std::fs::Dir::open_ambient_dir(directory.path(), authority).unwrap();
        let log = Arc::new(LogBook::new(dir.try_clone().unwrap()));
        let images = Images::new(Arc::new(Anything), None);
        let driver = Arc::new(crate::WasmDriver::new(Arc::clone(&images), Arc::clone(&log)));
        let runtime = Arc::new(Runtime::new(
            crate::Drivers { components: driver, containers: None },
            Arc::new(crate::Ingress::new("test")),
            Arc::clone(&log),
            crate::Archives::new(dir),
            "host".to_owned(),
        ));
        let builds = Builds::new(runtime, images, Arc::new(sources), None);
        Self { builds, log, _directory: directory }
    }

    async fn build(&self, recipe: Recipe) -> BuildState {
        self.builds.start(id(1), String::new(), recipe).unwrap();
        self.ended(id(1)).await
    }

    async fn ended(&self, id: WorkloadId) -> BuildState {
        loop {
            match self.builds.observe(id) {
                BuildState::Waiting | BuildState::Running(_) => tokio::task::yield_now().await,
                ended => return ended,
            }
        }
    }

    fn lines(&self, id: WorkloadId) -> Vec<String> {
        self.log.tail(id, 100).into_iter().map(|entry| entry.message).collect()
    }
}

fn id(number: u8) -> WorkloadId {
    WorkloadId::parse(&format!("00000000-0000-7000-8000-0000000000{number:02}")).unwrap()
}

fn in_directory(directory: &str) -> Recipe {
    Recipe { root_directory: directory.to_owned(), ..Recipe::default() }
}

async fn failure(files: &[(&str, &[u8])], recipe: Recipe) -> String {
    match Stage::of(files).build(recipe).await {
        BuildState::Failed(_, reason) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_component_of_a_tree_becomes_an_image() {
    for (files, directory) in [
        (&[("README.md", &b"hello"[..]), ("bin/shop.wasm", COMPONENT)][..], ""),
        (&[("a/one.wasm", COMPONENT), ("b/two.wasm", COMPONENT)][..], "b"),
        (&[("a/one.wasm", COMPONENT), ("b/two.wasm", COMPONENT)][..], "./b/"),
        (&[("core.wasm", MODULE), ("shop.wasm", COMPONENT)][..], ""),
        (
            &[
                ("one.wasm", COMPONENT),
                ("spin.toml", &b"[component.shop]\nsource = \"./two.wasm\""[..]),
                ("two.wasm", COMPONENT),
            ][..],
            "",
        ),
        // What is there already is not compiled.
        (&[("Dockerfile", &b"FROM scratch"[..]), ("shop.wasm", COMPONENT)][..], ""),
    ] {
        let stage = Stage::of(files);
        let state = stage.build(in_directory(directory)).await;
        let BuildState::Succeeded(progress, image) = state else { panic!("{state:?}") };
        assert_eq!((progress.done, progress.steps), (3, 3));
        assert_eq!((progress.commit.as_str(), progress.builder.as_str()), (COMMIT, "component"));
        assert_eq!(image.size_bytes, COMPONENT.len() as u64);
        let lines = stage.lines(id(1));
        assert_eq!(lines.first().map(String::as_str), Some("queued"));
        assert!(lines.last().is_some_and(|line| line.starts_with("completed: sha256:")));
    }
}

#[tokio::test]
async fn what_cannot_be_built_is_told_in_a_sentence() {
    let check = async |files: &[(&str, &[u8])], recipe: Recipe, part: &str| {
        let reason = failure(files, recipe).await;
        assert!(reason.contains(part), "{reason}");
    };
    let component = ("shop.wasm", COMPONENT);
    check(&[], Recipe::default(), "neither a WebAssembly component nor a file").await;
    check(&[component], in_directory("apps"), "the directory \"apps\"").await;
    check(&[component, ("two.wasm", COMPONENT)], Recipe::default(), "both components").await;
    check(&[("Dockerfile", b"FROM scratch")], Recipe::default(), "no Dockerfiles").await;
    let nixpacks = Recipe { method: Some(Method::Nixpacks), ..Recipe::default() };
    check(&[component], nixpacks, "no planner").await;
    let dockerfile = Recipe { method: Some(Method::Dockerfile), ..Recipe::default() };
    check(&[component], dockerfile, "no Dockerfiles").await;
    let pushed = Recipe { registry_url: "registry.test".to_owned(), ..Recipe::default() };
    check(&[component], pushed, "registry_url").await;
    let broken = ("spin.toml", &b"[component"[..]);
    check(&[broken, component], Recipe::default(), "no Spin manifest").await;
    let outside = ("spin.toml", &b"[component.shop]\nsource = \"../shop.wasm\""[..]);
    check(&[component, outside], Recipe::default(), "not in the repository").await;
    let many: Vec<String> = (0..65).map(|number| format!("{number:02}.wasm")).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|path| (path.as_str(), MODULE)).collect();
    check(&many, Recipe::default(), "65 files").await;
}

#[tokio::test]
async fn an_image_that_exists_is_taken() {
    let taken = |name: &str| Recipe {
        method: Some(Method::Prebuilt),
        prebuilt_image: name.to_owned(),
        ..Recipe::default()
    };
    let found = Stage::of(&[]).build(taken("local/shop:1")).await;
    assert!(matches!(found, BuildState::Succeeded(_, image) if image.digest == "sha256:found"));
    let missing = failure(&[], taken("local/shop:2")).await;
    assert!(missing.contains("there is no image local/shop:2"), "{missing}");
}

#[tokio::test]
async fn a_build_is_carried_out_once_and_remembered_until_it_is_removed() {
    let stage = Stage::of(&[("shop.wasm", COMPONENT)]);
    stage.build(Recipe::default()).await;
    stage.builds.start(id(1), String::new(), in_directory("other")).unwrap();
    assert!(matches!(stage.builds.observe(id(1)), BuildState::Succeeded(..)));
    assert_eq!(stage.builds.list(), [id(1)]);
    stage.builds.remove(id(1));
    stage.builds.remove(id(1));
    assert_eq!(stage.builds.observe(id(1)), BuildState::Absent);
    assert!(stage.builds.list().is_empty());
    assert!(!stage.lines(id(1)).is_empty(), "what was written stays");
}

#[tokio::test(start_paused = true)]
async fn builds_wait_for_each_other_and_are_broken_off() {
    let stage = Stage::over(OneRepository(None));
    for number in 1..=3 {
        stage.builds.start(id(number), String::new(), Recipe::default()).unwrap();
    }
    while stage.builds.observe(id(2)) == BuildState::Waiting {
        tokio::task::yield_now().await;
    }
    assert!(matches!(stage.builds.observe(id(1)), BuildState::Running(_)));
    assert_eq!(stage.builds.observe(id(3)), BuildState::Waiting);
    let wait = Duration::from_secs(5);
    stage.builds.remove(id(1));
    while stage.builds.observe(id(3)) == BuildState::Waiting {
        tokio::task::yield_now().await;
    }
    while stage.log.after(id(1), 4, 10, wait).await.is_some() {}
    assert_eq!(stage.lines(id(1)).last().map(String::as_str), Some("broken off"));
}

#[tokio::test(start_paused = true)]
async fn no_build_takes_longer_than_its_time() {
    let stage = Stage::over(OneRepository(None));
    stage.builds.start(id(1), String::new(), Recipe::default()).unwrap();
    tokio::time::sleep(LONGEST + Duration::from_secs(1)).await;
    let state = stage.ended(id(1)).await;
    assert!(matches!(state, BuildState::Failed(_, reason) if reason.contains("30 minutes")));
}

#[tokio::test(start_paused = true)]
async fn who_follows_a_build_that_has_not_begun_waits_for_it() {
    let stage = Stage::over(OneRepository(None));
    let wait = Duration::from_secs(5);
    assert_eq!(stage.log.after(id(1), 0, 10, wait).await, Some(Vec::new()));
    stage.builds.start(id(1), String::new(), Recipe::default()).unwrap();
    let first = stage.log.after(id(1), 0, 1, wait).await.unwrap();
    assert_eq!(first[0].message, "queued");
    // One that was never begun and is not wanted any more says so.
    stage.builds.remove(id(2));
    assert_eq!(stage.log.after(id(2), 0, 10, wait).await, None);
}
