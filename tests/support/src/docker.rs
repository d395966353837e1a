//! A Docker engine of the test process, from the system's packages, with everything of it in one
//! temporary directory.
//!
//! It ends with the test process however that ends: by [`Drop`], and otherwise because the kernel
//! tells it of its parent's death; it then ends its containers and its own helpers first. What a
//! killed process left behind is swept by the next engine that starts. One runs at a time on a
//! machine: engines share the tables of the firewall, and each that starts writes them anew.
//!
//! Its storage is overlay2 where the file system can carry it, which the engine finds out by itself.
//! There is no default bridge, because nothing here uses it and its network may be taken.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How the directories of engines begin. Short, because a path of a socket has about a hundred
/// characters.
const DIRECTORY_PREFIX: &str = "windlass-docker-";
/// Held locked for as long as the engine's process lives.
const LOCK_FILE: &str = "lock";
/// Held locked by the one engine of this machine.
const ONLY_ONE: &str = "windlass-docker.only";
/// How long an engine may take to answer on a slow and busy machine.
const START_PATIENCE: Duration = Duration::from_secs(90);
/// How long one may take to end its containers and itself.
const STOP_PATIENCE: Duration = Duration::from_secs(30);
/// How long other tests may have the machine's engine.
const TURN_PATIENCE: Duration = Duration::from_secs(600);
/// Where the networks of engines of tests have their addresses, so that bridges which a killed one
/// left behind are known.
const ADDRESSES: (&str, &str) = ("10.201.0.0/16", "10.201.");
/// The programs, by fixed paths.
const ENGINE: &str = "/usr/sbin/dockerd";
const CLIENT: &str = "/usr/bin/docker";
/// The shell and the tools of every image that tests make.
const BUSYBOX: &str = "/bin/busybox";
/// The tools that images of tests have beside the shell.
const TOOLS: [&str; 18] = [
    "sh", "httpd", "sleep", "cat", "echo", "wget", "nslookup", "id", "ls", "test", "touch", "nc",
    "dd", "tr", "seq", "ping", "head", "sed",
];

/// A running engine.
pub struct DockerEngine {
    directory: TempDir,
    running: Option<Running>,
    _lock: File,
    _turn: File,
}

struct Running {
    stop: mpsc::Sender<()>,
    keeper: JoinHandle<()>,
}

/// An image that is made of a shell, files, and what the engine is told of it.
#[derive(Clone, Debug, Default)]
pub struct TestImage<'a> {
    /// Its name and tag.
    pub name: &'a str,
    /// Files: path, content, and whether it is a program.
    pub files: &'a [(&'a str, &'a str, bool)],
    /// Instructions, such as `CMD ["/app"]`.
    pub changes: &'a [&'a str],
}

impl DockerEngine {
    /// Starts one.
    ///
    /// # Panics
    /// When it cannot be: the message says what to install, or what it said.
    pub fn start() -> Self {
        for program in [ENGINE, CLIENT, BUSYBOX] {
            assert!(
                Path::new(program).exists(),
                "the tests need {program}: apt-get install docker.io busybox-static"
            );
        }
        assert!(is_root(), "the tests of containers start a Docker engine and need root");
        let turn = turn();
        sweep();
        let directory = tempfile::Builder::new()
            .prefix(DIRECTORY_PREFIX)
            .tempdir()
            .expect("the temporary directory is writable");
        let lock = File::create(directory.path().join(LOCK_FILE)).expect("a lock file");
        lock.try_lock().expect("nobody else locks a new file");
        let mut engine = Self { directory, running: None, _lock: lock, _turn: turn };
        engine.resume();
        engine
    }

    /// Its socket, as Windlass takes it.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Runs its client program and answers what that printed.
    ///
    /// # Panics
    /// When the program fails.
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.client(arguments);
        assert!(
            output.status.success(),
            "docker {arguments:?} failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Makes an image and names it, taking the name from another one of it.
    pub fn make_image(&self, image: &TestImage<'_>) {
        let root = tempfile::tempdir().expect("a temporary directory");
        for directory in ["bin", "tmp", "etc", "data"] {
            fs::create_dir(root.path().join(directory)).expect("a directory");
        }
        fs::copy(BUSYBOX, root.path().join("bin/busybox")).expect("busybox can be copied");
        // Without it a static program looks for libraries to find hosts with, and falls.
        fs::write(root.path().join("etc/nsswitch.conf"), "hosts: files\n").expect("a file");
        for tool in TOOLS {
            std::os::unix::fs::symlink("busybox", root.path().join("bin").join(tool))
                .expect("a link");
        }
        for (path, content, is_program) in image.files {
            use std::os::unix::fs::PermissionsExt;
            let path = root.path().join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().expect("a file is in a directory")).expect("it");
            fs::write(&path, content).expect("a file");
            let mode = if *is_program { 0o755 } else { 0o644 };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode");
        }
        let archive = tempfile::NamedTempFile::new().expect("a temporary file");
        let mut tar = Command::new("/bin/tar");
        tar.arg("-C").arg(root.path()).arg("-cf").arg(archive.path()).arg(".");
        assert!(tar.status().expect("tar runs").success(), "tar failed");
        let mut arguments = vec!["import"];
        for change in image.changes {
            arguments.extend(["--change", change]);
        }
        let archive = archive.path().to_string_lossy().into_owned();
        arguments.extend([archive.as_str(), image.name]);
        self.run(&arguments);
    }

    /// Ends the engine as an operator would, with everything that runs on it.
    pub fn pause(&mut self) {
        if let Some(Running { stop, keeper }) = self.running.take() {
            drop(stop);
            let _ = keeper.join();
        }
    }

