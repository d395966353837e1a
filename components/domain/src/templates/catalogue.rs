//! The templates there are. Ids, categories and variables are the catalogue's that clients know; the
//! words are ours.

use super::{Template, TemplateConfig, TemplateVariable};
use crate::services::ServiceKind;
use crate::time::Timestamp;

/// When this catalogue was written: 2026-11-27.
const WRITTEN: Timestamp = Timestamp::from_seconds(1_795_737_600);

/// Every template, in the order in which they are listed.
pub const CATALOGUE: &[Template] = &[
    Template {
        id: "tpl-nodejs",
        name: "Node.js",
        description: "A web service in JavaScript or TypeScript, built and started by its npm \
                      scripts.",
        category: "web",
        config: TemplateConfig {
            build_command: "npm ci && npm run build",
            start_command: "npm start",
            health_check: "/health",
            environment: &[("PORT", "3000")],
            ..web("node", 3000)
        },
        variables: &[
            TemplateVariable {
                default: "production",
                ..variable("NODE_ENV", "Mode", "How Node.js and its libraries run")
            },
            TemplateVariable {
                secret: true,
                ..variable("NPM_TOKEN", "npm token", "Reads private packages while building")
            },
            REPOSITORY,
            BRANCH,
        ],
        ..template()
    },
    Template {
        id: "tpl-react",
        name: "React",
        description: "A page that runs in the browser: built once, and served as files.",
        category: "frontend",
        config: TemplateConfig {
            build_command: "npm ci && npm run build",
            start_command: "npx serve -s dist -l 3000",
            environment: &[("PORT", "3000")],
            ..web("node", 3000)
        },
        variables: &[
            TemplateVariable {
                required: true,
                ..variable("VITE_API_URL", "Address of the API", "What the page asks for data")
            },
            REPOSITORY,
            BRANCH,
        ],
        ..template()
    },
    Template {
        id: "tpl-python",
        name: "Python",
        description: "A web service in Python that starts with main.py.",
        category: "web",
        config: TemplateConfig {
            build_command: "pip install -r requirements.txt",
            start_command: "python main.py",
            environment: &[("PORT", "8000")],
            ..web("python", 8000)
        },
        variables: &[
            TemplateVariable {
                default: "3.11",
                ..variable("PYTHON_VERSION", "Version of Python", "Which Python it is built for")
            },
            REPOSITORY,
            BRANCH,
        ],
        ..template()
    },
    Template {
        id: "tpl-go",
        name: "Go",
        description: "A web service in Go, compiled into one program.",
        category: "web",
        config: TemplateConfig {
            build_command: "go build -o app .",
            start_command: "./app",
            environment: &[("PORT", "8080")],
            ..web("go", 8080)
        },
        variables: &[
            TemplateVariable {
                default: "1.21",
                ..variable("GO_VERSION", "Version of Go", "Which Go it is compiled by")
            },
            REPOSITORY,
            BRANCH,
        ],
        ..template()
    },
    Template {
        id: "tpl-postgres",
        name: "PostgreSQL",
        description: "A relational database.",
        category: "database",
        config: database("postgresql", 5432),
        variables: &[
            TemplateVariable {
                default: "app",
                ..variable("POSTGRES_USER", "User", "Who owns the database")
            },
            password("POSTGRES_PASSWORD", true),
            TemplateVariable {
                default: "app",
                ..variable("POSTGRES_DB", "Database", "The name of the database")
            },
        ],
        ..template()
    },
    Template {
        id: "tpl-redis",
        name: "Redis",
        description: "A store of keys and values in memory, for caches and queues.",
        category: "database",
        config: database("redis", 6379),
        variables: &[password("REDIS_PASSWORD", false)],
        ..template()
    },
    Template {
        id: "tpl-mongodb",
        name: "MongoDB",
        description: "A database of documents.",
        category: "database",
        config: database("mongodb", 27017),
        variables: &[
            TemplateVariable {
                default: "admin",
                ..variable("MONGO_INITDB_ROOT_USERNAME", "Root user", "Who may do everything")
            },
            password("MONGO_INITDB_ROOT_PASSWORD", true),
        ],
        ..template()
    },
    Template {
        id: "tpl-mysql",
        name: "MySQL",
        description: "A relational database that many applications expect.",
        category: "database",
        config: database("mysql", 3306),
        variables: &[
            TemplateVariable {
                default: "app",
                ..variable("MYSQL_DATABASE", "Database", "The name of the database")
            },
            TemplateVariable {
                default: "app",
                ..variable("MYSQL_USER", "User", "Who uses the database")
            },
            password("MYSQL_PASSWORD", true),
            password("MYSQL_ROOT_PASSWORD", true),
        ],
        ..template()
    },
    Template {
        id: "tpl-mariadb",
        name: "MariaDB",
        description: "A relational database that takes the place of MySQL.",
        category: "database",
        config: database("mariadb", 3306),
        variables: &[
            TemplateVariable {
                default: "app",
                ..variable("MARIADB_DATABASE", "Database", "The name of the database")
            },
            TemplateVariable {
                default: "app",
                ..variable("MARIADB_USER", "User", "Who uses the database")
            },
            password("MARIADB_PASSWORD", true),
            password("MARIADB_ROOT_PASSWORD", true),
        ],
        ..template()
    },
    Template {
        id: "tpl-clickhouse",
        name: "ClickHouse",
        description: "A database for counting over very many rows.",
        category: "database",
        config: database("clickhouse", 8123),
        variables: &[
            TemplateVariable {
                default: "app",
                ..variable("CLICKHOUSE_DB", "Database", "The name of the database")
            },
            TemplateVariable {
                default: "default",
                ..variable("CLICKHOUSE_USER", "User", "Who uses the database")
            },
            password("CLICKHOUSE_PASSWORD", false),
        ],
        ..template()
    },
    Template {
        id: "tpl-dragonfly",
        name: "Dragonfly",
        description: "A store in memory that speaks like Redis and uses every core.",
        category: "database",
        config: database("dragonfly", 6379),
        variables: &[password("DRAGONFLY_PASSWORD", false)],
        ..template()
    },
    Template {
        id: "tpl-worker",
        name: "Worker",
        description: "Something that works in the background and answers nobody.",
        category: "worker",
        config: TemplateConfig {
            kind: ServiceKind::Worker,
            build_command: "npm ci",
            start_command: "npm run worker",
            ..web("node", 0)
        },
        variables: &[
            TemplateVariable {
                default: "4",
                ..variable("WORKER_CONCURRENCY", "At the same time", "How many tasks it works on")
            },
            REPOSITORY,
            BRANCH,
        ],
        ..template()
    },
    Template {
        id: "tpl-cron",
        name: "Scheduled task",
        description: "Something that runs at set times, and ends.",
        category: "cron",
        config: TemplateConfig {
            kind: ServiceKind::Cron,
            build_command: "npm ci",
            start_command: "npm run cron",
            ..web("node", 0)
        },
        variables: &[
            TemplateVariable {
                default: "0 * * * *",
                ..variable("CRON_SCHEDULE", "Times", "When it runs, as in crontab(5), in UTC")
            },
            REPOSITORY,
            BRANCH,
        ],
        ..template()
    },
    Template {
        id: "tpl-docker",
        name: "Image",
        description: "A web service whose image exists already.",
        category: "custom",
        config: web("image", 80),
        variables: &[
            TemplateVariable {
                required: true,
                ..variable(super::IMAGE, "Image", "The name of the image, without its tag")
            },
            TemplateVariable {
                default: "latest",
                ..variable(super::TAG, "Tag", "Which version of the image")
            },
        ],
        ..template()
    },
];

