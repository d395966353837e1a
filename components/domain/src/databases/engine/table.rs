//! The engines, one after the other.

use super::{Archiving, Load, Specification};

const fn reading(command: &'static [&'static str]) -> Load {
    Load { command, reads_archive: true }
}

const fn then(command: &'static [&'static str]) -> Load {
    Load { command, reads_archive: false }
}

/// Saves and brings back the files of what has no tool that writes to its output. They are read beside
/// those that are there, and change places with them when they are whole.
macro_rules! files {
    ($directory:literal) => {
        Archiving::Stopped {
            save: &["tar", "--create", concat!("--directory=", $directory), "."],
            load: &[
                then(&["rm", "-rf", concat!($directory, "/.restored")]),
                then(&["mkdir", concat!($directory, "/.restored")]),
                reading(&["tar", "--extract", concat!("--directory=", $directory, "/.restored")]),
                then(&[
                    "find",
                    $directory,
                    "-mindepth",
                    "1",
                    "-maxdepth",
                    "1",
                    "!",
                    "-name",
                    ".restored",
                    "-exec",
                    "rm",
                    "-rf",
                    "{}",
                    "+",
                ]),
                then(&[
                    "find",
                    concat!($directory, "/.restored"),
                    "-mindepth",
                    "1",
                    "-maxdepth",
                    "1",
                    "-exec",
                    "mv",
                    "-t",
                    $directory,
                    "{}",
                    "+",
                ]),
                then(&["rmdir", concat!($directory, "/.restored")]),
            ],
        }
    };
}

/// Gives the place of a database to what was read beside it, in one transaction. Who is connected is
/// sent away, because a database in use cannot be renamed.
const EXCHANGE_POSTGRESQL: &str = "\
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'; \
    ALTER DATABASE \"{database}\" RENAME TO \"{database}_replaced\"; \
    ALTER DATABASE \"{database}_restored\" RENAME TO \"{database}\"";

pub(super) static POSTGRESQL: Specification = Specification {
    image: "postgres:16-alpine",
    version: "16",
    port: 5432,
    data_directory: "/var/lib/postgresql/data",
    user: "app",
    database: "",
    variables: &[
        ("POSTGRES_USER", "{user}"),
        ("POSTGRES_PASSWORD", "{password}"),
        ("POSTGRES_DB", "{database}"),
    ],
    client_variables: &[("PGPASSWORD", "{password}"), ("PGCONNECT_TIMEOUT", "10")],
    command: &["postgres", "-c", "max_connections={connections}"],
    // Over TCP: while it is set up for the first time it listens on a socket alone.
    health: &["pg_isready", "--host=127.0.0.1", "--username={user}", "--dbname={database}"],
    url: "postgresql://{user}:{password}@{address}/{database}?sslmode=disable",
    archiving: Archiving::Running {
        save: &[
            "pg_dump",
            "--host={host}",
            "--username={user}",
            "--dbname={database}",
            "--format=custom",
        ],
        // Read into a database beside it, which takes its place when it is whole.
        load: &[
            then(&[
                "psql",
                "--host={host}",
                "--username={user}",
                "--dbname=template1",
                "--no-psqlrc",
                "--quiet",
                "--set=ON_ERROR_STOP=1",
                "--command=DROP DATABASE IF EXISTS \"{database}_restored\" WITH (FORCE)",
                "--command=CREATE DATABASE \"{database}_restored\" TEMPLATE template0",
            ]),
            reading(&[
                "pg_restore",
                "--host={host}",
                "--username={user}",
                "--dbname={database}_restored",
                "--exit-on-error",
            ]),
            then(&[
                "psql",
                "--host={host}",
                "--username={user}",
                "--dbname=template1",
                "--no-psqlrc",
                "--quiet",
                "--set=ON_ERROR_STOP=1",
                "--output=/dev/null",
                "--command=DROP DATABASE IF EXISTS \"{database}_replaced\" WITH (FORCE)",
                "--command",
                EXCHANGE_POSTGRESQL,
                "--command=DROP DATABASE \"{database}_replaced\" WITH (FORCE)",
            ]),
        ],
        is_atomic: true,
    },
    bounds_connections: true,
    idle_timeout_seconds: 0,
};

pub(super) static REDIS: Specification = Specification {
    image: "redis:7-alpine",
    version: "7",
    port: 6379,
    data_directory: "/data",
    user: "default",
    database: "0",
    variables: &[("REDIS_PASSWORD", "{password}"), ("REDISCLI_AUTH", "{password}")],
    client_variables: &[("REDISCLI_AUTH", "{password}")],
    // A snapshot goes over a disk, because one that is streamed ends with a mark of the stream, which
    // stands behind what is saved and would be read as a command.
    command: &[
        "redis-server",
        "--repl-diskless-sync",
        "no",
        "--appendonly",
        "yes",
        "--requirepass",
        "{password}",
        "--maxclients",
        "{connections}",
    ],
    // Ends with 1 while it is still reading its data.
    health: &["redis-cli", "-e", "ping"],
    url: "redis://{user}:{password}@{address}/{database}",
    archiving: Archiving::Snapshot {
        save: &["redis-cli", "-h", "{host}", "--rdb", "-"],
        // A snapshot is also the beginning of an append-only file, which is what it is read as.
        load: &[
            reading(&["dd", "of=/data/restored.rdb", "bs=64k", "conv=fsync"]),
            then(&["rm", "-rf", "/data/appendonlydir", "/data/appendonly.aof", "/data/dump.rdb"]),
            then(&["mv", "/data/restored.rdb", "/data/appendonly.aof"]),
        ],
    },
    bounds_connections: true,
    idle_timeout_seconds: 0,
};