    /// Starts the engine again on what it had.
    ///
    /// # Panics
    /// When it does not answer in time.
    pub fn resume(&mut self) {
        // A process that was killed may have left these, and the engine would believe them.
        let _ = fs::remove_file(self.directory.path().join("pid"));
        let mut server = self.server();
        let (stop, stopped) = mpsc::channel();
        // The kernel reports the death of the thread that started a child, and the threads of tests
        // are short-lived.
        let keeper = std::thread::spawn(move || {
            let mut child = server.spawn().expect("setpriv of util-linux is installed");
            // An error means that the sender is gone, which is the request to stop as well.
            let _ = stopped.recv();
            end(&mut child);
        });
        self.running = Some(Running { stop, keeper });
        let deadline = Instant::now() + START_PATIENCE;
        while !self.client(&["version"]).status.success() {
            assert!(Instant::now() < deadline, "dockerd does not answer:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The newest of what it said.
    pub fn log(&self) -> String {
        let said = File::open(self.directory.path().join("log")).map(BufReader::new);
        let lines: Vec<String> =
            said.map(|said| said.lines().map_while(Result::ok).collect()).unwrap_or_default();
        lines.get(lines.len().saturating_sub(40)..).unwrap_or_default().join("\n")
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("sock")
    }

    fn client(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(CLIENT);
        command.arg("-H").arg(self.host()).args(arguments).stdin(Stdio::null());
        // The configuration of whoever runs the tests is none of theirs.
        command.env("DOCKER_CONFIG", self.directory.path()).env_remove("DOCKER_CONTEXT");
        command.output().expect("the client runs")
    }

    fn server(&self) -> Command {
        let directory = self.directory.path();
        let name = directory.file_name().map(|name| name.to_string_lossy().into_owned());
        let log = fs::OpenOptions::new().create(true).append(true).open(directory.join("log"));
        let log = log.expect("a log file");
        let mut command = Command::new("/usr/bin/setpriv");
        command.arg("--pdeathsig=TERM").arg(ENGINE);
        command.arg("--data-root").arg(directory.join("data"));
        command.arg("--exec-root").arg(directory.join("exec"));
        command.arg("--pidfile").arg(directory.join("pid"));
        command.arg("--containerd-namespace").arg(name.as_deref().unwrap_or("windlass"));
        command.arg("--containerd-plugins-namespace").arg("plugins.windlass");
        command.arg("--host").arg(self.host());
        command.args(["--bridge=none", "--shutdown-timeout=2", "--group=root"]);
        command.arg(format!("--default-address-pool=base={},size=24", ADDRESSES.0));
        command.env("DOCKER_TMPDIR", directory.join("tmp"));
        // A group of its own: what is sent to the tests from a terminal must not reach it first.
        command.process_group(0);
        command.stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a second handle")).stderr(log);
        command
    }
}

impl Drop for DockerEngine {
    fn drop(&mut self) {
        // What runs would be ended one by one otherwise.
        if self.running.is_some() {
            let containers = self.client(&["ps", "--all", "--quiet"]);
            let containers = String::from_utf8_lossy(&containers.stdout).into_owned();
            let mut arguments = vec!["rm", "--force", "--volumes"];
            arguments.extend(containers.split_whitespace());
            if arguments.len() > 3 {
                self.client(&arguments);
            }
            self.client(&["network", "prune", "--force"]);
        }
        self.pause();
        unmount_below(self.directory.path());
    }
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Asks it to end, which it does after its containers and helpers.
fn end(child: &mut Child) {
    let id = child.id().to_string();
    let _ = Command::new("/bin/kill").args(["-TERM", &id]).status();
    let deadline = Instant::now() + STOP_PATIENCE;
    while Instant::now() < deadline {
        if child.try_wait().is_ok_and(|ended| ended.is_some()) {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// Waits until this process may have the engine of this machine.
fn turn() -> File {
    let turn = File::create(std::env::temp_dir().join(ONLY_ONE)).expect("a lock file");
    let deadline = Instant::now() + TURN_PATIENCE;
    while turn.try_lock().is_err() {
        assert!(Instant::now() < deadline, "other tests keep the Docker engine of this machine");
        std::thread::sleep(Duration::from_millis(100));
    }
    turn
}

/// Deletes the directories of engines whose process was killed before it could.
fn sweep() {
    remove_bridges();
    for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(DIRECTORY_PREFIX) {
            continue;
        }
        // One that is being made has no lock file yet; one in use is locked.
        let Ok(lock) = File::open(entry.path().join(LOCK_FILE)) else { continue };
        if lock.try_lock().is_ok() {
            unmount_below(&entry.path());
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Bridges outlive their engine. Nobody else has one now, because there is one engine at a time.
fn remove_bridges() {
    let listed = Command::new("/bin/ip").args(["-4", "-oneline", "address"]).output();
    let listed = listed.map(|listed| listed.stdout).unwrap_or_default();
    let is_ours = |words: &[&str]| words.get(3).is_some_and(|at| at.starts_with(ADDRESSES.1));
    for line in String::from_utf8_lossy(&listed).lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let Some(name) = words.get(1).filter(|name| name.starts_with("br-") && is_ours(&words)) {
            let _ = Command::new("/bin/ip").args(["link", "delete", name]).status();
        }
    }
}

/// What is still mounted keeps a directory from being deleted.
fn unmount_below(directory: &Path) {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let below: Vec<&str> = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .filter(|mount| Path::new(mount).starts_with(directory))
        .collect();
    for mount in below.iter().rev() {
        let _ = Command::new("/bin/umount").args(["--lazy", mount]).status();
    }
}
