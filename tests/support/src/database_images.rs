//! Images of database engines, made of the machine's own packages: there is no registry to pull the
//! official ones from. Each takes the variables and the data directory that the official image
//! takes, and becomes another user as that does.
//!
//! The file system of each is made once, under `target`, and used again as long as the program in it
//! is the one that is installed.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::DockerEngine;

/// The shell and the tools in every image. It is linked statically.
const BUSYBOX: &str = "/bin/busybox";
/// What becomes another user without a trace of root. That of busybox cannot.
const SETPRIV: &str = "/usr/bin/setpriv";
/// The tools that jobs and entry points use.
const TOOLS: [&str; 12] =
    ["sh", "id", "chown", "chmod", "mkdir", "rm", "mv", "dd", "find", "tar", "cat", "env"];

const POSTGRES_ENTRY: &str = r#"#!/bin/sh
set -e
if [ "$(id -u)" = 0 ] && [ "$1" = postgres ]; then
    chown -R 999:999 "$PGDATA" /var/run/postgresql
    chmod 700 "$PGDATA"
    exec /usr/bin/setpriv --reuid=999 --regid=999 --clear-groups "$0" "$@"
fi
if [ "$1" = postgres ] && [ ! -s "$PGDATA/PG_VERSION" ]; then
    echo "$POSTGRES_PASSWORD" > /tmp/password
    initdb --username="$POSTGRES_USER" --pwfile=/tmp/password --auth=scram-sha-256 \
        --encoding=UTF8 --locale=C --no-sync
    rm /tmp/password
    echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
    echo "listen_addresses = '*'" >> "$PGDATA/postgresql.conf"
    export PGPASSWORD="$POSTGRES_PASSWORD"
    pg_ctl --wait --options="-c listen_addresses=" start
    psql --username="$POSTGRES_USER" --dbname=postgres \
        --command="CREATE DATABASE \"$POSTGRES_DB\""
    pg_ctl --wait --mode=fast stop
fi
exec "$@"
"#;

const REDIS_ENTRY: &str = r#"#!/bin/sh
set -e
if [ "$(id -u)" = 0 ] && [ "$1" = redis-server ]; then
    chown -R 999:999 /data
    exec /usr/bin/setpriv --reuid=999 --regid=999 --clear-groups "$0" "$@"
fi
cd /data
exec "$@"
"#;

/// Makes an image of the PostgreSQL that is installed, and names it.
///
/// # Panics
/// When it cannot be made: the message says what is missing.
pub fn make_postgres(engine: &DockerEngine, name: &str) {
    let programs = crate::postgres_programs();
    let archive = cached("postgres", &programs.join("postgres"), |root| {
        let version = programs.parent().and_then(Path::file_name).expect("a version");
        for program in
            ["postgres", "initdb", "pg_ctl", "pg_isready", "pg_dump", "pg_restore", "psql"]
        {
            root.program(&programs.join(program));
        }
        let libraries = programs.parent().expect("beside the programs").join("lib");
        for library in ["plpgsql.so", "dict_snowball.so"] {
            root.program(&libraries.join(library));
        }
        root.directory(&Path::new("/usr/share/postgresql").join(version));
        // Clients name a zone of time when they connect.
        root.copy(Path::new("/usr/share/zoneinfo/UTC"));
        root.make("var/run/postgresql");
        root.make("var/lib/postgresql/data");
        root.entry(POSTGRES_ENTRY);
    });
    let path = format!("ENV PATH={}:/usr/bin:/bin", programs.display());
    import(engine, &archive, name, &[path.as_str(), "ENV PGDATA=/var/lib/postgresql/data"]);
}

/// Makes an image of the Redis that is installed, and names it.
///
/// # Panics
/// When it cannot be made: the message says what is missing.
pub fn make_redis(engine: &DockerEngine, name: &str) {
    // One program under three names: Debian's package of tools has it under this one.
    let server = Path::new("/usr/bin/redis-check-rdb");
    assert!(server.exists(), "the tests need {}: apt-get install redis-tools", server.display());
    let archive = cached("redis", server, |root| {
        root.program(server);
        root.program(Path::new("/usr/bin/redis-cli"));
        symlink("redis-check-rdb", root.0.join("usr/bin/redis-server")).expect("a link");
        root.make("data");
        root.entry(REDIS_ENTRY);
    });
    import(engine, &archive, name, &["ENV PATH=/usr/bin:/bin"]);
}

