//! A PostgreSQL cluster of the test process, from the system's packages.
//!
//! It listens on a unix socket only. It ends with the test process however that ends: by
//! [`Drop`], and otherwise because the kernel tells it of its parent's death. A directory that a
//! killed process left behind is swept by the next cluster that starts.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, mpsc};
use std::thread::JoinHandle;

use tempfile::TempDir;

/// How the directories of clusters begin, so that abandoned ones can be swept.
const DIRECTORY_PREFIX: &str = "windlass-postgres-";
/// Held locked for as long as the cluster's process lives.
const LOCK_FILE: &str = "lock";

/// A running cluster. Its superuser is `postgres` and needs no password; every other role
/// authenticates by `scram-sha-256`.
pub struct PostgresCluster {
    directory: TempDir,
    account: Option<Account>,
    programs: PathBuf,
    stop: Option<mpsc::Sender<()>>,
    keeper: Option<JoinHandle<()>>,
    _lock: File,
}

/// The account PostgreSQL runs under when the tests run as root, which it refuses.
#[derive(Clone, Copy)]
struct Account {
    user: u32,
    group: u32,
}

impl PostgresCluster {
    /// Makes and starts a cluster.
    ///
    /// # Panics
    /// When PostgreSQL is not installed or does not start; the message says what to do.
    pub fn start() -> Self {
        sweep();
        let programs = programs();
        let account = account();
        let directory = tempfile::Builder::new()
            .prefix(DIRECTORY_PREFIX)
            .tempdir()
            .expect("the temporary directory is writable");
        let lock = File::create(directory.path().join(LOCK_FILE)).expect("a lock file");
        lock.try_lock().expect("nobody else locks a new file");
        if let Some(account) = account {
            chown(directory.path(), Some(account.user), Some(account.group))
                .expect("root may give a directory away");
        }
        let mut cluster =
            Self { directory, account, programs, stop: None, keeper: None, _lock: lock };
        cluster.initialise();
        cluster.serve();
        cluster
    }

    /// The URL of a database of this cluster, for its superuser.
    pub fn url(&self, database: &str) -> String {
        let host: String = self
            .directory
            .path()
            .to_string_lossy()
            .bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                    char::from(byte).to_string()
                }
                _ => format!("%{byte:02X}"),
            })
            .collect();
        format!("postgres://postgres@{host}/{database}")
    }

    /// Creates an empty database. The name is a plain identifier.
    ///
    /// # Panics
    /// When it exists already.
    pub fn create_database(&self, name: &str) {
        let mut command = self.program("createdb");
        command.arg("--host").arg(self.directory.path()).args(["--username", "postgres", name]);
        run(command);
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        if let Some(account) = self.account {
            command.uid(account.user).gid(account.group);
        }
        command.env("LC_ALL", "C").current_dir(self.directory.path()).stdin(Stdio::null());
        command
    }

    fn initialise(&self) {
        let mut command = self.program("initdb");
        command.arg("--pgdata").arg(self.data()).args([
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
            "--wal-segsize=1",
        ]);
        run(command);
        let rules = "local all postgres trust\nlocal all all scram-sha-256\n";
        fs::write(self.data().join("pg_hba.conf"), rules).expect("the data directory is writable");
    }

    /// Starts the server from a thread that lives as long as the cluster: the kernel reports the
    /// death of the *thread* that started a child, and the threads of tests are short-lived.
    fn serve(&mut self) {
        let mut server = self.server();
        let mut stop_command = self.program("pg_ctl");
        stop_command.arg("stop").arg("--pgdata").arg(self.data()).args(["--mode=immediate"]);
        let (ready_sender, ready) = mpsc::channel();
        let (stop_sender, stop) = mpsc::channel();
        self.keeper = Some(std::thread::spawn(move || {
            let mut child = server.spawn().expect("setpriv of util-linux is installed");
            let errors = child.stderr.take().expect("stderr is piped");
            let drain = std::thread::spawn(move || watch(errors, &ready_sender));
            // An error means that the sender is gone, which is the request to stop as well.
            let _ = stop.recv();
            end(&mut child, stop_command);
            let _ = drain.join();
        }));
        self.stop = Some(stop_sender);
        ready.recv().expect("postgres starts; its log is above");
    }

    fn server(&self) -> Command {
        let mut command = Command::new("/usr/bin/setpriv");
        if let Some(account) = self.account {
            command.arg(format!("--reuid={}", account.user));
            command.arg(format!("--regid={}", account.group));
            command.arg("--clear-groups");
        }
        command.arg("--pdeathsig=QUIT").arg(self.programs.join("postgres"));
        command.arg("-D").arg(self.data()).arg("-k").arg(self.directory.path());
        for setting in [
            "listen_addresses=",
            "fsync=off",
            "synchronous_commit=off",
            "full_page_writes=off",
            "max_connections=100",
            "shared_buffers=16MB",
            "autovacuum=off",
        ] {
            command.arg("-c").arg(setting);
        }
        command.env("LC_ALL", "C").current_dir(self.directory.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }
}