pub(super) static MYSQL: Specification = Specification {
    image: "mysql:8.4",
    version: "8.4",
    port: 3306,
    data_directory: "/var/lib/mysql",
    user: "app",
    database: "",
    variables: &[
        ("MYSQL_USER", "{user}"),
        ("MYSQL_PASSWORD", "{password}"),
        ("MYSQL_ROOT_PASSWORD", "{password}"),
        ("MYSQL_DATABASE", "{database}"),
    ],
    client_variables: &[("MYSQL_PWD", "{password}")],
    command: &["mysqld", "--max-connections={connections}"],
    // Over TCP: while it is set up for the first time it listens on a socket alone.
    health: &["mysqladmin", "ping", "--host=127.0.0.1", "--user={user}", "--silent"],
    url: "mysql://{user}:{password}@{address}/{database}",
    archiving: Archiving::Running {
        save: &[
            "mysqldump",
            "--host={host}",
            "--user=root",
            "--single-transaction",
            "--no-tablespaces",
            "--routines",
            "--triggers",
            "--add-drop-database",
            "--databases",
            "{database}",
        ],
        load: &[reading(&["mysql", "--host={host}", "--user=root"])],
        is_atomic: false,
    },
    bounds_connections: true,
    idle_timeout_seconds: 28_800,
};

pub(super) static MARIADB: Specification = Specification {
    image: "mariadb:11",
    version: "11",
    port: 3306,
    data_directory: "/var/lib/mysql",
    user: "app",
    database: "",
    variables: &[
        ("MARIADB_USER", "{user}"),
        ("MARIADB_PASSWORD", "{password}"),
        ("MARIADB_ROOT_PASSWORD", "{password}"),
        ("MARIADB_DATABASE", "{database}"),
    ],
    client_variables: &[("MYSQL_PWD", "{password}")],
    command: &["mariadbd", "--max-connections={connections}"],
    health: &["mariadb-admin", "ping", "--host=127.0.0.1", "--user={user}", "--silent"],
    url: "mysql://{user}:{password}@{address}/{database}",
    archiving: Archiving::Running {
        save: &[
            "mariadb-dump",
            "--host={host}",
            "--user=root",
            "--single-transaction",
            "--routines",
            "--triggers",
            "--add-drop-database",
            "--databases",
            "{database}",
        ],
        load: &[reading(&["mariadb", "--host={host}", "--user=root"])],
        is_atomic: false,
    },
    bounds_connections: true,
    idle_timeout_seconds: 28_800,
};

pub(super) static MONGODB: Specification = Specification {
    image: "mongo:7",
    version: "7",
    port: 27017,
    data_directory: "/data/db",
    user: "admin",
    database: "",
    variables: &[
        ("MONGO_INITDB_ROOT_USERNAME", "{user}"),
        ("MONGO_INITDB_ROOT_PASSWORD", "{password}"),
        ("MONGO_INITDB_DATABASE", "{database}"),
    ],
    client_variables: &[],
    command: &["mongod", "--bind_ip_all", "--maxConns", "{connections}"],
    health: &[
        "mongosh",
        "--quiet",
        "--host=127.0.0.1",
        "--username={user}",
        "--password={password}",
        "--authenticationDatabase=admin",
        "--eval=db.adminCommand({ping: 1}).ok === 1 || quit(1)",
    ],
    url: "mongodb://{user}:{password}@{address}/{database}?authSource=admin",
    archiving: Archiving::Running {
        save: &[
            "mongodump",
            "--host={host}",
            "--username={user}",
            "--password={password}",
            "--authenticationDatabase=admin",
            "--db={database}",
            "--archive",
        ],
        load: &[reading(&[
            "mongorestore",
            "--host={host}",
            "--username={user}",
            "--password={password}",
            "--authenticationDatabase=admin",
            "--nsInclude={database}.*",
            "--drop",
            "--stopOnError",
            "--archive",
        ])],
        is_atomic: false,
    },
    bounds_connections: true,
    idle_timeout_seconds: 0,
};

pub(super) static CLICKHOUSE: Specification = Specification {
    image: "clickhouse/clickhouse-server:24.8",
    version: "24.8",
    port: 8123,
    data_directory: "/var/lib/clickhouse",
    user: "default",
    database: "",
    variables: &[
        ("CLICKHOUSE_USER", "{user}"),
        ("CLICKHOUSE_PASSWORD", "{password}"),
        ("CLICKHOUSE_DB", "{database}"),
    ],
    client_variables: &[],
    command: &[],
    health: &[
        "clickhouse-client",
        "--host=127.0.0.1",
        "--user={user}",
        "--password={password}",
        "--query=SELECT 1",
    ],
    url: "http://{user}:{password}@{address}/{database}",
    archiving: files!("/var/lib/clickhouse"),
    bounds_connections: false,
    idle_timeout_seconds: 3_600,
};

pub(super) static DRAGONFLY: Specification = Specification {
    image: "docker.dragonflydb.io/dragonflydb/dragonfly:latest",
    version: "latest",
    port: 6379,
    data_directory: "/data",
    user: "default",
    database: "0",
    variables: &[("DRAGONFLY_PASSWORD", "{password}"), ("REDISCLI_AUTH", "{password}")],
    client_variables: &[],
    // It saves itself under this name when it is told to stop, and reads that when it starts.
    command: &[
        "dragonfly",
        "--logtostderr",
        "--dir=/data",
        "--dbfilename=dump",
        "--requirepass={password}",
        "--maxclients={connections}",
    ],
    health: &["redis-cli", "-e", "ping"],
    url: "redis://{user}:{password}@{address}/{database}",
    archiving: files!("/data"),
    bounds_connections: true,
    idle_timeout_seconds: 0,
};
