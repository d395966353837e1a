//! Each driver with images to run, in directories of its own.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use cap_std::fs::Dir;
use http_body_util::{BodyExt, Full};
use tempfile::TempDir;
use windlass_engine::{Engine, RequestContext};
use windlass_runtime::{
    Archives, DockerDriver, Driver, Health, Image, ImageFuture, ImageStore, Images, Kind, LogBook,
    State, WasmDriver, Workload, WorkloadId,
};
use windlass_test_support::{DockerEngine, TestImage};

/// How long anything may take on a slow and busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What the obligations are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sample {
    /// Answers `blue` and its variable `COLOUR`.
    Web,
    /// Never ends, and writes.
    Worker,
    /// Ends at once, with 3.
    Crash,
}

/// A driver and what it needs.
pub(crate) trait Stage: Sized {
    /// Whether what runs goes on when the control plane is started again.
    const OUTLIVES: bool;
    /// Sets it up.
    fn start() -> Self;
    /// The driver.
    fn driver(&self) -> Arc<dyn Driver>;
    /// What workloads wrote.
    fn log(&self) -> Arc<LogBook>;
    /// The digest of an image.
    fn image(&self, sample: Sample) -> String;
    /// The control plane is started again: a new driver over what is left.
    fn restart(&mut self);
}

/// A workload of a sample.
pub(crate) fn workload(stage: &impl Stage, sample: Sample, serial: u8) -> Workload {
    Workload {
        id: id(serial),
        service: "service-1".to_owned(),
        name: "web".to_owned(),
        network: "project-1".to_owned(),
        kind: if sample == Sample::Web { Kind::Web } else { Kind::Worker },
        image: stage.image(sample),
        command: Vec::new(),
        variables: vec![("COLOUR".to_owned(), "navy".to_owned())],
        cpu_millis: 500,
        memory_bytes: 64 << 20,
        schedule: String::new(),
        volumes: Vec::new(),
        health: if sample == Sample::Web { Health::Http } else { Health::Unasked },
        port: 0,
    }
}

pub(crate) fn id(serial: u8) -> WorkloadId {
    WorkloadId::parse(&format!("00000000-0000-7000-8000-0000000000{serial:02x}")).expect("a UUID")
}

