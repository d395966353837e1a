//! The engines a database can be of, as data: what is started, how it is asked whether it works, how
//! it is reached, saved and brought back. Everything that differs between them is in this table.
//!
//! Texts have places that are filled in for each database: `{user}`, `{database}`, `{host}`,
//! `{address}`, `{connections}`, and `{password}`, which the host alone fills in. Commands are a
//! program and its arguments; no shell reads them.

mod table;

/// What kind of database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Engine {
    /// PostgreSQL.
    Postgresql,
    /// Redis.
    Redis,
    /// MySQL.
    Mysql,
    /// MariaDB.
    Mariadb,
    /// MongoDB.
    Mongodb,
    /// ClickHouse.
    Clickhouse,
    /// Dragonfly, which speaks as Redis does.
    Dragonfly,
}

/// How a database is saved and brought back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Archiving {
    /// Both while it runs, by its own tools over its network.
    Running {
        /// Writes the archive.
        save: &'static [&'static str],
        /// Brings the archive back, one command after the other.
        load: &'static [Load],
        /// Whether that changes all or nothing. Otherwise there is one command, which can also bring
        /// back what was saved before.
        is_atomic: bool,
    },
    /// Saved while it runs; brought back into its files while it does not.
    Snapshot {
        /// Writes the archive.
        save: &'static [&'static str],
        /// Brings the archive back, one command after the other.
        load: &'static [Load],
    },
    /// Its files, while it does not run: for what has no tool that writes to its output.
    Stopped {
        /// Writes the archive.
        save: &'static [&'static str],
        /// Brings the archive back, one command after the other.
        load: &'static [Load],
    },
}

/// One command of those that bring an archive back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// The program and its arguments.
    pub command: &'static [&'static str],
    /// Whether it reads the archive.
    pub reads_archive: bool,
}

/// What is the same for all databases of an engine.
#[derive(Debug)]
pub struct Specification {
    /// The image, unless the operator names another in its place.
    pub image: &'static str,
    /// The version that image has.
    pub version: &'static str,
    /// The port it listens on inside.
    pub port: u16,
    /// Where it keeps its data inside.
    pub data_directory: &'static str,
    /// Its user, unless a variable says another.
    pub user: &'static str,
    /// The name of the logical database; empty where it is made of the database's name.
    pub database: &'static str,
    /// Variables of its environment. One that is exactly `{user}`, `{database}` or `{password}` can
    /// be given when a database is made.
    pub variables: &'static [(&'static str, &'static str)],
    /// Variables of the tools that save it, bring it back and ask it.
    pub client_variables: &'static [(&'static str, &'static str)],
    /// What is started; empty: what the image starts.
    pub command: &'static [&'static str],
    /// Run inside; it works when that ends with 0.
    pub health: &'static [&'static str],
    /// How it is reached.
    pub url: &'static str,
    /// How it is saved and brought back.
    pub archiving: Archiving,
    /// Whether [`Specification::command`] says how many clients may be connected.
    pub bounds_connections: bool,
    /// After how many seconds it closes a connection nobody uses; 0: never.
    pub idle_timeout_seconds: u32,
}

impl Engine {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Postgresql,
        Self::Redis,
        Self::Mysql,
        Self::Mariadb,
        Self::Mongodb,
        Self::Clickhouse,
        Self::Dragonfly,
    ];

    /// The lower-case word for it, as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Postgresql => "postgresql",
            Self::Redis => "redis",
            Self::Mysql => "mysql",
            Self::Mariadb => "mariadb",
            Self::Mongodb => "mongodb",
            Self::Clickhouse => "clickhouse",
            Self::Dragonfly => "dragonfly",
        }
    }

    /// Reads the word, or one that people use for it; `None` for any other.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "postgres" | "pg" => Some(Self::Postgresql),
            "mongo" => Some(Self::Mongodb),
            "dragonflydb" => Some(Self::Dragonfly),
            word => Self::ALL.into_iter().find(|engine| engine.as_str() == word),
        }
    }

    /// What is the same for all databases of this engine.
    pub const fn specification(self) -> &'static Specification {
        match self {
            Self::Postgresql => &table::POSTGRESQL,
            Self::Redis => &table::REDIS,
            Self::Mysql => &table::MYSQL,
            Self::Mariadb => &table::MARIADB,
            Self::Mongodb => &table::MONGODB,
            Self::Clickhouse => &table::CLICKHOUSE,
            Self::Dragonfly => &table::DRAGONFLY,
        }
    }
}