const REPOSITORY: TemplateVariable =
    variable(super::REPOSITORY, "Repository", "The address of the repository to build");
const BRANCH: TemplateVariable =
    variable(super::BRANCH, "Branch", "Which branch of the repository; its default when blank");

const fn template() -> Template {
    Template {
        id: "",
        name: "",
        description: "",
        category: "",
        config: web("", 0),
        variables: &[],
        created_at: WRITTEN,
    }
}

const fn web(runtime: &'static str, port: u16) -> TemplateConfig {
    TemplateConfig {
        kind: ServiceKind::Web,
        runtime,
        build_command: "",
        start_command: "",
        port,
        health_check: "",
        environment: &[],
    }
}

const fn database(engine: &'static str, port: u16) -> TemplateConfig {
    TemplateConfig { kind: ServiceKind::Database, ..web(engine, port) }
}

const fn variable(
    key: &'static str,
    label: &'static str,
    description: &'static str,
) -> TemplateVariable {
    TemplateVariable { key, label, default: "", required: false, secret: false, description }
}

/// Where it is not required, the database makes one when none is given.
const fn password(key: &'static str, required: bool) -> TemplateVariable {
    let description = "Whoever has it reaches the data";
    TemplateVariable { required, secret: true, ..variable(key, "Password", description) }
}