/// A file system being made.
struct Root(PathBuf);

impl Root {
    fn make(&self, directory: &str) {
        fs::create_dir_all(self.0.join(directory)).expect("a directory");
    }

    /// Copies a program or a library with everything it is linked with.
    fn program(&self, path: &Path) {
        self.copy(path);
        let linked = Command::new("/usr/bin/ldd").arg(path).output().expect("ldd of libc runs");
        let linked = String::from_utf8_lossy(&linked.stdout).into_owned();
        for library in linked.split_whitespace().filter(|word| word.starts_with('/')) {
            self.copy(Path::new(library));
        }
    }

    fn copy(&self, path: &Path) {
        let copy = self.0.join(path.strip_prefix("/").expect("an absolute path"));
        if !copy.exists() {
            fs::create_dir_all(copy.parent().expect("it is in a directory")).expect("it");
            fs::copy(path, &copy).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    }

    fn directory(&self, path: &Path) {
        for entry in fs::read_dir(path).expect("a directory of the package").flatten() {
            let kind = entry.metadata().expect("what it is");
            if kind.is_dir() {
                self.directory(&entry.path());
            } else if kind.is_file() {
                self.copy(&entry.path());
            }
        }
    }

    fn entry(&self, script: &str) {
        let path = self.0.join("entry");
        fs::write(&path, script).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its mode");
    }
}

/// The archive of a file system, made again when the program in it is another.
fn cached(name: &str, program: &Path, fill: impl FnOnce(&Root)) -> PathBuf {
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/database-images");
    fs::create_dir_all(&cache).expect("the target directory is writable");
    let installed = fs::metadata(program).expect("the program is installed");
    let archive = cache.join(format!(
        "{name}-{}-{}-{}.tar",
        installed.size(),
        installed.mtime(),
        crate::database_images::LAYOUT
    ));
    if archive.exists() {
        return archive;
    }
    let directory = tempfile::tempdir_in(&cache).expect("a temporary directory");
    let root = Root(directory.path().to_owned());
    for directory in ["bin", "etc", "tmp", "usr/bin"] {
        root.make(directory);
    }
    fs::set_permissions(root.0.join("tmp"), fs::Permissions::from_mode(0o1777)).expect("its mode");
    root.copy(Path::new(BUSYBOX));
    for tool in TOOLS {
        symlink("busybox", root.0.join("bin").join(tool)).expect("a link");
    }
    root.program(Path::new(SETPRIV));
    let users = "root:x:0:0:root:/:/bin/sh\ndatabase:x:999:999::/:/bin/sh\n";
    fs::write(root.0.join("etc/passwd"), users).expect("a file");
    fs::write(root.0.join("etc/group"), "root:x:0:\ndatabase:x:999:\n").expect("a file");
    fill(&root);
    fs::set_permissions(&root.0, fs::Permissions::from_mode(0o755)).expect("its mode");
    // Beside its place first: another test may be making it as well.
    let made = tempfile::NamedTempFile::new_in(&cache).expect("a temporary file");
    let mut tar = Command::new("/bin/tar");
    tar.arg("--owner=0").arg("--group=0").arg("-C").arg(&root.0).arg("-cf").arg(made.path());
    assert!(tar.arg(".").status().expect("tar runs").success(), "tar failed");
    made.persist(&archive).expect("it takes its place");
    archive
}

/// Changes with what is in the images.
const LAYOUT: u32 = 2;

fn import(engine: &DockerEngine, archive: &Path, name: &str, changes: &[&str]) {
    let archive = archive.to_string_lossy().into_owned();
    let mut arguments = vec!["import", "--change", r#"ENTRYPOINT ["/entry"]"#];
    for change in changes {
        arguments.extend(["--change", change]);
    }
    arguments.extend([archive.as_str(), name]);
    engine.run(&arguments);
}