/// Waits until a condition holds.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "{what} did not come about");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until it is known whether a workload works.
pub(crate) async fn settled(driver: &dyn Driver, id: WorkloadId) -> State {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let state = driver.observe(id).await.expect("the driver answers");
        if !matches!(state, State::Starting | State::Unhealthy(_)) {
            return state;
        }
        assert!(Instant::now() < deadline, "it is {state:?} for ever");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What a visitor of a workload reads.
pub(crate) async fn visit(driver: &dyn Driver, id: WorkloadId) -> String {
    let destination = driver.destination(id).expect("it answers requests");
    let body = Full::new(Bytes::new()).map_err(|never| match never {}).boxed_unsync();
    let request = http::Request::get("/").header("host", "web.test").body(body).expect("it is one");
    let context = RequestContext::internal("visit", PATIENCE);
    let answer = destination.answer(context, request).await.expect("there is an answer");
    let body = answer.into_body().collect().await.map(http_body_util::Collected::to_bytes);
    let body = body.unwrap_or_else(|failure| panic!("it broke off: {failure}"));
    String::from_utf8_lossy(&body).trim().to_owned()
}

/// A directory that only we read, and a log and a folder of archives in it.
pub(crate) struct Directories {
    directory: TempDir,
}

impl Directories {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        for name in ["logs", "backups", "cache"] {
            std::fs::create_dir(directory.path().join(name)).expect("a directory");
        }
        Self { directory }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn log(&self) -> Arc<LogBook> {
        Arc::new(LogBook::new(open(&self.path("logs"))))
    }

    pub(crate) fn archives(&self) -> Archives {
        Archives::new(open(&self.path("backups")))
    }
}

fn open(path: &Path) -> Dir {
    Dir::open_ambient_dir(path, cap_std::ambient_authority()).expect("it can be opened")
}

/// The embedded driver.
pub(crate) struct Components {
    directories: Directories,
    images: Arc<Images>,
    log: Arc<LogBook>,
    driver: Arc<WasmDriver>,
    engine: Arc<Engine>,
    digests: HashMap<&'static str, String>,
}

impl Stage for Components {
    const OUTLIVES: bool = false;

    fn start() -> Self {
        let directories = Directories::new();
        let store = Arc::new(Memory::default());
        let mut digests = HashMap::new();
        for name in ["workload_blue", "workload_worker", "workload_crash"] {
            digests.insert(name, store.add(fixture(name)));
        }
        let images = Images::new(store, None);
        let engine = Engine::new(&directories.path("cache"), Vec::new()).expect("an engine");
        let log = directories.log();
        let driver = Arc::new(WasmDriver::new(Arc::clone(&images), Arc::clone(&log)));
        let engine = Arc::new(engine);
        driver.attach(Arc::clone(&engine));
        Self { directories, images, log, driver, engine, digests }
    }

    fn driver(&self) -> Arc<dyn Driver> {
        Arc::clone(&self.driver) as _
    }

    fn log(&self) -> Arc<LogBook> {
        Arc::clone(&self.log)
    }

    fn image(&self, sample: Sample) -> String {
        let name = match sample {
            Sample::Web => "workload_blue",
            Sample::Worker => "workload_worker",
            Sample::Crash => "workload_crash",
        };
        self.digests[name].clone()
    }

    fn restart(&mut self) {
        self.log = self.directories.log();
        self.driver = Arc::new(WasmDriver::new(Arc::clone(&self.images), Arc::clone(&self.log)));
        self.driver.attach(Arc::clone(&self.engine));
    }
}

/// The driver for containers.
pub(crate) struct Containers {
    pub(crate) engine: DockerEngine,
    pub(crate) directories: Directories,
    log: Arc<LogBook>,
    driver: Arc<DockerDriver>,
}

/// The installation that the driver is of.
const INSTALLATION: &str = "0123abcd-0000-4000-8000-000000000000";

impl Containers {
    fn driver_of(
        engine: &DockerEngine,
        directories: &Directories,
        log: &Arc<LogBook>,
    ) -> DockerDriver {
        let (host, log) = (engine.host(), Arc::clone(log));
        DockerDriver::new(&host, INSTALLATION, log, directories.archives())
    }
}

impl Stage for Containers {
    const OUTLIVES: bool = true;

    fn start() -> Self {
        let engine = DockerEngine::start();
        let web = "#!/bin/sh\nmkdir /tmp/www\necho \"blue $COLOUR\" > /tmp/www/index.html\necho up\n\
                   exec httpd -f -p $PORT -h /tmp/www\n";
        let worker = "#!/bin/sh\ntrap 'exit 0' TERM\nwhile :; do echo tick; sleep 0.1; done\n";
        let crash = "#!/bin/sh\necho it is broken >&2\nexit 3\n";
        for (name, app) in [("web:1", web), ("worker:1", worker), ("crash:1", crash)] {
            engine.make_image(&TestImage {
                name,
                files: &[("/app", app, true)],
                changes: &[r#"CMD ["/app"]"#, "ENV PATH=/bin"],
            });
        }
        let directories = Directories::new();
        let log = directories.log();
        let driver = Arc::new(Self::driver_of(&engine, &directories, &log));
        Self { engine, directories, log, driver }
    }

    fn driver(&self) -> Arc<dyn Driver> {
        Arc::clone(&self.driver) as _
    }

    fn log(&self) -> Arc<LogBook> {
        Arc::clone(&self.log)
    }

    fn image(&self, sample: Sample) -> String {
        let name = match sample {
            Sample::Web => "web",
            Sample::Worker => "worker",
            Sample::Crash => "crash",
        };
        let format = "{{.Id}}";
        let tag = format!("{name}:1");
        format!("{name}@{}", self.engine.run(&["image", "inspect", "--format", format, &tag]))
    }

    fn restart(&mut self) {
        self.log = self.directories.log();
        self.driver = Arc::new(Self::driver_of(&self.engine, &self.directories, &self.log));
    }
}

/// Content of images, in memory.
#[derive(Default)]
struct Memory(Mutex<HashMap<String, Bytes>>);

impl Memory {
    fn add(&self, content: Vec<u8>) -> String {
        use sha2::{Digest as _, Sha256};
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(&content)));
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(digest.clone(), content.into());
        digest
    }
}

impl ImageStore for Memory {
    fn find<'a>(&'a self, _name: &'a str) -> ImageFuture<'a, Option<Image>> {
        Box::pin(async { Ok(None) })
    }

    fn read<'a>(&'a self, digest: &'a str) -> ImageFuture<'a, Option<Bytes>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.get(digest).cloned();
        Box::pin(async { Ok(found) })
    }

    fn save<'a>(
        &'a self,
        _name: Option<&'a str>,
        _image: &'a Image,
        _content: Bytes,
    ) -> ImageFuture<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}

/// A component of the tests, by the name of its file.
fn fixture(name: &str) -> Vec<u8> {
    let test = std::env::current_exe().expect("a running test has a path");
    let target = test.ancestors().nth(3).expect("cargo puts tests three levels deep");
    let path = target.join("wasm32-wasip2/release/examples").join(format!("{name}.wasm"));
    let build = "tools/build-components --fixtures";
    std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}: run `{build}`", path.display()))
}
