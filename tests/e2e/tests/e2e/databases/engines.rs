//! Real engines: reached by their URL, written to, saved, damaged and brought back.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection, Row as _};
use windlass_harness::{Account, Database, DockerEngine, Server, ServerOptions};
use windlass_test_support::database_images::{make_postgres, make_redis};

use super::Kept;
use crate::check::{eventually, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_is_provisioned_saved_damaged_and_brought_back_on_sqlite() {
    postgresql_is_provisioned_saved_damaged_and_brought_back(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_is_provisioned_saved_damaged_and_brought_back_on_postgres() {
    postgresql_is_provisioned_saved_damaged_and_brought_back(Database::Postgres).await;
}

/// A host over this engine, which has images of ours in the places of the official ones.
fn start(engine: &DockerEngine, database: Database) -> Server {
    make_postgres(engine, "windlass-test/postgres:1");
    make_redis(engine, "windlass-test/redis:1");
    let substitutes = json!([
        "postgres:16-alpine=windlass-test/postgres:1",
        "redis:7-alpine=windlass-test/redis:1",
    ]);
    let environment = vec![
        ("WINDLASS_DOCKER_HOST".to_owned(), engine.host()),
        ("WINDLASS_IMAGE_SUBSTITUTES".to_owned(), substitutes.to_string()),
    ];
    Server::start_with(ServerOptions { environment, ..ServerOptions::on(database) })
}

/// The containers of an engine, running or not.
fn containers(engine: &DockerEngine) -> Vec<String> {
    let listed = engine.run(&["ps", "--all", "--format", "{{.Names}}"]);
    listed.lines().map(str::to_owned).collect()
}

pub(crate) async fn postgresql_is_provisioned_saved_damaged_and_brought_back(database: Database) {
    let engine = DockerEngine::start();
    let server = start(&engine, database);
    let account = Account::register(&server.client()).await;
    let orders = Kept::create(&account.client, "orders", "postgresql").await;
    let running = orders.becomes("running").await;
    let url = text(&running, "connection_url").to_owned();
    assert!(url.starts_with("postgresql://app:") && url.contains("@127.0.0.1:"), "{url}");
    has_no_secret(&server, &url).await;
    run(&url, "CREATE TABLE orders (id INTEGER PRIMARY KEY, what TEXT)").await;
    run(&url, "INSERT INTO orders SELECT n, 'order ' || n FROM generate_series(1, 1000) n").await;
    assert_eq!(running["settings"]["max_connections"], number(&url, MAX_CONNECTIONS).await);
    eventually("what it takes is counted", async || {
        let metrics = orders.view().await["metrics"].clone();
        metrics["memory"].as_f64().is_some_and(|percent| percent > 0.0)
    })
    .await;

    let backup = orders.back_up().await;
    assert!(text(&backup, "size").ends_with(" KB"), "{backup}");
    run(&url, "DELETE FROM orders WHERE id > 10").await;
    run(&url, "CREATE VIEW late AS SELECT * FROM orders").await;
    orders.restore(&backup).await;
    let url = text(&orders.becomes("running").await, "connection_url").to_owned();
    assert_eq!(number(&url, "SELECT COUNT(*)::int FROM orders").await, 1000);
    let late = "SELECT COUNT(*)::int FROM pg_views WHERE viewname = 'late'";
    assert_eq!(number(&url, late).await, 0, "what came after the backup is gone");

    assert_eq!(orders.act("stop").await["status"], "running");
    assert_eq!(orders.becomes("stopped").await["connection_url"], "");
    assert!(PgConnection::connect(&url).await.is_err(), "it does not run");
    assert!(containers(&engine).is_empty());
    orders.act("start").await;
    let url = text(&orders.becomes("running").await, "connection_url").to_owned();
    assert_eq!(number(&url, "SELECT COUNT(*)::int FROM orders").await, 1000);

    damaged_archives_are_refused(&server, &orders, &backup).await;
    assert_eq!(number(&url, "SELECT COUNT(*)::int FROM orders").await, 1000);
    let path = orders.path();
    account.client.delete(&path).await.expect(200);
    account.client.get(&path).await.expect_error(404);
    eventually("nothing is left of it", async || {
        let volumes = engine.run(&["volume", "ls", "--quiet"]);
        containers(&engine).is_empty() && volumes.is_empty() && archives(&server).is_empty()
    })
    .await;
}

const MAX_CONNECTIONS: &str = "SELECT current_setting('max_connections')::int";

/// The password is in no answer but the owner's, in no entry of the trail, and not in the database.
async fn has_no_secret(server: &Server, url: &str) {
    let password = url.split(':').nth(2).and_then(|rest| rest.split('@').next());
    let password = password.expect("it has a password");
    assert_eq!(password.len(), 32);
    let stranger = Account::register(&server.client()).await;
    let listed = stranger.client.get(super::DATABASES).await.expect(200).text();
    assert!(!listed.contains(password));
    assert!(!server.log().contains(password), "the log has the password");
}

/// Archives of a host, by their names.
fn archives(server: &Server) -> Vec<String> {
    let entries =
        std::fs::read_dir(server.data_directory().join("backups")).expect("the folder is there");
    entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// A backup whose archive is not what it was is not read, and the database goes on.
async fn damaged_archives_are_refused(server: &Server, database: &Kept<'_>, backup: &Value) {
    let archive = server.data_directory().join("backups").join(text(backup, "id"));
    let mut content = std::fs::read(&archive).expect("the archive is there");
    let middle = content.len() / 2;
    content[middle] ^= 1;
    std::fs::write(&archive, content).expect("it can be written");
    database.restore(backup).await;
    database.becomes("running").await;
    let trail = format!("/api/v1/audit-logs/database/{}", database.id);
    let told = database.client().get(&trail).await.expect(200).text();
    assert!(told.contains("is damaged"), "{told}");
}

async fn connected(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap_or_else(|error| panic!("{url}: {error}"))
}

async fn run(url: &str, statement: &'static str) {
    sqlx::raw_sql(statement).execute(&mut connected(url).await).await.expect("it runs");
}

async fn number(url: &str, query: &'static str) -> i32 {
    let mut connection = connected(url).await;
    sqlx::query(query).fetch_one(&mut connection).await.expect("it is answered").get(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_provisioned_saved_damaged_brought_back_and_survives_the_host() {
    let engine = DockerEngine::start();
    let mut server = start(&engine, Database::Sqlite);
    let account = Account::register(&server.client()).await;
    let cache = Kept::create(&account.client, "cache", "redis").await;
    let url = text(&cache.becomes("running").await, "connection_url").to_owned();
    for number in 0..100 {
        ask(&url, &["SET", &format!("key{number}"), "value"]);
    }
    let backup = cache.back_up().await;
    ask(&url, &["FLUSHALL"]);
    ask(&url, &["SET", "late", "value"]);
    cache.restore(&backup).await;
    let url = text(&cache.becomes("running").await, "connection_url").to_owned();
    assert_eq!(ask(&url, &["DBSIZE"]), ":100");
    assert_eq!(ask(&url, &["EXISTS", "late"]), ":0");
    // What was brought back is also what the next start reads.
    cache.act("restart").await;
    let url = text(&cache.becomes("running").await, "connection_url").to_owned();
    assert_eq!(ask(&url, &["DBSIZE"]), ":100");

    let before = containers(&engine);
    server.kill();
    assert_eq!(ask(&url, &["PING"]), "+PONG", "it does not need the host");
    server.restart();
    let client = server.client().with_token(&account.token);
    let cache = Kept::of(&client, &cache.id);
    assert_eq!(text(&cache.becomes("running").await, "connection_url"), url);
    assert_eq!(containers(&engine), before, "nothing was started again");
    engine.run(&["rm", "--force", &before[0]]);
    eventually("it is started again", async || {
        let found = cache.view().await;
        found["status"] == "running" && !containers(&engine).is_empty()
    })
    .await;
    let url = text(&cache.becomes("running").await, "connection_url").to_owned();
    assert_eq!(ask(&url, &["DBSIZE"]), ":100");
}

/// Sends one command as whoever the URL names, and answers the first line of the answer.
fn ask(url: &str, command: &[&str]) -> String {
    let rest = url.strip_prefix("redis://default:").expect("a URL of Redis");
    let (password, address) = rest.split_once('@').expect("it has an address");
    let address = address.strip_suffix("/0").expect("it names the first database");
    let mut stream = TcpStream::connect(address).expect("it listens");
    let mut answers = BufReader::new(stream.try_clone().expect("a second handle")).lines();
    let mut send = |words: &[&str]| {
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        stream.write_all(request.as_bytes()).expect("it is sent");
        answers.next().expect("it answers").expect("a line")
    };
    assert_eq!(send(&["AUTH", password]), "+OK");
    send(command)
}