impl Drop for PostgresCluster {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}

/// The cluster that the tests of this process share.
pub fn shared_cluster() -> &'static PostgresCluster {
    static CLUSTER: LazyLock<PostgresCluster> = LazyLock::new(PostgresCluster::start);
    &CLUSTER
}

/// The URL of a new, empty database in the shared cluster.
pub fn fresh_database() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    shared_cluster().create_database(&name);
    shared_cluster().url(&name)
}

/// Says when the server is ready, then keeps reading so that it never waits for a full pipe.
fn watch(errors: ChildStderr, ready: &mpsc::Sender<()>) {
    let mut log = String::new();
    let mut serving = false;
    for line in BufReader::new(errors).lines().map_while(Result::ok) {
        if serving {
            continue;
        }
        log.push_str(&line);
        log.push('\n');
        if line.contains("ready to accept connections") {
            serving = true;
            let _ = ready.send(());
        }
    }
    assert!(serving, "postgres did not start:\n{log}");
}

fn end(child: &mut Child, mut stop_command: Command) {
    let stopped = stop_command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !stopped.is_ok_and(|status| status.success()) {
        let _ = child.kill();
    }
    let _ = child.wait();
}

fn run(mut command: Command) {
    let output = command.output().expect("the programs of PostgreSQL can be run");
    assert!(
        output.status.success(),
        "{:?} failed:\n{}{}",
        command.get_program(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The newest installed version's folder of programs.
pub(crate) fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|version| Path::new(&format!("/usr/lib/postgresql/{version}/bin/initdb")).exists())
        .max()
        .expect("the tests need PostgreSQL: apt-get install postgresql");
    PathBuf::from(format!("/usr/lib/postgresql/{newest}/bin"))
}

/// The account `postgres` of the system's package, when the tests run as root.
fn account() -> Option<Account> {
    use std::os::unix::fs::MetadataExt;
    let own_user = fs::metadata("/proc/self").expect("/proc is mounted").uid();
    if own_user != 0 {
        return None;
    }
    let accounts = fs::read_to_string("/etc/passwd").expect("/etc/passwd is readable");
    let entry = accounts
        .lines()
        .find(|line| line.starts_with("postgres:"))
        .expect("PostgreSQL refuses to run as root, and there is no account postgres");
    let mut fields = entry.split(':').skip(2).map(|field| field.parse().expect("a number"));
    let user = fields.next().expect("a user id");
    let group = fields.next().expect("a group id");
    Some(Account { user, group })
}

/// Deletes the directories of clusters whose process was killed before it could.
fn sweep() {
    for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(DIRECTORY_PREFIX) {
            continue;
        }
        // One that is being made has no lock file yet; one in use is locked.
        let Ok(lock) = File::open(entry.path().join(LOCK_FILE)) else { continue };
        if lock.try_lock().is_ok() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_cluster_leaves_no_directory_and_no_socket() {
        let cluster = PostgresCluster::start();
        cluster.create_database("example");
        let directory = cluster.directory.path().to_owned();
        assert!(directory.join(".s.PGSQL.5432").exists());
        assert!(cluster.url("example").ends_with("/example"));
        drop(cluster);
        assert!(!directory.exists());
    }
}
